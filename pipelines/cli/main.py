"""The command `distill`. Nothing heavy is imported before the command is known: `distill --help` answers at once."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.cli.judge import add_judge
from pipelines.doctor import WrongPackage, check_origin

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.session import Session

STAGES = (
    "prompts",
    "generate",
    "verify",
    "judge",
    "select",
    "rewrite",
    "corpus",
    "score",
    "train",
    "evaluate",
    "report",
)
OVERRIDES = "settings as key.path=value, for example train.alpha=0.5"
ABOUT = "Turn a reasoning teacher into a verified corpus and smaller students."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (it failed), 2 (it was asked wrongly) or 130 (Ctrl-C)."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop ends as Ctrl-C does
    try:
        check_origin()
        options.command(options)
    except KeyboardInterrupt:
        return _fail("stopped; the same command goes on from here", 130)
    except WrongPackage as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(_os_sentence(error), 1)
    except (ValueError, RuntimeError) as error:
        return _fail(str(error), 2)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command and its options; key=value may stand before, between and after them."""
    top = parser()
    options, rest = top.parse_known_args(arguments)
    # argparse takes the free words of one place only; those elsewhere come back as the rest.
    for word in rest:
        free = "=" in word or getattr(options, "takes_file", False)
        if not hasattr(options, "overrides") or word.startswith("-") or not free:
            top.error(f"unrecognized argument {word!r}")
        options.overrides.append(word)
    return options


def _fail(sentence: str, code: int) -> int:
    if os.environ.get("DISTILL_DEBUG") and code != 130:
        raise
    print(f"distill: {sentence}", file=sys.stderr)
    return code


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"no space left on the disk{where}; what was finished is kept: free some space and run the command again"
    return str(error)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="distill", description=ABOUT)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_ablate(commands)
    _add_stages(commands)
    _add_grade(commands)
    add_judge(commands, _say, _print)
    for name, command, text in (
        ("recipes", _recipes, "list the recipes that come with the toolkit"),
        ("plugins", _plugins, "list verifiers, teachers and task families"),
        ("doctor", _doctor, "check the installation and the machine"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(command=command)
    return top


def _add_run(commands: Any) -> None:
    text = "run a recipe from prompts to report; finished stages are skipped"
    run = commands.add_parser("run", help=text, description=text)
    run.add_argument("recipe", help="a shipped recipe's name, or a .toml file")
    run.add_argument("overrides", nargs="*", metavar="key=value", help=OVERRIDES)
    run.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
    run.add_argument("--until", choices=STAGES, help="stop after this stage")
    run.add_argument("--redo", action="append", default=[], metavar="STAGE", help="run this stage again (repeatable)")
    run.set_defaults(command=_run)


def _add_ablate(commands: Any) -> None:
    text = "train and evaluate a grid of settings over one corpus: train.alpha=0.25,0.5,1 train.temperature=1,2"
    ablate = commands.add_parser("ablate", help=text, description=text)
    ablate.add_argument("recipe")
    ablate.add_argument("overrides", nargs="+", metavar="key=value[,value...]", help="several values: swept")
    ablate.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
    ablate.set_defaults(command=_ablate, until=None, redo=[])


# stage -> (what it does, its inputs: option -> (help, several?, needed?))
INPUTS: dict[str, tuple[str, dict[str, tuple[str, bool, bool]]]] = {
    "prompts": ("read prompts from a file, a dataset or task families into one form", {}),
    "generate": ("sample traces from a teacher", {"prompts": ("prompts.parquet", False, True)}),
    "verify": (
        "judge every trace",
        {"traces": ("traces.parquet", False, True), "prompts": ("prompts.parquet", False, True)},
    ),
    "select": (
        "label duplicates, repeated paths and all that is not kept",
        {
            "traces": ("traces.parquet", False, True),
            "verdicts": ("verdicts.parquet", False, True),
            "prompts": ("prompts.parquet", False, True),
        },
    ),
    "rewrite": (
        "have a model put the kept traces into readable form, and verify them again",
        {"selected": ("selected.parquet", False, True), "prompts": ("prompts.parquet", False, True)},
    ),
    "corpus": (
        "write the kept traces as chat rows with a dataset card",
        {
            "selected": ("selected.parquet or rewritten.parquet", False, True),
            "prompts": ("prompts.parquet", False, True),
        },
    ),
    "score": (
        "store the teacher's soft targets for a corpus",
        {
            "corpus": ("corpus parquet files", True, True),
            "captures": ("`ledger/captures` folders of generate stages", True, False),
        },
    ),
    "train": (
        "train a student",
        {
            "corpus": ("train.parquet", False, True),
            "validation": ("validation.parquet", False, False),
            "targets": ("the score stage's `targets` folder", False, False),
        },
    ),
    "evaluate": (
        "pass@1 and cons@k of a model",
        {"prompts": ("prompts.parquet of the problems", False, True)},
    ),
}


def _add_stages(commands: Any) -> None:
    for stage, (text, inputs) in INPUTS.items():
        command = commands.add_parser(stage, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("overrides", nargs="*", metavar="key=value", help=f"keys of [{stage}]: {OVERRIDES}")
        for option, (about, several, needed) in inputs.items():
            many: dict[str, Any] = {"nargs": "+"} if several else {}
            command.add_argument(f"--{option}", type=Path, required=needed, help=about, **many)
        if stage == "evaluate":
            command.add_argument("--model", required=True, help="a model folder, embedded:NAME or a hub name")
        command.add_argument("--out", type=Path, required=True, help="the stage's folder")
        command.add_argument("--recipe", help="take the section from this recipe")
        command.set_defaults(command=_stage, stage=stage)
    report = commands.add_parser("report", help="make report.html of a run folder")
    report.add_argument("run", type=Path)
    report.set_defaults(command=_report)


def _add_grade(commands: Any) -> None:
    text = "grade a file of existing outputs; one verdict a row, and a summary"
    grade = commands.add_parser("grade", help=text, description=text)
    grade.add_argument("file", type=Path, help=".jsonl, .jsonl.gz or .parquet")
    grade.add_argument("--verifier", default="math_answer")
    grade.add_argument("--gold-field", default="gold")
    grade.add_argument("--response-field", default="response")
    grade.add_argument("--answer-only", action="store_true", help="the response is a bare answer, not a full text")
    grade.add_argument("--timeout-s", type=float, default=5.0, help="for one row")
    grade.add_argument("--out", type=Path, required=True, help="verdicts, one JSON line a row")
    grade.add_argument("--lenient", action="append", default=[], metavar="NAME", help="a leniency (repeatable)")
    grade.add_argument(
        "--audit", metavar="VERIFIER", help="another verifier; where they differ is written to be labelled"
    )
    grade.set_defaults(command=_grade)
    text = "check gold answers before anything is sampled: empty, mangled, unparsable, refused by their own verifier"
    golds = commands.add_parser("check-prompts", help=text, description=text)
    golds.add_argument("file", type=Path, help="prompts.parquet, or any .jsonl, .jsonl.gz or .parquet")
    golds.add_argument("--verifier", help="for rows that name none")
    golds.add_argument("--gold-field", default="reference")
    golds.add_argument("--out", type=Path, required=True, help="defects, one JSON line each")
    golds.set_defaults(command=_check_prompts)


def _run(options: argparse.Namespace) -> None:
    from pipelines.recipe import load_recipe
    from pipelines.run import run

    _check_stage_names(options.redo)
    recipe = load_recipe(options.recipe, options.overrides)
    _in_session(options, recipe, lambda session: run(recipe, session))


def _ablate(options: argparse.Namespace) -> None:
    from pipelines.ablate import ablate, split_sweeps
    from pipelines.recipe import load_recipe

    sweeps, overrides = split_sweeps(options.overrides)
    recipe = load_recipe(options.recipe, overrides)
    _in_session(options, recipe, lambda session: ablate(recipe, sweeps, session))


def _in_session(options: argparse.Namespace, recipe: "Recipe", work: Callable[["Session"], None]) -> None:
    from generators.contract.files import write_text
    from pipelines.progress import quiet_libraries
    from pipelines.recipe import check_files
    from pipelines.report.page import terminal_table
    from pipelines.session import open_session

    check_files(recipe)
    quiet_libraries()
    folder = options.out or Path("runs") / recipe.name
    resolved = recipe.model_dump(mode="json")
    with open_session(folder, resolved, recipe.execution, until=options.until, redo=options.redo, say=_say) as session:
        write_text(recipe.model_dump_json(indent=1), folder / "recipe.json")
        work(session)
    if (folder / "evaluate").exists() and options.until is None:
        _print(terminal_table(folder))
    if (folder / "report" / "report.html").exists() and options.until in (None, "report"):
        print(f"report: {folder / 'report' / 'report.html'}")


def _check_stage_names(names: Sequence[str]) -> None:
    for name in names:
        if name.partition("/")[0] not in STAGES:
            raise ValueError(f"--redo {name}: no such stage; stages: {', '.join(STAGES)}")


def _stage(options: argparse.Namespace) -> None:
    from pipelines.standalone import run_stage

    inputs = {name: getattr(options, name) for name in INPUTS[options.stage][1]}
    model = getattr(options, "model", None)
    run_stage(options.stage, inputs, options.out, options.overrides, recipe=options.recipe, model=model, say=_say)


def _report(options: argparse.Namespace) -> None:
    from pipelines.report.page import report, terminal_table

    if not options.run.is_dir():
        raise FileNotFoundError(f"there is no run folder {options.run}")
    (options.run / "report").mkdir(exist_ok=True)
    report(options.run, options.run / "report")
    if (options.run / "evaluate").exists():
        _print(terminal_table(options.run))
    print(f"report: {options.run / 'report' / 'report.html'}")


def _grade(options: argparse.Namespace) -> None:
    from functools import partial

    from filters.audit import rates_table
    from filters.grade import audit_path, grade
    from pipelines.progress import bar

    summary = grade(
        options.file,
        options.out,
        verifier=options.verifier,
        options={"leniencies": options.lenient} if options.lenient else {},
        audit=options.audit,
        gold_field=options.gold_field,
        response_field=options.response_field,
        answer_only=options.answer_only,
        timeout_s=options.timeout_s,
        progress=partial(bar, "grade"),
    )
    _print(summary.table())
    if summary.rates:
        _print(rates_table(summary.rates))
    print(f"verdicts: {options.out}")
    if options.audit:
        print(f"{summary.disagreements} disagreements to label: {audit_path(options.out)}")


def _check_prompts(options: argparse.Namespace) -> None:
    from functools import partial

    from filters.check_references import check_references
    from pipelines.progress import bar

    summary = check_references(
        options.file,
        options.out,
        verifier=options.verifier,
        reference_field=options.gold_field,
        progress=partial(bar, "check"),
    )
    _print(summary.table())
    print(f"defects: {options.out}")
    if summary.faulty:
        raise RuntimeError(f"{summary.faulty} of {summary.rows} gold answers need attention; {options.out} says why")


def _recipes(options: argparse.Namespace) -> None:
    from pipelines.recipe import SHIPPED, read_toml, shipped

    _table("recipe", [(name, read_toml(SHIPPED / f"{name}.toml").get("description", "")) for name in shipped()])


def _plugins(options: argparse.Namespace) -> None:
    from pipelines.recipe import plugins

    for kind, rows in plugins().items():
        _table(kind, rows)


def _doctor(options: argparse.Namespace) -> None:
    from pipelines.doctor import diagnose

    rows = diagnose()
    _table("check", [(what, ("" if fine else "PROBLEM: ") + finding) for what, finding, fine in rows])
    if not all(fine for _, _, fine in rows):
        raise RuntimeError("something needs attention")


def _table(first: str, rows: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table(first, "", show_edge=False, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    _print(table)


def _print(what: Any) -> None:
    from rich.console import Console

    Console(soft_wrap=False).print(what)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
