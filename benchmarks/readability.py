"""Measure the readability filters on a labelled set: precision, recall, correct traces dropped, MB per second.

    OMP_NUM_THREADS=2 POLARS_MAX_THREADS=2 python -m benchmarks.readability FOLDER

FOLDER holds labelled_outputs_dev.jsonl.gz, gsm8k_train.jsonl.gz, HumanEval.jsonl.gz and benchmarks/cmath.jsonl and
mgsm_zh.jsonl. `readability_set` builds the set with SEED and splits it in two: the checks were developed on one half,
figures are from the other. A text without a planted fault of a check counts as a false positive when the check finds
one, so that precision holds at the set's own share of faults. The share dropped is of all correct model outputs, some
of which really are faulty. Speed is in MB of UTF-8 text per second: each check by itself with polars, and the same
rules row by row in Python (`readability_rows`), in turn, best of PASSES; `differing` counts the texts on which the two
disagree.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import record
from benchmarks.readability_rows import ROWS
from benchmarks.readability_set import Text, labelled, sources
from filters.audit import wilson
from filters.text.readability import CHECKS, READABLE, TEXTS, ReadabilityConfig, reasons_against

SEED = 4
PASSES = 5
TIMES = 4  # copies of the correct traces in the timing of polars
BAND = {"min_characters": 20, "max_characters": 20_000}
ASKED: Mapping[str, Mapping[str, Any]] = {  # the settings that switch a check on, as in READABLE
    "bad_tags": {"tags": READABLE.tags},
    "no_summary": {"summary_characters": READABLE.summary_characters},
    "too_short": {"min_characters": BAND["min_characters"]},
    "too_long": {"max_characters": BAND["max_characters"]},
    "code_block": {"code_blocks": READABLE.code_blocks},
    "long_paragraph": {"paragraph_characters": READABLE.paragraph_characters},
    "other_language": {"same_language": READABLE.same_language},
    "mixed_language": {"mixed_language": READABLE.mixed_language},
    "loop": {"loop_words": READABLE.loop_words, "repeats": READABLE.repeats},
    "repetition": {"repetition": READABLE.repetition},
}


def frame_of(texts: Sequence[Text]) -> pl.DataFrame:
    """Return the texts as a frame with the schema TEXTS."""
    return pl.DataFrame([{name: getattr(text, name) for name in TEXTS} for text in texts], schema=TEXTS)


def found_by(reason: str, texts: pl.DataFrame) -> list[bool]:
    """Return which texts one check, by itself, finds faulty."""
    return reasons_against(texts, ReadabilityConfig(**ASKED[reason])).is_not_null().to_list()


def halves(texts: Sequence[Text]) -> tuple[list[Text], list[Text]]:
    """Return the half that the checks were developed on and the half that is reported; each has half of every kind."""
    shuffled = random.Random(SEED).sample(list(texts), len(texts))
    kinds: Counter[str] = Counter()
    parts: tuple[list[Text], list[Text]] = ([], [])
    for text in shuffled:
        parts[kinds[text.kind] % 2].append(text)
        kinds[text.kind] += 1
    return parts


def agreement(reason: str, texts: Sequence[Text], found: Sequence[bool]) -> dict[str, Any]:
    """Return precision and recall with 95% intervals, and the kinds of text on which mistakes were made."""
    pairs = [(text, said) for text, said in zip(texts, found, strict=True) if reason not in text.maybe]
    hits = [text for text, said in pairs if said and reason in text.faults]
    faulty = sum(reason in text.faults for text, _ in pairs)
    flagged = sum(said for _, said in pairs)
    mistakes = Counter(text.kind for text, said in pairs if said != (reason in text.faults))
    return {
        "texts": len(pairs),
        "faulty": faulty,
        "precision": share(len(hits), flagged),
        "recall": share(len(hits), faulty),
        "mistakes": dict(mistakes.most_common()),
    }


def share(part: int, whole: int) -> list[float]:
    """Return [share, low, high] with a 95% interval."""
    return [round(value, 4) for value in (part / max(whole, 1), *wilson(part, whole))]


def seconds(call: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def speed(reason: str, texts: pl.DataFrame) -> dict[str, Any]:
    """Return MB per second of a check with polars, and of the same rules row by row."""
    config, rows = ReadabilityConfig(**ASKED[reason]), texts.to_dicts()
    many, by_row = pl.concat([texts] * TIMES), ROWS.get(reason)
    vectorised, slow = [], []
    for _ in range(PASSES):
        vectorised.append(seconds(lambda: reasons_against(many, config)) / TIMES)
        if by_row:
            slow.append(seconds(lambda: [by_row(row) for row in rows]))
    figures: dict[str, Any] = {"polars_mb_per_s": round(megabytes(texts) / min(vectorised), 1)}
    if by_row:
        said = found_by(reason, texts)
        figures["rows_mb_per_s"] = round(megabytes(texts) / min(slow), 1)
        figures["ratio"] = round(min(slow) / min(vectorised), 1)
        figures["differing"] = sum(by_row(row) != found for row, found in zip(rows, said, strict=True))
    return figures


def megabytes(texts: pl.DataFrame) -> float:
    """Return the MB of reasoning and answer in UTF-8."""
    return float(texts.select(pl.sum_horizontal(pl.col("reasoning", "answer").str.len_bytes().sum())).item()) / 1e6


def all_together(texts: pl.DataFrame) -> float:
    """Return MB per second of all checks of READABLE together."""
    many = pl.concat([texts] * TIMES)
    return round(megabytes(many) / min(seconds(lambda: reasons_against(many, READABLE)) for _ in range(PASSES)), 1)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=["made", "reported"], default="reported", help="`made` only prints")
    options = parser.parse_args()
    drawn = sources(options.folder, SEED)
    part = halves(labelled(drawn))[options.half == "reported"]
    texts, real = frame_of(part), frame_of(drawn.real)
    checks = {reason: agreement(reason, part, found_by(reason, texts)) for reason in CHECKS}
    if options.half == "made":
        for reason, figures in checks.items():
            print(reason, figures)
        return
    for reason, figures in checks.items():
        figures["correct_dropped"] = share(sum(found_by(reason, real)), real.height)
        figures |= speed(reason, real)
    together = {
        "correct_dropped": share(reasons_against(real, READABLE).count(), real.height),
        "polars_mb_per_s": all_together(real),
    }
    threads = pl.thread_pool_size()
    record("readability", {"seed": SEED, "threads": threads, "checks": checks, "readable": together})


if __name__ == "__main__":
    main()
