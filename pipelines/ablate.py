"""Ablations: the train and evaluate stages for each cell of a grid, on one corpus and one store of soft targets."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from generators.contract.errors import RecipeError
from generators.contract.files import write_text
from pipelines.recipe.checks import check_one, check_student
from pipelines.recipe.loading import parse_value
from pipelines.recipe.schema import Recipe, StudentConfig, parse_config
from pipelines.run import build_corpus, evaluate_model, train_student, write_report
from pipelines.session import Session


def split_sweeps(arguments: Sequence[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return (`train.*` keys with several values, the other overrides): train.alpha=0.25,0.5,1 is a sweep."""
    sweeps: dict[str, list[Any]] = {}
    overrides = []
    for argument in arguments:
        key, _, text = argument.partition("=")
        if "," in text and not text.startswith(("[", "{", '"')):
            if not key.startswith("train."):
                raise RecipeError(f"{argument!r}: only train.* keys can be swept; all cells share one corpus")
            sweeps[key] = [parse_value(value) for value in text.split(",")]
        else:
            overrides.append(argument)
    if not sweeps:
        raise RecipeError("name at least one key to sweep, for example train.alpha=0.25,0.5,1 train.temperature=1,2")
    return sweeps, overrides


def cells(sweeps: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, values) of each combination, such as ("alpha=0.5,temperature=2", {"train.alpha": 0.5, ...})."""
    for combination in itertools.product(*sweeps.values()):
        values = dict(zip(sweeps, combination, strict=True))
        yield ",".join(f"{key.removeprefix('train.')}={value}" for key, value in values.items()), values


def cell_student(recipe: Recipe, name: str, values: Mapping[str, Any]) -> StudentConfig:
    """Return `[train]` with the cell's values; soft targets come from the store unless the recipe says otherwise."""
    if recipe.train is None:
        raise RecipeError("an ablation needs a [train] section")
    shared = {"soft_targets": "stored"} if recipe.score else {}
    table = {**shared, **recipe.train.model_dump(exclude_unset=True), "label": name}
    student = parse_config(StudentConfig, table | {k.removeprefix("train."): v for k, v in values.items()}, "train.")
    check_student(recipe, f"cell {name}", student)
    for one in student.named("train."):
        check_one(one, recipe)
    return student


def ablate(recipe: Recipe, sweeps: Mapping[str, Sequence[Any]], do: Session) -> None:
    """Run every cell, one after another, and write a report with a table and a heat map of the grid."""
    students = {name: (values, cell_student(recipe, name, values)) for name, values in cells(sweeps)}
    if recipe.evaluate is None:
        raise RecipeError("an ablation needs an [evaluate] section")
    build_corpus(do)
    done = []
    for name, (values, student) in students.items():
        folder = f"ablate/{name}"
        train_student(f"{folder}/train", student, do)
        evaluate_model(f"{folder}/evaluate", f"{folder}/train", do)
        done.append({"cell": name, "values": values, **results(do.runner.folder / folder)})
        write_text(json.dumps(done, indent=1), do.runner.folder / "ablate" / "cells.json")
    write_report(do.runner.folder)


def results(folder: Path) -> dict[str, Any]:
    """Return the scores and last validation losses of a cell."""
    scores = json.loads((folder / "evaluate" / "scores.json").read_text(encoding="utf-8"))
    lines = (folder / "train" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    validations = [line for line in map(json.loads, lines) if "val_ce" in line]
    last = validations[-1] if validations else {}
    return {"scores": scores, "val_ce": last.get("val_ce"), "val_kl": last.get("val_kl")}
