"""Grading of a file of model outputs from any source: a verdict per completion, without the toolkit's other files."""

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
from rich.text import Text

from filters.audit import ErrorRates, disagreement
from filters.outputs import Fields, Output, Row, check, outputs
from filters.verification.pool import Pool, Task
from filters.verification.reasons import grouped, kind_of
from filters.verification.verdicts import Verdict, check_options
from generators.contract.errors import InputError, RecipeError
from generators.contract.files import replace_durably, write_text
from generators.contract.records import STATUSES
from generators.contract.stage_protocol import Progress, no_progress

CHUNK_ROWS = 500


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
    errors: Counter[str] = field(default_factory=Counter)  # reasons of the rows with the status `error`
    first_errors: dict[str, str] = field(default_factory=dict)  # kind of reason -> the first such row

    def error_lines(self) -> list[str]:
        """Return a line for each kind of error: its reason, the number of rows and the first of them."""
        return [
            f"error: {reason} ({rows:,}, the first in row {self.first_errors[kind_of(reason)]})"
            for reason, rows in grouped(self.errors)
        ]

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
        return Group(*tables, *map(Text, self.error_lines()))


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
    strict: bool = False,
    timeout_s: float = 5.0,
    memory_mib: int = 2048,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> GradeSummary:
    """Write to `out` one JSON line for each completion in `file`, of any usual form, in the order of the file.

    Lines hold `row` (from 1), `completion` (from 1) if the row has several, `id` if the row has one, `status`, `score`,
    `reason` and `seconds`. Field names may be nested: `meta.gold`. The default of `reference_field` is `reference`,
    else `gold`, else the column that is known to hold it. A row that cannot be graded, for want of a reference or a
    completion, has the status `error`; `strict` stops at it. So has a sample that failed, as in a run; one that was cut
    off is graded as cut off. `answer_only`: the response is the final answer itself, with no text around it. `options`
    are the verifier's. `audit` names a second verifier: rows on which the two differ are written, with both verdicts
    and a `label` to fill in, to `audit_path(out)`; once labelled, that file can be graded again.

    Raises, before anything is graded: MissingFile; InputError for an empty file and one of which no row can be graded;
    PluginError for an unknown verifier; RecipeError for wrong options and an `audit` that is the verifier itself.
    """
    check_out(file, out)
    if audit == verifier:
        raise RecipeError(f"audit = {audit!r} is the verifier itself; name another")
    settings = {verifier: options} | ({audit: {}} if audit else {})
    for name, given in settings.items():
        check_options(name, given)
    fields = Fields(reference_field, response_field, answer_only=answer_only)
    total = check(file, fields, verifier, strict)
    suites: defaultdict[str, Counter[str]] = defaultdict(Counter)
    summary, differing = GradeSummary(), list[Row]()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with (
        Pool(workers, timeout_s=timeout_s, memory_mib=memory_mib) as pool,
        partial.open("w", encoding="utf-8") as lines,
        progress("rows", total) as bar,
    ):
        found = outputs(file, fields, verifier)
        while chunk := list(islice(found, CHUNK_ROWS)):
            for one, verdicts in zip(chunk, judged(pool, chunk, settings), strict=True):
                lines.write(json.dumps(verdict_line(one, verdicts[verifier])) + "\n")
                count(summary, suites, one, verdicts[verifier])
                differing.extend(compared(summary, one, fields, verdicts))
            bar.update(len(chunk))
    replace_durably(partial, out)
    if audit:
        write_text("".join(json.dumps(row, default=str) + "\n" for row in differing), audit_path(out))
    statuses = sum(suites.values(), Counter())
    summary.by_status = dict(sorted(statuses.items()))
    summary.by_suite = {suite: dict(sorted(found.items())) for suite, found in suites.items() if suite != "all"}
    return summary


def check_out(file: Path, out: Path) -> None:
    """Raise an InputError where `out` is the input itself, which would be lost, or a folder."""
    if out.resolve() == file.resolve():
        raise InputError(f"--out {out} is the input file; name another file")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file")


def audit_path(out: Path) -> Path:
    """Return the file for the rows on which two verifiers differ."""
    return out.with_name(f"{out.name.removesuffix('.jsonl')}.disagreements.jsonl")


def judged(
    pool: Pool, found: Sequence[Output], settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Verdict]]:
    """Yield each completion's verdicts by verifier; one that cannot be graded is an `error` of each."""
    items = [one.item for one in found if one.item is not None]
    tasks: list[Task] = [(name, replace(item, options=given)) for item in items for name, given in settings.items()]
    verdicts = iter(pool.run(tasks))
    for one in found:
        if one.item is None:
            yield dict.fromkeys(settings, Verdict("error", 0.0, one.fault))
        else:
            yield {name: next(verdicts) for name in settings}


def compared(
    summary: GradeSummary, one: Output, fields: Fields, verdicts: Mapping[str, Verdict]
) -> Iterator[Mapping[str, Any]]:
    """Yield the row if the verifiers differ on it; if it has a label, add it to their error rates."""
    for name, verdict in verdicts.items():
        if one.label is not None:
            summary.rates.setdefault(name, ErrorRates()).add(verdict.status == "correct", one.label)
    differing = disagreement(one.alone(fields), verdicts)
    if differing:
        summary.disagreements += 1
        yield differing


def verdict_line(one: Output, verdict: Verdict) -> dict[str, Any]:
    """Return the output line of a completion."""
    seconds = round(verdict.seconds, 6)
    said = {"status": verdict.status, "score": verdict.score, "reason": verdict.reason, "seconds": seconds}
    return {**one.named(), **said}


def count(summary: GradeSummary, suites: defaultdict[str, Counter[str]], one: Output, verdict: Verdict) -> None:
    """Add a completion to the summary."""
    suite = str(one.row.get("suite", "all"))
    summary.rows += 1
    summary.verifier_seconds += verdict.seconds
    suites[suite][verdict.status] += 1
    if verdict.status == "error":
        summary.errors[verdict.reason] += 1
        summary.first_errors.setdefault(kind_of(verdict.reason), one.name)
    if one.label is not None:
        summary.agreement.setdefault(suite, Agreement()).add(verdict.status == "correct", one.label)
