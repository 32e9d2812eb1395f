"""The folder of a run: its owner, and the session on it. Python and the command line run recipes the same way."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from generators.contract.errors import RecipeError
from generators.contract.files import write_text
from pipelines.hardware import let_threads_sleep
from pipelines.progress import quiet_libraries
from pipelines.recipe.checks import check_files, check_hub_names
from pipelines.recipe.keys import nearest
from pipelines.recipe.loading import load_recipe
from pipelines.recipe.schema import Recipe
from pipelines.run import run
from pipelines.session import Session, open_session
from pipelines.stages.table import ENDS

OWNER = "run.json"  # names the recipe that owns the folder


def run_recipe(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    out: Path | None = None,
    until: str | None = None,
    redo: Sequence[str] = (),
    replace: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Run a recipe and return the run's folder; finished stages are skipped.

    recipe: a shipped recipe's name or a path that ends in .toml. overrides: words such as "train.alpha=0.5". out: the
    folder, by default runs/NAME. until: the last stage. redo: stages to run again. replace: take over another recipe's
    folder.
    """
    let_threads_sleep()
    check_stages(redo, until)
    loaded = load_recipe(recipe, overrides)
    folder = out or default_folder(loaded)
    with open_run(folder, loaded, recipe, until=until, redo=redo, replace=replace, say=say) as session:
        run(loaded, session)
    return folder


def check_stages(redo: Sequence[str], until: str | None) -> None:
    """Raise a RecipeError for a stage that does not exist; `train/NAME` names one student's."""
    named = [("--redo", name, name.partition("/")[0]) for name in redo]
    named += [("--until", until, until)] if until is not None else []
    for option, name, stage in named:
        if stage not in ENDS:
            hint = nearest(stage, ENDS)
            raise RecipeError(f"{option} {name}: there is no such stage{hint}; stages: {', '.join(ENDS)}")


def default_folder(recipe: Recipe) -> Path:
    """Return the folder of a run without --out."""
    return Path("runs") / recipe.name


@contextmanager
def open_run(
    folder: Path,
    recipe: Recipe,
    source: str,
    *,
    until: str | None = None,
    redo: Sequence[str] = (),
    replace: bool = False,
    say: Callable[[str], None] = print,
    dry: bool = False,
) -> Iterator[Session]:
    """Open a session on a run's folder and record its owner there. source: the recipe's name or file."""
    check_files(recipe)
    check_owner(folder, recipe.name, source, replace=replace)
    if not dry:
        check_hub_names(recipe)
    with open_session(folder, recipe, until=until, redo=redo, say=say, dry=dry) as session:
        if not dry:
            quiet_libraries()
            write_text(recipe.model_dump_json(indent=1), folder / "recipe.json")
            write_text(json.dumps(owner(recipe.name, source)), folder / OWNER)
        yield session


def owner(name: str, source: str) -> dict[str, str]:
    """Return the owner of a run's folder: the run's name and the recipe's file name."""
    return {"name": name, "recipe": Path(source).name.removesuffix(".toml")}


def check_owner(folder: Path, name: str, source: str, *, replace: bool) -> None:
    """Raise a RecipeError if the folder holds another recipe's run, whose corpus would be replaced."""
    if replace or not (folder / OWNER).exists():
        return
    there, new = json.loads((folder / OWNER).read_text(encoding="utf-8")), owner(name, source)
    if there != new:
        raise RecipeError(
            f"{folder} holds the run {there['name']!r} of the recipe {there['recipe']}, and this is {new['name']!r} of "
            f"{new['recipe']}: give this run a folder of its own with --out DIR or name=NAME, or replace the other one "
            "with --replace"
        )
