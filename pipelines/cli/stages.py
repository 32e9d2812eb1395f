"""The commands of single stages, made from the table of stages."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli.help import add_command, say
from pipelines.stages.table import STAGES, Stage

WITH_FILES = ("judge",)  # stages with their own commands, which also take files of any form


def add(commands: Any) -> None:
    """Add a command for each stage."""
    for stage in STAGES.values():
        if stage.name not in WITH_FILES:
            _add(commands, stage)


def _add(commands: Any, stage: Stage) -> None:
    command = add_command(commands, stage.name, stage.about, (stage.example,))
    about = f"keys of [{stage.name}], which `distill settings {stage.name}` lists"
    command.add_argument("overrides", nargs="*", metavar="key=value", help=about)
    add_inputs(command, stage, required=True)
    if stage.samples:
        command.add_argument("--model", required=True, help="a model folder, embedded:NAME or a hub name")
    if stage.name == "train":
        command.add_argument("--student", metavar="NAME", help="one of the recipe's [students]")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the stage's folder")
    command.add_argument("--recipe", metavar="NAME", help="take the settings from this recipe")
    command.add_argument("--dry-run", action="store_true", help="say whether the stage would run, and why")
    command.set_defaults(command=_run, stage=stage.name)


def add_inputs(command: argparse.ArgumentParser, stage: Stage, *, required: bool) -> None:
    """Add an option for each input of a stage."""
    for name, wanted in stage.inputs.items():
        several: dict[str, Any] = {"nargs": "+"} if wanted.several else {}
        needed = required and not wanted.optional
        option = f"--{name.replace('_', '-')}"
        command.add_argument(option, type=Path, required=needed, metavar="PATH", help=wanted.about, **several)


def inputs_of(options: argparse.Namespace, stage: Stage) -> dict[str, Any]:
    """Return the given paths by parameter."""
    return {name: getattr(options, name) for name in stage.inputs}


def _run(options: argparse.Namespace) -> None:
    from pipelines.progress import quiet_libraries
    from pipelines.standalone import run_stage

    quiet_libraries()
    run_stage(
        options.stage,
        inputs_of(options, STAGES[options.stage]),
        options.out,
        options.overrides,
        recipe=options.recipe,
        student=getattr(options, "student", None),
        model=getattr(options, "model", None),
        say=say,
        dry=options.dry_run,
    )
