"""Words that keep an answer from being one: a puzzle's own scorer may read past them.

Some scorers look for names, digits or moves anywhere in a text, so that "not X", "X or Y" and "X, I guess" count as X,
and one takes any text for True.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

DOUBTS = re.compile(
    r"\b(?:not|never|neither|nor|or|either|no|none|cannot|maybe|perhaps|possibly|probably|likely|guess\w*|unsure|uncertain"
    r"|doubt\w*|wrong|incorrect|false|untrue|invalid|unless|if|whether|might|may|could|alternatively|except|but|opposite"
    r"|anything|suppos\w+|assum\w+|wait|actually|instead)\b|n't\b|\?|~~|不是|并非|或|也许|可能|[\u2717\u2718\u274c]",
    re.IGNORECASE,
)
LATIN = "A-Za-z\u00c0-\u024f"
WORD = re.compile(rf"[{LATIN}]{{2,}}|[^\W\d_{LATIN}]+")
# Words that may stand around any answer.
AROUND_WORDS = (
    "the answer answers is are so thus hence therefore then final and we have get that this these solution result of to"
    " in an it which means namely here correct right following as follows my our conclude conclusion finally in be must"
    " text boxed mathrm textbf frac dfrac cdot times sqrt"
)
AROUND = frozenset(AROUND_WORDS.split())
# What may not follow an answer that ends before its text does.
LEFT_OPEN = re.compile(
    r"\W*(?:or|nor|and|but|however|though|although|unless|if|except|maybe|perhaps|possibly|alternatively|wait|actually|no)\b"
    r"|\s*[,;/]|.*\b(?:not\s+(?:\w+\s+)?(?:sure|certain)|unsure|guess\w*|maybe|perhaps|alternatively|another\s+answer"
    r"|(?:might|may|could)\s+(?:also\s+)?be|or\s+(?:is|was)\s+it)\b",
    re.IGNORECASE,
)
LATER_CHARS = 300
MOST_TRIED = 20  # foreign words that are left out by turns
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\d)")


def doubtful(said: str, entry: Mapping[str, Any]) -> str | None:
    """Return why a text is no answer to a reasoning-gym entry, though its scorer may accept it; None if it is one.

    Words of the entry's own answer are no doubts.
    """
    own = own_answer(entry)
    if folded(said) == folded(own):
        return None
    if doubts := counted(DOUBTS, said) - counted(DOUBTS, own):
        return f"the answer is denied or left open: {next(iter(doubts))!r}"
    if NUMBER.fullmatch(own.strip()) and len(set(NUMBER.findall(said))) > 1:
        return "the answer has several numbers"
    return None


def left_open(later: str) -> bool:
    """Return whether the text behind an answer adds another, or says that it is a guess."""
    return LEFT_OPEN.match(later[:LATER_CHARS].replace("\n", " ")) is not None


def foreign_word(said: str, entry: Mapping[str, Any], accepts: Callable[[str], bool]) -> str | None:
    """Return a word that an accepted text has besides its answer: one that is in no known text and can be left out."""
    own = own_answer(entry)
    if folded(said) == folded(own):
        return None
    known = {*words(own), *words(str(entry.get("question", ""))), *AROUND}
    foreign = dict.fromkeys(word for word in words(said) if word not in known)
    return next((word for word in list(foreign)[:MOST_TRIED] if accepts(without(word, said))), None)


def without(word: str, text: str) -> str:
    """Return the text without a word."""
    return WORD.sub(lambda match: " " if match.group().casefold() == word else match.group(), text)


def own_answer(entry: Mapping[str, Any]) -> str:
    """Return the answer that the entry itself has; it is empty for tasks whose entries have none."""
    answer = entry.get("answer")
    return answer if isinstance(answer, str) else ""


def folded(text: str) -> str:
    """Return a text without case, blanks and signs of punctuation."""
    return re.sub(r"[\s\"'.,*_]+", "", text).casefold()


def counted(pattern: re.Pattern[str], text: str) -> Counter[str]:
    """Return how often each match occurs."""
    return Counter(match.casefold() for match in pattern.findall(text))


def words(text: str) -> list[str]:
    """Return the words of two Latin letters or more, in lower case; a run of letters of another script is one too."""
    return [word.casefold() for word in WORD.findall(text)]
