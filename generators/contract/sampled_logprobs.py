"""Sampled log-probabilities: the most probable tokens at each sampled position, stored next to the ledger.

The file is append-only, with one block per completion, keyed by the exact tokens of prompt and completion: a corpus row
of the same tokens gets its soft targets without another forward pass of the teacher. A torn last block, left by a
killed writer, is cut off. A block with a wrong checksum is skipped: its row is then scored as if it had none.

Shape suffixes: N sampled tokens, K tokens kept at each position.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FOLDER, FILE = "sampled_logprobs", "part-0.logprobs"  # inside the ledger's folder
MAGIC = b"DTC1"
HEADER = struct.Struct("<4s12sIII")  # magic, key, positions, K, crc32 of the payload; then the header's own crc32
CHECK = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CHECK.size


@dataclass(frozen=True)
class SampledLogprobs:
    """Next-token distributions of a completion, or of its part after the prefix; position i predicts `ids[start + i]`.

    ids: prompt and completion; the completion begins at `prompt_tokens`.
    token_ids: [N, K] uint32, the most probable first. logits: [N, K] fp16, relative to the top one.
    log_tails: [N] fp32, log of the ratio of the mass of all other tokens to that of the top one.
    The model's temperature is always 1 here, whatever the samples' was.
    """

    ids: Sequence[int]
    prompt_tokens: int
    start: int
    token_ids: NDArray[np.uint32]
    logits: NDArray[np.float16]
    log_tails: NDArray[np.float32]

    @classmethod
    def of(
        cls, ids: Sequence[int], prompt_tokens: int, start: int, token_ids: NDArray[Any], log_probs: NDArray[Any]
    ) -> "SampledLogprobs":
        """Convert log-probabilities [N, K], the largest first; fp32 input leaves 1e-7 of a tail's mass unknown."""
        log_probs = log_probs.astype(np.float64)
        with np.errstate(divide="ignore"):
            tails = np.log(np.maximum(0.0, 1.0 - np.exp(log_probs).sum(axis=1)))
        logits = (log_probs - log_probs[:, :1]).astype(np.float16)
        log_tails = (tails - log_probs[:, 0]).astype(np.float32)
        return cls(ids, prompt_tokens, start, token_ids.astype(np.uint32), logits, log_tails)


def completion_key(ids: Sequence[int] | NDArray[Any], prompt_tokens: int, teacher: str, revision: str) -> str:
    """Return the key (24 hex digits) that soft targets of the same tokens by the same teacher have as well."""
    head = json.dumps([teacher, revision, int(prompt_tokens)]).encode()
    tokens = np.ascontiguousarray(ids, dtype="<i4").tobytes()
    return hashlib.blake2b(head + b"\0" + tokens, digest_size=12).hexdigest()


class SampledLogprobsFile:
    """A file of sampled log-probabilities by key; with `write` the folder is created and `add` works."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / FILE
        if write:
            folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, tuple[int, int, int]] = {}  # key -> offset, positions, K
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT if write else os.O_RDONLY, 0o644)
        self._end = self._index()
        if write:
            os.ftruncate(self._file, self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._places)

    def width(self, key: str) -> int:
        """Return K of a completion; 0 where it has no block."""
        return self._places.get(key, (0, 0, 0))[2]

    def get(self, key: str) -> tuple[NDArray[np.uint32], NDArray[np.float16], NDArray[np.float32]] | None:
        """Return (token ids [N, K], logits [N, K], log tails [N]); None: no block, or a damaged one."""
        if key not in self._places:
            return None
        offset, positions, width = self._places[key]
        data = os.pread(self._file, HEADER_BYTES + _payload_bytes(positions, width), offset)
        _, _, _, _, check = HEADER.unpack_from(data)
        payload = data[HEADER_BYTES:]
        return _decode(payload, positions, width) if zlib.crc32(payload) == check else None

    def add(self, logprobs: SampledLogprobs, columns: Mapping[str, str]) -> None:
        """Add a completion of the model that a trace's `columns` name.

        A continuation is joined to its beginning, and dropped where that is not in the file.
        """
        whose = columns["teacher"], columns["revision"] or "unknown"
        if logprobs.start > logprobs.prompt_tokens:
            found = self.get(completion_key(logprobs.ids[: logprobs.start], logprobs.prompt_tokens, *whose))
            if found is None or found[0].shape[1] != logprobs.token_ids.shape[1]:
                return
            logprobs = replace(
                logprobs,
                start=logprobs.prompt_tokens,
                token_ids=np.concatenate([found[0], logprobs.token_ids]),
                logits=np.concatenate([found[1], logprobs.logits]),
                log_tails=np.concatenate([found[2], logprobs.log_tails]),
            )
        key = completion_key(logprobs.ids, logprobs.prompt_tokens, *whose)
        if key in self._places:
            return
        assert len(logprobs.token_ids) == len(logprobs.ids) - logprobs.prompt_tokens, "another length"
        self._append(key, logprobs)

    def _append(self, key: str, logprobs: SampledLogprobs) -> None:
        positions, width = logprobs.token_ids.shape
        payload = logprobs.token_ids.tobytes() + logprobs.logits.tobytes() + logprobs.log_tails.tobytes()
        header = HEADER.pack(MAGIC, bytes.fromhex(key), positions, width, zlib.crc32(payload))
        block = header + CHECK.pack(zlib.crc32(header)) + payload
        written = 0
        while written < len(block):
            written += os.pwrite(self._file, block[written:], self._end + written)
        self._places[key] = (self._end, positions, width)
        self._end += len(block)

    def _index(self) -> int:
        """Index the blocks by their headers, and return where the last whole one ends."""
        end, size = 0, os.fstat(self._file).st_size
        for key, positions, width in self._headers(size):
            self._places[key] = (end, positions, width)
            end += HEADER_BYTES + _payload_bytes(positions, width)
        return end

    def _headers(self, size: int) -> Iterator[tuple[str, int, int]]:
        offset = 0
        while offset + HEADER_BYTES <= size:
            head = os.pread(self._file, HEADER_BYTES, offset)
            magic, key, positions, width, _ = HEADER.unpack_from(head)
            offset += HEADER_BYTES + _payload_bytes(positions, width)
            whole = magic == MAGIC and CHECK.unpack_from(head, HEADER.size)[0] == zlib.crc32(head[: HEADER.size])
            if not whole or offset > size:
                return
            yield key.hex(), positions, width


def _payload_bytes(positions: int, width: int) -> int:
    return positions * (6 * width + 4)


def _decode(payload: bytes, positions: int, width: int) -> tuple[Any, Any, Any]:
    entries = positions * width
    ids = np.frombuffer(payload, "<u4", entries).reshape(positions, width)
    logits = np.frombuffer(payload, "<f2", entries, offset=4 * entries).reshape(positions, width)
    return ids, logits, np.frombuffer(payload, "<f4", positions, offset=6 * entries)
