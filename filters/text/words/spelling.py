"""The words of a text without its spelling: letter case, punctuation, accents and the form of digits do not count.

Operators do count: 3 + 4 and 3 - 4 are different words.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

ACCENTS = re.compile("[\u0300-\u036f]+")
GROUPED = re.compile(r"(\d),(?=\d{3}(?!\d))")  # the comma of 1,000
APOSTROPHES = re.compile("['\u2019\u02bc`]")
EMPHASIS = re.compile(r"\*{2,}|={2,}|-{2,}")
HYPHEN = re.compile(r"-(?<=[^\W\d_]-)(?=[^\W\d_])")
CHARACTER = "\u3040-\u30ff\u3400-\u9fff"  # of scripts that are written without spaces: a word each
OPERATORS = r"+*/=<>^%|\-"
WORD = re.compile(rf"[{CHARACTER}]|\d+(?:\.\d+)?|[{OPERATORS}]|[^\s\d{CHARACTER}{OPERATORS}.]+")
PLAIN_WORD = re.compile(rf"[a-z]+|\d+(?:\.\d+)?|[{OPERATORS}]")
ROUND = re.compile(r"\.0+$|(\.\d*?[1-9])0+$")
REWRITTEN = {"\u2044": "/", "\u2212": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2215": "/"}

UNITS = {word: value for value, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
))}  # fmt: skip
TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 1000000}
NUMBER_WORDS = frozenset({*UNITS, *TENS})


def is_character(word: str) -> bool:
    """Return whether a word is one character of a script that is written without spaces."""
    return len(word) == 1 and ("\u3040" <= word <= "\u30ff" or "\u3400" <= word <= "\u9fff")


def normal_words(text: str) -> list[str]:
    """Return the words of `text`, folded: English number words are digits, a kana or Chinese character is a word."""
    if text.isascii():
        found = PLAIN_WORD.findall(_spaced(text.lower()))
    else:
        folded = _spaced(ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold()))
        found = WORD.findall(unicodedata.normalize("NFC", folded).translate(punctuation()))
    if "." in text and "0" in text:
        found = [ROUND.sub(r"\1", word) if "." in word else word for word in found]
    return found if NUMBER_WORDS.isdisjoint(found) else list(_numbers(found))


def _spaced(text: str) -> str:
    text = APOSTROPHES.sub("", GROUPED.sub(r"\1", text))
    if "-" in text:
        text = HYPHEN.sub(" ", text)
    return EMPHASIS.sub(" ", text) if "**" in text or "==" in text or "--" in text else text


@lru_cache(maxsize=1)
def punctuation() -> dict[int, str]:
    """Return what characters become: digits of any script ours, punctuation a space or the operator that it is."""
    table = {}
    for char in map(chr, range(0x110000)):
        kind = unicodedata.category(char)
        if kind == "Nd":
            table[ord(char)] = str(unicodedata.decimal(char))
        elif kind[0] in "PSZC" and char not in "+*/=<>^%|-.":
            table[ord(char)] = REWRITTEN.get(char, " ")
    return table


def _numbers(words: list[str]) -> Iterator[str]:
    """Yield the words, number words joined and written in digits: twenty one is 21, two hundred is 200."""
    total, below, open_ = 0, 0, False  # below: what is not yet multiplied by thousand or million
    for word in words:
        number = UNITS.get(word, TENS.get(word))
        if number is None and (not open_ or word not in SCALES):
            if open_:
                yield str(total + below)
                total, below, open_ = 0, 0, False
            yield word
        elif number is None:
            scaled = below * SCALES[word]
            total, below = (total, scaled) if word == "hundred" else (total + scaled, 0)
        elif open_ and not _takes(total, below, number):
            yield str(total + below)
            total, below = 0, number
        else:
            below, open_ = below + number, True
    if open_:
        yield str(total + below)


def _takes(total: int, below: int, number: int) -> bool:
    """Return whether a number word goes on: a unit after twenty, anything after hundred or thousand."""
    if 0 < number < 10 and below % 100 >= 20 and below % 10 == 0:
        return True
    return number > 0 and below % 100 == 0 and bool(total or below)
