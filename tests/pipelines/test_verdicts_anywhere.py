"""One verdict for one answer in every place: threads, an event loop, another process, a Ray actor."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from filters.verification.pool import Pool, Task
from filters.verification.verdicts import Item
from filters.verify import VerifyConfig, build_worker
from pipelines.executors import ExecutionConfig, open_executor

LIMIT_S, CAP_MIB = 2.0, 512
ANSWERS = [
    ("5", "9^{9^{9^{9}}}"),
    ("5", "\\boxed{9^{99999999}}"),
    ("x^2-1", "\\boxed{(x-1)(x+1)}"),
    ("1/2", "\\boxed{0.5}"),
    ("(0,1)", "\\boxed{[0,1)}"),
    ("5", "__import__('os').getpid()"),
]

Said = tuple[str, str]  # status and reason of a verdict


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, str]]:
    """Return (reference, answer): some of our own and, where the file exists, adversarial ones."""
    file = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "verifier_adversarial_dev.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return ANSWERS + [(row["gold"], row["prediction"]) for row in rows]


def tasks(answers: list[tuple[str, str]]) -> list[Task]:
    return [("math_answer", Item(answer, reference)) for reference, answer in answers]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, timeout_s=LIMIT_S, memory_mib=CAP_MIB) as pool:
        yield pool


@pytest.fixture(scope="module")
def here(pool: Pool, answers: list[tuple[str, str]]) -> list[Said]:
    verdicts = pool.run(tasks(answers))
    assert all(verdict.status not in ("timeout", "error") for verdict in verdicts)
    return [(verdict.status, verdict.reason) for verdict in verdicts]


def test_eight_threads(pool: Pool, answers: list[tuple[str, str]], here: list[Said]) -> None:
    with ThreadPoolExecutor(8) as threads:
        for verdicts in threads.map(lambda _: pool.run(tasks(answers)), range(8)):
            assert [(verdict.status, verdict.reason) for verdict in verdicts] == here


def test_an_event_loop(pool: Pool, answers: list[tuple[str, str]], here: list[Said]) -> None:
    async def ask() -> list[Any]:
        single = [asyncio.wrap_future(pool.submit([task])) for task in tasks(answers)]
        return [verdicts[0] for verdicts in await asyncio.gather(*single)]

    assert [(verdict.status, verdict.reason) for verdict in asyncio.run(ask())] == here


def test_an_actor_on_ray(answers: list[tuple[str, str]], here: list[Said]) -> None:
    row = {"verifier": "math_answer", "reasoning": None, "messages": [], "finish_reason": "stop", "options": {}}
    rows = [{**row, "trace_id": reference, "reference": reference, "answer": answer} for reference, answer in answers]
    build = partial(build_worker, VerifyConfig(timeout_s=LIMIT_S, memory_mib=CAP_MIB), 1)
    config = ExecutionConfig(executor="ray", workers=1, cpus_per_worker=0.5)
    with open_executor(config) as executor:
        ((_, verdicts),) = executor.stream(build, [(0, rows)])
    assert [(verdict["status"], verdict["reason"]) for verdict in verdicts] == here
