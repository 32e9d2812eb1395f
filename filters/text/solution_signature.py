"""The signature of a solution: its equations, in order, in one normalized spelling.

Rejection-sampling fine-tuning keeps one solution for each distinct list of equations (Yuan et al. 2023,
arXiv 2308.01825).
"""

import re
from collections.abc import Iterator

ANNOTATION = re.compile(r"<<([^<>\n]*=[^<>\n]*)>>")
SPELLINGS = [
    (re.compile(r"\\[dt]?frac\s?\{([^{}\n]*)\}\s?\{([^{}\n]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"\*\*"), "^"),
    (re.compile("\\\\(?:times|cdot)(?![a-z])|[\u00d7\u00b7\u22c5]"), "*"),
    (re.compile(r"\\div(?![a-z])|÷"), "/"),
    (re.compile(r"\\(?:left|right)(?![a-z])|\\(?:text|mathrm)\s?\{[^{}\n]*\}|\\[,!;: ()\[\]$%]|[$€£]"), ""),
    (re.compile(r"\{"), "("),
    (re.compile(r"\}"), ")"),
    (re.compile("\u2212"), "-"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
]
FUNCTION = r"\\(?:sqrt|pi|sin|cos|tan|log|ln|exp|alpha|beta|theta)(?![a-z])"
TOKEN = re.compile(rf"(\s*)(\d+(?:\.\d+)?|\.\d+|{FUNCTION}|[^\W\d_]+|\S)")
OPERAND = re.compile(rf"\.?\d.*|{FUNCTION}|[^\W\d_]")
SYMBOLS = frozenset("-+*/^()=")
PARENTHESES = re.compile(r"(?<!\w)\((\d+|\d+\.\d+|[a-zA-Z])\)")


def solution_signature(text: str) -> tuple[str, ...]:
    """Return the normalized equations of a solution, those in GSM8K's `<<3*4=12>>` if any; empty if it has none."""
    annotated = ANNOTATION.findall(text)
    lines = annotated or [line for line in text.splitlines() if "=" in line]
    return tuple(equation for line in lines for equation in equations(line))


def equations(line: str) -> Iterator[str]:
    """Yield `3*4=12` for "that is $3 \\times 4 = 12.00$ eggs": runs of numbers, letters and signs around an `=`."""
    for pattern, replacement in SPELLINGS:
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
