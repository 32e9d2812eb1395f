"""Loops and repetition: measures of how much a text repeats itself, over runs of 12 words."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.text.words.flat import (
    BY_SPACES,
    CHUNK,
    LONG,
    TEXTS_AT_ONCE,
    FlatWords,
    chunks_at,
    flat_words,
    run_codes,
    small_letters,
    spaced,
)

GRAM_WORDS = 12  # shorter runs recur in every long calculation
SAYING = (
    r"[\p{L}\p{N}]{2}|[\p{Han}\p{Hiragana}]"  # a word; runs of single marks, letters and digits are matrices and powers
)
COPIES = 3  # a passage said twice is a restatement, not a loop
ALPHANUMERIC = bytes(code < 128 and chr(code).isalnum() for code in range(256))

Codes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


class Repeats(NamedTuple):
    """Measures of repetition in a text. A word is a Chinese or Japanese character, or a run between spaces."""

    share: float  # share of runs of GRAM_WORDS words that occurred before
    most: int  # occurrences of the most frequent run
    looped: int  # words that repeat, back to back, what was just said


def repeats_in(texts: pl.Series) -> list[Repeats]:
    """Return the repeats of each text; a null counts as an empty text."""
    lowered = [spaced(text) for text in small_letters(texts.fill_null(""))]
    starts = range(0, len(lowered), TEXTS_AT_ONCE)
    return [found for start in starts for found in repeats_of(lowered[start : start + TEXTS_AT_ONCE])]


def repeats_of(texts: Sequence[str]) -> Iterator[Repeats]:
    """Yield the repeats of a few texts in small letters."""
    words = flat_words(texts, BY_SPACES)
    codes, saying = run_codes(words.hashes, GRAM_WORDS), runs_say(words_say(words))
    for start, end in pairwise(words.bounds.tolist()):
        run = slice(start, max(start, end - GRAM_WORDS + 1))
        ordered = codes[run][saying[run]]
        ordered.sort()
        share, most = frequency(ordered)
        # without a run that occurs three times there is no passage in three copies
        yield Repeats(share, most, longest_loop(codes[run], ordered) if most >= COPIES else 0)


def words_say(words: FlatWords) -> Flags:
    """Return whether each word has content, by SAYING."""
    starts, sizes = words.starts, words.ends - words.starts
    alphanumeric = np.frombuffer(words.joined.translate(ALPHANUMERIC), dtype=np.uint8)
    pairs = (alphanumeric[:-1] & alphanumeric[1:]).tobytes()
    says = np.zeros(len(starts), dtype=np.bool_)
    left = np.arange(len(starts))
    for offset in range(0, LONG, CHUNK):
        here = chunks_at(pairs, starts[left] + offset, sizes[left] - offset - 1) != 0
        says[left[here]] = True
        left = left[~here & (sizes[left] > offset + CHUNK + 1)]
        if not left.size:
            break
    foreign = np.searchsorted(starts, np.flatnonzero(words.letters >= 128), side="right") - 1
    unclear = np.concatenate([left, foreign])
    unclear = unclear[~says[unclear]]
    if unclear.size:
        _, first, same = np.unique(words.hashes[unclear], return_index=True, return_inverse=True)
        each = [words.word(index).decode("utf-8", "replace") for index in unclear[first].tolist()]
        says[unclear] = pl.Series(each).str.contains(SAYING).to_numpy()[same]
    return says


def runs_say(says: Flags) -> Flags:
    """Return whether the run of GRAM_WORDS words that begins at each word contains a word with content."""
    counts = np.concatenate([[0], says.cumsum()])
    return counts[GRAM_WORDS:] > counts[:-GRAM_WORDS] if len(says) >= GRAM_WORDS else np.zeros(0, dtype=np.bool_)


def frequency(ordered: Codes) -> tuple[float, int]:
    """Return (share of codes that occurred before, count of the most frequent) of sorted codes."""
    if not len(ordered):
        return 0.0, 0
    last = np.flatnonzero(ordered[1:] != ordered[:-1])
    distinct = len(last) + 1
    if distinct == len(ordered):
        return 0.0, 1
    ends = np.concatenate([[-1], last, [len(ordered) - 1]])
    return 1 - distinct / len(ordered), int((ends[1:] - ends[:-1]).max())


def longest_loop(codes: Codes, ordered: Codes) -> int:
    """Return the length in words of the longest passage that repeats itself back to back, in COPIES copies or more.

    ordered: the codes that count, sorted.
    """
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    periods = distances(codes, again)
    bounds = np.concatenate([[0], np.flatnonzero(periods[1:] != periods[:-1]) + 1, [len(periods)]])
    period, length = periods[bounds[:-1]], bounds[1:] - bounds[:-1] + GRAM_WORDS - 1
    loops = length[(period > 0) & (length >= (COPIES - 1) * period)]
    return int(loops.max(initial=0))


def distances(codes: Codes, again: Codes) -> npt.NDArray[np.int64]:
    """Return how far before each code of `again`, sorted, its last occurrence lies; 0 if it is new or another one."""
    place = np.minimum(np.searchsorted(again, codes), len(again) - 1)
    repeated = np.flatnonzero(again[place] == codes)
    order = repeated[np.argsort(codes[repeated], kind="stable")]
    same = np.flatnonzero(codes[order[1:]] == codes[order[:-1]])
    found = np.zeros(len(codes), dtype=np.int64)
    found[order[same + 1]] = order[same + 1] - order[same]
    return found
