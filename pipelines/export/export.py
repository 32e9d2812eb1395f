"""The export of a corpus: its parts are read, converted and written row by row, and every row is accounted for."""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from generators.contract.errors import InputError, NothingKept, RecipeError
from generators.contract.files import write_text
from generators.contract.stage_protocol import Bar, Progress, StageCounts, no_progress
from pipelines.export import writing
from pipelines.export.corpus_files import Corpus, find_corpus
from pipelines.export.rendering import Renderer
from pipelines.export.request import Ending, Part, Request
from pipelines.export.soft_targets import SoftTargets

OPTIONS = {"tokenizer": "--student", "soft_targets": "--soft-targets", "pairs_per_prompt": "--pairs-per-prompt"}
OF_OTHERS = ("manifest.json", "run.json")  # mark the folders of stages and runs


@dataclass(frozen=True)
class Exported:
    """The files of an export, the counts of each, and sentences that a user should read."""

    counts: Mapping[Path, StageCounts]
    settings: Path
    notes: Sequence[str]

    def lines(self) -> list[str]:
        """Return what was written, a line each."""
        return [*(_line(path, counts) for path, counts in self.counts.items()), f"settings: {self.settings}"]


def _line(path: Path, counts: StageCounts) -> str:
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.dropped.items())
    left = f"{sum(counts.dropped.values()):,} left out" + (f" ({reasons})" if reasons else "")
    return f"{path}: {counts.rows_in:,} rows in = {counts.rows_kept:,} written + {left}"


def export(
    source: Path,
    to: str,
    out: Path,
    *,
    ending: Ending = "jsonl",
    tokenizer: str | None = None,
    soft_targets: bool = False,
    pairs_per_prompt: int | None = None,
    limit: int | None = None,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Write the corpus at `source` into the folder `out` in the form `to`, with the settings that its trainer needs.

    tokenizer: the student's, whose chat template renders the rows. limit: rows to read of each file. Existing files are
    an error unless `replace`. NothingKept: every row was left out, and nothing is written.
    """
    module = load_format(to)
    _check_options(module, to, tokenizer=tokenizer, soft_targets=soft_targets, pairs_per_prompt=pairs_per_prompt)
    corpus = find_corpus(source)
    asked = Request(
        corpus,
        ending,
        Renderer(tokenizer) if tokenizer and "tokenizer" in module.TAKES else None,
        SoftTargets(_store(corpus, source), tokenizer) if soft_targets else None,
        pairs_per_prompt or 1,
    )
    parts = module.parts(asked)
    places = {part.name: out / (part.name if part.sessions else f"{part.name}.{ending}") for part in parts}
    name, text = module.settings(asked, {part: place.name for part, place in places.items()})
    _check_places([*places.values(), out / name], source, out, replace=replace)
    counts = _write(parts, places, limit, ending, progress)
    write_text(text, out / name)
    finding = asked.renderer.finding() if asked.renderer else None
    return Exported(counts, out / name, [*asked.notes, *([finding] if finding else [])])


def formats() -> list[str]:
    """Return the names of the forms, without importing one."""
    from pipelines.export import formats as folder

    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__))


def load_format(name: str) -> ModuleType:
    """Return the module of a form; an unknown name is a RecipeError."""
    if name not in formats():
        raise RecipeError(f"there is no form {name!r} to export to; accepted are {', '.join(formats())}")
    return importlib.import_module(f"pipelines.export.formats.{name}")


def _check_options(module: ModuleType, to: str, **given: Any) -> None:
    for option, value in given.items():
        if value and option not in module.TAKES and not (option == "tokenizer" and given["soft_targets"]):
            takers = [name for name in formats() if option in load_format(name).TAKES]
            raise RecipeError(f"{OPTIONS[option]} does not apply to --to {to}; it does to {', '.join(takers)}")


def _store(corpus: Corpus, source: Path) -> Path:
    folder = corpus.run / "score" / "targets" if corpus.run else None
    if folder is None or not folder.is_dir():
        raise InputError(
            f"{source} has no soft targets: --soft-targets reads those of a run with a score stage; give its folder"
        )
    return folder


def _check_places(places: Sequence[Path], source: Path, out: Path, *, replace: bool) -> None:
    taken = [name for name in OF_OTHERS if (out / name).exists()]
    if taken or source.resolve() in [place.resolve() for place in places]:
        raise RecipeError(f"{out} belongs to a run or a stage; give the export a folder of its own with --out DIR")
    there = [place for place in places if place.exists()]
    if there and not replace:
        raise RecipeError(f"{there[0]} exists; give another folder with --out DIR, or write over it with --replace")


def _write(
    parts: Sequence[Part], places: Mapping[str, Path], limit: int | None, ending: Ending, progress: Progress
) -> dict[Path, StageCounts]:
    """Write all parts; files take their places together, when the last one is whole."""
    totals = [part.total if limit is None else min(part.total, limit) for part in parts]
    with ExitStack() as files, progress("rows", sum(totals)) as bar:
        counts = {}
        for part, total in zip(parts, totals, strict=True):
            how = writing.sessions if part.sessions else writing.parquet if ending == "parquet" else writing.json_lines
            add = files.enter_context(how(places[part.name], part.schema))
            counts[places[part.name]] = _write_part(part, total, add, bar)
        if not any(found.rows_kept for found in counts.values()):
            reasons = sum((Counter(found.dropped) for found in counts.values()), Counter[str]())
            said = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
            raise NothingKept(f"none of {sum(totals):,} rows can be exported ({said or 'the corpus is empty'})")
    return counts


def _write_part(part: Part, total: int, add: writing.Add, bar: Bar) -> StageCounts:
    left: Counter[str] = Counter()
    written = 0
    for _, row in zip(range(total), part.rows, strict=False):
        if isinstance(row, str):
            left[row] += 1
        else:
            add(row)
            written += 1
        bar.update(1)
    return StageCounts(written + left.total(), written, dict(left.most_common()))
