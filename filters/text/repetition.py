"""Loops and repetition: measures of how much a text repeats itself, over runs of 12 words."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.text.dedupe import MIX, WORD

GRAM_WORDS = 12  # shorter runs recur in every long calculation
SAYING = (
    r"[\p{L}\p{N}]{2}|[\p{Han}\p{Hiragana}]"  # a word; runs of single marks, letters and digits are matrices and powers
)
COPIES = 3  # a passage said twice is a restatement, not a loop

Codes = npt.NDArray[np.uint64]


class Repeats(NamedTuple):
    """Measures of repetition in a text. A word is a Chinese or Japanese character, or a run between spaces."""

    share: float  # share of runs of GRAM_WORDS words that occurred before
    most: int  # occurrences of the most frequent run
    looped: int  # words that repeat, back to back, what was just said


def repeats_in(texts: pl.Series) -> list[Repeats]:
    """Return the repeats of each text; a null counts as an empty text."""
    words = texts.fill_null("").str.to_lowercase().str.extract_all(WORD.pattern)
    ends = words.list.len().to_numpy().astype(np.int64).cumsum()
    flat = words.explode(empty_as_null=False)
    codes, saying = gram_codes(flat.hash().to_numpy()), gram_says(flat)
    found = []
    for start, end in pairwise([0, *ends]):
        run = slice(start, max(start, end - GRAM_WORDS + 1))
        share, most = frequency(codes[run][saying[run]])
        # without a run that occurs three times there is no passage in three copies
        found.append(Repeats(share, most, longest_loop(codes[run], saying[run]) if most >= COPIES else 0))
    return found


def gram_codes(hashes: Codes) -> Codes:
    """Return a hash of the run of GRAM_WORDS words that begins at each word; runs may cross text boundaries."""
    count = max(0, len(hashes) - GRAM_WORDS + 1)
    codes = np.zeros(count, dtype=np.uint64)
    for offset in range(GRAM_WORDS):
        codes = (codes ^ hashes[offset : offset + count]) * MIX
        codes ^= codes >> np.uint64(29)
    return codes


def gram_says(words: pl.Series) -> npt.NDArray[np.bool_]:
    """Return whether the run of GRAM_WORDS words that begins at each word contains a word with content."""
    says = np.concatenate([[0], words.str.contains(SAYING).to_numpy().cumsum()])
    return says[GRAM_WORDS:] > says[:-GRAM_WORDS] if len(words) >= GRAM_WORDS else np.zeros(0, dtype=np.bool_)


def frequency(codes: Codes) -> tuple[float, int]:
    """Return (share of codes that occurred before, count of the most frequent); sorting beats a hash table by far."""
    if not len(codes):
        return 0.0, 0
    ordered = np.sort(codes)
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    return 1 - len(last) / len(ordered), int(np.diff(last, prepend=-1).max())


def longest_loop(codes: Codes, saying: npt.NDArray[np.bool_]) -> int:
    """Return the length in words of the longest passage that repeats itself back to back, in COPIES copies or more."""
    periods = np.where(saying, distances(codes), 0)
    bounds = np.flatnonzero(np.diff(periods, prepend=-1, append=-1))
    period, again = periods[bounds[:-1]], np.diff(bounds) + GRAM_WORDS - 1
    loops = again[(period > 0) & (again >= (COPIES - 1) * period)]
    return int(loops.max(initial=0))


def distances(codes: Codes) -> npt.NDArray[np.int64]:
    """Return how far before each code its last occurrence lies; 0 if it is new."""
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero(codes[order[1:]] == codes[order[:-1]])
    found = np.zeros(len(codes), dtype=np.int64)
    found[order[same + 1]] = order[same + 1] - order[same]
    return found
