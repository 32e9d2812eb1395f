"""Formulas around a box: a box that is only a part of a formula, such as -[8] or [8]^2, is not the answer."""

# ruff: noqa: E501  (patterns, one alternative a line)

import re

BEFORE_CHARS, AFTER_CHARS = 200, 200
OPEN_FORMULA = re.compile(
    r"(?:[-+*/^_\u00b1\u00d7\u00f7\u221a\u2212]|\\(?:pm|mp|cdot|times|div|sqrt|sin|cos|tan|log|ln)|\\(?:sqrt|[dt]?(?:frac|binom))(?:\[\d+\])?(?:\{[^{}]*\})?\{|\\(?:pi|theta|alpha|beta|phi|lfloor|lceil)|\\[dt]?frac|\\not|\d|\\cancel\w*\{|\\sout\{|[\^_]\{|(?<![^\W\d_])(?<![\\'\u2019])[a-z])(?:\\left)?\(?\s*$"
    r"|(?<![\w.])0\.$"
)
FORMULA_BEGINS = re.compile(r"\$|\\[(\[]|\n|\\begin\{[a-z]+\*?\}")
GOES_ON = re.compile(
    r"(?:\\[,;: ]|\s)*(?:\^(?!\s*\{?\s*(?:\\circ|\\degree|\\prime|\u00b0))|_|!(?!\s*(?:$|\n))|[+*/\u00b1\u00d7\u00f7](?!\s*(?:$|\n|\*))|-\s*[\d\\A-Za-z]"
    r"|\\(?:pm|mp|cdot|times|div|sqrt|pi|sin|cos|[dt]?frac|left|neq?|leq?|geq?|lt|gt)(?![a-z])(?!\s*\\text)(?!\s*10\s*\^)|[<>\u2264\u2265\u2260](?![|/])|\\not)"
    r"|[|)\s]+(?:[<>\u2264\u2265]|\\[lg](?:eq?|t)(?![a-z]))\s*[\w\\-]|\.\d|:?\d|[a-z]\s*[-+=*/^]"
)
FACTOR = re.compile(r"(?:\\[,;: ])?[a-zA-Z](?![A-Za-z])(?<![mgsNJVWKCLhAF])|\{?\(|\d")
NO_FORMULA = re.compile(r"[A-Za-z]{2}\s+[a-z]\s*$|^\s*[-*+]\s*$|\s[-*+]\s+$|(?:^|\s)\d\s*$")  # a bullet, or an article
IN_FORMULA = re.compile(r"^[^\n$]*(?:\$|\\[)\]])")
OPENING = re.compile(r"\$|\\[(\[]")
GROUP_OPENS, GROUP_CLOSES = re.compile(r"[(\[]|\\\{|\\langle"), re.compile(r"[)\]]|\\\}|\\rangle")
SEPARATOR = re.compile(r"\s*(?:\\[,;: ]\s*)?[,;]")


def within_formula(text: str, start: int, end: int) -> bool:
    """Return whether a box is a part of a formula, such as -[8] or [8]^2, and so not the answer itself."""
    before = FORMULA_BEGINS.split(shown := text[max(0, start - BEFORE_CHARS) : start])[-1]
    inside = "$" not in text[end : end + 1]
    after = text[end : end + AFTER_CHARS]
    if before.strip() and OPEN_FORMULA.search(before.rstrip(" ")) and not before.rstrip().endswith(("\\$", "**", "__")):
        in_line = not shown.removesuffix(before).endswith(("$", "(", "[", "}"))
        return "\\" in before or not (in_line and NO_FORMULA.search(before))
    if GOES_ON.match(after) or in_group(text, start, after):
        return True
    return inside and IN_FORMULA.match(after) is not None and FACTOR.match(after) is not None


def in_group(text: str, start: int, after: str) -> bool:
    """Return whether a box is one of several elements in brackets, such as ([8], 3), within a formula."""
    paragraph = text[text.rfind("\n\n", 0, start) + 1 : start]
    begins = list(OPENING.finditer(paragraph.replace("\\$", "  ")))
    dollars = sum(match.group() == "$" for match in begins)
    if not begins or (begins[-1].group() == "$" and dollars % 2 == 0):
        return False
    before = paragraph[begins[-1].end() :]
    opened = len(GROUP_OPENS.findall(before)) - len(GROUP_CLOSES.findall(before))
    return opened > 0 and (SEPARATOR.match(after) is not None or SEPARATOR.search(before) is not None)
