"""Repair of a store of soft targets: damaged blocks are removed, so that only their rows are scored again."""

import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from distill.soft_targets.store import HEADER_BYTES, next_header, parse_header
from generators.contract.files import replace_durably

Span = tuple[int, int]  # first byte, byte after the last one


def repair_store(folder: Path) -> list[str]:
    """Rewrite each segment without its damaged blocks; return a sentence for each block, naming file, byte and row.

    Every block is read. A torn end is left to the next writer of the segment.
    """
    return [sentence for path in sorted(folder.glob("*.targets")) for sentence in _repair_segment(path)]


def _repair_segment(path: Path) -> list[str]:
    if not path.stat().st_size:
        return []
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        spans = list(_spans(data))
        damaged = [(span, row) for span, row, sound in spans if not sound]
        if damaged:
            partial = path.with_name(path.name + ".partial")
            with open(partial, "wb") as out:
                for (start, end), _, sound in spans:
                    if sound:
                        out.write(memoryview(data)[start:end])
                out.flush()
                os.fsync(out.fileno())
            replace_durably(partial, path)
    return [f"{path}: the block of {row} at byte {start} fails its checksum" for (start, _), row in damaged]


def _spans(data: mmap.mmap) -> Iterator[tuple[Span, str, bool]]:
    """Yield (bytes, row, whether they are a sound block) in order; a torn end counts as sound."""
    offset = 0
    while offset < len(data):
        header = parse_header(data[offset : offset + HEADER_BYTES])
        end = offset + HEADER_BYTES + header.payload_bytes if header else len(data) + 1
        whole = end <= len(data)
        if header and whole and zlib.crc32(data[offset + HEADER_BYTES : end]) == header.payload_crc:
            yield (offset, end), header.key.hex(), True
        else:
            following = end if whole and end < len(data) else next_header(data, offset)
            if following is None or (whole and end == len(data)):
                yield (offset, len(data)), "", True
                return
            yield (offset, following), f"row {header.key.hex()}" if header else "an unknown row", False
            end = following
        offset = end
