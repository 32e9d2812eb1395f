"""The words of many texts at once, as one flat array of hashes.

The texts are laid end to end as UTF-8. A word is a run of bytes between separators; its hash mixes its bytes eight at a
time, so that the work grows with the words and not with the characters.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

CHUNK = 8  # bytes that are mixed at once
LONG = 64  # bytes; longer words are hashed one by one
TEXTS_AT_ONCE = 64  # their arrays stay in the cache
FACTOR, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
# The low bytes of a chunk that belong to a word of so many bytes.
KEPT = np.array([(1 << 8 * size) - 1 for size in range(CHUNK + 1)], dtype=np.uint64)

ASCII_SPACES = b"\t\n\x0b\x0c\r "
# Unicode's White_Space outside ASCII.
WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
# Characters of scripts that are written without spaces: each is a word.
ALONE = re.compile("([\u3040-\u30ff\u3400-\u9fff])")


class FlatWords(NamedTuple):
    """The words of several texts. Shapes: letters [B] bytes; starts, ends, hashes [W words]; bounds [T texts + 1].

    Word w is letters[starts[w]:ends[w]]; those of text t are bounds[t] to bounds[t + 1]. joined: the letters and CHUNK
    bytes more.
    """

    joined: bytes
    letters: npt.NDArray[np.uint8]
    starts: Places
    ends: Places
    hashes: Hashes
    bounds: Places

    def word(self, index: int) -> bytes:
        """Return a word as UTF-8."""
        return self.letters[self.starts[index] : self.ends[index]].tobytes()


def separators(but: bytes) -> bytes:
    """Return the table that makes capitals small and each of the characters `but` a space, for `bytes.translate`."""
    return bytes(32 if code in but else code + 32 if 65 <= code <= 90 else code for code in range(256))


BY_SPACES = separators(ASCII_SPACES)
BY_ALL_SPACES = separators(ASCII_SPACES + bytes(range(0x1C, 0x20)))  # as Python's `\s` and `split` count
BY_LETTERS = separators(bytes(code for code in range(128) if not chr(code).isalpha()))


def small_letters(texts: pl.Series) -> list[str]:
    """Return the texts, those with other characters than ASCII in small letters; a table does it for the others."""
    found: list[str] = texts.to_list()
    for row, text in zip(*(each.to_list() for each in lowered(texts)), strict=True):
        found[row] = text
    return found


def lowered(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return (rows with other characters than ASCII, their texts in small letters)."""
    rows = pl.select(pl.lit(texts).str.len_bytes() != pl.lit(texts).str.len_chars()).to_series().arg_true()
    return rows, texts[rows].str.to_lowercase()


def spaced(text: str) -> str:
    """Return the text with ASCII spaces as its only white space, and around characters that are words."""
    if text.isascii():
        return text
    return " ".join(ALONE.split(WIDE_SPACE.sub(" ", text)))


def flat_words(texts: Sequence[str], table: bytes) -> FlatWords:
    """Return the words of `texts`, which `spaced` has prepared; equal words have equal hashes."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    joined = b" ".join([b"", *encoded, b"", bytes(CHUNK)]).translate(table)
    letters = np.frombuffer(joined, dtype=np.uint8)[: len(joined) - CHUNK]
    inside = letters != ord(" ")
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1  # a text begins and ends with a space
    starts, ends = edges[0::2], edges[1::2]
    places = np.cumsum([1, *(len(each) + 1 for each in encoded)])
    return FlatWords(joined, letters, starts, ends, hashes_of(joined, starts, ends), np.searchsorted(starts, places))


def hashes_of(joined: bytes, starts: Places, ends: Places) -> Hashes:
    """Return the hash of each word; `joined` has CHUNK bytes more than the words."""
    sizes = ends - starts
    hashes = mixed(chunks_at(joined, starts, sizes) ^ (sizes.astype(np.uint64) << np.uint64(56)))
    left = np.flatnonzero(sizes > CHUNK)
    for offset in range(CHUNK, LONG, CHUNK):
        if not left.size:
            break
        hashes[left] = mixed(hashes[left] ^ chunks_at(joined, starts[left] + offset, sizes[left] - offset))
        left = left[sizes[left] > offset + CHUNK]
    for index in left.tolist():
        digest = hashlib.blake2b(joined[starts[index] : ends[index]], digest_size=8).digest()
        hashes[index] = int.from_bytes(digest, "little")
    return hashes


def chunks_at(joined: bytes, places: Places, sizes: Places) -> Hashes:
    """Return the up to CHUNK bytes at each place as a number; the others of sizes above CHUNK are left out."""
    every = np.ndarray((len(joined) - CHUNK + 1,), dtype="<u8", buffer=joined, strides=(1,))  # one at each byte
    found: Hashes = every[places] & KEPT[np.minimum(sizes, CHUNK)]
    return found


def mixed(values: Hashes) -> Hashes:
    """Return the values with their bits mixed, one to one; the array is changed."""
    values ^= values >> np.uint64(32)
    values *= FACTOR
    values ^= values >> SHIFT
    values *= FACTOR
    values ^= values >> np.uint64(32)
    return values


def run_codes(hashes: Hashes, size: int) -> Hashes:
    """Return a hash of the run of `size` words that begins at each word, [W - size + 1]; runs may cross texts."""
    count = len(hashes) - size + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    width = 1
    codes = hashes
    while 2 * width <= size:
        codes, width = joined_codes(codes[: len(codes) - width], codes[width:], width), 2 * width
    if width < size:  # two runs that overlap cover the rest
        codes = joined_codes(codes[:count], codes[size - width :][:count], size)
    return codes


def joined_codes(first: Hashes, second: Hashes, width: int) -> Hashes:
    """Return a hash of pairs of codes, not symmetric."""
    codes: Hashes = first * FACTOR
    codes ^= codes >> SHIFT
    codes += second
    codes *= FACTOR + np.uint64(2 * width)
    codes ^= codes >> SHIFT
    return codes
