"""Scoring by several Ray workers: they write the same rows, and none twice after a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill.score import score
from distill.settings import ScoreConfig
from distill.soft_targets.store import RowTargets, TargetStore
from generators.contract.stage_protocol import Runtime, Stream, Worker, stream_local
from pipelines.executors import ExecutionConfig, Executor, open_executor

ROOT = Path(__file__).resolve().parents[2]
ROWS = 24


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    """Start three workers of a real Ray."""
    with open_executor(ExecutionConfig(executor="ray", workers=3, cpus_per_worker=0.5)) as executor:
        yield executor


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    return write_corpus([(f"{i} + {i}?", f"{2 * i} " * (1 + i % 7)) for i in range(ROWS)])


class Watched:
    """A stream that records the keys it scored and acts once after some results."""

    def __init__(self, stream: Stream, after: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self.stream, self.after, self.act = stream, after, act
        self.keys: list[str] = []

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
        for key, row in self.stream(build, shards):
            if len(self.keys) == self.after:
                self.after = -1
                self.act()
            self.keys.append(key)
            yield key, row


def stored(corpus: Path, out: Path, teacher: str, stream: Stream) -> dict[str, RowTargets]:
    """Score one row per pass and return the store's content."""
    settings = ScoreConfig(teacher=teacher, top_k=8, device="cpu", batch_tokens=1)
    counts = score([corpus], out, settings, runtime=Runtime(stream=stream))
    found = contents(out)
    assert counts.rows_kept == len(found) == ROWS
    return found


def contents(out: Path) -> dict[str, RowTargets]:
    """Return the rows of a stage's store."""
    with TargetStore(out / "targets") as store:
        keys = list(store.keys())
        return {key: store.get(key) for key in keys}


def same(ours: dict[str, RowTargets], wanted: dict[str, RowTargets]) -> None:
    assert ours.keys() == wanted.keys()
    for key, row in ours.items():
        for name in ("token_ids", "logits", "log_tails"):
            assert (getattr(row, name) == getattr(wanted[key], name)).all(), f"{key} {name}"


@pytest.fixture
def expected(teacher: str, corpus: Path, tmp_path: Path) -> dict[str, RowTargets]:
    """Return the rows that one worker in this process writes."""
    return stored(corpus, tmp_path / "expected", teacher, stream_local)


def test_three_workers_write_what_one_writes(
    workers: Executor, teacher: str, corpus: Path, tmp_path: Path, expected: dict[str, RowTargets]
) -> None:
    watched = Watched(workers.stream)
    same(stored(corpus, tmp_path / "ray", teacher, watched), expected)
    assert sorted(watched.keys) == sorted(expected)


def test_a_stopped_run_goes_on_with_the_rows_it_lacks(
    workers: Executor, teacher: str, corpus: Path, tmp_path: Path, expected: dict[str, RowTargets]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    first, second = Watched(workers.stream, 10, stop), Watched(workers.stream)
    with pytest.raises(KeyboardInterrupt):
        stored(corpus, tmp_path / "ray", teacher, first)
    same(stored(corpus, tmp_path / "ray", teacher, second), expected)
    assert len(first.keys) == 10 and not set(first.keys) & set(second.keys)
    assert len(second.keys) == ROWS - 10


def test_a_killed_worker_is_replaced(
    workers: Executor, teacher: str, corpus: Path, tmp_path: Path, expected: dict[str, RowTargets]
) -> None:
    killed: list[int] = []

    def kill() -> None:
        processes = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
        killed.append(next(p for p in processes if "ray::_Worker" in " ".join(p.cmdline())).pid)
        os.kill(killed[0], signal.SIGKILL)

    same(stored(corpus, tmp_path / "ray", teacher, Watched(workers.stream, 3, kill)), expected)
    assert killed


RUN = """
import sys
from pathlib import Path
from distill.score import score
from distill.settings import ScoreConfig
from generators.contract.stage_protocol import Runtime
from pipelines.executors import ExecutionConfig, open_executor

with open_executor(ExecutionConfig(executor="ray", workers=2, cpus_per_worker=0.5)) as executor:
    config = ScoreConfig(teacher=sys.argv[3], top_k=8, device="cpu", batch_tokens=1)
    score([Path(sys.argv[1])], Path(sys.argv[2]), config, runtime=Runtime(stream=executor.stream))
"""


@pytest.mark.slow
def test_kill_minus_nine_loses_nothing_that_was_written(
    teacher: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_corpus([(f"{i} + {i}?", f"{2 * i} " * 8) for i in range(300)])
    command = [sys.executable, "-c", RUN, str(corpus), str(tmp_path / "out"), teacher]
    store = tmp_path / "out" / "targets"
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as run:
        wait_for(lambda: run.poll() is not None or any(file.stat().st_size for file in store.glob("*.targets")))
        children = psutil.Process(run.pid).children(recursive=True)
        run.kill()
    for process in children:  # its Ray's processes, which would end by themselves, but later
        with suppress(psutil.NoSuchProcess):
            process.kill()
    written = contents(tmp_path / "out").keys()
    assert 0 < len(written) < 300
    watched = Watched(stream_local)
    settings = ScoreConfig(teacher=teacher, top_k=8, device="cpu", batch_tokens=1)
    score([corpus], tmp_path / "out", settings, runtime=Runtime(stream=watched))
    assert written.isdisjoint(watched.keys) and len(written) + len(watched.keys) == 300
    score([corpus], tmp_path / "whole", settings)
    same(contents(tmp_path / "out"), contents(tmp_path / "whole"))


def wait_for(there: Callable[[], bool]) -> None:
    """Wait for a condition, at most two minutes."""
    deadline = time.monotonic() + 120
    while not there() and time.monotonic() < deadline:
        time.sleep(0.01)
