"""Checks of reference answers before sampling: a reference that no answer can match costs every sample of its prompt.

Each prompt's own verifier is asked two questions: does it accept the reference as an answer, and can it judge another
answer by it? A verifier may have three further hooks. `reference_answer(reference)` returns the answer that a reference
stands for, if that is not the reference itself (None if it stands for no answer, as a JSON object does).
`reference_defects(reference)` returns what looks wrong with it. `wrong_answer(reference)` returns an answer in the form
that the verifier wants and that is wrong, such as a program that does nothing; a reference that accepts it is vacuous.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.table import Table

from filters.grade import CHUNK_ROWS, check_out
from filters.outputs import MISSING, Row, rows_and_faults, value_at
from filters.placeholders import is_placeholder
from filters.verification.pool import Pool, Task
from filters.verification.verdicts import Item, Verdict, check_options, verifier_hook
from generators.contract.errors import InputError
from generators.contract.files import write_text
from generators.contract.intake import BadRow, reference_text
from generators.contract.stage_protocol import Progress, no_progress

KINDS = (
    "empty",
    "mangled",
    "unparsable",
    "refused",
    "vacuous",
    "slow",
    "multi-valued",
)  # the last is not a fault: as many answers are then required
# Kinds with which no sample can be accepted, each one is, or the reference is read otherwise than it was meant.
UNREADABLE = {"empty", "mangled", "unparsable", "refused", "vacuous"}
PROBE = "\\boxed{987654321}"  # an answer that no reference has


class Defect(NamedTuple):
    """A defect of a reference: one of KINDS, and a clause that a person understands."""

    kind: str
    reason: str


@dataclass
class ReferenceSummary:
    """The results of `check_references`: the number of rows and, by verifier, the rows with each kind of defect."""

    rows: int = 0
    faulty: int = 0  # with a defect other than several values
    unreadable: int = 0  # with a defect in UNREADABLE
    unverified: int = 0  # without a verifier
    reasons: Counter[str] = field(default_factory=Counter)  # of the unreadable ones
    by_verifier: dict[str, Counter[str]] = field(default_factory=dict)

    def table(self) -> Table:
        """Return a table with one line per verifier, which fits into 80 columns."""
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("verifier", overflow="fold", min_width=len("verifier"))
        for heading in ("all", "fine", *KINDS):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, found in sorted(self.by_verifier.items()):
            table.add_row(name, *(str(found[kind]) for kind in ("references", "fine", *KINDS)))
        return table


def check_references(
    file: Path,
    out: Path,
    *,
    verifier: str | None = None,
    reference_field: str = "reference",
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    most: int | None = None,
    timeout_s: float = 5.0,
    memory_mib: int = 2048,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> ReferenceSummary:
    """Write one JSON line to `out` for each defect of a reference in `file`, and return a summary.

    `file` is .jsonl, .jsonl.gz or .parquet, such as prompts.parquet. Lines hold `row` (from 1), `id` or `prompt_id`
    if the row has one, `reference`, `verifier`, `defect` and `reason`. A row's verifier is its own `verifier`, else
    `verifier`; rows without one are counted and skipped. `options`: verifier -> its options. `most`: check only so many
    rows, spread over the file. Before anything is judged, a missing file raises FileNotFoundError, and an unknown
    verifier or a row without the field raises ValueError.
    """
    check_out(file, out)
    total = check_fields(file, verifier, reference_field, options)
    every = 1 if most is None else -(-total // most)
    summary, lines = ReferenceSummary(), list[str]()
    with (
        Pool(workers, timeout_s=timeout_s, memory_mib=memory_mib) as pool,
        progress("references", -(-total // every)) as bar,
    ):
        rows = islice(rows_and_faults(file), 0, None, every)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            for number, row, name, defects in defects_of(pool, chunk, verifier, reference_field, options):
                lines += [json.dumps(line(number, row, name, reference_field, defect)) + "\n" for defect in defects]
                count(summary, name, defects)
            bar.update(len(chunk))
    write_text("".join(lines), out)
    return summary


def check_fields(
    file: Path, verifier: str | None, reference_field: str, options: Mapping[str, Mapping[str, Any]]
) -> int:
    """Return the number of rows; raise ValueError unless some row has the field and every named verifier exists."""
    total, seen, there, first, fault = 0, set[str](), False, tuple[str, ...](), ""
    for _, row in rows_and_faults(file):
        total += 1
        if isinstance(row, BadRow):
            fault = fault or str(row)
            continue
        first = first or tuple(row)
        there |= value_at(row, reference_field) is not MISSING
        name = row.get("verifier") or verifier
        if name and name not in seen:
            check_options(name, options.get(name, {}))
            seen.add(name)
    if not total:
        raise InputError(f"{file}: it has no rows")
    if fault and not first:
        raise InputError(f"{fault}; no row can be read")
    if not there:
        raise InputError(f"{file}: no row has the field {reference_field!r}; row 1 has {', '.join(map(repr, first))}")
    if not seen:
        raise InputError(f"{file}: no row names a verifier; say which with --verifier")
    return total


def defects_of(
    pool: Pool,
    rows: Sequence[tuple[int, Row | BadRow]],
    verifier: str | None,
    reference_field: str,
    options: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[int, Row, str, list[Defect]]]:
    """Yield (row number, row, verifier name, defects) for each row; the name is empty if the row has no verifier.

    A row that cannot be read is unparsable for the verifier of rows that name none.
    """
    faults = {number: row for number, row in rows if isinstance(row, BadRow)}
    named = [(number, row, str(row.get("verifier") or verifier or "")) for number, row in whole(rows)]
    references = [text_of(value_at(row, reference_field)) for _, row, _ in named]
    tasks = [
        tasks_of(name, reference, row, options.get(name, {})) if name else []
        for (_, row, name), reference in zip(named, references, strict=True)
    ]
    verdicts = iter(pool.run([task for some in tasks for task in some]))
    for (number, row, name), reference, some in zip(named, references, tasks, strict=True):
        yield number, row, name, defects_in(name, reference, list(islice(verdicts, len(some)))) if name else []
    for number, fault in faults.items():
        yield number, {}, verifier or "any", [Defect("unparsable", f"the row cannot be read: {fault}")]


def whole(rows: Sequence[tuple[int, Row | BadRow]]) -> Iterator[tuple[int, Row]]:
    """Yield the rows that can be read."""
    for number, row in rows:
        if not isinstance(row, BadRow):
            yield number, row


def text_of(value: Any) -> str:
    """Return the reference as text; one that is missing or null is empty, a structure is JSON."""
    return "" if value is MISSING or value is None else reference_text(value) or ""


def tasks_of(name: str, reference: str, row: Row, options: Mapping[str, Any]) -> list[Task]:
    """Return the questions to the verifier: another answer first, then the reference itself if it is an answer."""
    messages = messages_of(row)
    if not reference.strip():
        return [(name, Item(PROBE, None, messages=messages, options=options))]
    other = hook(name, "wrong_answer", lambda reference: PROBE)(reference)
    own = hook(name, "reference_answer", itself)(reference)
    tasks = [(name, Item(other, reference, messages=messages, options=options))]
    if own is None:
        return tasks
    return [*tasks, (name, Item(own, reference, messages=messages, bare=True, options=options))]


def messages_of(row: Row) -> Sequence[Mapping[str, str]]:
    """Return a row's prompt, in which some verifiers look for options; its question alone if it has no messages."""
    if row.get("messages"):
        return list(row["messages"])
    question = row.get("question")
    return [{"role": "user", "content": question}] if isinstance(question, str) else []


def itself(reference: str) -> str | None:
    """Return the answer a reference stands for by default: the reference itself, unless it is a JSON object.

    A reference that is nested too deeply to be parsed stands for itself, like any text that is not JSON.
    """
    try:
        return None if isinstance(json.loads(reference), dict) else reference
    except (ValueError, RecursionError):
        return reference


def hook(name: str, function: str, default: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function that a verifier's module may have, else `default`."""
    return verifier_hook(name, function) or default


def defects_in(name: str, reference: str, verdicts: Sequence[Verdict]) -> list[Defect]:
    """Return the defects of one reference, from its verifier's verdicts on another answer and on the reference."""
    probe, *own = verdicts
    if not reference.strip():  # some verifiers judge without one
        return [Defect("empty", probe.reason)] if probe.status == "error" else []
    if is_placeholder(reference):
        return [Defect("empty", "it says where the answer is, or that there is none, and is no answer")]
    defects = [Defect(*found) for found in hook(name, "reference_defects", lambda reference: ())(reference)]
    if probe.status == "error":
        kind = "vacuous" if "computes nothing" in probe.reason else "unparsable"  # so `code_tests` says
        return [*defects, Defect(kind, probe.reason)]
    if "timeout" in (verdict.status for verdict in verdicts):
        return [*defects, Defect("slow", next(v.reason for v in verdicts if v.status == "timeout"))]
    if probe.status == "correct" and verifier_hook(name, "wrong_answer"):
        defects.append(Defect("vacuous", f"it accepts an answer that is wrong: {probe.reason}"))
    refused = [Defect("refused", f"as an answer it is {v.status}: {v.reason}") for v in own if v.status != "correct"]
    return [*defects, *refused]


def line(number: int, row: Row, name: str, reference_field: str, defect: Defect) -> dict[str, Any]:
    """Return the output line for a defect."""
    known = {key: row[key] for key in ("id", "prompt_id") if key in row}
    reference = text_of(value_at(row, reference_field))
    return {
        "row": number,
        **known,
        "reference": reference,
        "verifier": name,
        "defect": defect.kind,
        "reason": defect.reason,
    }


def count(summary: ReferenceSummary, name: str, defects: Sequence[Defect]) -> None:
    """Add a row to the summary."""
    summary.rows += 1
    if not name:
        summary.unverified += 1
        return
    found = summary.by_verifier.setdefault(name, Counter())
    kinds = {defect.kind for defect in defects}
    faulty = bool(kinds - {"multi-valued"})
    found.update(["references", *kinds] if faulty else ["references", "fine", *kinds])
    summary.faulty += faulty
    if why := next((defect for defect in defects if defect.kind in UNREADABLE), None):
        summary.unreadable += 1
        summary.reasons[f"{why.kind}: {why.reason}"] += 1
