"""The signature of a solution: its equations, in order, in one normalized spelling.

Rejection-sampling fine-tuning keeps one solution for each distinct list of equations (Yuan et al. 2023,
arXiv 2308.01825).
"""

import re
from collections.abc import Iterator

ANNOTATION = re.compile(r"<<([^<>\n]*=[^<>\n]*)>>")
SPELLINGS = [  # (signs without which the pattern cannot match, pattern, its replacement)
    (("frac",), re.compile(r"\\[dt]?frac\s?\{([^{}\n]*)\}\s?\{([^{}\n]*)\}"), r"(\1)/(\2)"),
    (("**",), re.compile(r"\*\*"), "^"),
    (("\\times", "\\cdot", *"\u00d7\u00b7\u22c5"), re.compile("\\\\(?:times|cdot)(?![a-z])|[\u00d7\u00b7\u22c5]"), "*"),
    (("\\div", "÷"), re.compile(r"\\div(?![a-z])|÷"), "/"),
    (
        ("\\", *"$€£"),
        re.compile(r"\\(?:left|right)(?![a-z])|\\(?:text|mathrm)\s?\{[^{}\n]*\}|\\[,!;: ()\[\]$%]|[$€£]"),
        "",
    ),
    (("{",), re.compile(r"\{"), "("),
    (("}",), re.compile(r"\}"), ")"),
    (("\u2212",), re.compile("\u2212"), "-"),
    ((",",), re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
]
FUNCTION = r"\\(?:sqrt|pi|sin|cos|tan|log|ln|exp|alpha|beta|theta)(?![a-z])"
TOKEN = re.compile(rf"(\s*)(\d+(?:\.\d+)?|\.\d+|{FUNCTION}|[^\W\d_]+|\S)")
OPERAND = re.compile(rf"\.?\d.*|{FUNCTION}|[^\W\d_]")
SYMBOLS = frozenset("-+*/^()=")
PARENTHESES = re.compile(r"(?<!\w)\((\d+|\d+\.\d+|[a-zA-Z])\)")


def solution_signature(text: str) -> tuple[str, ...]:
    """Return the normalized equations of a solution, those in GSM8K's `<<3*4=12>>` if any; empty if it has none."""
    return tuple(equations_in(text))


def equations_in(text: str) -> Iterator[str]:
    """Yield the equations of the signature one by one, each worked out when it is asked for."""
    annotated = ANNOTATION.findall(text) if "<<" in text else []
    for line in annotated or [line for line in text.splitlines() if "=" in line]:
        yield from equations(line)


class Signatures:
    """Signatures seen so far, as a tree of equations: a solution is read only up to where it leaves all of them."""

    def __init__(self) -> None:
        self.root = Node()

    def holds(self, text: str) -> bool:
        """Return whether a text with equations has the same signature as one that was added."""
        node, found = self.root, equations_in(text)
        for equation in found:
            node.unfold()
            if equation not in node.after:
                return False
            node = node.after[equation]
        if node is self.root:
            return False
        node.unfold()
        return node.ends

    def add(self, text: str) -> None:
        """Add the signature of a text; one without equations is like no other."""
        found = equations_in(text)
        if (first := next(found, None)) is not None:
            self.root.enter(first, found)


class Node:
    """The continuations of one beginning of signatures; a single continuation stays unread until it is compared."""

    def __init__(self) -> None:
        self.after: dict[str, Node] = {}
        self.ends = False
        self.waiting: list[Iterator[str]] = []

    def enter(self, equation: str, rest: Iterator[str]) -> None:
        """Add a signature that goes on with `equation` and then `rest`."""
        self.after.setdefault(equation, Node()).waiting.append(rest)

    def unfold(self) -> None:
        """Read one more equation of each signature that waits here."""
        waiting, self.waiting = self.waiting, []
        for rest in waiting:
            if (equation := next(rest, None)) is None:
                self.ends = True
            else:
                self.enter(equation, rest)


def equations(line: str) -> Iterator[str]:
    """Yield `3*4=12` for "that is $3 \\times 4 = 12.00$ eggs": runs of numbers, letters and signs around an `=`."""
    for needed, pattern, replacement in SPELLINGS:
        if any(sign in line for sign in needed):
            line = pattern.sub(replacement, line)
    run: list[str] = []
    for space, token in TOKEN.findall(line):
        is_operand = OPERAND.fullmatch(token) is not None
        if run and is_operand and space and run[-1] not in SYMBOLS - {")"}:  # spaced operands: words, not 3x
            yield from closed(run)
            run = []
        if is_operand:
            run.append(number(token))
        elif token in SYMBOLS:
            run.append(token)
        else:
            yield from closed(run)
            run = []
    yield from closed(run)


def closed(run: list[str]) -> Iterator[str]:
    """Yield the equation that a run of tokens makes up, if it is one."""
    sides = [side.strip("+*/^") for side in "".join(run).split("=")]
    sides = [PARENTHESES.sub(r"\1", side) for side in sides if any(character.isalnum() for character in side)]
    if len(sides) > 1:
        yield "=".join(sides)


def number(token: str) -> str:
    """Return 12.00 as 12 and .50 as 0.5; letters stay as they are."""
    if "." not in token:
        return token
    whole, _, decimals = token.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole or '0'}.{decimals}" if decimals else whole or "0"
