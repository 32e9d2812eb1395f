"""The final answer must equal the reference, letter for letter, after normalizing spaces, width and case.

Emphasis, quotes, `\\text{}`, boxes and dollar signs around the whole answer do not count. Case does not count in words,
but it does in symbols such as CO and mW; superscripts are no digits (10² is not 102). A full stop behind a word does
not count.
"""

import re
from collections.abc import Iterator

from filters.text.final_answer import Answer, after_thinking, final_answer, never_ends
from filters.text.short_answer import normalized, unwrapped
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

NEEDS_REFERENCE = True  # imported rows without one have no verifier
STRUCK_OUT = re.compile(r"~~.+~~\.?", re.DOTALL)
STOPPED = re.compile(r"[^\W\d_][.\u3002]$")
RETRACTED = re.compile(
    r"(?:^|[.!?,;\n])\s*(?:actually|no|wait|sorry|correction|oops|hold\s+on|scratch|but|however|though|or|rather|i\s+mean"
    r"|unless|maybe|perhaps|if)\b",
    re.IGNORECASE,
)
REPLACED = re.compile(
    r"(?:^|[.!?}>\n])\W*(?:(?:actually|no|oops|sorry|correction|rather|on\s+second\s+thoughts?)\s*[,:]|i\s+mean[t]?\b)",
    re.IGNORECASE,
)
QUOTED = re.compile(r"([\"'])((?:(?!\1).)+)\1\.?|\u201c([^\u201c\u201d]+)\u201d\.?|(__?)([^_]+)\4\.?", re.DOTALL)


def verify(item: Item) -> Judgement:
    """Compare the contents of `\\boxed{}`, `<answer>` or `####`, else the whole answer or what "the answer is"."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    expected = set(readings(item.reference or ""))
    whole = after_thinking(item.answer).strip()
    struck = STRUCK_OUT.fullmatch((item.reference or "").strip()) is None
    if is_whole(item) and not (struck and STRUCK_OUT.search(whole)) and expected & set(readings(whole)):
        return correct(f"{whole[:80]!r} is the reference")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    if answer.denied:
        return unparseable("the text takes its answer back")
    said = list(candidates(answer))
    if struck and any(STRUCK_OUT.fullmatch(unwrapped(text)) for text in said):
        return unparseable("the answer is struck out")
    if not said:
        return unparseable("the text takes its answer back")
    if not (shown := normalized(unwrapped(said[0]))):
        return unparseable("no answer found")
    if found := next((text for text in said if expected & set(readings(text))), None):
        return correct(f"{found[:80]!r} is the reference")
    return wrong(f"got {shown[:80]!r}, reference {normalized(unwrapped(item.reference or ''))[:80]!r}")


def is_whole(item: Item) -> bool:
    """Return whether a completion has ended, so that all of its text may be the answer."""
    return item.finish_reason != "length" and not never_ends(after_thinking(item.answer))


def candidates(answer: Answer) -> Iterator[str]:
    """Yield the texts that may be the answer: the marked one alone, else the whole text and what it states."""
    if marked := answer.joined or answer.marked:
        if not REPLACED.search(answer.text.rpartition(answer.marked or "")[2]):
            yield marked
        return
    yield answer.text
    if answer.stated and not RETRACTED.search(answer.text.rpartition(answer.stated)[2]):
        yield answer.stated


def readings(text: str) -> Iterator[str]:
    """Yield the normal forms of a text: as it is, without quotes around it, without a full stop behind a word."""
    for said in dict.fromkeys((unwrapped(text), unquoted(text))):
        form = normalized(said)
        yield form
        if STOPPED.search(form):
            yield form[:-1]


def unquoted(text: str) -> str:
    """Return an answer without quotes or underscores around the whole of it."""
    quoted = QUOTED.fullmatch(unwrapped(text))
    return unwrapped(quoted[2] or quoted[3] or quoted[5]) if quoted else unwrapped(text)
