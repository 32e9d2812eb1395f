"""Detection of damaged reference answers in mathematics, by the kinds of damage that data sets are known to have."""

import re
from collections.abc import Iterator

from filters.mathematics.expressions import Sequence, Words
from filters.mathematics.reading.parser import read_answer
from filters.mathematics.reading.tokens import Unreadable

# pattern -> what a match says about the text
DAMAGE = {
    re.compile("\N{REPLACEMENT CHARACTER}"): "holds a character that was lost in an encoding",
    re.compile(r"&(?:lt|gt|amp|nbsp|quot);"): "holds HTML entities",
    re.compile(r"\\\\[a-z]{3,}"): "holds doubled backslashes",
    re.compile(r"\\(?:frac|sqrt|text|binom)\s*(?:\{[^{}]*\})?\s*\{\s*\}|^\s*[\^_]|[\^_]\s*$|\(\s*\)"): "lacks a part",
    re.compile(r"\\[dt]?frac\s*(?:\{[^{}]*\}|\d)\s*(?:\{\s*0+(?:\.0*)?\s*\}|0)|/\s*0+(?:\.0*)?\s*$"): "divides by zero",
    re.compile(r"\d\.\d+\.\d"): "has two decimal points in one number",
    re.compile(r"\\(?:frac|sqrt|text|boxed)?$"): "ends within a command",
    re.compile(r"\\(?:alpha|beta|gamma|theta|lambda|omega|sigma|rho|zeta|pi)[A-Za-z]|[A-Za-z]{20}"): "lost its blanks",
    re.compile(
        "\t(?:ext|imes|an|heta)|\x0crac|\x08eta|\r(?:ight|ho)"
    ): "holds control characters that were LaTeX commands",
}
NO_VALUE = re.compile(r"[\W_]*(?:\\(?:text|mathrm)\W*)?(?:none|null|nil|nan|<na>|nat)[\W_]*", re.IGNORECASE)
PAIRS = {")": "([", "]": "[(", "}": "{"}
BRACKET = re.compile(r"\\[{}]|[()\[\]{}]")
DOLLAR = re.compile(r"(?<!\\)\$")


def defects(reference: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, what is wrong) for a bare reference answer; kinds as in filters.check_references."""
    if NO_VALUE.fullmatch(reference):
        yield "empty", "it is a word of programs for no value"
        return
    for pattern, what in DAMAGE.items():
        if pattern.search(reference):
            yield "mangled", f"it {what}"
    if not balanced(reference):
        yield "mangled", "its brackets do not close"
    if len(DOLLAR.findall(reference)) % 2:
        yield "mangled", "its dollars do not close"
    try:
        value = read_answer(reference)
    except Unreadable:
        return  # Math-Verify may still parse it, which shows once an answer is judged
    if isinstance(value, Words) and len(value.text.split()) > 6:
        yield "unparsable", "it is a sentence, not an answer"
    if isinstance(value, Sequence) and value.brackets in ("", "{}") and len(value.items) > 1:
        yield "multi-valued", f"it has {len(value.items)} values, and an answer must have as many"


def balanced(text: str) -> bool:
    """Return whether every bracket closes; half-open intervals such as [0, 1) count as balanced."""
    opened: list[str] = []
    for bracket in BRACKET.findall(text):
        bracket = bracket[-1]
        if bracket not in PAIRS:
            opened.append(bracket)
        elif not opened or opened.pop() not in PAIRS[bracket]:
            return False
    return not opened
