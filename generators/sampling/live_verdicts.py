"""Live verdicts: verdicts that arrive while sampling continues, kept in a file so that no sample is verified twice.

The caller of the stage supplies the live verifier: generators know no verifier. It takes a trace row and returns a
future, so nothing here waits for it. The file holds one JSON line per sample; a line torn by a crash is cut off, and
its sample verified again.
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

PENDING = 4096  # rows with the verifier at a time: one that is slower than the engine must not fill the memory
UNJUDGED = frozenset({"failed", "timeout", "error"})  # statuses that leave open whether the sample is right

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """A verdict's status, or `failed` or `truncated`; of a correct sample also its solution signature.

    Equal signatures mean equal solution paths.
    """

    status: str
    signature: str = ""

    @property
    def judged(self) -> bool:
        """True if the verdict is right or wrong; a truncated sample counts as wrong, as it does for `select`."""
        return self.status not in UNJUDGED

    @property
    def correct(self) -> bool:
        """True if the sample is right and ended by itself."""
        return self.status == "correct"


LiveVerify = Callable[[Row], "Future[LiveVerdict]"]
OpenVerifier = Callable[[Path], AbstractContextManager[LiveVerify]]  # prompts.parquet -> a verifier of its samples


class LiveVerdicts:
    """Live verdicts by trace_id. `with LiveVerdicts(file, verify, backlog)`: `backlog` holds rows of earlier runs."""

    def __init__(self, file: Path, verify: LiveVerify, backlog: Iterable[Row] = ()) -> None:
        self.verify, self.backlog = verify, iter(backlog)
        self.pending = 0
        self.drained = False  # the backlog is
        self.done: deque[tuple[str, Future[LiveVerdict]]] = deque()  # filled by the verifier's threads
        self.known: dict[str, LiveVerdict] = {}  # verdicts that nobody has used yet
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
            trace_id, status, signature = json.loads(line)
            self.known[trace_id] = LiveVerdict(status, signature)

    def room(self) -> bool:
        """Return whether the verifier keeps up."""
        return self.pending < PENDING

    def unfinished(self) -> bool:
        """Return whether more verdicts will arrive without another sample."""
        self._feed()
        return bool(self.pending) or not self.drained

    def submit(self, row: Row) -> None:
        """Have a sample verified; a failed or truncated one needs no verifier."""
        self.pending += 1
        trace_id = row["trace_id"]
        ended = {"error": LiveVerdict("failed"), "length": LiveVerdict("truncated")}.get(row["finish_reason"])
        future = _settled(ended) if ended else self.verify(row)
        future.add_done_callback(lambda done: self.done.append((trace_id, done)))

    def arrived(self) -> Iterator[tuple[str, LiveVerdict]]:
        """Yield the (trace_id, verdict) since the last call; raise what broke the verifier as a whole."""
        self._feed()
        while self.done:
            trace_id, future = self.done.popleft()
            self.pending -= 1
            verdict = future.result()
            if verdict.status not in ("failed", "truncated"):  # the ledger tells those
                line = json.dumps([trace_id, verdict.status, verdict.signature])
                os.write(self.file, line.encode() + b"\n")
            yield trace_id, verdict

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


def _settled(verdict: LiveVerdict) -> "Future[LiveVerdict]":
    future: Future[LiveVerdict] = Future()
    future.set_result(verdict)
    return future
