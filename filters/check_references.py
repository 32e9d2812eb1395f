"""Checks of reference answers before sampling: a reference that no answer can match costs every sample of its prompt.

Each prompt's own verifier is asked two questions: does it accept the reference as an answer, and can it judge another
answer by it? A verifier may have two further hooks. `reference_answer(reference)` returns the answer that a reference
stands for, if that is not the reference itself (None if it stands for no answer, as a JSON object does).
`reference_defects(reference)` returns what looks wrong with it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from filters.grade import CHUNK_ROWS, MISSING, Row, read_rows, value_at
from filters.verification.pool import Pool, Task
from filters.verification.verdicts import Item, Verdict, check_options, verifier_hook
from generators.contract.errors import InputError
from generators.contract.files import write_text
from generators.contract.stage_protocol import Progress, no_progress

KINDS = (
    "empty",
    "mangled",
    "unparsable",
    "refused",
    "multi-valued",
)  # the last is not a fault: as many answers are then required
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
    unverified: int = 0  # without a verifier
    by_verifier: dict[str, Counter[str]] = field(default_factory=dict)

    def table(self) -> Table:
        """Return a table with one line per verifier."""
        table = Table("verifier", box=None)
        for heading in ("references", "fine", *KINDS):
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
    timeout_s: float = 5.0,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> ReferenceSummary:
    """Write one JSON line to `out` for each defect of a reference in `file`, and return a summary.

    `file` is .jsonl, .jsonl.gz or .parquet, such as prompts.parquet. Lines hold `row` (from 1), `id` or `prompt_id`
    if the row has one, `reference`, `verifier`, `defect` and `reason`. A row's verifier is its own `verifier`, else
    `verifier`; rows without one are counted and skipped. Before anything is judged, a missing file raises
    FileNotFoundError, and an unknown verifier or a row without the field raises ValueError.
    """
    total = check_fields(file, verifier, reference_field)
    summary, lines = ReferenceSummary(), list[str]()
    with Pool(workers, timeout_s=timeout_s) as pool, progress("references", total) as bar:
        rows = read_rows(file)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            for number, row, name, defects in defects_of(pool, chunk, verifier, reference_field):
                lines += [json.dumps(line(number, row, name, reference_field, defect)) + "\n" for defect in defects]
                count(summary, name, defects)
            bar.update(len(chunk))
    write_text("".join(lines), out)
    return summary


def check_fields(file: Path, verifier: str | None, reference_field: str) -> int:
    """Return the number of rows; raise ValueError unless every row has the field and every named verifier exists."""
    total, seen = 0, set[str]()
    for number, row in read_rows(file):
        total += 1
        if value_at(row, reference_field) is MISSING:
            raise InputError(
                f"{file}: row {number} has no field {reference_field!r}; it has {', '.join(map(repr, row))}"
            )
        name = row.get("verifier") or verifier
        if name and name not in seen:
            check_options(name, {})
            seen.add(name)
    if not total:
        raise InputError(f"{file}: it has no rows")
    if not seen:
        raise InputError(f"{file}: no row names a verifier; say which with --verifier")
    return total


def defects_of(
    pool: Pool, rows: Sequence[tuple[int, Row]], verifier: str | None, reference_field: str
) -> Iterator[tuple[int, Row, str, list[Defect]]]:
    """Yield (row number, row, verifier name, defects) for each row; the name is empty if the row has no verifier."""
    named = [(number, row, str(row.get("verifier") or verifier or "")) for number, row in rows]
    references = [text_of(value_at(row, reference_field)) for _, row, _ in named]
    tasks = [
        tasks_of(name, reference, row) if name else []
        for (_, row, name), reference in zip(named, references, strict=True)
    ]
    verdicts = iter(pool.run([task for some in tasks for task in some]))
    for (number, row, name), reference, some in zip(named, references, tasks, strict=True):
        yield number, row, name, defects_in(name, reference, list(islice(verdicts, len(some)))) if name else []


def text_of(value: Any) -> str:
    """Return the reference as text; a null is empty."""
    return "" if value is None else str(value)


def tasks_of(name: str, reference: str, row: Row) -> list[Task]:
    """Return the questions to the verifier: another answer first, then the reference itself if it is an answer."""
    messages = row.get("messages") or ()
    if not reference.strip():
        return [(name, Item(PROBE, None, messages=messages))]
    own = hook(name, "reference_answer", itself)(reference)
    tasks = [(name, Item(PROBE, reference, messages=messages))]
    return tasks if own is None else [*tasks, (name, Item(own, reference, messages=messages, bare=True))]


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
    defects = [Defect(*found) for found in hook(name, "reference_defects", lambda reference: ())(reference)]
    if probe.status in ("error", "timeout"):
        return [*defects, Defect("unparsable", probe.reason)]
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
    found.update(["references", *kinds] if kinds else ["references", "fine"])
    summary.faulty += bool(kinds - {"multi-valued"})
