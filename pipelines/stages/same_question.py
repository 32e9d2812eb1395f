"""Questions that are the same but for a few words: those of an evaluation in other texts, and those of rows.

Texts are those of `normal_text`, so spelling does not count. Of a question of W words W // UNCHANGED may be changed,
left out or added; a longest common subsequence decides. Inside a text runs of GRAM words propose the places, since a
change spoils at most GRAM of them (the q-gram lemma, Ukkonen 1992); whole questions are proposed by their rarest words.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.text.words.hashes import BASE, word_hashes
from filters.text.words.spelling import is_character, normal_words

GRAM = 4
UNCHANGED = 8  # words of a question for each one that may be changed
CONTAINED_WORDS = 5  # shorter questions are found as whole messages only
LONG_WORDS = 8  # questions that are looked for in messages that are not the user's, too
FRAMED = 3  # questions from which the words that all begin or end with are their template's
POSTINGS = 1000  # most questions that are compared because of one word
Codes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


def normal_text(text: str) -> str:
    """Return the words of a text without its spelling, between single spaces."""
    return " ".join(normal_words(text))


def gram_codes(text: str) -> Codes:
    """Return the hash of each run of GRAM words, in order; none of a shorter text."""
    words = word_hashes(text)
    codes = np.zeros(max(0, len(words) - GRAM + 1), dtype=np.uint64)
    for offset in range(GRAM):
        codes ^= words[offset : offset + len(codes)]
        codes *= np.uint64(BASE)
        codes ^= codes >> np.uint64(29)
    return codes


def size(words: Sequence[str]) -> int:
    """Return the number of words; characters of scripts without spaces count half."""
    return len(words) - sum(map(is_character, words)) // 2


def common_words(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence (bit-parallel: Hyyrö 2004)."""
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(one):
        places[word] |= 1 << place
    full = left = (1 << len(one)) - 1
    for word in other:
        matched = left & places.get(word, 0)
        left = ((left + matched) | (left - matched)) & full
    return len(one) - left.bit_count()


def same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether two questions are the same but for the words that may be changed."""
    changes = min(size(one), size(other)) // UNCHANGED
    least = max(len(one), len(other)) - changes
    return min(len(one), len(other)) >= least and common_words(one, other) >= least


class Exam:
    """The questions of an evaluation, found again as messages or inside them."""

    def __init__(self, questions: Iterable[str]) -> None:
        asked = [tuple(normal_words(question)) for question in questions]
        bare = without_template(asked)
        self.whole = {" ".join(one) for one in asked if one} | {" ".join(one) for one in bare if len(one) >= FRAMED}
        self.questions = [one for one in dict.fromkeys(bare) if size(one) >= CONTAINED_WORDS]
        self.runs = [gram_codes(" ".join(words)) for words in self.questions]
        distinct = [np.unique(one) for one in self.runs]
        every = np.concatenate([np.zeros(0, dtype=np.uint64), *distinct])
        order = np.argsort(every, kind="stable")
        self.codes = every[order]
        self.numbers = np.repeat(np.arange(len(distinct)), [len(one) for one in distinct])[order]
        kept = [len(one) - GRAM * self._changes(number) for number, one in enumerate(distinct)]
        self.least = np.maximum(1, np.array(kept, dtype=np.int64))

    @classmethod
    def read(cls, path: Path | None) -> "Exam":
        """Read the questions of a prompts file; without a file there are none."""
        if path is None or not path.exists():
            return cls([])
        kept = pl.read_parquet(path).filter(pl.col("drop_reason").is_null())
        asked = [[m["content"] for m in messages if m["role"] == "user"] for messages in kept["messages"].to_list()]
        return cls(texts[-1] for texts in asked if texts)

    def asks(self, text: str, by_user: bool = True) -> bool:
        """Return whether a message, as `normal_text`, is one of the questions or has one inside."""
        if by_user and text in self.whole:
            return True
        codes = gram_codes(text)
        numbers = self._in_common(codes)
        if not numbers.size:
            return False
        counts = np.bincount(numbers, minlength=len(self.questions))
        words = text.split(" ")
        return any(
            self._stands(number, words, codes)
            for number in np.flatnonzero(counts >= self.least).tolist()
            if by_user or size(self.questions[number]) >= LONG_WORDS
        )

    def _in_common(self, codes: Codes) -> Places:
        """Return the question of each run of words that a text and a question have in common."""
        own = np.unique(codes)
        first, last = (np.searchsorted(self.codes, own, side=side) for side in ("left", "right"))
        counts = last - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        numbers: Places = self.numbers[np.repeat(first, counts) + within]
        return numbers

    def _changes(self, number: int) -> int:
        return size(self.questions[number]) // UNCHANGED

    def _stands(self, number: int, words: Sequence[str], codes: Codes) -> bool:
        """Return whether the question stands in a message, in order, but for the changes.

        One window serves all places within `step` words, so that a text of repetitions costs little more than others.
        """
        question, changes = self.questions[number], self._changes(number)
        step = max(1, changes)
        for start in places(codes, self.runs[number], step):
            window = words[max(0, start - 2 * step) : max(0, start + len(question) + 3 * step)]
            if common_words(question, window) >= len(question) - changes:
                return True
        return False


def places(codes: Codes, runs: Codes, step: int) -> list[int]:
    """Return where a text of these runs of words may begin in a text of `codes`, in multiples of `step`."""
    found = [np.zeros(0, dtype=np.int64)]
    for code in np.intersect1d(codes, runs):
        there, own = (np.unique(np.flatnonzero(one == code) // step) for one in (codes, runs))
        found.append((there[:, None] - own[None, :]).ravel())
    starts: list[int] = (np.unique(np.concatenate(found)) * step).tolist()
    return starts


def without_template(asked: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the questions without the words that all of several begin or end with."""
    if len(set(asked)) < FRAMED:
        return list(asked)
    head = shared_words(asked)
    tail = shared_words([one[::-1] for one in asked])
    return [one[head : len(one) - tail] if len(one) > head + tail else one for one in asked]


def shared_words(asked: Sequence[tuple[str, ...]]) -> int:
    """Return the number of first words that all have in common."""
    columns = zip(*asked, strict=False)
    return next((count for count, words in enumerate(columns) if len(set(words)) > 1), min(map(len, asked)))


class Questions:
    """Questions in groups: a question joins the groups of those that ask the same but for a few words.

    A question is found by its rarest words, of which one is left whatever words are changed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.group = list(range(len(texts)))
        self.equal: dict[str, int] = {}
        self.near: dict[str, list[int]] = defaultdict(list)
        self.frequency = Counter(word for text in dict.fromkeys(texts) for word in {*text.split(" ")})

    def add(self, number: int) -> None:
        """Let later questions find this one."""
        text = self.texts[number]
        if self.equal.setdefault(text, number) == number:
            for word in self._rare(text.split(" ")):
                if len(self.near[word]) < POSTINGS:
                    self.near[word].append(number)

    def join(self, number: int) -> None:
        """Unite the question's group with those of all added questions that are the same."""
        text = self.texts[number]
        words = text.split(" ")
        if text in self.equal:
            self._unite(number, self.equal[text])
        for other in sorted({other for word in self._rare(words) for other in self.near.get(word, ())}):
            if self.of(other) != self.of(number) and same(words, self.texts[other].split(" ")):
                self._unite(number, other)

    def of(self, number: int) -> int:
        """Return the group of a question: the number of its first member."""
        while self.group[number] != number:
            self.group[number] = self.group[self.group[number]]
            number = self.group[number]
        return number

    def _unite(self, one: int, other: int) -> None:
        first, later = sorted((self.of(one), self.of(other)))
        self.group[later] = first

    def _rare(self, words: Sequence[str]) -> list[str]:
        changes = size(words) // UNCHANGED
        return sorted({*words}, key=lambda word: (self.frequency[word], word))[: changes + 1] if changes else []
