"""`distill judge`: files of outputs or of pairs, or the stage by itself. Loads nothing heavy before it is called."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGE_INPUTS = ("traces", "verdicts", "prompts")
OVERRIDES = "a file of outputs or pairs; keys of [judge] as key=value: teacher=openai model=NAME"


def add_judge(commands: Any, say: Callable[[str], None], show: Callable[[Any], None]) -> None:
    """The command's options; `say` tells of progress, `show` prints tables."""
    text = "have a model judge what a rule refused: of a file of outputs, or as a stage"
    judge = commands.add_parser("judge", help=text, description=text)
    judge.add_argument("overrides", nargs="*", metavar="FILE key=value", help=OVERRIDES)
    judge.add_argument("--pairwise", action="store_true", help="rows are `question`, `a`, `b`: which is better")
    judge.add_argument("--verifier", default="math_answer", help="the rule; `judge` leaves everything to the judge")
    judge.add_argument("--gold-field", default="gold")
    judge.add_argument("--response-field", default="response")
    judge.add_argument("--question-field", default="question")
    judge.add_argument("--answer-only", action="store_true", help="the response is a bare answer, not a full text")
    for name in STAGE_INPUTS:
        judge.add_argument(f"--{name}", type=Path, help=f"{name}.parquet, in place of FILE")
    judge.add_argument("--recipe", help="take the section from this recipe")
    judge.add_argument("--out", type=Path, required=True, help="a folder: verdicts, and the ledger of replies")
    judge.set_defaults(command=lambda options: run_judge(options, say, show), takes_file=True)


def run_judge(options: argparse.Namespace, say: Callable[[str], None], show: Callable[[Any], None]) -> None:
    """Do what is asked; a wrong combination is a ValueError."""
    files = [word for word in options.overrides if "=" not in word]
    overrides = [word for word in options.overrides if "=" in word]
    inputs = {name: getattr(options, name) for name in STAGE_INPUTS}
    if any(inputs.values()):
        if files or not all(inputs.values()):
            raise ValueError("judge takes a FILE, or --traces, --verdicts and --prompts together")
        from pipelines.standalone import run_stage

        run_stage("judge", inputs, options.out, overrides, recipe=options.recipe, model=None, say=say)
    elif len(files) != 1:
        raise ValueError(f"judge takes one FILE (or --traces, --verdicts and --prompts); it was given {len(files)}")
    else:
        on_file(Path(files[0]), overrides, options, show)


def on_file(file: Path, overrides: list[str], options: argparse.Namespace, show: Callable[[Any], None]) -> None:
    """Judge a file in a folder that is held against a second process."""
    from functools import partial

    from pipelines.executors import open_executor
    from pipelines.judge.files import VERDICTS, Fields, judge_file
    from pipelines.judge.pairwise import prefer_file
    from pipelines.progress import bar, quiet_libraries
    from pipelines.stage_folder import sole_use
    from pipelines.standalone import read_sections

    sections = read_sections("judge", options.recipe, overrides)
    assert sections.judge
    sections.judge.check_teacher()
    quiet_libraries()
    with sole_use(options.out), open_executor(sections.execution) as executor:
        hands: dict[str, Any] = {"fleet": executor.fleet, "progress": partial(bar, "judge")}
        if options.pairwise:
            found = prefer_file(file, options.out, sections.judge, **hands)
            show(", ".join(f"{name} {n:,}" for name, n in found.items()))
            return
        hands |= {"verifying": sections.verify, "workers": sections.execution.verify_workers}
        fields = Fields(options.gold_field, options.response_field, options.question_field, options.answer_only)
        summary = judge_file(file, options.out, sections.judge, verifier=options.verifier, fields=fields, **hands)
        show(summary.table())
        show(f"verdicts: {options.out / VERDICTS}")
