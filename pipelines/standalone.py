"""A single stage on given paths, with the same functions, settings, manifests and resuming as in a run."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from filters.verification.verdicts import Item
from filters.verifiers import choice
from generators.contract.config import Mark
from generators.contract.errors import InputError, MissingFile, RecipeError
from generators.contract.models import check_hub, model_path
from generators.prompts import needs_reference
from pipelines.recipe.checks import check_engines, check_files, check_hub_names, check_named
from pipelines.recipe.loading import read_toml, recipe_path, replay_from_prompts, with_overrides
from pipelines.recipe.schema import Sections, StudentConfig, parse_config
from pipelines.run import trainings
from pipelines.run_folder import OWNER
from pipelines.session import Session, Value, open_session
from pipelines.stage_folder import made_by
from pipelines.stages.table import EVALUATE, PROMPTS, STAGES, Stage

Paths = Mapping[str, str | Path | list[Path] | None]


def run_stage(
    name: str,
    inputs: Paths,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    recipe: str | None = None,
    student: str | None = None,
    model: str | None = None,
    say: Callable[[str], None] = print,
    dry: bool = False,
) -> None:
    """Run the stage `name` on paths into `out`.

    Settings are the recipe's section, or the defaults, with overrides, whose keys need not repeat the section's name.
    student: one of the recipe's [students]. model: the model that `evaluate` samples. dry: report what would run, and
    run nothing.
    """
    stage = STAGES[name]
    raw = raw_problems(stage, inputs)
    check_inputs({name: path for name, path in inputs.items() if path != raw})
    sections = read_sections(stage, recipe, [*(named_problems(raw) if raw else ()), *overrides], student)
    check_sections(stage, sections)
    if model is not None:
        check_model(sections, model)
    check_folder(stage, out)
    with open_session(out, sections, say=say, dry=dry) as session:
        session.runner.folder = out.parent
        if raw:
            inputs = {**inputs, "prompts": read_problems(session, raw, f"{out.name}/problems")}
        for folder, config in parts(stage, out.name, getattr(sections, name)):
            call(session, stage, folder, config, inputs, model)


def parts(stage: Stage, name: str, config: Any) -> Iterator[tuple[str, Any]]:
    """Yield (folder, settings) of each call: a student with several seeds is trained once per seed."""
    if isinstance(config, StudentConfig):
        yield from trainings(name, config)
    else:
        yield name, config


def call(session: Session, stage: Stage, folder: str, config: Any, inputs: Paths, model: str | None) -> None:
    """Call the stage the way a run does."""
    given: dict[str, Value] = dict(inputs)
    session(stage, at=folder, config=config, inputs=given, model=model)


def read_sections(stage: Stage, recipe: str | None, overrides: Sequence[str], student: str | None = None) -> Sections:
    """Return the sections of a recipe, or the defaults, with overrides; `student`'s keys lie over [train]."""
    tables = read_toml(recipe_path(recipe)) if recipe else {}
    tables = {**tables, stage.name: tables.get(stage.name, {})}
    if student is not None:
        tables = as_student(tables, student, recipe)
    changed = with_overrides(tables, [full_key(stage, override) for override in overrides])
    return parse_config(Sections, replay_from_prompts(changed))


def as_student(tables: Mapping[str, Any], student: str, recipe: str | None) -> dict[str, Any]:
    """Return the tables with one student's keys over those of [train], and no other students."""
    students = tables.get("students", {})
    if student not in students:
        known = f"it has {', '.join(students)}" if students else "it has none"
        raise RecipeError(
            f"--student {student}: the recipe {recipe or '(none was named)'} has no such student; {known}"
        )
    own = {**tables.get("train", {}), "label": student, **students[student]}
    return {**{key: value for key, value in tables.items() if key != "students"}, "train": own}


def full_key(stage: Stage, override: str) -> str:
    """Return the override with its section; a key without one belongs to the stage's own section."""
    first = override.partition("=")[0].partition(".")[0]
    own = own_keys(stage)
    return override if first in Sections.model_fields and first not in own else f"{stage.name}.{override}"


def own_keys(stage: Stage) -> set[str]:
    """Return the keys of a stage's section; none for [prompts], a union whose keys never equal a section's name."""
    return set(getattr(stage.config(), "model_fields", {}))


def raw_problems(stage: Stage, inputs: Paths) -> Path | None:
    """Return the file of problems that an evaluation is given in any other form than records.PROMPT."""
    path = inputs.get("prompts")
    if stage is not EVALUATE or not isinstance(path, Path) or not path.exists():
        return None
    try:
        return None if {"prompt_id", "messages", "verifier"} <= pl.read_parquet_schema(path).keys() else path
    except (pl.exceptions.PolarsError, OSError):
        return path


def named_problems(path: Path) -> list[str]:
    """Return the overrides by which an evaluation's problems are the rows of a file."""
    return ["prompts.source=file", f"prompts.path={json.dumps(str(path))}"]


def read_problems(session: Session, path: Path, folder: str) -> str:
    """Read an evaluation's problems through the intake, as a stage of their own; return their file within the run."""
    session.step(folder, PROMPTS.load, session.sections.evaluate.prompts, {}, kind=PROMPTS.name)
    made = session.runner.folder / folder / "prompts.parquet"
    if not session.runner.dry:
        check_problems(pl.read_parquet(made), path)
    return f"{folder}/prompts.parquet"


def check_problems(made: pl.DataFrame, path: Path) -> None:
    """Raise an InputError, before anything is sampled, where no problem has a verifier or the reference it needs."""
    asked = made.filter(pl.col("drop_reason").is_null() & pl.col("verifier").is_not_null())
    if asked.is_empty():
        raise InputError(f"{path}: no problem names a verifier; set one for all, such as prompts.verifier=math_answer")
    judged = Counter[str]()
    for verifier, reference, messages in asked.select("verifier", "reference", "messages").iter_rows():
        judged[unusable(verifier, reference, messages)] += 1
    if not judged[""]:
        raise InputError(f"{path}: no problem can be judged: {judged.most_common(1)[0][0]}")


def unusable(verifier: str, reference: str | None, messages: list[dict[str, str]]) -> str:
    """Return why a verifier cannot judge by a problem's reference, with the key to set; empty: it can."""
    if needs_reference(verifier) and not (reference or "").strip():
        return f"none has the reference that {verifier} needs; name its column, such as prompts.fields.reference=answer"
    if verifier == "choice":
        try:
            choice.read_reference(Item("", reference, messages=messages))
        except ValueError as error:
            return (
                f"{error}; choice reads options from the question, one a line as `A. ...`, and the letter or value "
                "from the column that prompts.fields.reference names"
            )
    return ""


def check_inputs(inputs: Paths) -> None:
    """Raise MissingFile for a path that does not exist, and InputError for an unreadable parquet file."""
    for option, value in inputs.items():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path):
                check_input(f"--{option.replace('_', '-')}", path)


def check_input(option: str, path: Path) -> None:
    """Check the path of one option."""
    if not path.exists():
        raise MissingFile(f"{option}: there is no {path}")
    if path.is_file():
        try:
            pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{option}: {path} is not a parquet file, which another stage makes: {error}") from None


def check_folder(stage: Stage, out: Path) -> None:
    """Raise a RecipeError for a folder that holds another stage, or is part of a run: its files would be replaced."""
    there = made_by(out)
    if there not in (None, stage.name):
        raise RecipeError(f"--out {out} holds the stage {there}, and this is {stage.name}; name another folder")
    run = next((folder for folder in out.absolute().parents if (folder / OWNER).exists()), None)
    if run is not None:
        raise RecipeError(f"--out {out} lies in the run {run}, whose stages `distill run` makes; name another folder")


def check_sections(stage: Stage, sections: Sections) -> None:
    """Check, before any work, the engines, models, files and devices that the stage's own settings name."""
    own = Sections.model_validate({stage.name: getattr(sections, stage.name), "execution": sections.execution})
    check_engines(own)
    check_named(own)
    check_files(own)
    check_hub_names(own)


def check_model(sections: Sections, model: str) -> None:
    """Raise a RecipeError for an evaluated model that is neither here nor to be had from the hub."""
    if sections.evaluate is None or sections.execution.executor != "local":
        return
    named = {one.key: one.mark for one in sections.evaluate.generation(model).named()}
    if named.get("model") is Mark.MODEL and "engine" not in named:  # a user's own engine may call it anything
        try:
            check_hub(model_path(model))
        except RecipeError as error:
            raise RecipeError(f"--model: {error}") from None


__all__ = ["read_sections", "run_stage"]
