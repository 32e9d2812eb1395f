"""Extraction of the final answer from a completion: after the thinking, inside the mark that the model put around it.

Every pass over the text takes linear time, whatever the text contains.
"""

import re
from dataclasses import dataclass

from filters.verification.verdicts import Item, Judgement, unparseable

OPEN, CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
BRACES = re.compile(r"\\f?boxed\s*\{|\\.|[{}]", re.DOTALL)
STATED = re.compile(r"\b(final\s+)?answer\W{0,3}(?:is\b\s*:?|:)|^A:", re.IGNORECASE | re.MULTILINE)
SENTENCE = re.compile(r"\.(?=\s|$)|\n|<\||</")
# Text that may stand between two boxes of one answer: signs and blanks, or a few words with `and` or `or`.
LINK = re.compile(
    r"(?:[\s$,;.&]|\\[,;: ()\[\]]|\\q?quad|and|or|\\(?:text|mathrm)\s*\{\s*(?:,|and|or)*\s*\})*"
    r"|(?:_\{?\d|[^.\n\d]){0,30}\b(?:and|or)\b(?:_\{?\d|[^.\n\d]){0,20}"
)
# Endings of a text that was cut off: inside a box, after an operator, inside \( or \[.
CUT_OFF = re.compile(r"\\f?boxed\s*\{[^}]*$|[=+/^_({\[\\-]$|\\\((?:(?!\\\)).)*$|\\\[(?:(?!\\\]).)*$", re.DOTALL)
AFTER_WORD = re.compile(r"}[\s$]*(?:\\[)\]])?\s*(?:\\?%|percent|pct|degrees)")
AFTER_BOX = re.compile(r"[\s$]*(?:\\[)\]])?\s*(\\?%|percent|pct|degrees)")
LINK_CHARS = 60
SENTENCE_WORDS = re.compile(r"(?:(?<![\\A-Za-z])[A-Za-z]{2,}[,\s]+){3}")  # three words in a row
STATED_CHARS = 200
SEARCHED_CHARS = 20_000  # from the end
LOOP_CHARS = 100  # a text is a loop if its last LOOP_CHARS occur LOOP_TIMES
LOOP_TIMES = 5
# Maps full-width ASCII to ASCII and unusual minus signs to "-"; removes zero-width characters and byte order marks.
# NFKC would do more than is safe: it turns x² into x2.
PLAIN: dict[int, int | None] = {0x2212: ord("-"), 0xFE63: ord("-"), 0x3000: ord(" ")}
PLAIN |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
PLAIN |= dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(frozen=True, slots=True)
class Answer:
    """The text after the thinking, the contents of its last mark (None if it has no mark), and the number of boxes.

    `joined`: the last boxes, separated by commas, if several make up the answer. `stated`: the text after "the final
    answer is" if that follows the last box, or after "answer is" if there is no mark. `unit`: the % or degrees right
    after the last box.
    """

    text: str
    marked: str | None
    boxes: int = 0
    joined: str | None = None
    stated: str | None = None
    unit: str = ""


def final_answer(item: Item) -> Answer | Judgement:
    """Return the answer, or why there is none: unfinished thinking, a cut-off, a loop, an empty completion."""
    text = item.answer.rpartition(CLOSE)[2]
    text = (text if text.isascii() else text.translate(PLAIN)).strip()
    if not text or OPEN in text:
        return unparseable("thinking never ended" if item.reasoning or text else "the answer is empty")
    marked, boxes = marked_answer(text)
    joined, stated = joined_boxes(text) if boxes > 1 else None, stated_answer(text, marked, boxes)
    unit = AFTER_BOX.match(text, box_places(text)[-1][2] + 1) if boxes and AFTER_WORD.search(text) else None
    if item.bare and marked is None:
        marked = text
    if marked is None and (reason := unfinished(text, item.finish_reason, stated)):
        return unparseable(reason)
    return Answer(text, marked, boxes, joined, stated, f" {unit.group(1)}" if unit else "")


def unfinished(text: str, finish_reason: str, stated: str | None) -> str | None:
    """Return why a text without a mark never reached its answer; None if it did."""
    if finish_reason == "length":
        return "cut off before the final answer"
    if stated is not None:
        return None
    if CUT_OFF.search(text, max(0, len(text) - STATED_CHARS)):
        return "cut off within a formula"
    return "the text ends in a loop" if ends_in_a_loop(text) else None


def ends_in_a_loop(text: str) -> bool:
    """Return whether the last LOOP_CHARS characters occur LOOP_TIMES or more in the text."""
    return len(text) > LOOP_TIMES * LOOP_CHARS and text.count(text[-LOOP_CHARS:]) >= LOOP_TIMES


def marked_answer(text: str) -> tuple[str | None, int]:
    """Return the contents of the last mark, and the number of boxes.

    Marks, in order of preference: the last `\\boxed{}`, the last `<answer>`, the line after the last `####`.

    Boxes inside an `<answer>` tag take precedence over those outside it.
    """
    within_tag = last_tag(text)
    scope = text if within_tag is None else within_tag
    if boxes := boxed(scope):
        return boxes[-1], len(boxes)
    if within_tag is not None:
        return within_tag.strip(), 0
    _, mark, tail = text.rpartition("####")
    return (tail.strip().split("\n")[0] if mark else None), 0


def last_tag(text: str) -> str | None:
    """Return the contents of the last `<answer>`; `</answer>` may be missing, as it is when it was the stop string."""
    end = text.rfind(ANSWER_CLOSE)
    start = text.rfind(ANSWER_OPEN)
    if end < start and len(text) - start < STATED_CHARS:
        return text[start + len(ANSWER_OPEN) :]
    start = text.rfind(ANSWER_OPEN, 0, end) if end >= 0 else -1
    return text[start + len(ANSWER_OPEN) : end] if start >= 0 else None


def boxed(text: str) -> list[str]:
    """Return the contents of every `\\boxed{}` whose brace is closed, in order; only the outermost of nested boxes."""
    return [text[start:end].strip() for _, start, end in box_places(text)]


def box_places(text: str) -> list[tuple[int, int, int]]:
    """Return (start of the command, start of the contents, end of the contents) of each box."""
    first = text.find("boxed")
    opened: list[tuple[int, int] | None] = []
    found: list[tuple[int, int, int]] = []
    for match in BRACES.finditer(text, max(0, first - 2)) if first >= 0 else ():
        token = match.group()
        if token == "{":
            opened.append(None)
        elif token == "}":
            place = opened.pop() if opened else None
            if place:
                while found and found[-1][0] > place[0]:
                    found.pop()
                found.append((*place, match.start()))
        elif "boxed" in token:
            opened.append((match.start(), match.end()))
    return found


def joined_boxes(text: str) -> str | None:
    """Return the last boxes, comma-separated, if at most an `and` parts them; None if the last stands alone."""
    text = last_tag(text) or text
    places = box_places(text)
    first = len(places) - 1
    while first and linked(text[places[first - 1][2] + 1 : places[first][0]]):
        first -= 1
    contents = [text[start:end].strip() for _, start, end in places[first:]]
    return ", ".join(contents) if len(contents) > 1 else None


def linked(gap: str) -> bool:
    """Return whether the text between two boxes makes them one answer."""
    return len(gap) <= LINK_CHARS and LINK.fullmatch(gap) is not None


def stated_answer(text: str, marked: str | None, boxes: int) -> str | None:
    """Return the text after the last "answer is" or "A:" of an unmarked text, or a "final answer" past the boxes."""
    if marked is not None and not boxes:
        return None
    after = text.rfind("boxed") if boxes else 0
    said = max(STATED.finditer(text, max(after, len(text) - SEARCHED_CHARS)), key=re.Match.end, default=None)
    if said is None or (boxes and not said.group(1)):
        return None
    tail = text[said.end() : said.end() + STATED_CHARS].lstrip(" *:\n")
    if tail.startswith(("\\[", "$$")):
        tail = tail[2:].lstrip()
    sentence = SENTENCE.split(tail, maxsplit=1)[0].replace('\\"', "").strip(" *\"'")
    return sentence if sentence and not SENTENCE_WORDS.search(sentence) else None
