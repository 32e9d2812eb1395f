"""An append-only ledger of samples, keyed by trace_id: a sample in it is never made again.

A ledger is a folder of numbered segments. The last one is a log with one JSON line per sample. A line begins with the
checksum of its rest (`{"xxh3":"5d41402abc4b2a76","trace_id":...`) and is handed to the operating system at once, so a
killed process loses nothing. Group commits bring the log to disk every FSYNC_S seconds of appending. A log that has
grown to SEAL_BYTES is sealed: `000007.log` becomes `000007.parquet`, of which opening a ledger reads only two columns.
Commits and sealing run in a thread next to the appending, which waits when more than BEHIND of them are pending: that
bounds the loss in a power cut. One process writes; any number may read meanwhile.
"""

import fcntl
import io
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import polars as pl
from xxhash import xxh3_64_intdigest

from generators.contract.errors import InUse
from generators.contract.files import scan_rows, write_frame
from generators.contract.records import TRACE

FSYNC_S = 1.0
SEAL_BYTES = 8 << 20
BEHIND = 2  # pending commits and seals beyond which appending waits
HEAD = b'{"xxh3":"%016x",'
HEAD_BYTES = len(HEAD % 0)

log = logging.getLogger(__name__)


class Ledger:
    """The samples in a folder. `with Ledger(folder, write=True) as ledger` appends; without `write` it only reads.

    InUse: another process writes this ledger.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self.finished: set[str] = set()  # ids of samples without error, at the time of opening
        self._lock: int | None = _locked(folder) if write else None
        self._log: _Log | None = _Log(folder) if write else None
        for _, rows in self.scan("trace_id", "finish_reason"):
            self.finished.update(rows.filter(pl.col("finish_reason") != "error")["trace_id"])

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self.finished

    def __len__(self) -> int:
        return len(self.finished)

    def ids(self) -> set[str]:
        """Return the ids of finished samples at the time of opening; failed ones are left out, as they are retried."""
        return set(self.finished)

    def append(self, trace: Mapping[str, Any]) -> None:
        """Append one sample: a row of records.TRACE, where a missing key is null; it must not change afterwards."""
        assert trace.keys() <= TRACE.keys(), f"columns {sorted(trace.keys() - TRACE.keys())} are not a trace's"
        assert self._log, f"the ledger {self.folder} was opened without write=True"
        self._log.write(trace)

    def scan(self, *columns: str) -> Iterator[tuple[Path, pl.DataFrame]]:
        """Yield (segment, these columns of all its rows), oldest first; of rows with equal ids the last one counts.

        Row numbers are those of `read_segment`; they stay valid as long as nothing is appended.
        """
        for segment in _segments(self.folder):
            yield segment, _read(segment, list(columns))

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield all samples as records.TRACE frames, newest segment first; of rows with equal ids only the newest."""
        seen: set[str] = set()
        for segment in reversed(_segments(self.folder)):
            rows = _read(segment).unique("trace_id", keep="last", maintain_order=True)
            rows = rows.filter(~pl.col("trace_id").is_in(list(seen))) if seen else rows
            seen.update(rows["trace_id"])
            yield rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all samples, one row per id."""
        for rows in self.frames():
            yield from rows.iter_rows(named=True)

    def settle(self) -> None:
        """Wait until everything appended is on disk and full logs are sealed."""
        if self._log:
            self._log.settle()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._log:
                self._log.close()
        finally:
            if self._lock is not None:
                os.close(self._lock)
            self._lock = self._log = None


def read_segment(segment: Path) -> pl.DataFrame:
    """Return all rows of one segment as a records.TRACE frame."""
    return _read(segment)


class _Log:
    """The open log of a ledger. It keeps the rows as well, so that sealing need not parse the file."""

    def __init__(self, folder: Path) -> None:
        self.disk = ThreadPoolExecutor(1, "ledger")  # one thread keeps commits and seals in order
        self.behind: list[Future[None]] = []
        logs = sorted(path for path in folder.glob("*.log") if not _was_sealed(path))
        last = max((int(path.stem) for path in folder.iterdir() if path.suffix in (".log", ".parquet")), default=0)
        path = folder / f"{last:06}.log"
        for grown in logs[:-1] if logs and logs[-1] == path else logs:  # left unsealed by a crash
            self.later(_seal_old, grown)
        self._open(path if path.exists() else folder / f"{last + 1:06}.log")

    def _open(self, path: Path) -> None:
        self.path = path
        self.rows: list[Mapping[str, Any]] = [*_parse(path).iter_rows(named=True)] if path.exists() else []
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = _whole_lines(path.read_bytes())
        if self.size < os.fstat(self.file).st_size:
            log.warning("%s ended within a sample, after a crash; the torn end is cut off", path)
            os.truncate(self.file, self.size)
        self.synced_at = time.monotonic()

    def write(self, trace: Mapping[str, Any]) -> None:
        text = memoryview(orjson.dumps(trace))[1:]  # without its brace; a view, as texts are long
        head = HEAD % xxh3_64_intdigest(text)
        length = len(head) + len(text) + 1
        try:
            written = os.writev(self.file, (head, text, b"\n"))
            if written < length:
                self._write_rest(b"".join((head, text, b"\n")), written)
        except OSError as error:
            os.truncate(self.file, self.size)  # half a line would damage the next one
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self.rows.append(trace)
        self.size += length
        if self.size >= SEAL_BYTES:
            self.later(_seal_open, self.path, self.file, self.rows)
            self._open(self.path.with_name(f"{int(self.path.stem) + 1:06}.log"))
        elif time.monotonic() - self.synced_at >= FSYNC_S:
            self.later(os.fsync, self.file)
            self.synced_at = time.monotonic()

    def _write_rest(self, line: bytes, written: int) -> None:
        while written < len(line):
            written += os.write(self.file, line[written:])

    def later(self, work: Any, *arguments: Any) -> None:
        """Queue work for the disk thread; wait while it is too far behind, and raise its errors."""
        self.behind.append(self.disk.submit(work, *arguments))
        while self.behind and (self.behind[0].done() or len(self.behind) > BEHIND):
            self.behind.pop(0).result()

    def settle(self) -> None:
        self.later(os.fsync, self.file)
        while self.behind:
            self.behind.pop(0).result()

    def close(self) -> None:
        try:
            self.settle()
        finally:
            self.disk.shutdown()
            os.close(self.file)


def _seal_open(path: Path, file: int, rows: list[Mapping[str, Any]]) -> None:
    os.close(file)  # no fsync: the parquet goes to disk, and the log stays until it is there
    _seal(path, pl.DataFrame(rows, schema=TRACE, orient="row"))


def _seal_old(path: Path) -> None:
    _seal(path, _parse(path))


def _seal(path: Path, rows: pl.DataFrame) -> None:
    """Turn a log into parquet with the cheapest compression: the export compresses the traces again.

    The log is removed last: where both exist, the parquet holds all of it.
    """
    write_frame(rows, path.with_suffix(".parquet"), compression="lz4")
    path.unlink()


def _was_sealed(path: Path) -> bool:
    """Remove a log that a crash left next to its parquet; return whether there was one."""
    if not path.with_suffix(".parquet").exists():
        return False
    path.unlink()
    return True


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the folder's lock until it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode() or "unknown"
        os.close(lock)
        raise InUse(f"the ledger {folder} is being written by process {holder}; wait for it to end") from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _segments(folder: Path) -> list[Path]:
    """Return the segments in the order of writing; a sealed one instead of its log where both exist."""
    found: dict[str, Path] = {path.stem: path for path in sorted(folder.glob("*.log"))}
    found |= {path.stem: path for path in folder.glob("*.parquet")}
    return [found[stem] for stem in sorted(found)]


def _read(segment: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Return a segment's rows; of a log the complete lines with a valid checksum."""
    if segment.suffix == ".log":
        try:
            return _parse(segment).select(columns or list(TRACE))
        except FileNotFoundError:  # the writer has sealed it since it was listed
            segment = segment.with_suffix(".parquet")
    return scan_rows(segment, TRACE).select(columns or list(TRACE)).collect()


def _parse(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    texts = []
    for number, line in enumerate(data[: _whole_lines(data)].split(b"\n")[:-1], start=1):
        if line.startswith(HEAD % xxh3_64_intdigest(line[HEAD_BYTES:])):
            texts.append(line)
        else:
            log.warning("%s, line %d: wrong checksum; the sample is left out and will be made again", path, number)
    if not texts:
        return pl.DataFrame(schema=TRACE)
    return pl.read_ndjson(io.BytesIO(b"\n".join(texts)), schema=TRACE)


def _whole_lines(data: bytes) -> int:
    return data.rfind(b"\n") + 1
