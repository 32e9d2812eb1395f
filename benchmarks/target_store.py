"""Measure the store of soft targets: bytes per target position, positions per second in and out, rounding error.

    python -m benchmarks.target_store [--positions N]

Rows are synthetic, for a vocabulary of 151,936 and K = 50. Logits follow a power law of the rank, with an exponent of
1.2 to 2.5 for each position, an exponential gap of mean 4 below the top token, and noise of 0.15; the mean entropy is
0.6 nats at T = 1. Ids are drawn without repeats within a position from a Zipf law over a shuffled vocabulary; its
exponent says how often a row repeats ids, and 0 is the worst case. In BPE vocabularies common tokens have small ids,
which helps short rows; this is measured too. `kl` is the divergence, in nats, between the true and the stored
distribution over the 50 kept tokens and the tail. It is compared with fp16 logits, and with tails changed so that their
mass, not their size, is true.

Shape suffixes: N positions, V vocabulary, K kept tokens, T temperatures.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import record
from distill.soft_targets import codec
from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore

V, K, GRID = 151_936, 50, (1.0, 1.5, 2.0, 4.0)
NOISY = 400  # ranks that get noise; it moves no token from beyond them among the K kept ones
EXPONENTS = (1.1, 1.0, 0.8, 0.0)
LENGTHS = (200, 1000, 6000)
PASSES, ROWS = 60, 8
Array = NDArray[np.float64]


def ranked_logits(positions: int, random: np.random.Generator) -> Array:
    """Return logits by rank relative to the top one, [N, V]; the first NOISY are in descending order."""
    exponent = random.uniform(1.2, 2.5, (positions, 1))
    logits_NV = -exponent * np.log(np.arange(1, V + 1, dtype=np.float32)) - random.exponential(4, (positions, 1))
    logits_NV[:, 0] = 0.0
    noisy = logits_NV[:, :NOISY] + random.normal(0, 0.15, (positions, NOISY))
    logits_NV[:, :NOISY] = -np.sort(-noisy, axis=1)
    return logits_NV - logits_NV[:, :1]


def log_tails(logits_NV: Array) -> Array:
    """Return the log-sum-exp of the tail at each temperature, [N, T]."""
    return np.stack([np.log(np.exp(logits_NV[:, K:] / t).sum(axis=1)) for t in GRID], axis=1)


def token_ids(positions: int, exponent: float, random: np.random.Generator, shuffle: bool) -> NDArray[np.uint32]:
    """Return the first K distinct ids of each position's draws, in the order drawn, [N, K]."""
    mass = np.cumsum(np.arange(1, V + 1) ** -exponent)
    drawn_NM = np.searchsorted(mass, random.random((positions, 6 * K)) * mass[-1])
    rows = []
    for drawn in drawn_NM:
        ids, first = np.unique(drawn, return_index=True)
        rows.append(ids[np.argsort(first)][:K])
    assert all(len(row) == K for row in rows), "too few distinct draws"
    ids_NK = np.stack(rows).astype(np.uint32)
    return random.permutation(V).astype(np.uint32)[ids_NK] if shuffle else ids_NK


def made(positions: int, exponent: float, pool: tuple[Array, Array], shuffle: bool = True) -> RowTargets:
    """Return one row: logits and tails of random positions of the pool, with newly drawn ids."""
    random = np.random.default_rng(positions)
    chosen = random.integers(0, len(pool[0]), positions)
    kept, tails = pool[0][chosen].astype(np.float16), pool[1][chosen].astype(np.float32)
    return RowTargets(token_ids(positions, exponent, random, shuffle), kept, tails, GRID)


def kl(p: Array, q: Array) -> dict[str, float]:
    """Return mean and maximum of KL(p || q) over rows of unnormalized log masses."""
    p, q = (a - np.logaddexp.reduce(a, axis=1, keepdims=True) for a in (p, q))
    found = (np.exp(p) * (p - q)).sum(axis=1)
    return {"mean": float(found.mean()), "largest": float(found.max())}


def rounding(kept: Array, tails: Array) -> dict[str, Any]:
    """Return the KL of rounding at each temperature."""
    data = codec.encode(np.zeros(kept.shape, np.uint32), kept.astype(np.float16), tails.astype(np.float32))
    _, logits, stored_tails, _ = codec.decode(data, kept.shape, len(GRID), np.dtype("<u4"))
    figures = {}
    for i, t in enumerate(GRID):
        true = np.column_stack([kept / t, tails[:, i]])
        kept_mass = np.logaddexp.reduce(logits / t, axis=1) - np.logaddexp.reduce(kept / t, axis=1)
        mass = np.exp(true - np.logaddexp.reduce(true, axis=1, keepdims=True))
        figures[f"{t:g}"] = {
            "kl": kl(true, np.column_stack([logits.astype(float) / t, stored_tails[:, i]])),
            "kl_with_true_tail_mass": kl(true, np.column_stack([logits.astype(float) / t, tails[:, i] + kept_mass])),
            "kl_of_fp16_logits": kl(true, np.column_stack([kept.astype(np.float16) / t, tails[:, i]])),
            "mean_tail_mass": float(mass[:, -1].mean()),
            "mean_entropy_of_kept_and_tail": float(-(mass * np.log(mass)).sum(axis=1).mean()),
        }
    return figures


def rate(call: Callable[[], Any], positions: int, workers: int) -> float:
    """Return positions per second, the best of many short passes over ROWS rows."""
    with ThreadPoolExecutor(workers) as pool:
        best = float("inf")
        for _ in range(PASSES):
            started = time.perf_counter()
            list(pool.map(lambda _: call(), range(ROWS)))
            best = min(best, time.perf_counter() - started)
    return round(ROWS * positions / best)


def measured(row: RowTargets) -> dict[str, Any]:
    """Return size and speed of one row; one core is timed by CPU time, which other work disturbs less."""
    arrays, shape = (row.token_ids, row.logits, row.log_tails), row.logits.shape
    data = codec.encode(*arrays)
    ids = codec.decode(data, shape, len(GRID), np.dtype("<u4"))[0]
    assert (ids == row.token_ids).all(), "the ids did not come back"
    calls: dict[str, Callable[[], Any]] = {
        "encode": lambda: codec.encode(*arrays),
        "decode": lambda: codec.decode(data, shape, len(GRID), np.dtype("<u4")),
    }
    return {
        "positions": shape[0],
        "distinct_ids": len(np.unique(row.token_ids)),
        "bytes_per_position": round(len(data) / shape[0], 2),
        **{f"{name}_positions_per_cpu_s": round(shape[0] / cpu_s(call)) for name, call in calls.items()},
        **{f"{name}_positions_per_s_2_threads": rate(call, shape[0], 2) for name, call in calls.items()},
    }


def cpu_s(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of one call, the best of several."""
    best = float("inf")
    for _ in range(PASSES):
        started = time.thread_time()
        call()
        best = min(best, time.thread_time() - started)
    return best


def through_the_store(row: RowTargets) -> dict[str, Any]:
    """Return the speed of `append` and `get` of whole rows, with checksums and page cache, on one thread and two."""
    metadata = StoreMetadata(teacher="t", revision="r", tokenizer="t", vocab_size=V, top_k=K, temperatures=GRID)
    positions = len(row.logits)
    figures: dict[str, float] = {}
    keys = [f"{i:024x}" for i in range(ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with TargetStore(Path(folder), "a", metadata) as store:
            for key in keys:
                store.append(key, row)
        figures["append_positions_per_s"] = round(ROWS * positions / (time.perf_counter() - started))
        with TargetStore(Path(folder)) as store:
            for workers in (1, 2):
                figures[f"get_positions_per_s_{workers}_threads"] = rate(lambda: store.get(keys[3]), positions, workers)
            figures["bytes_per_position"] = round(store.stored_bytes(keys[0]) / positions, 2)
    return figures


def main() -> None:
    """Measure and write results/target_store.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=2000, help="of a row")
    positions = parser.parse_args().positions
    logits_NV = ranked_logits(500, np.random.default_rng(7))
    pool = logits_NV[:, :K].copy(), log_tails(logits_NV)
    record(
        "target_store",
        {
            "vocabulary": V,
            "kept": K,
            "temperatures": GRID,
            "bytes_per_position_as_arrays": K * (4 + 2) + 4 * len(GRID),
            "by_zipf_exponent": {f"{s:g}": measured(made(positions, s, pool)) for s in EXPONENTS},
            "by_length_at_exponent_1": {str(n): measured(made(n, 1.0, pool)) for n in LENGTHS},
            "by_length_at_exponent_1_ids_by_commonness": {
                str(n): measured(made(n, 1.0, pool, shuffle=False)) for n in (*LENGTHS, positions)
            },
            "store": through_the_store(made(positions, 1.0, pool)),
            "rounding": rounding(*pool),
            "load_average": os.getloadavg()[0],  # above the number of cores, threads had to share them
        },
    )


if __name__ == "__main__":
    main()
