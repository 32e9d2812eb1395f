"""The commands `distill run`, `distill ablate` and `distill report`, which work on whole recipes."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.cli.help import add_command, say, show
from pipelines.stages.table import ENDS

if TYPE_CHECKING:
    from pipelines.recipe.schema import Recipe
    from pipelines.session import Session

OVERRIDES = "settings that override the recipe's, such as train.alpha=0.5"


def add(commands: Any) -> None:
    """Add the commands `run`, `ablate` and `report`."""
    run = add_command(
        commands,
        "run",
        "run a recipe from prompts to report; finished stages are skipped",
        (
            "distill run toy",
            "distill run my.toml generate.sampling.n=8 --until corpus",
            "distill run my.toml --dry-run",
        ),
    )
    run.add_argument("recipe", help="a shipped recipe's name (`distill recipes`), or a .toml file")
    run.add_argument("overrides", nargs="*", metavar="key=value", help=OVERRIDES)
    run.add_argument("--until", metavar="STAGE", help=f"stop after this stage: {', '.join(ENDS)}")
    run.add_argument("--redo", action="append", default=[], metavar="STAGE", help="run this stage again (repeatable)")
    run.add_argument("--dry-run", action="store_true", help="print the resolved recipe and what would run, and why")
    _add_folder(run)
    run.set_defaults(command=_run)
    ablate = add_command(
        commands,
        "ablate",
        "train and evaluate a grid of settings over one corpus",
        ("distill ablate toy train.alpha=0.25,0.5,1 train.temperature=1,2",),
    )
    ablate.add_argument("recipe", help="a shipped recipe's name, or a .toml file")
    ablate.add_argument("overrides", nargs="+", metavar="key=value[,value...]", help="several values are swept")
    _add_folder(ablate)
    ablate.set_defaults(command=_ablate, until=None, redo=[], dry_run=False)
    report = add_command(commands, "report", "make report.html of a run folder", ("distill report runs/toy",))
    report.add_argument("run", type=Path, help="the run's folder")
    report.set_defaults(command=_report)


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, metavar="DIR", help="the run's folder; default: runs/NAME")
    command.add_argument(
        "--replace", action="store_true", help="use a folder that holds another recipe's run, and replace that run"
    )


def _run(options: argparse.Namespace) -> None:
    from pipelines.recipe.loading import load_recipe
    from pipelines.run import run
    from pipelines.run_folder import check_stages

    check_stages(options.redo, options.until)
    recipe = load_recipe(options.recipe, options.overrides)
    if options.dry_run:
        print(resolved_toml(recipe))
    in_session(options, recipe, lambda session: run(recipe, session))


def _ablate(options: argparse.Namespace) -> None:
    from pipelines.ablate import ablate, split_sweeps
    from pipelines.recipe.loading import load_recipe

    sweeps, overrides = split_sweeps(options.overrides)
    recipe = load_recipe(options.recipe, overrides)
    in_session(options, recipe, lambda session: ablate(recipe, sweeps, session))


def in_session(options: argparse.Namespace, recipe: "Recipe", work: Callable[["Session"], None]) -> None:
    """Do the work in the run's folder, then print where the results are."""
    from pipelines.run_folder import default_folder, open_run

    folder = options.out or default_folder(recipe)
    how = {"until": options.until, "redo": options.redo, "replace": options.replace, "dry": options.dry_run}
    with open_run(folder, recipe, options.recipe, say=say, **how) as session:
        work(session)
    if not options.dry_run:
        say_where(folder, whole=options.until in (None, "report"))


def resolved_toml(recipe: "Recipe") -> str:
    """Return the recipe with every override and every default, as TOML."""
    from pipelines.recipe.toml import as_toml

    return as_toml(recipe.model_dump(mode="json"))


def say_where(folder: Path, *, whole: bool) -> None:
    """Print the results, and where corpus, models and report are."""
    from pipelines.report.page import terminal_table

    if (folder / "evaluate").exists() and whole:
        show(terminal_table(folder))
    models = sorted(path.parent for path in folder.glob("train/**/model") if (path / "config.json").exists())
    places = [("corpus", folder / "corpus" / "train.parquet"), *(("model", model / "model") for model in models)]
    if whole:
        places.append(("report", folder / "report" / "report.html"))
    for what, path in places:
        if path.exists():
            print(f"{what}: {path}")


def _report(options: argparse.Namespace) -> None:
    from generators.contract.errors import InputError, MissingFile
    from pipelines.report.page import terminal_table
    from pipelines.run import write_report
    from pipelines.stage_folder import made_by

    if not options.run.is_dir():
        raise MissingFile(f"there is no run folder {options.run}")
    if made_by(options.run):
        raise InputError(f"{options.run} is the folder of one stage, {made_by(options.run)}; name a run's folder")
    page = write_report(options.run)
    if (options.run / "evaluate").exists():
        show(terminal_table(options.run))
    print(f"report: {page}")
