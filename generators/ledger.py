"""An append-only ledger of samples, keyed by trace_id: what was sampled is kept, and never sampled again.

A folder of numbered segments. The last one is a log, a line a sample (`crc32 json`), which is written to
the operating system at once (a killed process loses nothing) and to disk at least every FSYNC_S seconds
of appending or FSYNC_BYTES (a power cut loses no more). A log that has grown to SEAL_BYTES is sealed:
`000007.log` becomes `000007.parquet`, of which opening reads only two columns.
One process writes; any number read meanwhile.
"""

import fcntl
import io
import json
import logging
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from generators.records import TRACE, write_frame

FSYNC_S, FSYNC_BYTES = 1.0, 8 << 20
SEAL_BYTES = 32 << 20

log = logging.getLogger(__name__)


class LedgerInUse(RuntimeError):
    """Another process writes this ledger."""


class Ledger:
    """The samples of a folder. `with Ledger(folder, write=True) as ledger` appends; without `write` it only reads."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self.finished: set[str] = set()  # ids of samples that are not errors
        self._lock: int | None = _locked(folder) if write else None
        self._log: _Log | None = _Log(folder) if write else None
        for segment in _segments(folder):
            rows = _read(segment, ["trace_id", "finish_reason"])
            self.finished.update(rows.filter(pl.col("finish_reason") != "error")["trace_id"])

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self.finished

    def __len__(self) -> int:
        return len(self.finished)

    def ids(self) -> set[str]:
        """Ids of all samples that need not be made again: a failed one is tried again."""
        return set(self.finished)

    def append(self, trace: Mapping[str, Any]) -> None:
        """Keep one sample: a row of records.TRACE, where a missing key is null."""
        assert trace.keys() <= TRACE.keys(), f"columns {sorted(trace.keys() - TRACE.keys())} are not a trace's"
        assert self._log, f"the ledger {self.folder} was opened without write=True"
        self._log.write(trace)
        if trace["finish_reason"] != "error":
            self.finished.add(trace["trace_id"])

    def frames(self) -> Iterator[pl.DataFrame]:
        """All samples as records.TRACE frames, newest segment first; of several rows with one id only the newest."""
        seen: set[str] = set()
        for segment in reversed(_segments(self.folder)):
            rows = _read(segment).unique("trace_id", keep="last", maintain_order=True)
            rows = rows.filter(~pl.col("trace_id").is_in(list(seen))) if seen else rows
            seen.update(rows["trace_id"])
            yield rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """All samples, one row an id."""
        for rows in self.frames():
            yield from rows.iter_rows(named=True)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._log:
            self._log.close()
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._log = None


class _Log:
    """The open end of a ledger."""

    def __init__(self, folder: Path) -> None:
        for path in folder.glob("*.log"):
            if path.with_suffix(".parquet").exists():  # sealed just before a crash
                path.unlink()
        last = max((int(path.stem) for path in folder.iterdir() if path.suffix in (".log", ".parquet")), default=0)
        path = folder / f"{last:06}.log"
        self._open(path if path.exists() else folder / f"{last + 1:06}.log")

    def _open(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = _whole_lines(path.read_bytes())
        if self.size < os.fstat(self.file).st_size:
            log.warning("%s ended within a sample, after a crash; the torn end is cut off", path)
            os.truncate(self.file, self.size)
        self.unsynced, self.synced_at = 0, time.monotonic()

    def write(self, trace: Mapping[str, Any]) -> None:
        text = json.dumps(trace, ensure_ascii=False, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        written = os.write(self.file, line)
        while written < len(line):
            written += os.write(self.file, line[written:])
        self.size += len(line)
        self.unsynced += len(line)
        if self.unsynced >= FSYNC_BYTES or time.monotonic() - self.synced_at >= FSYNC_S:
            self._sync()
        if self.size >= SEAL_BYTES:
            self._seal()

    def close(self) -> None:
        self._sync()
        os.close(self.file)

    def _sync(self) -> None:
        os.fsync(self.file)
        self.unsynced, self.synced_at = 0, time.monotonic()

    def _seal(self) -> None:
        self.close()
        write_frame(_read(self.path), self.path.with_suffix(".parquet"))
        self.path.unlink()
        self._open(self.path.with_name(f"{int(self.path.stem) + 1:06}.log"))


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode() or "unknown"
        os.close(lock)
        raise LedgerInUse(f"the ledger {folder} is being written by process {holder}; wait for it to end") from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _segments(folder: Path) -> list[Path]:
    """Segments in the order of writing; where a log and its sealed form both exist, the sealed one."""
    found: dict[str, Path] = {path.stem: path for path in sorted(folder.glob("*.log"))}
    found |= {path.stem: path for path in folder.glob("*.parquet")}
    return [found[stem] for stem in sorted(found)]


def _read(segment: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A segment's rows; of a log, its whole lines with a right checksum."""
    if segment.suffix == ".log":
        try:
            return _parse(segment).select(columns or list(TRACE))
        except FileNotFoundError:  # sealed by the writer since it was listed
            segment = segment.with_suffix(".parquet")
    return pl.read_parquet(segment, columns=columns)


def _parse(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    texts = []
    for number, line in enumerate(data[: _whole_lines(data)].splitlines(), start=1):
        text = line[9:]
        if line[:8] == b"%08x" % zlib.crc32(text):
            texts.append(text)
        else:
            log.warning("%s, line %d: wrong checksum; the sample is left out and will be made again", path, number)
    if not texts:
        return pl.DataFrame(schema=TRACE)
    return pl.read_ndjson(io.BytesIO(b"\n".join(texts)), schema=TRACE)


def _whole_lines(data: bytes) -> int:
    return data.rfind(b"\n") + 1
