"""The fast word hashes, repeats and signatures against straightforward ones, on random texts of several scripts."""

import re
from collections.abc import Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.dedupe import exact_duplicates, near_duplicates
from filters.text.mixed_language import CODES, LEXICONS, telling_words
from filters.text.repetition import GRAM_WORDS, SAYING, repeats_in, words_say
from filters.text.solution_signature import (
    OPERAND,
    OPERATORS,
    SYMBOLS,
    TOKEN,
    Signatures,
    Solution,
    closed,
    equations,
    number,
    solution_signature,
)
from filters.text.words.flat import BY_ALL_SPACES, BY_SPACES, flat_words, run_codes, spaced
from filters.text.words.hashes import word_hashes

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")

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
@given(st.lists(texts, max_size=4), st.integers(1, 13))
def test_flat_words_and_runs_are_those_of_the_pattern(some: list[str], size: int) -> None:
    words = [WORD.findall(text.lower()) for text in some]
    every = [word for each in words for word in each]
    flat = flat_words([spaced(text.lower()) for text in some], BY_ALL_SPACES)
    assert [flat.word(index).decode() for index in range(len(flat.starts))] == every
    assert flat.bounds.tolist() == [sum(map(len, words[:index])) for index in range(len(words) + 1)]
    assert same_places(flat.hashes.tolist()) == same_places(every)
    runs = [tuple(every[place : place + size]) for place in range(len(every) - size + 1)]
    assert same_places(run_codes(flat.hashes, size).tolist()) == same_places(runs)


def same_places(values: Sequence[object]) -> list[int]:
    return [values.index(value) for value in values]


@settings(deadline=None)
@given(st.lists(st.text("aZ9_-$. é中の\u0130", max_size=90), max_size=3))
def test_words_with_content_are_those_of_the_pattern(some: list[str]) -> None:
    flat = flat_words([spaced(text) for text in pl.Series(some, dtype=pl.String).str.to_lowercase()], BY_SPACES)
    words = pl.Series([flat.word(index).decode() for index in range(len(flat.starts))], dtype=pl.String)
    assert words_say(flat).tolist() == words.str.contains(SAYING).to_list()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["the ", "Of,", "and", "é", "não ", "это ", "und 3", "\n", "중", "y"]), max_size=60))
def test_telling_words_are_distinct_words_of_the_lists(pieces: list[str]) -> None:
    text = "".join(pieces)
    words = set(pl.Series([text]).str.to_lowercase().str.extract_all(r"\p{L}+")[0])
    lists = {code: each[code] for each in LEXICONS.values() for code in each}
    plain = {code: sum(len(word) > 1 and word in words for word in lists[code]) for code in CODES}
    assert telling_words(pl.Series([text])).row(0, named=True) == plain


MARKS = [
    "x",
    "3",
    "12.50",
    ".5",
    " ",
    "=",
    "+",
    "(",
    ")",
    "cm",
    "²",
    "\\sqrt",
    "\\sinX",
    "\\cm",
    "_",
    ",",
    "$",
    "-",
    "^2",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(MARKS), max_size=30).map("".join))
def test_equations_are_those_of_all_tokens_of_the_line(line: str) -> None:
    runs: list[list[str]] = [[]]
    spelled = line.replace("$", "")
    for space, token in TOKEN.findall(spelled):
        operand = OPERAND.fullmatch(token)
        if not operand and token not in SYMBOLS:
            runs.append([])
        elif operand and runs[-1] and space and runs[-1][-1] not in OPERATORS:
            runs.append([number(token)])
        else:
            runs[-1].append(number(token) if operand else token)
    assert list(equations(line)) == [found for run in runs for found in closed(run)]


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
    for index, text in enumerate(samples):
        signature = solution_signature(text)
        solution = Solution(text)
        assert tree.holds(solution) == (bool(signature) and signature in seen)
        if index % 3 != 1:
            tree.add(solution)
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
