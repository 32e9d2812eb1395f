"""Compare math_answer with Math-Verify on the same responses: rows per second, agreement with labels, slowest item.

    python -m benchmarks.verifier_throughput FOLDER

FOLDER holds labelled_outputs_dev.jsonl.gz (model outputs with labels), verifier_pairs_dev.jsonl (reference, prediction,
expected verdict) and verifier_adversarial_dev.jsonl (answers that hang or exhaust memory, with the expected verdict).

Each verifier has one process, which has its libraries loaded and sees each row once. Slices of the rows go to both in
turn, so that other load on the machine falls on both. This is repeated PASSES times in new processes, and the median of
the ratios counts. Math-Verify is called as in its README, parse and verify with its own time-outs, and a second time,
not timed, with allow_set_relation_comp. Every row on which math_answer and the label differ is listed with our
judgement, which is kept by hand in results/verifier_disagreements.json. The adversarial rows run in the pool that kills
at CAP_MIB and LIMIT_S, bare and inside \\boxed{}.
"""

import argparse
import gzip
import json
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import RESULTS, record
from filters.verification.pool import Pool
from filters.verification.verdicts import Item
from generators.contract.completions import split_reasoning

SLICE_ROWS = 500
PASSES = 3
LIMIT_S, CAP_MIB = 2.0, 512
TARGET = 20.0
LENIENT = ("decimal_comma", "renamed")  # the leniencies that Math-Verify's tests expect for the pairs

Row = Mapping[str, Any]
Timed = list[tuple[float, bool]]  # seconds, correct


def ours(rows: Sequence[Row]) -> Timed:
    """Run math_answer on each row."""
    from filters.verifiers.math_answer import verify

    found = []
    for row in rows:
        started = time.perf_counter()
        reasoning, answer = split_reasoning(row["response"])
        status = verify(Item(answer, row["gold"], reasoning)).status
        found.append((time.perf_counter() - started, status == "correct"))
    return found


def theirs(rows: Sequence[Row], sets: bool = False) -> Timed:
    """Run Math-Verify on each row; an exception counts as not correct. `sets`: x < 1 equals (-oo, 1)."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    found = []
    for row in rows:
        started = time.perf_counter()
        try:
            reference, said = parse(f"${row['gold']}$"), parse(row["response"])
            correct = verify(reference, said, allow_set_relation_comp=sets)
        except Exception:
            correct = False
        found.append((time.perf_counter() - started, correct))
    return found


def with_sets(rows: Sequence[Row]) -> Timed:
    """Run Math-Verify with inequalities and intervals compared as sets."""
    return theirs(rows, sets=True)


def side_by_side(rows: Sequence[Row], call: Callable[[Sequence[Row]], Timed] = theirs) -> tuple[Timed, Timed]:
    """Run math_answer and `call` on all rows, each once: one process each, slices in turn."""
    context = multiprocessing.get_context("spawn")
    mine: Timed = []
    yours: Timed = []
    with ProcessPoolExecutor(1, context) as one, ProcessPoolExecutor(1, context) as other:
        one.submit(warm, ours).result()
        other.submit(warm, call).result()
        for start in range(0, len(rows), SLICE_ROWS):
            some = rows[start : start + SLICE_ROWS]
            yours += other.submit(call, some).result()
            mine += one.submit(ours, some).result()
    return mine, yours


def warm(call: Callable[[Sequence[Row]], Timed]) -> None:
    """Import everything and use it once, including Math-Verify below math_answer."""
    call([{"gold": reference, "response": f"\\boxed{{{reference}}}"} for reference in ("12", "x+1")])
    call([{"gold": "\\sin 30^\\circ", "response": "\\boxed{\\frac12}"}])


def by_suite(rows: Sequence[Row], verdicts: Mapping[str, Sequence[bool]]) -> dict[str, dict[str, int]]:
    """Return suite -> rows, and for each verifier the rows that agree with their label."""
    suites: dict[str, Counter[str]] = {}
    for i, row in enumerate(rows):
        found = suites.setdefault(row["suite"], Counter())
        found["rows"] += 1
        for name, correct in verdicts.items():
            found[name] += correct[i] == row["label"]
    return {suite: dict(found) for suite, found in suites.items()}


def disagreements(rows: Sequence[Row], correct: Sequence[bool]) -> list[dict[str, Any]]:
    """Return id, label and our judgement of each row on which verdict and label differ."""
    file = RESULTS / "verifier_disagreements.json"
    judged = {name: about for about, names in json.loads(file.read_text()).items() for name in names}
    differing = [row for row, said in zip(rows, correct, strict=True) if said != row["label"]]
    return [
        {"id": row["id"], "label": row["label"], "judgement": judged.get(row["id"], "not judged")} for row in differing
    ]


def agreement_on_pairs(pairs: Sequence[Row], leniencies: Sequence[str]) -> int:
    """Count the pairs that get the verdict that Math-Verify's own tests expect."""
    options = {"leniencies": list(leniencies)}
    tasks = [("math_answer", Item(pair["prediction"], pair["gold"], options=options)) for pair in pairs]
    with Pool(1) as pool:
        verdicts = pool.run(tasks)
    return sum((v.status == "correct") == pair["expected"] for v, pair in zip(verdicts, pairs, strict=True))


def adversarial(rows: Sequence[Row]) -> dict[str, Any]:
    """Return unexpected verdicts, items that broke a limit and the slowest one, over each row bare and boxed."""
    items = [
        (row, Item(form.format(row["prediction"]), row["gold"])) for row in rows for form in ("{}", "\\boxed{{{}}}")
    ]
    with Pool(1, timeout_s=LIMIT_S, memory_mib=CAP_MIB) as pool:
        verdicts = pool.run([("math_answer", item) for _, item in items])
    unexpected = sum(
        row["expected"] is not None and (verdict.status == "correct") != row["expected"]
        for (row, _), verdict in zip(items, verdicts, strict=True)
    )
    broke = sum(verdict.status in ("timeout", "error") for verdict in verdicts)
    return {
        "items": len(items),
        "not_as_expected": unexpected,
        f"over_{LIMIT_S:g}_s_or_{CAP_MIB}_mib": broke,
        "worst_s": round(max(verdict.seconds for verdict in verdicts), 3),
    }


def read(path: Path) -> list[Row]:
    """Return the rows of a JSON lines file, compressed or not."""
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def figures(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield every figure of this benchmark by name."""
    rows = read(folder / "labelled_outputs_dev.jsonl.gz")
    passes = [side_by_side(rows) for _ in range(PASSES)]
    rates = [tuple(len(rows) / sum(seconds for seconds, _ in timed) for timed in both) for both in passes]
    _, sets = side_by_side(rows, with_sets)
    verdicts = {"math_answer": passes[0][0], "math_verify": passes[0][1], "math_verify_with_sets": sets}
    correct = {name: [said for _, said in timed] for name, timed in verdicts.items()}
    yield "rows", len(rows)
    yield "rows_per_s", [{"math_answer": round(mine), "math_verify": round(other)} for mine, other in rates]
    yield "ratio", round(median(mine / other for mine, other in rates), 1)
    yield "target_ratio", TARGET
    yield "worst_s", {name: round(max(seconds for seconds, _ in timed), 3) for name, timed in verdicts.items()}
    yield "agreement", by_suite(rows, correct)
    pairs = read(folder / "verifier_pairs_dev.jsonl")
    strict, lenient = (agreement_on_pairs(pairs, names) for names in ((), LENIENT))
    yield "pairs", {"rows": len(pairs), "default": strict, " and ".join(LENIENT): lenient}
    yield "adversarial", adversarial(read(folder / "verifier_adversarial_dev.jsonl"))
    yield "disagreements_with_labels", disagreements(rows, correct["math_answer"])


def main() -> None:
    """Measure and record the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    record("verifier_throughput", dict(figures(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
