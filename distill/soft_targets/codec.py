"""The byte format of a row's soft targets: planes of similar bytes, each compressed with zstd at its fastest level.

Token ids become positions in a dictionary of the row, most common first, if the row repeats them enough; otherwise
they are stored as they are. Logits are at most 0 (relative to the top one) and fall along a position, so fp16 rounded
to 8 bits of mantissa and read as an integer rises in small steps; the steps are stored. The rounding is relative: fine
where the probability is, coarse where it is not. Tails keep 15 bits of mantissa. All planes have the positions as
their last axis, because the bytes of a column are similar.

Shape suffixes: N target positions, K kept tokens, T temperatures of the grid, S sampled tokens among the K,
D entries of the dictionary.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

WIDEST = 3  # most bytes of a token id, a dictionary position or a number of draws
TAIL_BYTES = 3  # bytes kept of fp32's 4
DROPPED_BITS = 2  # bits dropped of fp16's 10 bits of mantissa
ALMOST_INF = 0x7C00 - (
    1 << (DROPPED_BITS - 1)
)  # finite logits from here on are truncated, not rounded, so that they stay finite
REPEATED = 0.5  # largest ratio of distinct ids to ids at which a dictionary pays

Ints = NDArray[Any]  # any integer dtype
Decoded = tuple[Ints, NDArray[np.float16], NDArray[np.float32], Ints | None]
Planes = Iterator[NDArray[np.uint8]]
SIZE = struct.Struct("<I")
COMPRESSION_LEVEL = 1


def encode(
    ids_NK: Ints, logits_NK: NDArray[np.float16], tails_NT: NDArray[np.float32], draws_NS: Ints | None = None
) -> bytes:
    """Return bytes from which `decode` restores ids and draws exactly, logits (<= 0) and tails rounded."""
    largest = max((int(array.max()) for array in (ids_NK, draws_NS) if array is not None and array.size), default=0)
    assert largest < 1 << 8 * WIDEST, f"{largest} does not fit into {WIDEST} bytes"
    dictionary_D, classes_D = _dictionary(ids_NK)
    places_NK = _places(ids_NK, dictionary_D, classes_D) if len(dictionary_D) else ids_NK
    planes = [
        *_split(np.diff(dictionary_D, prepend=dictionary_D.dtype.type(0)), WIDEST),
        classes_D,
        *_split(places_NK.T, WIDEST),
        *_split(_steps(logits_NK), 2),
        *_split(_rounded(tails_NT.T), TAIL_BYTES),
        *([] if draws_NS is None else _split(draws_NS.T, WIDEST)),
    ]
    return SIZE.pack(len(dictionary_D)) + _packed(planes)


def decode(data: bytes, shape: tuple[int, int], grid: int, id_dtype: np.dtype, sampled: int = 0) -> Decoded:
    """Restore ids [N, K], logits [N, K], tails [N, T] and draws [N, S] or None.

    `shape` is (N, K), `grid` is T, `sampled` is S.
    """
    (distinct,), (positions, kept) = SIZE.unpack_from(data), shape
    entries = positions * kept
    sizes = [distinct] * (WIDEST + 1) + [entries] * (WIDEST + 2) + [positions * grid] * TAIL_BYTES
    planes = _unpacked(data[SIZE.size :], sizes + [positions * sampled] * WIDEST * bool(sampled))
    deltas_D = _joined(planes, WIDEST, (distinct,), np.dtype("<u4"))
    dictionary_D = np.cumsum(deltas_D, dtype=id_dtype)[_commonest_first(next(planes))]
    ids_NK = _joined(planes, WIDEST, (kept, positions), np.dtype("<u4")).T
    ids_NK = np.take(dictionary_D, ids_NK) if distinct else ids_NK.astype(id_dtype)
    logits_NK = _logits(_joined(planes, 2, (kept, positions), np.dtype("<u2")))
    tails_TN = _joined(planes, TAIL_BYTES, (grid, positions), np.dtype("<u4"))
    tails_NT = np.ascontiguousarray((tails_TN << 8 * (4 - TAIL_BYTES)).T).view(np.float32)
    draws_NS = _joined(planes, WIDEST, (sampled, positions), np.dtype("<u4")).T if sampled else None
    return np.ascontiguousarray(ids_NK), logits_NK, tails_NT, draws_NS


def rounded_logits(logits: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return logits as `decode` restores them: within a relative error of 2^-9."""
    return _from_codes(_codes(logits))


def _dictionary(ids_NK: Ints) -> tuple[Ints, NDArray[np.uint8]]:
    """Return (the row's distinct ids, ascending; log2 of each one's count), empty if a dictionary does not pay."""
    ids = np.sort(ids_NK, axis=None)  # np.unique takes twice as long
    first_D = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])[: ids.size])
    if len(first_D) > REPEATED * ids.size:
        first_D = first_D[:0]
    return ids[first_D], np.log2(np.diff(first_D, append=ids.size)).astype(np.uint8)


def _commonest_first(classes_D: NDArray[np.uint8]) -> Ints:
    return np.argsort(~classes_D, kind="stable")


def _places(ids_NK: Ints, dictionary_D: Ints, classes_D: NDArray[np.uint8]) -> Ints:
    """Return each id's position in the dictionary with the most common ids first."""
    place = np.arange(len(dictionary_D), dtype=np.uint16 if len(dictionary_D) <= 2**16 else np.uint32)
    table = np.empty(int(dictionary_D[-1]) + 1, place.dtype)
    table[dictionary_D[_commonest_first(classes_D)]] = place
    return np.take(table, ids_NK)


def _codes(logits: NDArray[np.float16]) -> Ints:
    """Return the distances below the top logit as integers in the same order."""
    signed = np.ascontiguousarray(logits, dtype="<f2").view(np.int16)
    assert not (signed > 0).any(), f"a logit is {logits.max()} above the top one"
    bits = signed.view(np.uint16) & np.uint16(0x7FFF)
    half = (bits < ALMOST_INF).view(np.uint8) << (DROPPED_BITS - 1)
    return (bits + half) >> DROPPED_BITS


def _from_codes(codes: Ints) -> NDArray[np.float16]:
    return (-((codes << np.uint16(DROPPED_BITS)).view(np.float16))).astype(np.float16, copy=False)


def _steps(logits_NK: NDArray[np.float16]) -> Ints:
    """Return steps [K, N]; a step back, where logits do not fall, wraps around and the sum undoes it."""
    codes_KN = np.ascontiguousarray(_codes(logits_NK).T)
    codes_KN[1:] = np.diff(codes_KN, axis=0)
    return codes_KN


def _logits(steps_KN: Ints) -> NDArray[np.float16]:
    return _from_codes(np.ascontiguousarray(np.cumsum(steps_KN, axis=0, dtype=np.uint16).T))


def _rounded(tails: NDArray[np.float32]) -> Ints:
    """Return the upper bytes of each tail, with the lower ones rounded into them."""
    dropped = 8 * (4 - TAIL_BYTES)
    return (np.ascontiguousarray(tails, dtype="<f4").view(np.uint32) + np.uint32(1 << (dropped - 1))) >> dropped


def _split(values: Ints, width: int) -> list[NDArray[np.uint8]]:
    """Return one plane for each of the lowest `width` bytes."""
    return [np.ascontiguousarray((values >> 8 * i).astype(np.uint8)) for i in range(width)]


def _joined(planes: Planes, width: int, shape: tuple[int, int] | tuple[int], dtype: np.dtype) -> Ints:
    """Invert `_split`, consuming the next planes."""
    values = np.zeros((*shape, dtype.itemsize), np.uint8)
    for i in range(width):
        values[..., i] = next(planes).reshape(shape)
    return values.view(dtype)[..., 0]


def _packed(planes: Sequence[NDArray[np.uint8]]) -> bytes:
    """Concatenate the planes' sizes and the planes: zeros become empty, others are compressed if that is smaller."""
    codec = pa.Codec("zstd", COMPRESSION_LEVEL)
    parts = []
    for plane in planes:
        raw = plane.tobytes() if plane.any() else b""  # most planes of high bytes are all zero
        small = codec.compress(raw, asbytes=True) if raw else raw
        parts.append(min(raw, small, key=len))
    return struct.pack(f"<{len(parts)}I", *map(len, parts)) + b"".join(parts)


def _unpacked(data: bytes, sizes: Sequence[int]) -> Planes:
    codec = pa.Codec("zstd")
    start = SIZE.size * len(sizes)
    for size, stored in zip(sizes, struct.unpack_from(f"<{len(sizes)}I", data), strict=True):
        part = memoryview(data)[start : start + stored]
        if stored:
            yield np.frombuffer(part if stored == size else codec.decompress(part, size), np.uint8)
        else:
            yield np.zeros(size, np.uint8)
        start += stored
    assert start == len(data), f"{len(data)} bytes where the planes have {start}"
