"""Extraction of the final answer from a completion: after the thinking, inside the mark that the model put around it.

Every pass over the text takes linear time, whatever the text contains.
"""

import re
from dataclasses import dataclass

from filters.text.assertion.formulas import within_formula
from filters.text.assertion.languages import NOT_THE_VALUE, after_contrast
from filters.text.assertion.later import another
from filters.text.assertion.operands import equated, limited, signed_outside
from filters.text.assertion.stance import INSIDE_DENIES, LATER_CHARS, denies, negated, only_supposed, stops_short
from filters.text.boxes import box_places, boxed, joined_boxes, separate_boxes, with_braces
from filters.text.commitment import BUT, HEDGE, NOT, REASON, committed, is_denied
from filters.verification.verdicts import Item, Judgement, unparseable
from generators.contract.completions.marks import ANY_CLOSED, ANY_OPENED, Mentions

ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
STATED = re.compile(
    r"\b(final\s+)?(?:answer|antwort|réponse|respuesta|ответ)\W{0,3}(?:(?:is|ist|est|es)\b\s*:?|:)|(最终)?答案(?:是|为)?\s*[:\uff1a]?|^A:",
    re.IGNORECASE | re.MULTILINE,
)
SENTENCE = re.compile(r"\.(?=\s|$)|[\n。]|<\||</")
# Endings of a text that was cut off: inside a box, after an operator, inside \( or \[.
CUT_OFF = re.compile(r"\\f?boxed\s*\{[^}]*$|[=+/^_({\[\\-]$|\\\((?:(?!\\\)).)*$|\\\[(?:(?!\\\]).)*$", re.DOTALL)
# Prose in parentheses behind an answer: "5 (see step 3)".
REMARK = re.compile(r"\s*\((?=[^()]*[A-Za-z]{2})[^()]*\)\s*$")
# "[8], not [9]"
NOT_THIS = re.compile(r"(?<=[}$]),?\s+(?:and\s+)?(?:not|rather\s+than|instead\s+of)\s+\$?\\boxed\{[^{}]*\}\$?")
# A statement that is struck out, or only a bound: "大于8".
DISOWNED = re.compile(
    r"\W*(?:~~|<(?:s|del|strike)>)|(?:绝对|絕對)?(?:不(?:是|等于|等於|为|可能)|并非|並非)"
    r"|(?:大于|小于|大於|小於|至少|至多|不超过|超过|高于|低于)"
)
OTHER = re.compile(r"(?<=[\d$)}]),?\s+(?:and\s+)?not\b.*$")  # "8, not 9"
IN_TEXT = re.compile(r"\\text\w*\s*\{[^{}]*$")
IN_COMMAND = re.compile(r"\\text\w*\s*\{[^{}]*\}")  # words of an answer, which make no sentence of it
INSIDE_CHARS = 30
BOLD = re.compile(r"[\s:]*\*\*([^*\n]*[^*\s$:][^*\n]*)\*\*")
AFTER_BOX = re.compile(r"[\s$]*(?:\\[)\]])?\s*(\\?%|percent|pct|degrees)")
SENTENCE_WORDS = re.compile(r"(?:(?<![\\A-Za-z])[A-Za-z]{2,}[,\s]+){3}")  # three words in a row
STATED_CHARS = 200
AFTER_CHARS = 40
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

    `joined`: the last boxes as one list or equation, if they make up the answer. `separate`: the last boxes if prose
    parts them: either all of them or the last one may be meant. `stated`: the text after "the final answer is" if that
    follows the last box, or after "answer is" if there is no mark. `said`: without any of these, the readings of the
    last number or formula. `after`: the text right after the last box, where its unit may stand. `denied`: the text
    around the last box takes it back. `another`: what a later sentence states in its place. `unfinished`: an unmarked
    text stops before it states a number or formula.
    """

    text: str
    marked: str | None
    boxes: int = 0
    joined: str | None = None
    stated: str | None = None
    separate: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    after: str = ""
    denied: bool = False
    another: str | None = None
    unfinished: bool = False

    @property
    def unit(self) -> str:
        """The % or degrees right after the last box."""
        match = AFTER_BOX.match(self.after)
        return f" {match.group(1)}" if match else ""


def final_answer(item: Item) -> Answer | Judgement:
    """Return the answer, or why there is none: unfinished thinking, a cut-off, a loop, an empty completion."""
    text = after_thinking(item.answer)
    text = (text if text.isascii() else text.translate(PLAIN)).strip()
    if not text or never_ends(text):
        return unparseable("thinking never ended" if item.reasoning or text else "the answer is empty")
    text = NOT_THIS.sub("", with_braces(text))
    marked, boxes = marked_answer(text)
    stated = stated_answer(text, marked, boxes)
    if item.bare and marked is None:
        marked = text
    if marked is None and (reason := unfinished(text, item.finish_reason, stated)):
        return unparseable(reason)
    if not boxes:
        bare = marked is None and stated is None
        said = committed(text) if bare else ()
        denied = not_meant(text, stated) if stated is not None else not item.bare and mark_denied(text, marked)
        return Answer(text, marked, stated=stated, said=said, denied=denied, unfinished=bare and stops_short(text))
    start, _, end = box_places(text)[-1]
    crossed = INSIDE_DENIES.search(marked or "") is not None
    after = text[end + 1 : end + 1 + AFTER_CHARS].partition("\n")[0]
    several = (joined_boxes(scope(text)), separate_boxes(scope(text))) if boxes > 1 else (None, ())
    instead = None
    if stated is not None:
        denied = not_meant(text, stated)
    else:
        instead = another(text[end + 1 : end + 1 + LATER_CHARS], marked or "")
        denied = (
            crossed
            or is_denied(text, start, end + 1)
            or denies(text, start, end + 1)
            or within_formula(text, start, end + 1)
            or is_operand(text, marked or "", start, end + 1)
            or (last_tag(text) is not None and mark_denied(text, marked))
        )
    return Answer(text, marked, boxes, several[0], stated, several[1], after=after, denied=denied, another=instead)


def is_operand(text: str, marked: str, start: int, end: int) -> bool:
    """Return whether the text next to a box makes it a bound or a part of another value."""
    before, after = text[max(0, start - AFTER_CHARS * 2) : start], text[end : end + AFTER_CHARS * 2]
    return limited(before, after) or signed_outside(before) or equated(marked, after)


def not_meant(text: str, stated: str) -> bool:
    """Return whether a text denies, only supposes or takes back what it states."""
    if NOT.match(stated) or DISOWNED.match(stated) or NOT_THE_VALUE.match(stated) or negated(stated):
        return True
    place = text.rfind(stated)
    return place >= 0 and denies(text, place, place + len(stated))


def mark_denied(text: str, marked: str | None) -> bool:
    """Return whether the text around an `<answer>` or `####` denies it or takes it back."""
    if marked is None:
        return False
    tag = last_tag(text)
    if tag is None:
        start = text.rfind("####")
        end = start + len(text[start:].partition("\n")[0])
    else:
        start = text.rfind(ANSWER_OPEN + tag)
        end = start + len(ANSWER_OPEN + tag)
        end += len(ANSWER_CLOSE) if text.startswith(ANSWER_CLOSE, end) else 0
    return denies(text, start, end) or (tag is not None and is_operand(text, marked, start, end))


def after_thinking(text: str) -> str:
    """Return the text after the last mark that closes a model's thinking."""
    last = max((match.end() for match in Mentions(text).find(ANY_CLOSED)), default=0)
    return text[last:]


def never_ends(text: str) -> bool:
    """Return whether thinking begins in a text in which none ends; a mark that is only mentioned begins none."""
    return next(Mentions(text).find(ANY_OPENED), None) is not None


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
    if boxes := boxed(scope(text)):
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


def scope(text: str) -> str:
    """Return the part of a text in which boxes count: the last `<answer>` if there is one."""
    within_tag = last_tag(text)
    return text if within_tag is None else within_tag


def in_command(match: re.Match[str]) -> bool:
    """Return whether a match is inside `\\text{}`, and so a part of a formula."""
    return IN_TEXT.search(match.string, max(0, match.start() - INSIDE_CHARS), match.start()) is not None


def stated_answer(text: str, marked: str | None, boxes: int) -> str | None:
    """Return the text after the last "answer is" or "A:" of an unmarked text, or a "final answer" past the boxes."""
    if marked is not None and not boxes:
        return None
    after = text.rfind("boxed") if boxes else 0
    found = (match for match in STATED.finditer(text, max(after, len(text) - SEARCHED_CHARS)) if not in_command(match))
    said = max(found, key=re.Match.end, default=None)
    if said is None or (boxes and not (said.group(1) or said.group(2))):
        return None
    sentence_before = SENTENCE.split(text[max(0, said.start() - STATED_CHARS) : said.start()])[-1]
    if HEDGE.search(sentence_before) or only_supposed(sentence_before):
        return None
    tail = text[said.end() : said.end() + STATED_CHARS]
    if bold := BOLD.match(tail):
        return bold[1].strip()
    if "\n" in text[said.start() : said.end()]:  # a quote of Markdown, on a line of its own
        tail = tail.removeprefix(">")
    tail = tail.lstrip(" *:\n")
    if tail.startswith(("\\[", "$$")):
        tail = tail[2:].lstrip()
    sentence = SENTENCE.split(tail, maxsplit=1)[0].replace('\\"', "").strip(" *\"'")
    sentence = after_contrast(BUT.sub("", OTHER.sub("", REASON.sub("", REMARK.sub("", sentence)))))
    return sentence if sentence and not SENTENCE_WORDS.search(IN_COMMAND.sub("", sentence)) else None
