"""Hashes of the words of a text, in a few passes of numpy over its characters.

A word is a run between white space, or one character of a script written without spaces. Its hash is a polynomial of
its characters modulo 2**64, taken from the text's prefix sums: one multiplication a character, no list of strings.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Letters = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]

ALONE = ((0x3040, 0x3100), (0x3400, 0xA000))  # kana and Chinese characters are words of their own
# Unicode's White_Space and the four separators of ASCII: what Python's `\s` and `split` count.
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, [*range(0x2000, 0x200B), *range(0x1C, 0x20)])
)
BASE = 0x9E3779B97F4A7C15 | 1  # odd, so it has an inverse modulo 2**64
SPACE, LONE = 1, 2


class Words(NamedTuple):
    """The words of a text: letters[start:end], as code points."""

    letters: Letters
    starts: Places
    ends: Places


def word_hashes(text: str) -> Hashes:
    """Return the hash of each word of `text`, in order; equal words have equal hashes."""
    return hashes_of(words_of(text))


def words_of(text: str) -> Words:
    """Return where the words of a text are."""
    letters: Letters
    if text.isascii():
        letters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    else:
        letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = classes()[letters]
    inside = np.zeros(len(letters) + 2, dtype=np.int8)
    inside[1:-1] = kinds != SPACE
    steps = np.diff(inside)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if letters.dtype != np.uint8 and (alone := np.flatnonzero(kinds == LONE)).size:
        starts, ends = split_at(alone, starts, ends)
    return Words(letters, starts, ends)


def split_at(alone: Places, starts: Places, ends: Places) -> tuple[Places, Places]:
    """Return the bounds of words where each position of `alone` is a word, and cuts the run that it is in."""
    cuts = np.unique(np.concatenate([starts, ends, alone, alone + 1]))
    first, last = cuts[:-1], cuts[1:]
    runs = np.searchsorted(starts, first, side="right") - 1
    words = (runs >= 0) & (first < ends[runs])
    return first[words], last[words]


def hashes_of(words: Words) -> Hashes:
    """Return the hash of each word."""
    letters, starts, ends = words
    powers, inverses = tables(1 << max(12, len(letters).bit_length()))
    sums = np.zeros(len(letters) + 1, dtype=np.uint64)
    values = letters.astype(np.uint64)
    values += np.uint64(1)
    values *= powers[: len(letters)]
    np.cumsum(values, out=sums[1:])
    hashes: Hashes = (sums[ends] - sums[starts]) * inverses[starts]
    hashes ^= hashes >> np.uint64(32)
    return hashes


@lru_cache(maxsize=1)
def classes() -> npt.NDArray[np.uint8]:
    """Return the class of each code point."""
    kinds = np.zeros(0x110000, dtype=np.uint8)
    for start, end in ALONE:
        kinds[start:end] = LONE
    kinds[[ord(space) for space in SPACES]] = SPACE
    return kinds


@lru_cache(maxsize=4)
def tables(size: int) -> tuple[Hashes, Hashes]:
    """Return the first `size` powers of BASE and of its inverse, modulo 2**64."""
    found = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        factors = np.full(size, base, dtype=np.uint64)
        factors[0] = 1
        found.append(np.cumprod(factors, dtype=np.uint64))
    return found[0], found[1]
