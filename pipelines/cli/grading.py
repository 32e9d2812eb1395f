"""The commands `distill grade` and `distill check-references`, which read files of any form and need no run."""

import argparse
import json
from pathlib import Path
from typing import Any

from generators.contract.errors import InputError
from pipelines.cli.help import add_command, say, show


def add(commands: Any) -> None:
    """Add the commands `grade` and `check-references`."""
    grade = add_command(
        commands,
        "grade",
        "grade a file of existing outputs: one verdict per completion, and a summary",
        (
            "distill grade outputs.jsonl --out verdicts.jsonl",
            "distill grade outputs.parquet --verifier choice --reference-field answer --out verdicts.jsonl",
        ),
    )
    grade.add_argument("file", type=Path, help="rows of any usual form, such as .jsonl, .csv or .parquet")
    grade.add_argument("--verifier", default="math_answer", metavar="NAME", help="`distill plugins` lists them")
    grade.add_argument(
        "--reference-field",
        metavar="FIELD",
        help="default: `reference`, `gold`, or the column that is known to hold it",
    )
    grade.add_argument("--response-field", default="response", metavar="FIELD", help="the model's output")
    grade.add_argument("--answer-only", action="store_true", help="the response is a bare answer, not a full text")
    grade.add_argument(
        "--strict", action="store_true", help="stop at a row that cannot be graded, instead of counting it"
    )
    grade.add_argument("--timeout-s", type=float, default=5.0, help="seconds per row")
    grade.add_argument("--out", type=Path, required=True, help="verdicts, one JSON line per completion")
    grade.add_argument("--lenient", action="append", default=[], metavar="NAME", help="a leniency (repeatable)")
    grade.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the verifier, its value as JSON or text (repeatable)",
    )
    grade.add_argument("--audit", metavar="VERIFIER", help="a second verifier; rows where they differ are written out")
    grade.set_defaults(command=_grade)
    check = add_command(
        commands,
        "check-references",
        "check reference answers before anything is sampled: empty, mangled, unparsable, refused by their own verifier",
        ("distill check-references problems.jsonl --verifier math_answer --out defects.jsonl",),
    )
    check.add_argument("file", type=Path, help="prompts.parquet, or rows of any usual form")
    check.add_argument("--verifier", metavar="NAME", help="verifier of rows that name none")
    check.add_argument("--reference-field", default="reference", metavar="FIELD", help="the reference answer")
    check.add_argument("--out", type=Path, required=True, help="defects, one JSON line each")
    check.set_defaults(command=_check_references)


def _grade(options: argparse.Namespace) -> None:
    from functools import partial

    from filters.audit import rates_table
    from filters.grade import audit_path, grade
    from filters.outputs import Fields, recognized
    from pipelines.progress import bar

    summary = grade(
        options.file,
        options.out,
        verifier=options.verifier,
        options=_verifier_options(options),
        audit=options.audit,
        reference_field=options.reference_field,
        response_field=options.response_field,
        answer_only=options.answer_only,
        strict=options.strict,
        timeout_s=options.timeout_s,
        progress=partial(bar, "grade"),
    )
    say(recognized(options.file, Fields(options.reference_field, options.response_field), options.verifier))
    show(summary.table())
    if summary.rates:
        show(rates_table(summary.rates))
    print(f"verdicts: {options.out}")
    if options.audit:
        print(f"{summary.disagreements} disagreements to label: {audit_path(options.out)}")


def _verifier_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the verifier's options; raise InputError for one without a value."""
    given: dict[str, Any] = {"leniencies": options.lenient} if options.lenient else {}
    for each in options.option:
        name, equals, value = each.partition("=")
        if not equals:
            raise InputError(f"--option {each}: it must be NAME=VALUE, such as tolerance=1e-6")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    return given


def _check_references(options: argparse.Namespace) -> None:
    from functools import partial

    from filters.check_references import check_references
    from generators.contract.errors import NeedsAttention
    from pipelines.progress import bar

    summary = check_references(
        options.file,
        options.out,
        verifier=options.verifier,
        reference_field=options.reference_field,
        progress=partial(bar, "check"),
    )
    show(summary.table())
    print(f"defects: {options.out}")
    if summary.faulty:
        raise NeedsAttention(
            f"{summary.faulty} of {summary.rows} reference answers need attention; {options.out} says why"
        )
