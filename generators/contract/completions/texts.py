"""A completion's text, split into reasoning and answer whatever the marks, and joined again with `<think>`."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from re import Match, Pattern
from typing import Any

from generators.contract.completions.marks import (
    ANY_OPENED,
    ASKED_END,
    BLOCK,
    BLOCK_END,
    CLOSE,
    CLOSED,
    ENDS_OPENED,
    ESCAPED,
    ESCAPED_MARK,
    GLUED,
    HARMONY,
    HARMONY_END,
    HEADED,
    HEADED_ANSWER,
    LEADING,
    OPEN,
    OPENED,
    ROLE_TOKEN,
    SOLUTION_CLOSE,
    SOLUTION_OPEN,
    STRAY,
    TRAILING,
    Mentions,
    family,
    marks_in,
)

Wrapping = tuple[str, str, str]
EDGE_CHARS = 2000  # of a text, searched for special tokens at a time: keeps every pass linear
EMPTY_BLOCKS = 8  # before the thinking
BLANKS = re.compile(r"\s*")
_REASONING = re.compile(r"<\s?/\s?reasoning\s*>", re.IGNORECASE)
OWN_FORM = re.compile(r"\s*<summary>")  # after </reasoning>: the form of rewrites, an answer


@dataclass(frozen=True)
class Completion:
    """A completion. Reasoning is None where there is none; thinking that never ends has an empty answer.

    wrapping: the texts before the reasoning, between it and the answer, and after the answer, as the model wrote them
    but with `<think>` and `</think>` for its marks; None: unknown. fault: why the text must not be learned, such as a
    thinking mark inside the answer. refusal: the model's words in place of an answer. lone: the text closes thinking
    that it did not open.
    """

    reasoning: str | None
    answer: str
    wrapping: Wrapping | None = None
    fault: str | None = None
    refusal: str | None = None
    lone: bool = field(default=False, compare=False)

    @property
    def cut(self) -> bool:
        """Return whether the thinking, or a block of the answer such as `<answer>`, never ends."""
        if not self.answer:
            return self.reasoning is not None
        return "<" in self.answer and _left_open(self.answer)

    def columns(self) -> dict[str, Any]:
        """Return the columns of a trace row."""
        wrapping = None if self.wrapping is None else list(self.wrapping)
        return {"reasoning": self.reasoning, "answer": self.answer, "wrapping": wrapping, "fault": self.fault}


@lru_cache(maxsize=512)  # rendering a row for training asks several times
def split_reasoning(text: str, opened: bool | str = False) -> tuple[str | None, str]:
    """Split a completion's text into (reasoning, answer), like `read_text`."""
    found = read_text(text, opened)
    return found.reasoning, found.answer


def join_reasoning(reasoning: str | None, answer: str, wrapping: Sequence[str] | None = None) -> str:
    """Return the assistant's message of a trace: the inverse of `read_text`; without `wrapping` in its usual form."""
    if wrapping is not None:
        before, between, after = wrapping
        return f"{before}{reasoning or ''}{between}{answer}{after}"
    return answer if reasoning is None else f"{OPEN}\n{reasoning}\n{CLOSE}\n{answer}"


def read_text(text: str, opened: bool | str = False) -> Completion:
    """Split a completion's text at the marks of any model.

    opened: the prompt ended in an opening mark, so the completion starts inside the thinking; the end of the prompt
    from that mark on, if it is known. Special tokens around the text, doubled marks and empty blocks before the
    thinking are left out. What cannot be told is a `fault`, and its marks stay in the text.
    """
    text = _spelled(trimmed(text))
    if "<|channel|>" in text and next(marks_in(HARMONY, text), None):
        found = _harmony(text, bool(opened))
    elif glued := GLUED.fullmatch(text):
        found = _completion(f"{OPEN}\n", f"{glued['reasoning']}\n", f"\n{glued['answer']}")
    else:
        found = _marked(text, opened)
    return found if found.fault else replace(found, fault=_stray(found))


def asked_text(text: str) -> tuple[str, str | None]:
    """Return (a turn of user or system without the special tokens at its ends, one that is left inside it)."""
    leading = LEADING.match(text)
    text = text[leading.end() :] if leading else text
    if text.rstrip().endswith((">", "]")) and (trailing := ASKED_END.search(text, max(0, len(text) - EDGE_CHARS))):
        text = text if _ends_in_html(text, trailing) else text[: trailing.start()]
    left = next(Mentions(text).find(ROLE_TOKEN), None)
    return text, left and left[0]


def ends_opened(prompt: str) -> str:
    """Return a rendered prompt's end from the mark on with which it opens thinking; empty where it opens none."""
    end = ENDS_OPENED.search(prompt, max(0, len(prompt) - EDGE_CHARS))
    return end[0] if end else ""


def trimmed(text: str) -> str:
    """Return a text without the special tokens and role headers that stand around it."""
    if leading := LEADING.match(text):
        text = text[leading.end() :]
    while text.rstrip().endswith((">", "]")):
        trailing = TRAILING.search(text, max(0, len(text) - EDGE_CHARS))
        if trailing is None or _ends_in_html(text, trailing):
            break
        text = text[: trailing.start()]
    return text


def _spelled(text: str) -> str:
    """Return a text whose marks are escaped for HTML, or are headings, with `<think>` and `</think>` for them."""
    if "&lt;" in text and ESCAPED.match(text):
        return ESCAPED_MARK.sub(r"<\1>", text) if "<" in text else html.unescape(text)
    if "##" in text and (heading := HEADED.match(text)):
        end = HEADED_ANSWER.search(text, heading.end())
        rest = text[heading.end() : end.start()] + CLOSE + text[end.end() :] if end else text[heading.end() :]
        return f"{OPEN}\n{rest}"
    return text


def _left_open(text: str) -> bool:
    """Return whether the last block of a text never ends."""
    marks = Mentions(text)
    opened = max((found.end() for found in marks.find(BLOCK)), default=None)
    return opened is not None and BLOCK_END.search(text, opened) is None


def _ends_in_html(text: str, trailing: Match[str]) -> bool:
    """Return whether the end is `</s>` of a struck-out text."""
    return trailing[0].strip() == "</s>" and text.count("<s>") >= text.count("</s>")


def _marked(text: str, opened: bool | str) -> Completion:
    """Split a text at the marks that stand around its thinking."""
    text, opened = _without_empty_blocks(text, opened)
    start, before, closing = _opening(text, opened)
    if closing is None:
        return _without_opening(text)
    found = _closing(Mentions(text), closing, start)
    if found is None:
        return _unclosed(before, text[start:])
    if _REASONING.fullmatch(found[0]) and OWN_FORM.match(text, found.end()):
        return _plain(text)
    return _parts(text, start, before, found)


def _without_empty_blocks(text: str, opened: bool | str) -> tuple[str, bool | str]:
    """Return the text from its last block of thinking on, where empty ones come before it, and whether it is opened."""
    for _ in range(EMPTY_BLOCKS):
        start, _, closing = _opening(text, opened)
        found = closing and closing.match(text, _skip_blanks(text, start))
        rest = _after_closings(text, found.end()) if found else 0
        if not found or not OPENED.match(text, _skip_blanks(text, rest)):
            break
        text, opened = text[rest:], False
    return text, opened


def _without_opening(text: str) -> Completion:
    marks = Mentions(text)
    found = next(marks.find(CLOSED), None)
    if found is None:
        return _plain(text)
    split = _parts(text, 0, f"{OPEN}\n", found)
    late = next(marks.find(OPENED), found).start() < found.start()
    return replace(split, fault="text before the thinking" if late else None, lone=True)


def _skip_blanks(text: str, start: int) -> int:
    blanks = BLANKS.match(text, start)
    return blanks.end() if blanks else start


def _opening(text: str, opened: bool | str) -> tuple[int, str, Pattern[str] | None]:
    """Return (where the thinking starts, the text before it, the marks that may close it; None: it was not opened)."""
    start, mark = 0, None
    while found := ANY_OPENED.match(text, _skip_blanks(text, start)):
        start, mark = found.end(), found
        if found[0].startswith("<|channel>"):
            start += text.startswith("\n", start)
    if mark is not None:
        lead = "\n" if mark[0].startswith("<|channel>") else ""
        return start, OPEN + lead, family(mark[0])
    if not opened:
        return 0, "", None
    end = ENDS_OPENED.search(opened) if isinstance(opened, str) else None
    blanks = end[0][len(end[0].rstrip()) :] if end else ""
    if end is None and not text.startswith("\n"):
        blanks = "\n"
    return 0, OPEN + blanks, family(end[0].strip()) if end else CLOSED


def _closing(marks: Mentions, closing: Pattern[str], start: int) -> Match[str] | None:
    """Return the first mark of the family; else of any family; else one in a block of code that was left open."""
    for search in (marks.find(closing, start), marks.find(CLOSED, start), marks.in_fences(closing, start)):
        if found := next(search, None):
            return found
    return None


def _after_closings(text: str, end: int) -> int:
    """Return the end of doubled closing marks."""
    while found := CLOSED.match(text, _skip_blanks(text, end)):
        end = found.end()
    return end


def _parts(text: str, start: int, before: str, found: Match[str]) -> Completion:
    head, tail = text[start : found.start()], text[_after_closings(text, found.end()) :]
    if start == 0 and head.startswith("\n") and before == f"{OPEN}\n":
        before = OPEN  # a template's newline may be the one that the text shows
    return _completion(before, head, tail)


def _completion(before: str, head: str, tail: str) -> Completion:
    reasoning = head.strip("\n")
    lead = head[: len(head) - len(head.lstrip("\n"))]
    trail = head[len(lead) + len(reasoning) :]
    between, answer, after = _answer(tail)
    return Completion(reasoning, answer, (before + lead, f"{trail}{CLOSE}{between}", after))


def _answer(tail: str) -> tuple[str, str, str]:
    """Return (blanks before, answer, blanks after); marks around the answer are left out.

    A solution that never ends was cut: its opening mark stays, and so is a fault. A response has no such end: servers
    may stop at its closing mark.
    """
    blanks = ""
    closes = SOLUTION_CLOSE.search(tail, max(0, len(tail) - EDGE_CHARS)) if tail.rstrip().endswith(">") else None
    found = SOLUTION_OPEN.match(tail)
    if found and (closes or "solution" not in found[0].lower()):
        blanks, tail = tail[: len(tail) - len(tail.lstrip())], tail[found.end() :]
        closes = SOLUTION_CLOSE.search(tail, max(0, len(tail) - EDGE_CHARS)) if closes else None
    if closes:
        tail = tail[: closes.start()]
    answer = tail.strip()
    lead = tail[: len(tail) - len(tail.lstrip())] if answer else tail
    return blanks or lead, answer, tail[len(lead) + len(answer) :]


def _unclosed(before: str, text: str) -> Completion:
    reasoning = text.strip("\n")
    lead = text[: len(text) - len(text.lstrip("\n"))]
    return Completion(reasoning, "", (before + lead, text[len(lead) + len(reasoning) :], ""))


def _plain(text: str) -> Completion:
    before, answer, after = _answer(text)
    return Completion(None, answer, (before, "", after))


def _harmony(text: str, opened: bool) -> Completion:
    """Return the analysis and the final message of harmony; other channels and orders are faults."""
    headers = list(marks_in(HARMONY, text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    messages = [
        (each["channel"].lower(), HARMONY_END.sub("", text[each.end() : end]), each["to"] or "to=" in each["rest"])
        for each, end in zip(headers, ends, strict=True)
    ]
    if opening := HARMONY_END.sub("", text[: headers[0].start()]).strip():
        messages.insert(0, ("analysis" if opened or messages[0][0] == "final" else "text", opening, False))
    thoughts = [said for channel, said, _ in messages if channel == "analysis"]
    finals = [said for channel, said, _ in messages if channel == "final"]
    order = [channel for channel, _, _ in messages]
    reasoning = "\n".join(thought.strip("\n") for thought in thoughts) if thoughts else None
    fault = None
    if any(called for _, _, called in messages):
        fault = "a call of a tool"
    elif order != ["analysis"] * len(thoughts) + ["final"] * len(finals) or len(finals) > 1:
        fault = f"channels {' '.join(order)}"
    if reasoning is None:
        return replace(_plain("".join(finals)), fault=fault)
    if not finals:
        return replace(_unclosed(f"{OPEN}\n", reasoning), fault=fault)
    return replace(_completion(f"{OPEN}\n", f"{reasoning}\n", "\n" + finals[0].lstrip("\n")), fault=fault)


def _stray(found: Completion) -> str | None:
    """Return what is left of marks or special tokens inside the reasoning or the answer."""
    for place, text in (("reasoning", found.reasoning or ""), ("answer", found.answer)):
        marks = Mentions(text)
        if stray := next(marks.find(STRAY), None):
            what = "thinking mark" if OPENED.match(stray[0]) or CLOSED.match(stray[0]) else "special token"
            return f"a {what} inside the {place}: {stray[0][:40]}"
    return None
