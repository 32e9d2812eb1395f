"""The rules of the readability filters row by row in Python: the baseline for the vectorized filters."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import regex

from filters.text import mixed_language as languages
from filters.text import readability
from filters.text.readability import READABLE
from filters.text.repetition import COPIES, GRAM_WORDS, SAYING

Row = Mapping[str, Any]

# A word, or one character of a script written without spaces.
WORD = regex.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")


@cache
def compiled(pattern: str) -> Any:
    """Compile a pattern in Python's dialect, which differs in set operations and in the end of the text."""
    return regex.compile(pattern.replace(r"\z", r"\Z"), regex.V1)


def both(row: Row) -> str:
    """Return reasoning and answer as one text."""
    return f"{row['reasoning'] or ''}\n{row['answer'] or ''}"


def bad_tags(row: Row) -> bool:
    """Apply filters.text.readability.bad_tags to one row."""
    if not compiled(readability.ANY_TAG).search(both(row)):
        return False
    thought = compiled(readability.SPOKEN_OF).sub(" ", row["reasoning"] or "")
    said = compiled(readability.CODE).sub(" ", row["answer"] or "")
    order = "".join(compiled(readability.TAG).findall(said)).lower()
    left = compiled(readability.ANY_TAG).search(thought) or compiled(readability.LEFT_OVER).search(said)
    return bool(left) or not compiled(readability.IN_ORDER).search(order)


def no_summary(row: Row) -> bool:
    """Apply filters.text.readability.no_summary to one row."""
    said = compiled(readability.NO_SUMMARY).sub("", row["answer"] or "").strip(readability.MARKS)
    return len(said) < (READABLE.summary_characters or 0)


def length(row: Row) -> int:
    """Apply filters.text.readability.length to one row."""
    return len(row["answer"] if row["reasoning"] is None else row["reasoning"])


def code_block(row: Row) -> bool:
    """Apply filters.text.readability.code_block to one row."""
    text = both(row)
    if row["domain"] == "code" or not compiled(f"{readability.FENCE}|{readability.CODE_LINE}").search(text):
        return False
    prose = compiled(readability.NOT_CODE).sub(" ", text)
    lines = len(compiled(readability.CODE_LINE).findall(prose))
    code = compiled(readability.FENCE).search(prose) or lines >= readability.CODE_LINES
    return bool(code) and not compiled(readability.ASKS_FOR_CODE).search(row["question"] or "")


def long_paragraph(row: Row) -> bool:
    """Apply filters.text.readability.long_paragraph to one row."""
    lines = compiled(readability.FENCED).sub("\n", both(row)).split("\n")
    wide = compiled(readability.WIDE)
    return max(len(line) + len(wide.findall(line)) for line in lines) > (READABLE.paragraph_characters or 0)


def counts(text: str, words: Mapping[str, str]) -> dict[str, int]:
    """Count the words of each script."""
    return {script: len(compiled(word).findall(text)) for script, word in words.items()}


def mixed_language(row: Row) -> bool:
    """Compare filters.text.mixed_language.mixed_language_share of one row with what READABLE tolerates."""
    text, asked = both(row), row["question"] or ""
    if not compiled(languages.NOT_LATIN).search(text + asked):
        return False
    text, asked = (compiled(languages.NO_PROSE).sub(" ", said) for said in (text, asked))
    found, wanted = counts(text, languages.WORDS), counts(asked, languages.PROMPT_WORDS)
    total, most = sum(wanted.values()), max(found.values())
    own = {script: count > languages.ASKED_SHARE * total for script, count in wanted.items()}
    own["han"] |= own["kana"]
    own = own if total else {script: count == most for script, count in found.items()}
    spoken = sum(spoken_words(text, script) for script, count in found.items() if count and not own[script])
    return spoken / max(sum(found.values()), 1) > (READABLE.mixed_language or 0)


def spoken_words(text: str, script: str) -> int:
    """Apply filters.text.mixed_language.spoken_words to one text."""
    word = compiled(languages.WORDS[script])
    if script not in languages.STRETCHES:
        return len(word.findall(text))
    stretch, telling, _, long = languages.STRETCHES[script]
    total = 0
    for said in compiled(stretch).findall(text):
        count = len(word.findall(said))
        total += count if count >= long or compiled(telling).search(said) else 0
    return total


def grams(text: str | None) -> list[tuple[str, ...]]:
    """Return all n-grams of GRAM_WORDS words."""
    words = WORD.findall((text or "").lower())
    return list(zip(*(words[offset:] for offset in range(GRAM_WORDS)), strict=False))


def says(gram: tuple[str, ...]) -> bool:
    """Return whether the n-gram has a word that says something."""
    return any(compiled(SAYING).search(word) for word in gram)


def loop(row: Row) -> bool:
    """Apply filters.text.readability.loop to one row."""
    return any(most > (READABLE.repeats or 0) or looped > (READABLE.loop_words or 0) for most, looped in again(row))


def again(row: Row) -> list[tuple[int, int]]:
    """Return (count of the most frequent n-gram, words of the longest loop) for reasoning and for answer."""
    found = []
    for part in ("reasoning", "answer"):
        last: dict[tuple[str, ...], int] = {}
        seen: Counter[tuple[str, ...]] = Counter()
        longest = current = before = 0
        for place, gram in enumerate(grams(row[part])):
            period = place - last[gram] if gram in last and says(gram) else 0
            current = current + 1 if period and period == before else 1
            words = current + GRAM_WORDS - 1
            longest = max(longest, words if period and words >= (COPIES - 1) * period else 0)
            last[gram], before = place, period
            seen[gram] += 1
        most = max((count for gram, count in seen.items() if count > 1 and says(gram)), default=1)
        found.append((most, longest))
    return found


def repetition(row: Row) -> bool:
    """Apply filters.text.readability.repetition to one row."""
    shares = []
    for part in ("reasoning", "answer"):
        saying = [gram for gram in grams(row[part]) if says(gram)]
        shares.append(1 - len(set(saying)) / max(len(saying), 1) if saying else 0.0)
    return max(shares) > (READABLE.repetition or 1)


ROWS: dict[str, Callable[[Row], bool]] = {
    check.__name__: check
    for check in (bad_tags, no_summary, code_block, long_paragraph, mixed_language, loop, repetition)
}
"""Drop reason -> rule on one row. Lengths are one call either way; other_language exists only in vectorized form."""
