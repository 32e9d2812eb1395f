"""Places where a text states the answer to a puzzle: in a mark, after "the answer is", or in its last paragraph.

An answer may be a grid or a list of moves, so that it runs over several lines and no sign in it is a sign of prose.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from filters.puzzles.doubts import DOUBTS
from filters.text.assertion.stance import denies, stops_short
from filters.text.boxes import box_places, with_braces
from filters.text.final_answer import ANSWER_CLOSE, ANSWER_OPEN, last_tag
from filters.text.short_answer import unwrapped

INTRODUCED = re.compile(
    r"(?<!\w)(?:answers?|solution|antwort|lösung|réponse|respuesta|risposta|resposta|ответ)(?!\w)[*_]*"
    r"(?:\s+(?:to|for|of)\s+(?:the|this|that|our)\s+[\w\s]{1,40}?)?"
    r"[*_\s]*?(?:\b(?:is|are|would\s+be|must\s+be|ist|est|es|è|é)\b(?:\s*:)?|[:=\uff1a]|(?=[*_ \t]*\n))[*_]*"
    r"|(?:答案|答え|정답)\s*[*_]*(?:[是为は은]|[:\uff1a])?[*_]*",
    re.IGNORECASE,
)
HEADING = re.compile(r"^[ \t]*#+[ \t]*(?:the\s+)?(?:final\s+)?(?:answer|solution)\W*$", re.IGNORECASE | re.MULTILINE)
MARKED_LINE = re.compile(r"^[ \t]*####[ \t]+(\S.*)$", re.MULTILINE)
LEAD = re.compile(r"[\s*_#]*[A-Za-z][A-Za-z' ]{0,60}(?::|[*_]+:|:[*_]+)\s+")  # "The moves are: ..."
TRIED = re.compile(
    r"\b(?:try|trying|attempt|let|failed|candidate|example|sample|possible|tempting|first)\b", re.IGNORECASE
)
# Right before the word "answer": one that is not given.
NO_ANSWER = re.compile(
    r"\b(?:not|no|possible|potential|alternative|wrong|incorrect|false|failed|naive|initial|first|previous|candidate|another"
    r"|other|sample|example|tentative|unlikely|tempting)\s+(?:the\s+|an?\s+)?(?:final\s+|correct\s+|right\s+)?$",
    re.IGNORECASE,
)
AS_ASKED = re.compile(r",?\s+as\s+(?:required|desired|requested|claimed|needed|expected)$", re.IGNORECASE)
PARAGRAPH = re.compile(r"\n[ \t]*\n")
SENTENCE_END = re.compile(r"[.!](?=\s)")
QUOTED = re.compile(r"([\"'`]|__)((?:(?!\1).)+)\1|\u201c([^\u201c\u201d]+)\u201d", re.DOTALL)
HEDGED = re.compile(
    r"\b(?:(?:not|n't)\s+(?:\w+\s+){0,2}(?:sure|certain|know)|unsure|uncertain|guess\w*|maybe|perhaps|possibly|might|could\s+be"
    r"|no\s+idea|suppos\w+|assum\w+)\b|n't\s+know\b",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"[.!?](?=\s)|\n")
SEARCHED_CHARS = 20_000  # from the end
BEFORE_CHARS = 200


class Statement(NamedTuple):
    """An answer as it was stated, and the places in the text where it begins and ends."""

    said: str
    start: int
    end: int


def statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (answer, text behind it) of what a text may state, the likeliest first; nothing that it takes back.

    A mark states the only answer of its text. Without one it is what follows the last "the answer is" (all of it, a
    paragraph, a line or a sentence), or else the whole text, its last paragraph, with or without a label, or its last
    sentence.
    """
    text = with_braces(text)[-SEARCHED_CHARS:]
    marked = mark(text)
    for one in [marked] if marked else list(introduced(text)) or list(closing(text)):
        if one.said and not denies(text, one.start, one.end) and not hedged(text[: one.start]):
            yield one.said, text[one.end :]


def hedged(before: str) -> bool:
    """Return whether the sentence before an answer says that it is a guess."""
    return HEDGED.search(SENTENCE.split(before[-BEFORE_CHARS:])[-1]) is not None


def mark(text: str) -> Statement | None:
    """Return the contents of the last box, `<answer>` or `####`; a box in a tag goes first."""
    tag = last_tag(text)
    if tag is not None:
        start = text.rfind(ANSWER_OPEN + tag)
        closed = text.startswith(ANSWER_CLOSE, end := start + len(ANSWER_OPEN) + len(tag))
        return Statement(inner(tag), start, end + len(ANSWER_CLOSE) * closed)
    if places := box_places(text):
        start, begin, end = places[-1]
        return Statement(inner(text[begin:end]), start, end + 1)
    lines = [line for line in MARKED_LINE.finditer(text) if not INTRODUCED.match(line[1] + "\n")]
    return Statement(lines[-1][1].strip(), lines[-1].start(), lines[-1].end()) if lines else None


def inner(marked: str) -> str:
    """Return the contents of a mark without a box around them or the words "the answer is" before them."""
    said = unwrapped(marked)
    if places := box_places(said):
        return said[places[-1][1] : places[-1][2]].strip()
    lead = INTRODUCED.search(said)
    return said[lead.end() :].strip() if lead and len(said[: lead.start()].split()) <= 3 else said


def introduced(text: str) -> Iterator[Statement]:
    """Yield what follows the last words that announce an answer: all of it, a paragraph, a line, a sentence."""
    found = max((*INTRODUCED.finditer(text), *HEADING.finditer(text)), key=re.Match.end, default=None)
    if found is None or NO_ANSWER.search(text[max(0, found.start() - BEFORE_CHARS) : found.start()]):
        return
    start = found.end() + len(text[found.end() :]) - len(text[found.end() :].lstrip())
    if start == len(text):
        return
    for end in sorted(ends(text, start), reverse=True):
        yield Statement(text[start:end].strip(), start, end)


def ends(text: str, start: int) -> set[int]:
    """Return the places where a statement may end."""
    found = {len(text)}
    for pattern in (PARAGRAPH, SENTENCE_END):
        if match := pattern.search(text, start):
            found.add(match.start())
    line = text.find("\n", start)
    return found | ({line} if line > 0 else set())


def closing(text: str) -> Iterator[Statement]:
    """Yield a whole text that announces no answer, its last paragraph and its last sentence."""
    if stops_short(text):
        return
    paragraph = max((match.end() for match in PARAGRAPH.finditer(text)), default=0)
    sentence = max((match.end() for match in SENTENCE_END.finditer(text, paragraph)), default=0)
    for start in sorted({0, paragraph, sentence}):
        yield Statement(text[start:].strip(), start, len(text))
    lead = LEAD.match(text, paragraph)
    if lead and not DOUBTS.search(lead.group()) and not TRIED.search(lead.group()):
        yield Statement(text[lead.end() :].strip(), lead.end(), len(text))


def readings(said: str) -> Iterator[str]:
    """Yield a stated answer as it was written, then without the wrappers, the quotes and the full stop around it."""
    seen = set()
    for one in (said, unwrapped(said), plain(said)):
        if one and one not in seen:
            seen.add(one)
            yield one


def plain(said: str) -> str:
    """Return an answer without any wrapper, quote or full stop around it."""
    while True:
        text = unwrapped(said).strip().rstrip("\u3002")
        text = AS_ASKED.sub("", text[:-1] if re.search(r"(?<![.!])[.!]$", text) else text)
        if quoted := QUOTED.fullmatch(text):
            text = quoted[2] or quoted[3]
        if text == said:
            return text
        said = text
