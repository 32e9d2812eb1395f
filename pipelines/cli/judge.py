"""The command `distill judge`: files of outputs or of pairs, or the single stage."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli.help import add_command, say, show
from pipelines.cli.stages import add_inputs, inputs_of
from pipelines.stages.table import JUDGE

ABOUT = "have a model judge what a rule refused, in a file of outputs or as a stage"
OVERRIDES = "a file of outputs or pairs, and keys of [judge], which `distill settings judge` lists"


def add(commands: Any) -> None:
    """Add the command `judge`."""
    stage = "distill judge --traces g/traces.parquet --verdicts v/verdicts.parquet --prompts p/prompts.parquet --out j"
    judge = add_command(commands, JUDGE.name, ABOUT, (JUDGE.example, stage))
    judge.add_argument("overrides", nargs="*", metavar="FILE key=value", help=OVERRIDES)
    judge.add_argument("--pairwise", action="store_true", help="rows are `question`, `a`, `b`: which is better")
    judge.add_argument("--verifier", default="math_answer", help="the rule; `judge` leaves everything to the model")
    judge.add_argument("--reference-field", metavar="FIELD", help="default: `reference`, or else `gold`")
    judge.add_argument("--response-field", default="response", metavar="FIELD", help="the model's output")
    judge.add_argument("--question-field", default="question", metavar="FIELD", help="the question")
    judge.add_argument("--answer-only", action="store_true", help="the response is a bare answer, not a full text")
    add_inputs(judge, JUDGE, required=False)
    judge.add_argument("--recipe", metavar="NAME", help="take the settings from this recipe")
    judge.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a folder: verdicts, and the ledger of replies"
    )
    judge.set_defaults(command=run_judge, takes_file=True)


def run_judge(options: argparse.Namespace) -> None:
    """Judge a file or run the stage, as the options say; a wrong combination raises RecipeError."""
    from generators.contract.errors import RecipeError

    files = [word for word in options.overrides if "=" not in word]
    overrides = [word for word in options.overrides if "=" in word]
    inputs = inputs_of(options, JUDGE)
    together = ", ".join(f"--{name}" for name in inputs)
    if any(inputs.values()):
        if files or not all(inputs.values()):
            raise RecipeError(f"judge takes a FILE, or {together} together")
        from pipelines.standalone import run_stage

        run_stage(JUDGE.name, inputs, options.out, overrides, recipe=options.recipe, say=say)
    elif len(files) != 1:
        raise RecipeError(f"judge takes one FILE (or {together} together); it was given {len(files)}")
    else:
        on_file(Path(files[0]), overrides, options)


def on_file(file: Path, overrides: list[str], options: argparse.Namespace) -> None:
    """Judge a file into a folder that is locked against other processes."""
    from functools import partial

    from filters.outputs import Fields
    from generators.contract.stage_protocol import Runtime
    from pipelines.executors import open_executor
    from pipelines.judge.files import VERDICTS, judge_file
    from pipelines.judge.pairwise import prefer_file
    from pipelines.progress import bar, quiet_libraries
    from pipelines.stage_folder import sole_use
    from pipelines.standalone import check_sections, read_sections

    sections = read_sections(JUDGE, options.recipe, overrides)
    check_sections(JUDGE, sections)
    assert sections.judge
    quiet_libraries()
    with sole_use(options.out), open_executor(sections.execution) as executor:
        workers = sections.execution.verify_workers
        runtime = Runtime(executor.stream, executor.fleet, partial(bar, "judge"), workers)
        if options.pairwise:
            found = prefer_file(file, options.out, sections.judge, runtime=runtime)
            show(", ".join(f"{name} {n:,}" for name, n in found.items()))
            return
        fields = Fields(options.reference_field, options.response_field, options.question_field, options.answer_only)
        how: dict[str, Any] = {"verifier": options.verifier, "fields": fields, "verifying": sections.verify}
        summary = judge_file(file, options.out, sections.judge, runtime=runtime, **how)
        show(summary.table())
        show(f"verdicts: {options.out / VERDICTS}")
