"""Checks gold answers before anything is sampled: one that no answer can match costs every sample of its prompt.

Two questions to each prompt's own verifier: does it accept the gold as an answer, and can it judge another by it?
A verifier may say more: `gold_answer(reference)` gives the answer that a reference stands for where that is not the
reference itself (None: it stands for none, as a JSON object does), `gold_defects(reference)` names what looks wrong.
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
from filters.verification.verdicts import Item, Verdict, check_options, load_module
from generators.contract.files import write_text
from generators.contract.stage_protocol import Progress, no_progress

KINDS = (
    "empty",
    "mangled",
    "unparsable",
    "refused",
    "multi-valued",
)  # the last is no fault: as many answers are asked for
PROBE = "\\boxed{987654321}"  # nobody's answer


class Defect(NamedTuple):
    """What is wrong with a reference: one of KINDS, and one clause a person understands."""

    kind: str
    reason: str


@dataclass
class GoldSummary:
    """What `check_golds` found: rows, and by verifier the rows with each kind of defect."""

    rows: int = 0
    faulty: int = 0  # with a defect other than several values
    unverified: int = 0  # without a verifier
    by_verifier: dict[str, Counter[str]] = field(default_factory=dict)

    def table(self) -> Table:
        """A line a verifier."""
        table = Table("verifier", box=None)
        for heading in ("golds", "fine", *KINDS):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, found in sorted(self.by_verifier.items()):
            table.add_row(name, *(str(found[kind]) for kind in ("golds", "fine", *KINDS)))
        return table


def check_golds(
    file: Path,
    out: Path,
    *,
    verifier: str | None = None,
    gold_field: str = "reference",
    timeout_s: float = 5.0,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> GoldSummary:
    """Write to `out` one JSON line a defect of a gold in `file` (.jsonl, .jsonl.gz, .parquet; prompts.parquet too).

    Lines hold `row` (from 1), `id` or `prompt_id` where the row has one, `gold`, `verifier`, `defect`, `reason`. A
    row's verifier is its own `verifier`, else `verifier`; rows without one are counted and passed over. A missing
    file is a FileNotFoundError, an unknown verifier or a row without the field a ValueError before anything is judged.
    """
    total = check_fields(file, verifier, gold_field)
    summary, lines = GoldSummary(), list[str]()
    with Pool(workers, timeout_s=timeout_s) as pool, progress("golds", total) as bar:
        rows = read_rows(file)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            for number, row, name, defects in defects_of(pool, chunk, verifier, gold_field):
                lines += [json.dumps(line(number, row, name, gold_field, defect)) + "\n" for defect in defects]
                count(summary, name, defects)
            bar.update(len(chunk))
    write_text("".join(lines), out)
    return summary


def check_fields(file: Path, verifier: str | None, gold_field: str) -> int:
    """The number of rows, once each has the field and a verifier that exists."""
    total, seen = 0, set[str]()
    for number, row in read_rows(file):
        total += 1
        if value_at(row, gold_field) is MISSING:
            raise ValueError(f"{file}: row {number} has no field {gold_field!r}; it has {', '.join(map(repr, row))}")
        name = row.get("verifier") or verifier
        if name and name not in seen:
            check_options(name, {})
            seen.add(name)
    if not total:
        raise ValueError(f"{file}: it has no rows")
    if not seen:
        raise ValueError(f"{file}: no row names a verifier; say which with --verifier")
    return total


def defects_of(
    pool: Pool, rows: Sequence[tuple[int, Row]], verifier: str | None, gold_field: str
) -> Iterator[tuple[int, Row, str, list[Defect]]]:
    """(row number, row, verifier's name, defects) of each row; the verifier's name is empty where it has none."""
    named = [(number, row, str(row.get("verifier") or verifier or "")) for number, row in rows]
    golds = [text_of(value_at(row, gold_field)) for _, row, _ in named]
    tasks = [tasks_of(name, gold, row) if name else [] for (_, row, name), gold in zip(named, golds, strict=True)]
    verdicts = iter(pool.run([task for some in tasks for task in some]))
    for (number, row, name), gold, some in zip(named, golds, tasks, strict=True):
        yield number, row, name, defects_in(name, gold, list(islice(verdicts, len(some)))) if name else []


def text_of(value: Any) -> str:
    """The reference as text; a null is an empty one."""
    return "" if value is None else str(value)


def tasks_of(name: str, gold: str, row: Row) -> list[Task]:
    """The two questions to the verifier: another answer first, then the gold itself, where it is an answer."""
    messages = row.get("messages") or ()
    if not gold.strip():
        return [(name, Item(PROBE, None, messages=messages))]
    own = hook(name, "gold_answer", itself)(gold)
    tasks = [(name, Item(PROBE, gold, messages=messages))]
    return tasks if own is None else [*tasks, (name, Item(own, gold, messages=messages, bare=True))]


def itself(reference: str) -> str | None:
    """The answer that a reference stands for where the verifier does not say: itself, unless it is a JSON object."""
    try:
        return None if isinstance(json.loads(reference), dict) else reference
    except ValueError:
        return reference


def hook(name: str, function: str, default: Callable[[str], Any]) -> Callable[[str], Any]:
    """A function that a verifier's module may have."""
    found: Callable[[str], Any] = getattr(load_module(name), function, default)
    return found


def defects_in(name: str, gold: str, verdicts: Sequence[Verdict]) -> list[Defect]:
    """What is wrong with one gold, by its verifier's verdicts on another answer and on the gold itself."""
    probe, *own = verdicts
    if not gold.strip():  # some verifiers judge without one
        return [Defect("empty", probe.reason)] if probe.status == "error" else []
    defects = [Defect(*found) for found in hook(name, "gold_defects", lambda reference: ())(gold)]
    if probe.status in ("error", "timeout"):
        return [*defects, Defect("unparsable", probe.reason)]
    refused = [Defect("refused", f"as an answer it is {v.status}: {v.reason}") for v in own if v.status != "correct"]
    return [*defects, *refused]


def line(number: int, row: Row, name: str, gold_field: str, defect: Defect) -> dict[str, Any]:
    """The line that is written for a defect."""
    known = {key: row[key] for key in ("id", "prompt_id") if key in row}
    gold = text_of(value_at(row, gold_field))
    return {"row": number, **known, "gold": gold, "verifier": name, "defect": defect.kind, "reason": defect.reason}


def count(summary: GoldSummary, name: str, defects: Sequence[Defect]) -> None:
    """Add a row to the summary."""
    summary.rows += 1
    if not name:
        summary.unverified += 1
        return
    found = summary.by_verifier.setdefault(name, Counter())
    kinds = {defect.kind for defect in defects}
    found.update(["golds", *kinds] if kinds else ["golds", "fine"])
    summary.faulty += bool(kinds - {"multi-valued"})
