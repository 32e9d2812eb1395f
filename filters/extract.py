"""Finds the final answer in a completion: after the thinking, and within the mark that the model put around it."""

import re
from dataclasses import dataclass

from filters.verdicts import Item, Judgement, unparseable

CLOSE = "</think>"
ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
BOXED = re.compile(r"\\f?boxed\s*\{")
# Full-width ASCII to plain, unusual minus signs to "-", zero-width characters and byte order marks away.
# NFKC would do more than is safe: it turns x² into x2.
PLAIN: dict[int, int | None] = {0x2212: ord("-"), 0xFE63: ord("-"), 0x3000: ord(" ")}
PLAIN |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
PLAIN |= dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(frozen=True, slots=True)
class Answer:
    """The text after the thinking, what its last mark holds (None where it has none), and the number of boxes."""

    text: str
    marked: str | None
    boxes: int = 0


def final_answer(item: Item) -> Answer | Judgement:
    """The answer, or why there is none: thinking that never ended, a cut-off or an empty completion."""
    text = item.answer.rpartition(CLOSE)[2].translate(PLAIN).strip()
    if not text or text.startswith("<think>"):
        return unparseable("thinking never ended" if item.reasoning or text else "the answer is empty")
    marked = marked_answer(text)
    if item.bare and marked[0] is None:
        marked = text, 0
    if item.finish_reason == "length" and marked[0] is None:
        return unparseable("cut off before the final answer")
    return Answer(text, *marked)


def marked_answer(text: str) -> tuple[str | None, int]:
    """(what the last `\\boxed{}` holds, else the last `<answer>`, else what follows the last `####`; the boxes).

    Boxes inside a tag go before those outside it.
    """
    within_tag = ANSWER_TAG.findall(text)
    scope = within_tag[-1] if within_tag else text
    if boxes := boxed(scope):
        return boxes[-1], len(boxes)
    if within_tag:
        return scope.strip(), 0
    _, mark, tail = text.rpartition("####")
    return (tail.strip().split("\n")[0] if mark else None), 0


def boxed(text: str) -> list[str]:
    """Contents of every `\\boxed{}` whose brace is closed, in order; of nested ones the outermost."""
    contents: list[str] = []
    end = 0
    for match in BOXED.finditer(text):
        if match.start() < end:
            continue
        close = closing_brace(text, match.end())
        if close is None:
            break
        contents.append(text[match.end() : close].strip())
        end = close
    return contents


def closing_brace(text: str, start: int) -> int | None:
    """Index of the brace that closes the one before `start`; escaped braces do not count."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return None
