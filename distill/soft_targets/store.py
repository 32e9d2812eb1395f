"""Soft targets on disk: an append-only store keyed by content, so a corpus that is filtered or packed again keeps them.

A folder holds `store.json` (the teacher and the settings) and segment files `*.targets`; each worker may write its
own. A segment consists of blocks of one row each: a header with its own checksum, then the payload of `codec.py`
(token ids, logits and tails) with a checksum.

Shape suffixes: N target positions, K kept tokens, S sampled tokens among them, T temperatures of the grid.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from distill.soft_targets import codec
from generators.contract.config import Config
from generators.contract.errors import DamagedStore, InputError
from generators.contract.files import write_text
from generators.contract.sampled_logprobs import completion_key

MAGIC, OLDER = b"DTG2", (b"DTG1",)
HEADER = struct.Struct(
    "<4s12sIII"
)  # magic, key, positions, payload bytes, payload crc32; the header's own crc32 follows
CHECK = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CHECK.size


class StoreMetadata(Config):
    """The teacher and settings of a store, with which a student can be checked without the teacher's weights."""

    teacher: str
    revision: str
    tokenizer: str  # models.loading.tokenizer_fingerprint of the tokenizer that made the ids
    vocab_size: int  # logits beyond it belong to padding rows and were cut
    top_k: int
    temperatures: tuple[float, ...]
    sampled: int = 0  # draws per position in addition to the top_k
    sampled_temperature: float | None = None


@dataclass(frozen=True)
class RowTargets:
    """A teacher's distribution at each of a row's N completion tokens: position i predicts `ids[target_start + i]`.

    token_ids: [N, K] uint16 or uint32, the most probable first. logits: [N, K] fp16, relative to the top logit.
    log_tails: [N, T] fp32, logsumexp of (logit - top) / T over all OTHER tokens, for each T of the grid (-inf if
    there are none). The tail part alone keeps small tails to full relative precision; together with the kept logits
    it gives logZ(T), so kept and tail probabilities at T sum to one whatever the storage rounded.

    draws: [N, S] for a sampled row, the number of draws of each of a position's last S tokens. They were drawn at
    `sampled_temperature` from the distribution without the first K - S tokens, the head. The tails then cover all
    tokens outside the head. A slot without a draw is unused.

    Equations: docs/equations.md, "Stored targets" and "Sampled targets".
    """

    token_ids: NDArray[np.unsignedinteger]
    logits: NDArray[np.float16]
    log_tails: NDArray[np.float32]
    temperatures: tuple[float, ...]
    draws: NDArray[np.unsignedinteger] | None = None
    sampled_temperature: float | None = None

    @property
    def head(self) -> int:
        """The number of tokens of a position that are always kept."""
        kept: int = self.logits.shape[1]
        return kept - (0 if self.draws is None else self.draws.shape[1])

    def log_z(self, temperature: float) -> NDArray[np.float32]:
        """Return logsumexp over the whole vocabulary of (logit - top) / T, [N]."""
        tail_N = self.log_tails[:, grid_index(self.temperatures, temperature)]
        if not self.head:
            return tail_N
        kept_NK = self.logits[:, : self.head].astype(np.float32) / np.float32(temperature)
        # The top logit is 0: no overflow, no empty sum.
        log_z_N: NDArray[np.float32] = np.logaddexp(np.log(np.exp(kept_NK).sum(axis=1)), tail_N)
        return log_z_N

    def log_probs(self, temperature: float) -> NDArray[np.float32]:
        """Return the tokens' log-probabilities at T, [N, K]."""
        return self.logits.astype(np.float32) / np.float32(temperature) - self.log_z(temperature)[:, None]

    def log_tail(self, temperature: float) -> NDArray[np.float32]:
        """Return the log of the mass outside the kept tokens, or outside a sampled row's head, at T, [N]."""
        return self.log_tails[:, grid_index(self.temperatures, temperature)] - self.log_z(temperature)

    def weights(self) -> NDArray[np.float32]:
        """Return a sampled row's weights [N, K].

        Times exp(log_probs(T)) they estimate the distribution at ANY T without bias.
        """
        assert self.draws is not None and self.sampled_temperature is not None, "the row has no draws"
        tail_N = self.log_tails[:, grid_index(self.temperatures, self.sampled_temperature)]
        drawn_NS = self.logits[:, self.head :].astype(np.float32) / np.float32(self.sampled_temperature)
        share_NS = self.draws / np.maximum(self.draws.sum(axis=1, keepdims=True), 1).astype(np.float32)
        with np.errstate(invalid="ignore"):  # an empty tail has no draws
            weights_NS = np.where(self.draws > 0, share_NS * np.exp(tail_N[:, None] - drawn_NS), 0.0)
        return np.concatenate([np.ones_like(self.logits[:, : self.head], np.float32), weights_NS], 1, dtype=np.float32)


def grid_index(temperatures: Sequence[float], temperature: float) -> int:
    """Return the index of T on the grid; a T that is not on it is a ValueError naming the grid."""
    if temperature not in temperatures:
        grid = ", ".join(f"{t:g}" for t in temperatures)
        raise InputError(
            f"temperature {temperature:g} is not on the stored grid ({grid}); choose one of these or score it"
        )
    return list(temperatures).index(temperature)


def target_key(token_ids: NDArray[np.int32], target_start: int, teacher: str, revision: str) -> str:
    """Return 24 hex digits over the row's exact tokens, the start of its targets, and the teacher that scored them."""
    return completion_key(token_ids, target_start, teacher, revision)


class TargetStore:
    """Soft targets by key. Mode "a" creates the folder and appends to `segment`; mode "r" only reads.

    A torn last block, left by a killed writer, is cut off when its segment is opened for appending; readers skip it.
    Any other block that fails its checksum is a ValueError naming file and row key.
    """

    def __init__(
        self,
        folder: Path,
        mode: Literal["r", "a"] = "r",
        metadata: StoreMetadata | None = None,
        segment: str = "part-0",
    ) -> None:
        self.folder = Path(folder)
        self.metadata = _open_metadata(self.folder, mode, metadata)
        self._blocks: dict[bytes, tuple[int, int]] = {}  # key -> (segment, offset)
        self._paths = sorted(self.folder.glob("*.targets"))
        own = self.folder / f"{segment}.targets"
        if mode == "a" and own not in self._paths:
            own.touch()
            self._paths.append(own)
        ends = [self._index(number, path) for number, path in enumerate(self._paths)]
        self._files = [os.open(path, os.O_RDONLY) for path in self._paths]
        self._out, self._own, self._end = -1, 0, 0
        if mode == "a":
            self._own = self._paths.index(own)
            self._end = ends[self._own]
            self._out = os.open(own, os.O_WRONLY)
            os.ftruncate(self._out, self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._blocks)

    def keys(self) -> Iterator[str]:
        """Return the keys in the order in which they were found or appended."""
        return (key.hex() for key in self._blocks)

    def has(self, key: str) -> bool:
        """Return whether the row has been scored."""
        return bytes.fromhex(key) in self._blocks

    def append(self, key: str, row: RowTargets) -> None:
        """Write one row, unless the store already has its key. A full disk is an OSError."""
        assert self._out >= 0, f"the store {self.folder} was opened for reading"
        if self.has(key):
            return
        block = _encode(bytes.fromhex(key), row, self.metadata)
        written = os.pwrite(self._out, block, self._end)
        while written < len(block):  # a disk that fills up takes part of a block first, and fails at the next call
            written += os.pwrite(self._out, block[written:], self._end + written)
        self._blocks[bytes.fromhex(key)] = (self._own, self._end)
        self._end += len(block)

    def get(self, key: str) -> RowTargets:
        """Return the row's targets. An unknown key is a KeyError, a damaged block a ValueError."""
        number, offset = self._blocks[bytes.fromhex(key)]
        file = self._files[number]
        header = os.pread(file, HEADER_BYTES, offset)
        parsed = parse_header(header)
        payload = os.pread(file, parsed.payload_bytes, offset + HEADER_BYTES) if parsed else b""
        if parsed is None or parsed.key.hex() != key or zlib.crc32(payload) != parsed.payload_crc:
            raise DamagedStore(
                f"{self._paths[number]}: the block of row {key} at byte {offset} fails its checksum; "
                "run score again, which replaces only these rows"
            )
        return _decode(payload, parsed.positions, self.metadata)

    def stored_bytes(self, key: str) -> int:
        """Return the bytes that the row takes on disk."""
        number, offset = self._blocks[bytes.fromhex(key)]
        parsed = parse_header(os.pread(self._files[number], HEADER_BYTES, offset))
        assert parsed is not None, f"{self._paths[number]}: no row at byte {offset}"
        return HEADER_BYTES + parsed.payload_bytes

    def close(self) -> None:
        """Sync appended rows to disk and close the files."""
        if self._out >= 0:
            os.fsync(self._out)
            os.close(self._out)
        for file in self._files:
            os.close(file)
        self._files, self._out = [], -1

    def _index(self, number: int, path: Path) -> int:
        """Add a segment's blocks to the index; return the end of its last whole block."""
        if path.stat().st_size == 0:
            return 0
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[: len(MAGIC)] in OLDER:
                raise InputError(
                    f"{path} is of the older format {data[: len(MAGIC)].decode()}; score again into another folder"
                )
            offset, last = 0, 0
            while (header := parse_header(data[offset : offset + HEADER_BYTES])) is not None:
                end = offset + HEADER_BYTES + header.payload_bytes
                if end > len(data):
                    break
                self._blocks[header.key] = (number, offset)
                last, offset = offset, end
            if next_header(data, offset) is not None:
                raise DamagedStore(
                    f"{path}: damaged at byte {offset}, with rows after it; run score again, which replaces only these"
                )
            if offset == len(data) and (header := parse_header(data[last : last + HEADER_BYTES])) is not None:
                if zlib.crc32(data[last + HEADER_BYTES : offset]) == header.payload_crc:
                    return offset
                del self._blocks[header.key]  # its size reached the disk before its bytes: torn like a short block
                return last
            return offset


@dataclass(frozen=True)
class _Header:
    key: bytes
    positions: int
    payload_bytes: int
    payload_crc: int


def parse_header(data: bytes) -> _Header | None:
    """Return the block header at the start of `data`, or None if it is not sound."""
    if (
        len(data) < HEADER_BYTES
        or data[:4] != MAGIC
        or zlib.crc32(data[: HEADER.size]) != CHECK.unpack_from(data, HEADER.size)[0]
    ):
        return None
    return _Header(*HEADER.unpack_from(data)[1:])


def next_header(data: mmap.mmap, offset: int) -> int | None:
    """Return the next sound header's offset after `offset`: if there is one, `offset` is damage, not a torn end."""
    while (offset := data.find(MAGIC, offset + 1)) >= 0:
        if parse_header(data[offset : offset + HEADER_BYTES]) is not None:
            return offset
    return None


def _open_metadata(folder: Path, mode: str, metadata: StoreMetadata | None) -> StoreMetadata:
    path = folder / "store.json"
    if not path.exists():
        if mode == "r" or metadata is None:
            raise InputError(f"{folder} is not a store of soft targets: it has no store.json")
        write_text(metadata.model_dump_json(indent=1) + "\n", path)
    stored = StoreMetadata.model_validate_json(path.read_text(encoding="utf-8"))
    if metadata is not None and metadata != stored:
        changed = [k for k in StoreMetadata.model_fields if getattr(stored, k) != getattr(metadata, k)]
        raise InputError(
            f"{path}: the store's {', '.join(changed)} is {[getattr(stored, k) for k in changed]}, "
            f"not {[getattr(metadata, k) for k in changed]}; write to another folder"
        )
    return stored


def id_dtype(vocab_size: int) -> np.dtype:
    """Return the narrower of uint16 and uint32 that holds every token id."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def _encode(key: bytes, row: RowTargets, metadata: StoreMetadata) -> bytes:
    positions, kept, grid = len(row.token_ids), metadata.top_k + metadata.sampled, len(metadata.temperatures)
    draws = metadata.sampled if row.draws is None else row.draws.shape[1]
    shapes = row.token_ids.shape, row.logits.shape, row.log_tails.shape, draws, row.draws is not None
    expected = (positions, kept), (positions, kept), (positions, grid), metadata.sampled, metadata.sampled > 0
    assert shapes == expected, f"row {key.hex()} has shapes {shapes}, the store wants {expected}"
    payload = codec.encode(row.token_ids, row.logits, row.log_tails, row.draws)
    header = HEADER.pack(MAGIC, key, positions, len(payload), zlib.crc32(payload))
    return header + CHECK.pack(zlib.crc32(header)) + payload


def _decode(payload: bytes, positions: int, metadata: StoreMetadata) -> RowTargets:
    shape, grid = (positions, metadata.top_k + metadata.sampled), metadata.temperatures
    ids, logits, tails, draws = codec.decode(payload, shape, len(grid), id_dtype(metadata.vocab_size), metadata.sampled)
    return RowTargets(ids, logits, tails, grid, draws, metadata.sampled_temperature)
