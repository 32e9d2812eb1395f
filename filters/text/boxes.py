"""Boxes in a completion: where they are, and which of several make up one answer."""

import re

BRACES = re.compile(r"\\+f?box(?:ed)?\s*\{|\\.|[{}]", re.DOTALL)
BARE = re.compile(r"\\boxed\s*(-?\d[\d.,/]*(?<![.,])|[A-Za-z])(?![A-Za-z{])")
ESCAPED = re.compile(r"(\\boxed\{[^{}\\]+)\\\}")
# Contents of a box that only repeats what the prompt asked for.
PLACEHOLDER = re.compile(
    r"(?:\\text\s*\{)?\s*(?:(?:your\s+|the\s+|final\s+)*answer(?:\s+here)?|\.\.\.|…|\\l?dots|\\cdots|_+|\\ )?\s*\}?",
    re.IGNORECASE,
)
LABEL = re.compile(r"(?:^|[\s$(,;]|\\[(\[])((?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?(?:\([A-Za-z\d]+\))?)\s*=\s*[\s$]*$")
LABEL_CHARS = 20
SIGNS = r"(?:[\s$,;.&]|\\[,;: ()\[\]]|\\q?quad|and|or|\\(?:text|mathrm)\s*\{\s*(?:,|and|or)*\s*\})*"
BULLET = r"(?:\n\s*(?:[-*•]|\d{1,2}[.)]|\(?[a-hivx\d]{1,3}\))\s*)?"
NAMED = r"(?:(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?(?:\([A-Za-z\d]+\))?\s*=\s*)?"
# Text that may stand between two boxes of one answer: signs, blanks, `and`, `or`, a bullet, a label such as `y =`.
LINK = re.compile(rf"{SIGNS}{BULLET}{SIGNS}{NAMED}{SIGNS}")
EQUAL = re.compile(
    r"[\s$]*(?:(?:=|≈|\\approx|\\simeq)|,?\s*(?:or\s+)?(?:equivalently|i\.e\.,?|that\s+is,?|which\s+is|which\s+equals))\s*[\s$]*"
)
TAKEN_BACK = re.compile(
    r"\b(?:no|not|wait|but|actually|rather|instead|mistake|correct\w*|wrong|check\w*|finally|in\s+the\s+end|so|thus|hence|therefore)\b",
    re.IGNORECASE,
)
LINK_CHARS = 60
PROSE_CHARS = 80


def with_braces(text: str) -> str:
    """Return the text with `\\boxed5`, `\\boxed 5` and `\\boxed{5\\}` as `\\boxed{5}`."""
    return ESCAPED.sub(r"\1}", BARE.sub(r"\\boxed{\1}", text)) if "boxed" in text else text


def boxed(text: str) -> list[str]:
    """Return the contents of every `\\boxed{}` whose brace is closed, in order; only the outermost of nested boxes."""
    return [text[start:end].strip() for _, start, end in box_places(text)]


def box_places(text: str) -> list[tuple[int, int, int]]:
    """Return (start of the command, start of the contents, end of the contents) of each box with an answer in it."""
    first = text.find("box")
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
        elif "box" in token:
            opened.append((match.start(), match.end()))
    return [place for place in found if not is_placeholder(text[place[1] : place[2]])]


def is_placeholder(contents: str) -> bool:
    """Return whether a box is empty or holds a word for the answer in its place."""
    return len(contents) < 40 and PLACEHOLDER.fullmatch(contents.strip()) is not None


def joined_boxes(text: str) -> str | None:
    """Return the last boxes as one answer if only signs part them: a list, or an equation if they are called equal.

    A label before a box belongs to it: `x = [3], y = [4]`. None if the last box stands alone.
    """
    places = box_places(text)
    if len(places) > 1 and EQUAL.fullmatch(gap := between(text, *places[-2:])):
        sign = r" \approx " if "approx" in gap or "≈" in gap else " = "
        return sign.join(text[start:end].strip() for _, start, end in places[-2:])
    first = len(places) - 1
    while first > 0 and is_link(between(text, places[first - 1], places[first])):
        first -= 1
    contents = [with_label(text, place) for place in places[first:]]
    again = len(contents) > 1 and len(set(contents)) == 1  # one answer, boxed several times
    link = (
        " or "
        if again
        or any(
            re.search(r"\bor\b", between(text, *pair))
            for pair in zip(places[first:], places[first + 1 :], strict=False)
        )
        else ", "
    )
    return link.join(contents) if len(contents) > 1 else None


def separate_boxes(text: str) -> tuple[str, ...]:
    """Return the last boxes if short prose parts them: "the length is [12] and the area is [30]", parts (a) and (b)."""
    places = box_places(text)
    first = len(places) - 1
    while first > 0 and is_prose_link(between(text, places[first - 1], places[first])):
        first -= 1
    found = [text[start:end].strip() for _, start, end in places[first:]]
    return tuple(found) if len(found) > 1 else ()


def between(text: str, one: tuple[int, int, int], other: tuple[int, int, int]) -> str:
    return text[one[2] + 1 : other[0]]


def is_link(gap: str) -> bool:
    """Return whether the text between two boxes makes them one answer."""
    return len(gap) <= LINK_CHARS and LINK.fullmatch(gap) is not None


def is_prose_link(gap: str) -> bool:
    """Return whether the text between two boxes may go on to the next part of one answer."""
    return len(gap) <= PROSE_CHARS and TAKEN_BACK.search(gap) is None and EQUAL.fullmatch(gap) is None


def with_label(text: str, place: tuple[int, int, int]) -> str:
    """Return the contents of a box after the label that stands right before it."""
    start, inner, end = place
    label = LABEL.search(text, max(0, start - LABEL_CHARS), start)
    contents = text[inner:end].strip()
    return f"{label[1]} = {contents}" if label and "=" not in contents else contents
