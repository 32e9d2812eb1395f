"""The signature of a solution: its equations, in order, in one normalized spelling.

Rejection-sampling fine-tuning keeps one solution for each distinct list of equations (Yuan et al. 2023,
arXiv 2308.01825).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

ANNOTATION = re.compile(r"<<([^<>\n]*=[^<>\n]*)>>")
SPELLINGS = [  # (sign without which the pattern cannot match, pattern, its replacement), in order
    ("frac", re.compile(r"\\[dt]?frac\s?\{([^{}\n]*)\}\s?\{([^{}\n]*)\}"), r"(\1)/(\2)"),
    ("**", None, "^"),
    ("\\", re.compile(r"\\(?:times|cdot)(?![a-z])"), "*"),
    *((sign, None, "*") for sign in "\u00d7\u00b7\u22c5"),
    ("\\div", re.compile(r"\\div(?![a-z])"), "/"),
    ("÷", None, "/"),
    ("\\", re.compile(r"\\(?:left|right)(?![a-z])|\\(?:text|mathrm)\s?\{[^{}\n]*\}|\\[,!;: ()\[\]$%]"), ""),
    *((sign, None, "") for sign in "$€£"),
    ("{", None, "("),
    ("}", None, ")"),
    ("\u2212", None, "-"),
    (",", re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
]
FUNCTION = r"\\(?:sqrt|pi|sin|cos|tan|log|ln|exp|alpha|beta|theta)(?![a-z])"
TOKEN = re.compile(rf"(\s*)(\d+(?:\.\d+)?|\.\d+|{FUNCTION}|[^\W\d_]+|\S)")
OPERAND = re.compile(rf"\.?\d.*|{FUNCTION}|[^\W\d_]")
SYMBOLS = frozenset("-+*/^()=")
OPERATORS = SYMBOLS - {")"}
# Where every run of an equation ends: at other signs, and at words, unless they are a function's name.
ENDS_RUN = re.compile(r"[^\w\s.\\\-+*/^()=]+")
WORD = re.compile(r"(?<!\\)(?<![^\W\d_])[^\W\d_]{2,}")
PARENTHESES = re.compile(r"(?<!\w)\((\d+|\d+\.\d+|[a-zA-Z])\)")


def solution_signature(text: str) -> tuple[str, ...]:
    """Return the normalized equations of a solution, those in GSM8K's `<<3*4=12>>` if any; empty if it has none."""
    return tuple(equations_in(text))


def equations_in(text: str) -> Iterator[str]:
    """Yield the equations of the signature one by one, each worked out when it is asked for."""
    annotated = ANNOTATION.findall(text) if "<<" in text else []
    for line in annotated or lines_with_equals(text):
        yield from equations(line)


def lines_with_equals(text: str) -> Iterator[str]:
    """Yield the lines that contain an equals sign; the text is read only up to the line that is asked for."""
    place = text.find("=")
    while place >= 0:
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield from (line for line in text[text.rfind("\n", 0, place) + 1 : end].splitlines() if "=" in line)
        place = text.find("=", end)


class Solution:
    """A text with the equations of it that were read so far."""

    def __init__(self, text: str) -> None:
        self.read: list[str] = []
        self.rest = equations_in(text)

    def equation(self, index: int) -> str | None:
        """Return the equation at `index`, reading no further than that; None behind the last one."""
        while len(self.read) <= index:
            following = next(self.rest, None)
            if following is None:
                return None
            self.read.append(following)
        return self.read[index]


class Signatures:
    """Signatures seen so far, as a tree of equations: a solution is read only up to where it leaves all of them."""

    def __init__(self) -> None:
        self.root = Node()

    def holds(self, solution: Solution) -> bool:
        """Return whether a solution with equations has the same signature as one that was added."""
        node, depth = self.root, 0
        while node.unfold(depth):
            equation = solution.equation(depth)
            if equation is None:
                return node.ends and depth > 0
            if equation not in node.after:
                return False
            node, depth = node.after[equation], depth + 1
        return depth > 0 and node.ends and solution.equation(depth) is None

    def add(self, solution: Solution) -> None:
        """Add the signature of a solution; one without equations is like no other."""
        self.root.waiting.append(solution)


class Node:
    """The continuations of one beginning of signatures; a solution stays unread here until it is compared."""

    def __init__(self) -> None:
        self.after: dict[str, Node] = {}
        self.ends = False
        self.waiting: list[Solution] = []

    def unfold(self, depth: int) -> bool:
        """Read equation number `depth` of each solution that waits here; return whether any goes on."""
        for solution in self.waiting:
            equation = solution.equation(depth)
            if equation is None:
                self.ends = True
            else:
                self.after.setdefault(equation, Node()).waiting.append(solution)
        self.waiting = []
        return bool(self.after)


def equations(line: str) -> Iterator[str]:
    """Yield `3*4=12` for "that is $3 \\times 4 = 12.00$ eggs": runs of numbers, letters and signs around an `=`."""
    for needed, pattern, replacement in SPELLINGS:
        if needed in line:
            line = pattern.sub(replacement, line) if pattern else line.replace(needed, replacement)
    for stretch in ENDS_RUN.split(line):
        if "=" in stretch:
            for part in WORD.split(stretch):
                if "=" in part:
                    yield from equations_of(part)


def equations_of(part: str) -> Iterator[str]:
    """Yield the equations of a part of a line; no run goes on beyond it."""
    run: list[str] = []
    for space, token in TOKEN.findall(part):
        operand = operand_of(token)
        if run and operand and space and run[-1] not in OPERATORS:  # spaced operands: words, not 3x
            yield from closed(run)
            run = []
        if operand:
            run.append(operand)
        elif token in SYMBOLS:
            run.append(token)
        else:
            yield from closed(run)
            run = []
    yield from closed(run)


def closed(run: list[str]) -> Iterator[str]:
    """Yield the equation that a run of tokens makes up, if it is one."""
    if "=" not in run:
        return
    sides = [side.strip("+*/^") for side in "".join(run).split("=")]
    sides = [PARENTHESES.sub(r"\1", side) if "(" in side else side for side in sides if any(map(str.isalnum, side))]
    if len(sides) > 1:
        yield "=".join(sides)


@lru_cache(maxsize=1 << 14)
def operand_of(token: str) -> str | None:
    """Return a number, function or single letter in its normal form; None for another token."""
    return number(token) if OPERAND.fullmatch(token) else None


def number(token: str) -> str:
    """Return 12.00 as 12 and .50 as 0.5; letters stay as they are."""
    if "." not in token:
        return token
    whole, _, decimals = token.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole or '0'}.{decimals}" if decimals else whole or "0"
