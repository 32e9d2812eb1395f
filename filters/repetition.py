"""Loops and repetition: what a text says over and over, by its runs of 12 words."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.dedupe import MIX, WORD

GRAM_WORDS = 12  # short runs of words come again in every long calculation
COPIES = 3  # a passage that is said twice is a restatement, not a loop

Codes = npt.NDArray[np.uint64]


class Repeats(NamedTuple):
    """How much of a text was said before. A word is a Chinese or Japanese character, or what stands between spaces."""

    share: float  # of the runs of GRAM_WORDS words
    most: int  # how often the most frequent run comes
    looped: int  # words that say again, back to back, what was just said


def repeats_in(texts: pl.Series) -> list[Repeats]:
    """The repeats of each text; a null says nothing."""
    words = texts.fill_null("").str.to_lowercase().str.extract_all(WORD.pattern)
    ends = words.list.len().to_numpy().astype(np.int64).cumsum()
    flat = words.explode(empty_as_null=False)
    codes = gram_codes(flat.hash().to_numpy())
    found = []
    for start, end in pairwise([0, *ends]):
        share, most = frequency(codes[start : max(start, end - GRAM_WORDS + 1)])
        # nothing can have come in three copies where no run came three times
        looped = longest_loop(flat[start:end], codes[start : end - GRAM_WORDS + 1]) if most >= COPIES else 0
        found.append(Repeats(share, most, looped))
    return found


def gram_codes(hashes: Codes) -> Codes:
    """A code of the run of GRAM_WORDS words that begins at each word, over the bounds of texts too."""
    count = max(0, len(hashes) - GRAM_WORDS + 1)
    codes = np.zeros(count, dtype=np.uint64)
    for offset in range(GRAM_WORDS):
        codes = (codes ^ hashes[offset : offset + count]) * MIX
        codes ^= codes >> np.uint64(29)
    return codes


def frequency(codes: Codes) -> tuple[float, int]:
    """(share of codes that came before, how often the most frequent comes); sorting beats a hash table by far."""
    if not len(codes):
        return 0.0, 0
    ordered = np.sort(codes)
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    return 1 - len(last) / len(ordered), int(np.diff(last, prepend=-1).max())


def longest_loop(words: pl.Series, codes: Codes) -> int:
    """Most words in a row that repeat what stands one period before, in COPIES or more; long sums of one number and
    matrices of zeros, which have no letters, are not counted."""
    periods = distances(codes)
    bounds = np.flatnonzero(np.diff(periods, prepend=-1, append=-1))
    longest = 0
    for start, end in pairwise(bounds):
        period, again = int(periods[start]), int(end - start) + GRAM_WORDS - 1
        if period and again >= max(longest, (COPIES - 1) * period):
            lettered = words[int(start) : int(start) + period].str.contains(r"\p{L}{2}|[\p{Han}\p{Hiragana}]").any()
            longest = again if lettered else longest
    return longest


def distances(codes: Codes) -> npt.NDArray[np.int64]:
    """How far before each code the same stands last; 0 where it is new."""
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero(codes[order[1:]] == codes[order[:-1]])
    found = np.zeros(len(codes), dtype=np.int64)
    found[order[same + 1]] = order[same + 1] - order[same]
    return found
