"""Answers outside the mathematics that is parsed: symbols of logic and geometry, ions, and a number among words.

They are compared as they are written, after differences of layout alone.
"""

import re
from fractions import Fraction

from filters.mathematics.reading.surface import plain
from filters.mathematics.reading.tokens import HIGH
from filters.mathematics.reading.words import WRAPPER

COMMANDS = {
    r"\to": ("→", r"\rightarrow", r"\longrightarrow"),
    r"\implies": ("⇒", r"\Rightarrow", r"\Longrightarrow"),
    r"\iff": ("⇔", r"\Leftrightarrow", r"\Longleftrightarrow"),
    r"\leftrightarrow": ("↔",),
    r"\neg": ("¬", r"\lnot"),
    r"\wedge": ("∧", r"\land"),
    r"\lor": ("\N{LOGICAL OR}", r"\vee"),
    r"\oplus": ("⊕",),
    r"\subseteq": ("⊆",),
    r"\subset": ("⊂",),
    r"\supset": ("⊃",),
    r"\parallel": ("∥", r"\|", "//"),
    r"\perp": ("⊥", r"\bot"),
    r"\cong": ("≅",),
    r"\forall": ("∀",),
    r"\exists": ("∃",),
}
SPELLING = {old: new for new, several in COMMANDS.items() for old in several}
OTHERS = re.compile(
    "|".join(sorted(re.escape(old) + (r"(?![A-Za-z])" if old[-1].isalpha() else "") for old in SPELLING))
)
SYMMETRIC = (r"\oplus", r"\parallel", r"\perp", r"\cong", r"\iff", r"\leftrightarrow")  # their sides may be swapped
LAYOUT = re.compile(r"\\(?:left|right|displaystyle|limits|q?quad)(?![A-Za-z])|\\[,;:! ]|[\s~$]")
NESTED = re.compile(
    r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it)|mbox|ce|operatorname)\*?\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
)
SINGLE = re.compile(r"\{(\w)\}")
RAISED = re.compile(f"[{''.join(HIGH)}]+")
ION = re.compile(r"(?<=[A-Za-z\d)])\^\{?(\d*)([+-])(\d*)\}?(?![\w{(])")
BLANK = re.compile(r"(?<![A-Za-z\d]) +| +(?![A-Za-z\d])")
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
SIGNS = {r"°|\^?\s*\{?\s*\\circ\s*\}?|\bdegrees?\b": "°", r"\\?%|\bpercent\b": "%", r"\\money|\\?\$|\bdollars?\b": "$"}
EMPTY = frozenset(("a", "an", "the", "of", "by", "at", "to", "is", "in"))
ENDING = re.compile(r"(?:ing|ed|es|e|s|d)$")
WORDS = re.compile(r"[A-Za-z]+")


def literal(text: str) -> str:
    """Return a text in one spelling of its symbols, without layout; blanks that part letters or digits stay."""
    text = plain(text)
    while (inner := NESTED.sub(r"\1", text)) != text:
        text = inner
    text = RAISED.sub(lambda match: "^{" + "".join(HIGH[character] for character in match[0]) + "}", text)
    text = OTHERS.sub(lambda match: f"{SPELLING[match[0]]} ", text)
    text = ION.sub(lambda match: f"^{{{match[1] or match[3]}{match[2]}}}", SINGLE.sub(r"\1", LAYOUT.sub(" ", text)))
    return in_order(BLANK.sub("", " ".join(text.split())))


def in_order(text: str) -> str:
    """Return a single symmetric relation with its sides in alphabetical order."""
    for sign in SYMMETRIC:
        sides = text.split(sign)
        if len(sides) == 2 and not any("\\" in side for side in sides):
            return sign.join(sorted(side.strip() for side in sides))
    return text


def worded(text: str) -> tuple[Fraction, str, tuple[str, ...]] | None:
    """Return number, sign and words of "20% increase" or "profit of $20"; None for any other text.

    The words keep their order, without those that say nothing: 30° north of east is not 30° east of north.
    """
    text = plain(text)
    while (inner := WRAPPER.sub(r" \1 ", text)) != text:
        text = inner
    signs = ""
    for pattern, sign in SIGNS.items():
        text, found = re.subn(pattern, " ", text, flags=re.IGNORECASE)
        signs += sign * bool(found)
    text = LAYOUT.sub(" ", text)
    numbers = NUMBER.findall(text)
    words = tuple(ENDING.sub("", word.lower()) for word in WORDS.findall(text) if word.lower() not in EMPTY)
    rest = WORDS.sub("", NUMBER.sub("", text)).strip(" .,")
    if len(numbers) != 1 or not words or rest:
        return None
    return Fraction(numbers[0].replace(",", "")), signs, words
