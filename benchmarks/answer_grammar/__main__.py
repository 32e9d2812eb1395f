"""Judge generated pairs by math_answer; print and record the results by kind, with the misses.

    python -m benchmarks.answer_grammar [PAIRS] [WORKERS]

The default is 1,000,000 pairs. The target is no wrong accept and TARGET of the right answers accepted.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import count, islice
from typing import Any

from benchmarks.answer_grammar.pairs import KINDS, Pair, pairs
from benchmarks.measure import record
from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

TARGET = 0.995
BATCH = 50  # seeds of one kind for one task
MISSES = 20  # listed per kind


def missed(pair: Pair) -> str | None:
    """Return the verdict if it is wrong, else None."""
    try:
        judgement = verify(Item(pair.response, pair.reference))
    except Exception as error:  # a crash is a miss like any other, and must not end the run
        return f"crash: {error!r}"
    if (judgement.status == "correct") == pair.right:
        return None
    return f"{judgement.status}: {judgement.reason}"


def judged(kind: str, first: int) -> tuple[Counter[str], list[dict[str, Any]], float]:
    """Return counts by change, the misses and the slowest verdict's seconds, over BATCH seeds of one kind."""
    counts, misses, slowest = Counter[str](), list[dict[str, Any]](), 0.0
    for seed in range(first, first + BATCH):
        for pair in pairs(kind, seed):
            started = time.perf_counter()
            verdict = missed(pair)
            slowest = max(slowest, time.perf_counter() - started)
            counts[pair.change] += 1
            if verdict is not None:
                counts[f"{pair.change} missed"] += 1
                misses.append({**asdict(pair), "verdict": verdict})
    return counts, misses, slowest


def warm() -> None:
    """Load Math-Verify, so that its import counts for no verdict."""
    verify(Item("\\boxed{2\\ln x}", "\\ln x^2"))


def tasks(wanted: int) -> Iterator[tuple[str, int]]:
    """Yield (kind, first seed) for about as many pairs as are wanted, all kinds in turn."""
    per_round = sum(len(list(pairs(kind, 0))) for kind in KINDS) * BATCH
    for start in islice(count(0, BATCH), max(1, round(wanted / per_round))):
        yield from ((kind, start) for kind in KINDS)


def figures(wanted: int, workers: int) -> dict[str, Any]:
    """Return the counts by kind and in all, and the misses."""
    by_kind: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    misses: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    slowest = 0.0
    with ProcessPoolExecutor(workers, initializer=warm) as pool:
        todo = list(tasks(wanted))
        for (kind, _), (counts, wrong, seconds) in zip(todo, pool.map(judged, *zip(*todo, strict=True)), strict=True):
            by_kind[kind] += counts
            misses[kind] += wrong
            slowest = max(slowest, seconds)
    total = sum(by_kind.values(), Counter[str]())
    right = total["rendering"] + total["statement"]
    return {
        "pairs": sum(total[change] for change in ("rendering", "statement", "mutation", "denial")),
        "wrong_accepts": total["mutation missed"] + total["denial missed"],
        "accepted": round(1 - (total["rendering missed"] + total["statement missed"]) / max(1, right), 5),
        "target": TARGET,
        "slowest_s": round(slowest, 3),
        "by_kind": {kind: dict(counts) for kind, counts in by_kind.items()},
        "misses": {kind: several[:MISSES] for kind, several in misses.items() if several},
    }


def main() -> None:
    """Measure and record the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="?", default=1_000_000)
    parser.add_argument("workers", type=int, nargs="?", default=os.cpu_count() or 1)
    options = parser.parse_args()
    record("answer_grammar", figures(options.pairs, options.workers))


if __name__ == "__main__":
    main()
