"""Start the ranks of a training on this host, pass on what they show, and start them again if one is lost.

A rank that a signal kills costs the steps since the last checkpoint: all ranks are started again from it, a few times.
Ctrl-C and SIGTERM are passed on, and the ranks write a checkpoint before they end.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import generators.contract.errors as errors
from distill.parallel.rank import STOPPED
from distill.settings import TrainConfig
from generators.contract.errors import Failed
from generators.contract.stage_protocol import Progress, StageCounts

RESTARTS = 3  # after a rank was lost
POLL_S = 0.2
ENDING_S = 600.0  # for a checkpoint after Ctrl-C
UNFAILED = (None, 0, STOPPED)
ALONE_S = 2.0


class LostRank(Failed):
    """A rank that was killed, such as by the system when memory ran out."""


def launch(
    corpus: Path, validation: Path | None, targets: Path | None, out: Path, config: TrainConfig, progress: Progress
) -> StageCounts:
    """Train on `config.ranks` processes of this host and return rank 0's counts."""
    paths = {"corpus": corpus, "validation": validation, "targets": targets, "out": out}
    job = {name: None if path is None else str(path) for name, path in paths.items()}
    job["config"] = config.model_dump_json()
    for attempt in range(RESTARTS + 1):
        try:
            return _run(json.dumps(job), config.ranks, progress)
        except LostRank as lost:
            if attempt == RESTARTS:
                raise
            print(f"train: {lost}; all ranks start again from the last checkpoint", file=sys.stderr)
    raise AssertionError("unreachable")


def _run(job: str, ranks: int, progress: Progress) -> StageCounts:
    port = free_port()
    started = [_start(rank, ranks, port, job) for rank in range(ranks)]
    with _passing_signals_on(started) as asked:
        over, failed = threading.Event(), dict[int, int]()
        threading.Thread(target=_end_all_with_one, args=(started, over, failed), daemon=True).start()
        try:
            said = _follow(started[0], progress)
            for process in started:
                process.wait(ENDING_S)
            failed = failed or _failed(started)
        finally:
            over.set()
            for process in started:
                process.kill()
    if asked and "counts" not in said:
        raise KeyboardInterrupt
    return _result(said, failed)


def _start(rank: int, ranks: int, port: int, job: str) -> "subprocess.Popen[str]":
    threads = str(max(1, (os.cpu_count() or 1) // ranks))
    env = {
        "OMP_NUM_THREADS": threads, **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "distill.parallel.rank"], env=env, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C reaches the ranks once, through this process
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(job + "\n")
    process.stdin.flush()  # it stays open: a rank whose starter is gone ends
    return process


def free_port() -> int:
    """Return a port of this host that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _follow(first: "subprocess.Popen[str]", progress: Progress) -> dict[str, Any]:
    """Show rank 0's progress until it ends; return its counts or its error."""
    assert first.stdout is not None
    said: dict[str, Any] = {}
    for line in first.stdout:
        event = json.loads(line)
        if "bar" in event:
            with progress(*event["bar"]) as bar:
                for line in first.stdout:
                    event = json.loads(line)
                    if "update" not in event:
                        break
                    bar.show(**event["show"])
                    bar.update(event["update"])
        said |= {key: event[key] for key in ("counts", "error") if key in event}
    return said


def _end_all_with_one(started: "list[subprocess.Popen[str]]", over: threading.Event, failed: dict[int, int]) -> None:
    """End the other ranks soon after one failed, since they would wait for it; `failed` gets rank and exit code."""
    while not over.wait(POLL_S):
        failed |= _failed(started)
        if failed:
            time.sleep(ALONE_S)  # those that fail for the same reason say it themselves
            for process in started:
                process.kill()
            return


def _failed(started: "list[subprocess.Popen[str]]") -> dict[int, int]:
    return {rank: code for rank, process in enumerate(started) if (code := process.poll()) not in UNFAILED}


@contextmanager
def _passing_signals_on(started: "list[subprocess.Popen[str]]") -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to all ranks; the list then holds their numbers."""
    asked: list[int] = []

    def pass_on(number: int, frame: Any) -> None:
        asked.append(number)
        for process in started:
            if process.poll() is None:
                process.send_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    kept = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _result(said: dict[str, Any], failed: dict[int, int]) -> StageCounts:
    if "error" in said:
        kind, message = said["error"]
        raise getattr(errors, kind, Failed)(message)
    for rank, code in failed.items():
        if code < 0:
            raise LostRank(f"rank {rank} was killed by {signal.Signals(-code).name}")
    for rank, code in failed.items():
        raise Failed(f"rank {rank} of the training ended with code {code}; its output is above")
    return StageCounts(**said["counts"])
