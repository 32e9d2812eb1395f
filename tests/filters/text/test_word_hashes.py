"""The fast word hashes, repeats and signatures against straightforward ones, on random texts of several scripts."""

import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.dedupe import WORD, exact_duplicates, near_duplicates
from filters.text.repetition import GRAM_WORDS, repeats_in
from filters.text.solution_signature import Signatures, solution_signature
from filters.text.words.hashes import word_hashes

PIECES = [
    "the ",
    "3+4=7 ",
    "x=2",
    "=",
    "\n",
    "\x1c",
    "\u3000",
    "中",
    "カタ",
    "ß",
    "ab",
    "12",
    "<<3*4=12>>",
    "😀",
    "𠀀",
    " ",
]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
many = st.lists(texts, min_size=1, max_size=6).map(lambda some: [*some, some[0], some[0] + " q", some[-1] * 3])


@settings(deadline=None)
@given(texts)
def test_words_are_those_of_the_pattern(text: str) -> None:
    words = WORD.findall(text)
    hashes = word_hashes(text).tolist()
    assert len(hashes) == len(words)
    assert [hashes.index(one) for one in hashes] == [words.index(one) for one in words]


@settings(deadline=None)
@given(many)
def test_duplicates_are_those_of_plain_comparisons(samples: list[str]) -> None:
    keys = [" ".join(text.split()) for text in samples]
    assert exact_duplicates(samples) == [keys.index(key) for key in keys]
    assert near_duplicates(samples, 0.8) == plain_clusters([plain_shingles(text) for text in samples], 0.8)


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.casefold())
    words += [""] * (5 - len(words))
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def plain_clusters(shingles: list[set[tuple[str, ...]]], threshold: float) -> list[int]:
    leaders: list[int] = []
    for index, own in enumerate(shingles):
        alike = (
            start
            for start in range(index)
            if leaders[start] == start and len(own & shingles[start]) / len(own | shingles[start]) >= threshold
        )
        leaders.append(next(alike, index))
    return leaders


@settings(deadline=None)
@given(many)
def test_signatures_are_compared_as_whole_tuples_are(samples: list[str]) -> None:
    tree, seen = Signatures(), set[tuple[str, ...]]()
    for number, text in enumerate(samples):
        signature = solution_signature(text)
        assert tree.holds(text) == (bool(signature) and signature in seen)
        if number % 3 != 1:
            tree.add(text)
            seen.add(signature)


@settings(deadline=None)
@given(texts)
def test_repeats_count_runs_of_words(text: str) -> None:
    words = [word for word in re.findall(r"[^\s\u3040-\u30ff\u3400-\u9fff]+", text.lower()) if word]
    if any("\u3040" <= letter <= "\u9fff" for letter in text) or "\x1c" in text:
        return
    runs = [tuple(words[place : place + GRAM_WORDS]) for place in range(len(words) - GRAM_WORDS + 1)]
    runs = [run for run in runs if any(re.search(r"[^\W_]{2}", word) for word in run)]
    assert repeats_in(pl.Series([text]))[0].most == max(map(runs.count, runs), default=0)
