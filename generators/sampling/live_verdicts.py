"""What a judge found of samples while others are still being sampled, kept in a file so that nothing is judged twice.

Whoever calls the stage hands the judge in: generators know no verifier. It takes a trace row and gives a future, so
nothing here waits for it. The file has a JSON line a sample; a line that a crash tore is cut off and judged again.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

PENDING = 4096  # rows handed to the judge at a time: a judge that is slower than the teacher does not fill the memory
UNJUDGED = frozenset({"failed", "timeout", "error"})  # says nothing of whether the sample is right

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """The status of a verdict, `failed` or `truncated`; of a correct sample the path, equal where paths are equal."""

    status: str
    path: str = ""

    @property
    def judged(self) -> bool:
        """Whether it says right or wrong; a truncated sample is not right, as it is not for `select`."""
        return self.status not in UNJUDGED

    @property
    def correct(self) -> bool:
        """Right, and ended by itself."""
        return self.status == "correct"


LiveVerify = Callable[[Row], "Future[LiveVerdict]"]
OpenVerifier = Callable[[Path], AbstractContextManager[LiveVerify]]  # prompts.parquet -> a judge of its samples


class LiveVerdicts:
    """Live verdicts by trace_id. `with LiveVerdicts(file, verify, backlog)`: `backlog` holds rows of earlier runs."""

    def __init__(self, file: Path, judge: LiveVerify, backlog: Iterable[Row] = ()) -> None:
        self.judge, self.backlog = judge, iter(backlog)
        self.pending = 0
        self.drained = False  # the backlog
        self.done: deque[tuple[str, Future[LiveVerdict]]] = deque()  # filled by the judge's threads
        self.known: dict[str, LiveVerdict] = {}  # found, and not asked for yet
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._read(file)
        self.filed = frozenset(self.known)

    def _read(self, file: Path) -> None:
        data = file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.file, whole)
        for line in data[:whole].splitlines():
            trace_id, status, path = json.loads(line)
            self.known[trace_id] = LiveVerdict(status, path)

    def room(self) -> bool:
        """Whether the judge keeps up."""
        return self.pending < PENDING

    def unfinished(self) -> bool:
        """Whether more will arrive by itself."""
        self._feed()
        return bool(self.pending) or not self.drained

    def submit(self, row: Row) -> None:
        """Have a sample judged; one that failed or was cut off needs no judge."""
        self.pending += 1
        trace_id = row["trace_id"]
        ended = {"error": LiveVerdict("failed"), "length": LiveVerdict("truncated")}.get(row["finish_reason"])
        future = _settled(ended) if ended else self.judge(row)
        future.add_done_callback(lambda done: self.done.append((trace_id, done)))

    def arrived(self) -> Iterator[tuple[str, LiveVerdict]]:
        """LiveVerdicts since the last call; what broke the judge as a whole is raised."""
        self._feed()
        while self.done:
            trace_id, future = self.done.popleft()
            self.pending -= 1
            finding = future.result()
            if finding.status not in ("failed", "truncated"):  # those the ledger tells
                line = json.dumps([trace_id, finding.status, finding.path])
                os.write(self.file, line.encode() + b"\n")
            yield trace_id, finding

    def _feed(self) -> None:
        while not self.drained and self.room():
            row = next(self.backlog, None)
            if row is None:
                self.drained = True
            elif row["trace_id"] not in self.filed:
                self.submit(row)

    def __enter__(self) -> "LiveVerdicts":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.file)


def _settled(finding: LiveVerdict) -> "Future[LiveVerdict]":
    future: Future[LiveVerdict] = Future()
    future.set_result(finding)
    return future
