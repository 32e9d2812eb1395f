"""Grading of a file of model outputs from any source: one verdict per row, without the toolkit's other files."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Group
from rich.table import Table

from filters.audit import ErrorRates, disagreement
from filters.verification.pool import Pool, Task
from filters.verification.verdicts import Item, Verdict, check_options
from generators.contract.completions import join_reasoning, read_text
from generators.contract.errors import InputError, MissingFile, RecipeError
from generators.contract.files import replace_durably, write_text
from generators.contract.intake import NO_RESPONSE, BadRow, Shape, read_conversation
from generators.contract.intake import read_rows as shaped_rows
from generators.contract.records import STATUSES
from generators.contract.stage_protocol import Progress, no_progress

CHUNK_ROWS = 500
REFERENCE_FIELDS = ("reference", "gold")
MISSING = object()

Row = Mapping[str, Any]


@dataclass
class Agreement:
    """Agreement of "the status is correct" with the rows' own labels, in rows."""

    rows: int = 0
    agree: int = 0
    correct_only_here: int = 0  # correct here, label false
    correct_only_there: int = 0  # label true, not correct here

    def add(self, correct: bool, label: bool) -> None:
        """Count one row."""
        self.rows += 1
        self.agree += correct == label
        self.correct_only_here += correct and not label
        self.correct_only_there += label and not correct


@dataclass
class GradeSummary:
    """The results of `grade`: rows by status, agreement with labels, error rates and disagreements."""

    rows: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    by_suite: dict[str, dict[str, int]] = field(default_factory=dict)  # statuses, if rows have a `suite`
    agreement: dict[str, Agreement] = field(default_factory=dict)  # by suite (else "all"), if rows have a `label`
    verifier_seconds: float = 0.0
    rates: dict[str, ErrorRates] = field(default_factory=dict)  # by verifier, if rows have a `label`
    disagreements: int = 0  # rows on which the audit's two verifiers differ

    def table(self) -> Group:
        """Return a table of statuses by suite and, if rows have a `label`, a table of agreement with the labels."""
        several = {**self.by_suite, "all": self.by_status} if len(self.by_suite) > 1 else {"all": self.by_status}
        counts = [(suite, *(str(found.get(status, 0)) for status in STATUSES)) for suite, found in several.items()]
        tables = [suite_table(STATUSES, counts)]
        if self.agreement:
            labelled = {**(self.agreement if len(self.agreement) > 1 else {}), "all": sum_of(self.agreement.values())}
            cells = [(suite, *agreement_cells(agreement)) for suite, agreement in labelled.items()]
            headings = ("labelled", "agree", "correct here only", "by label only")
            tables += [suite_table(headings, cells)]
        return Group(*tables)


def suite_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """Return a table with one line per suite; the suites' names may wrap, the numbers may not."""
    table = Table(box=None)
    table.add_column("suite", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def sum_of(suites: Iterable[Agreement]) -> Agreement:
    """Return the agreement over all suites."""
    return Agreement(*(sum(column) for column in zip(*map(astuple, suites), strict=True)))


def agreement_cells(agreement: Agreement) -> tuple[str, ...]:
    """Return the number of rows, the share that agrees, and the rows of each kind of disagreement."""
    share = f"{100 * agreement.agree / agreement.rows:.2f}%"
    return str(agreement.rows), share, str(agreement.correct_only_here), str(agreement.correct_only_there)


def grade(
    file: Path,
    out: Path,
    *,
    verifier: str = "math_answer",
    options: Mapping[str, Any] = MappingProxyType({}),
    audit: str | None = None,
    reference_field: str | None = None,
    response_field: str = "response",
    answer_only: bool = False,
    timeout_s: float = 5.0,
    memory_mib: int = 2048,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> GradeSummary:
    """Write to `out` one JSON line for each row of `file`, of any usual form, in the order of the file.

    Lines hold `row` (from 1), `id` if the row has one, `status`, `score`, `reason` and `seconds`. Field names may be
    nested: `meta.gold`. The default of `reference_field` is `reference` if the first row has it, else `gold`.
    `answer_only`: the response is the final answer itself, with no text around it. `options` are the verifier's.
    `audit` names a second verifier: rows on which the two differ are written, with both verdicts and a `label` to fill
    in, to `audit_path(out)`; once labelled, that file can be graded again.

    Raises, before anything is graded: MissingFile; InputError for a line that is not a JSON object, a missing or
    mistyped field and an empty file; PluginError for an unknown verifier; RecipeError for wrong options and an `audit`
    that is the verifier itself.
    """
    check_out(file, out)
    if audit == verifier:
        raise RecipeError(f"audit = {audit!r} is the verifier itself; name another")
    settings = {verifier: options} | ({audit: {}} if audit else {})
    for name, given in settings.items():
        check_options(name, given)
    reference_field = reference_field or usual_reference_field(file)
    total = check_rows(file, reference_field, response_field)
    suites: defaultdict[str, Counter[str]] = defaultdict(Counter)
    summary, differing = GradeSummary(), list[Row]()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with (
        Pool(workers, timeout_s=timeout_s, memory_mib=memory_mib) as pool,
        partial.open("w", encoding="utf-8") as lines,
        progress("rows", total) as bar,
    ):
        rows = read_rows(file)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            items = [item_of(row, reference_field, response_field, answer_only) for _, row in chunk]
            for (number, row), verdicts in zip(chunk, judged(pool, items, settings), strict=True):
                lines.write(json.dumps(verdict_line(number, row, verdicts[verifier])) + "\n")
                count(summary, suites, row, verdicts[verifier])
                differing.extend(compared(summary, row, verdicts))
            bar.update(len(chunk))
    replace_durably(partial, out)
    if audit:
        write_text("".join(json.dumps(row, default=str) + "\n" for row in differing), audit_path(out))
    statuses = sum(suites.values(), Counter())
    summary.by_status = dict(sorted(statuses.items()))
    summary.by_suite = {suite: dict(sorted(found.items())) for suite, found in suites.items() if suite != "all"}
    return summary


def read_rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Yield (number from 1, row) while the file is read; a row or file that cannot be read raises InputError.

    Files of any form are read (generators.contract.intake). A row without `response`, `question` or a reference gains
    them where its shape is known and it has one completion; its own columns stay.
    """
    if not file.exists():
        raise MissingFile(f"{file}: there is no such file")
    for one in shaped_rows(file):
        if isinstance(one.row, BadRow):
            raise one.row
        yield int(one.place.rpartition(" ")[2]), completed(one.row, one.shape, one.place)


def completed(row: Row, shape: Shape, place: str) -> Row:
    """Return the row with the usual names for what other columns hold."""
    if "response" in row and any(name in row for name in REFERENCE_FIELDS):
        return row
    try:
        found = read_conversation(row, shape, place)
    except BadRow:
        return row
    more: dict[str, Any] = {"question": found.messages[-1]["content"]}
    if len(found.answers) == 1 and found.answers[0].error != NO_RESPONSE:
        said = found.answers[0].completion
        more["response"] = join_reasoning(said.reasoning, said.answer, said.wrapping)
        more["finish_reason"] = found.answers[0].finish_reason
    if found.reference is not None and not any(name in row for name in REFERENCE_FIELDS):
        more["reference"] = found.reference
    return {**more, **row}


def check_out(file: Path, out: Path) -> None:
    """Raise an InputError where `out` is the input itself, which would be lost, or a folder."""
    if out.resolve() == file.resolve():
        raise InputError(f"--out {out} is the input file; name another file")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file")


def usual_reference_field(file: Path) -> str:
    """Return the default field of the references: `reference` if the first row has it, else `gold`."""
    first = next((row for _, row in read_rows(file)), {})
    return next((name for name in REFERENCE_FIELDS if name in first), REFERENCE_FIELDS[-1])


def check_rows(file: Path, reference_field: str, response_field: str) -> int:
    """Return the number of rows; raise InputError unless every row has both fields, with values of the right type."""
    total = 0
    for number, row in read_rows(file):
        total += 1
        for name in (reference_field, response_field):
            value = value_at(row, name)
            if value is MISSING:
                raise InputError(f"{file}: row {number} has no field {name!r}; it has {', '.join(map(repr, row))}")
            if not isinstance(value, str | int | float) and not (value is None and name == response_field):
                raise InputError(
                    f"{file}: row {number}, field {name!r} is a {type(value).__name__}; it must be text or a number"
                )
    if total == 0:
        raise InputError(f"{file}: it has no rows to grade")
    return total


def value_at(row: Row, name: str) -> Any:
    """Return the field's value, or MISSING; a dotted name that is not a field is a path into nested objects."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def audit_path(out: Path) -> Path:
    """Return the file for the rows on which two verifiers differ."""
    return out.with_name(f"{out.name.removesuffix('.jsonl')}.disagreements.jsonl")


def judged(
    pool: Pool, items: Sequence[Item], settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Verdict]]:
    """Yield each item's verdicts by verifier."""
    tasks: list[Task] = [(name, replace(item, options=given)) for item in items for name, given in settings.items()]
    verdicts = iter(pool.run(tasks))
    for _ in items:
        yield {name: next(verdicts) for name in settings}


def compared(summary: GradeSummary, row: Row, verdicts: Mapping[str, Verdict]) -> Iterator[Row]:
    """Yield the row if the verifiers differ on it; if it has a label, add it to their error rates."""
    for name, verdict in verdicts.items():
        if isinstance(row.get("label"), bool):
            summary.rates.setdefault(name, ErrorRates()).add(verdict.status == "correct", row["label"])
    differing = disagreement(row, verdicts)
    if differing:
        summary.disagreements += 1
        yield differing


def item_of(row: Row, reference_field: str, response_field: str, answer_only: bool) -> Item:
    """Return a row as the verifier's item; a null response is an empty one."""
    response = value_at(row, response_field)
    text = "" if response is None else str(response)
    reasoning, answer = (None, text) if answer_only else as_written(text)
    finish_reason = row.get("finish_reason")
    ended = finish_reason if finish_reason in ("length", "error") else "stop"
    return Item(answer, str(value_at(row, reference_field)), reasoning, finish_reason=ended, bare=answer_only)


def as_written(text: str) -> tuple[str | None, str]:
    """Split a response; one whose marks are not `<think>` to the letter stays whole, for verifiers of its format."""
    found = read_text(text)
    exact = join_reasoning(found.reasoning, found.answer, found.wrapping).strip().endswith(text.strip())
    return (found.reasoning, found.answer) if exact else (None, text)


def verdict_line(number: int, row: Row, verdict: Verdict) -> dict[str, Any]:
    """Return the output line of a row."""
    found = {"row": number, "id": row["id"]} if "id" in row else {"row": number}
    seconds = round(verdict.seconds, 6)
    return {**found, "status": verdict.status, "score": verdict.score, "reason": verdict.reason, "seconds": seconds}


def count(summary: GradeSummary, suites: defaultdict[str, Counter[str]], row: Row, verdict: Verdict) -> None:
    """Add a row to the summary."""
    suite = str(row.get("suite", "all"))
    summary.rows += 1
    summary.verifier_seconds += verdict.seconds
    suites[suite][verdict.status] += 1
    if isinstance(row.get("label"), bool):
        summary.agreement.setdefault(suite, Agreement()).add(verdict.status == "correct", row["label"])
