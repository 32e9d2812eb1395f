"""The import of existing completions outside a run: their prompts and traces, or a look at the first rows."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.errors import InputError
from generators.contract.intake import NO_RESPONSE, Conversation
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts
from generators.engines.replay import Options, read_traced
from generators.generate import imported
from generators.prompt_settings import FilePrompts
from generators.prompts import Faults, prompts

SHOWN_ROWS, SHOWN_CHARS = 3, 400
ABOUT = ("system", "reference", "verifier", "domain", "source", "license", "teacher")


@dataclass
class Look:
    """The result of reading a file without writing: shapes, first rows, completions by finish reason, skipped rows."""

    shapes: list[str] = field(default_factory=list)
    first: list[Conversation] = field(default_factory=list)
    rows: int = 0
    completions: dict[str, int] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    missing: str = ""
    faults: Faults = field(default_factory=Faults)

    def lines(self) -> list[str]:
        """Return the look as text."""
        lines = [f"recognized as {shape}" for shape in self.shapes]
        for number, found in enumerate(self.first, start=1):
            lines += [f"--- row {number}", *_shown(found)]
        ends = ", ".join(f"{n:,} {end}" for end, n in sorted(self.completions.items()))
        lines.append(f"--- {self.rows:,} rows read, completions: {ends or 'none'}")
        lines += verdict_lines(self.verdicts)
        if self.faults.kinds:
            kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.faults.kinds.most_common())
            lines += [f"{self.faults.kinds.total():,} rows skipped: {kinds}", *self.faults.first]
        if self.rows and not set(self.completions) - {"absent"}:
            lines.append(self.missing)
        return [*lines, "other columns: prompts.fields.question, .messages, .reference; generate.options.response"]


def _shown(found: Conversation) -> list[str]:
    lines = [f"{message['role']}: {_short(message['content'])}" for message in found.messages]
    for place, answer in enumerate(found.answers, start=1):
        which = f" {place}" if len(found.answers) > 1 else ""
        said = answer.completion
        lines.append(f"reasoning{which}: {'none' if said.reasoning is None else _short(said.reasoning)}")
        lines.append(f"answer{which}: {_short(said.answer) or 'none'}")
        lines.append(f"finish_reason{which}: {answer.finish_reason}{f' ({answer.error})' if answer.error else ''}")
        lines += [f"fault{which}: {said.fault}"] if said.fault else []
        lines += [f"{name}{which}: {value}" for name, value in answer.verdicts.items() if value is not None]
    values = ((name, getattr(found, name)) for name in ABOUT if name != "system")
    return [*lines, *(f"{name}: {_short(value) if value else 'none'}" for name, value in values)]


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]} ... ({len(text):,} characters)"


def look(rows: FilePrompts, options: dict[str, Any]) -> Look:
    """Read a file as `replay` does, and write nothing."""
    found = Look()
    for shaped, conversation in read_traced(Options(rows=rows, **options), found.faults):
        found.rows, found.missing = found.rows + 1, shaped.shape.how_to_answer()
        if (shape := str(shaped.shape)) not in found.shapes:
            found.shapes.append(shape)
        if len(found.first) < SHOWN_ROWS:
            found.first.append(conversation)
        for answer in conversation.answers:
            end = "absent" if answer.error == NO_RESPONSE else answer.finish_reason
            found.completions[end] = found.completions.get(end, 0) + 1
            found.verdicts.update(said_of(answer.verdicts))
    return found


def said_of(verdicts: Mapping[str, Any]) -> list[str]:
    """Return the file's own verdicts of a completion as texts, such as `correctness: true`."""
    return [f"{name}: {json.dumps(value)}" for name, value in verdicts.items() if value is not None]


def verdict_lines(verdicts: Mapping[str, int]) -> list[str]:
    """Return a line with the numbers of the file's own verdicts, if it has any."""
    said = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(verdicts.items()))
    return [f"the file's own verdicts (column file_verdicts): {said}"] if said else []


def verdicts_in(traces: Path) -> Counter[str]:
    """Return the numbers of the file's own verdicts in imported traces."""
    found = pl.read_parquet(traces, columns=["file_verdicts"])["file_verdicts"].drop_nulls()
    return Counter(said for text in found for said in said_of(json.loads(text)))


def import_file(
    rows: FilePrompts, options: dict[str, Any], out: Path, *, runtime: Runtime = IN_PROCESS
) -> tuple[StageCounts, StageCounts]:
    """Write out/prompts.parquet and out/traces.parquet; return their counts. InputError: nothing can be read."""
    from generators.engines.replay import import_traces

    for name in ("prompts.parquet", "traces.parquet"):
        if (out / name).exists():
            raise InputError(f"{out / name} exists already; name another folder with --out")
    next(islice(read_traced(Options(rows=rows, **options), Faults()), 1), None)  # a missing key is said before writing
    asked = prompts(out, rows, imported=True, runtime=runtime)
    table = pl.read_parquet(out / "prompts.parquet")
    traces = imported(*import_traces(table, "", Options(rows=rows, **options)), table, out)
    return asked, traces
