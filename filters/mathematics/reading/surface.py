"""One spelling for the many ways to write the same answer: Unicode, Chinese, layout commands, environments.

Nothing here changes a value: blanks between digits stay, and what has no known meaning is left for the tokenizer to
reject.
"""

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

FRACTIONS = {
    character: f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
    for character in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
    for value in [Fraction(unicodedata.numeric(character)).limit_denominator(10)]
}
CHARACTERS = {
    **FRACTIONS,
    **dict.fromkeys("\u2010\u2011\u2012\u2013—―\u2212﹣", "-"),
    **dict.fromkeys("⟨〈", "("),
    **dict.fromkeys("⟩〉", ")"),
    **dict.fromkeys("\uff0c、", ", "),
    **dict.fromkeys("\uff1b", ";"),
    **dict.fromkeys("∠△▵", ""),
    "\u2223": "|",
    "\u2044": "/",
    "\u211d": "\\mathbb{R}",
    "\u2124": "\\mathbb{Z}",
    "\u2115": "\\mathbb{N}",
    "\u211a": "\\mathbb{Q}",
    "\u2102": "\\mathbb{C}",
    "∛": "\\sqrt[3]",
    "∜": "\\sqrt[4]",
    "∩": "\\cap ",
    "\u2216": "\\setminus ",
    "¥": "元",
    "℃": "°C",
    "¢": "\\text{ cents}",
    **{mark: f"\\{name} " for mark, name in zip("⌊⌋⌈⌉", ("lfloor", "rfloor", "lceil", "rceil"), strict=True)},
    "\u2032": "'",
    "\u2019": "'",
    **dict.fromkeys("\u03a9\u2126", "\\Omega "),
}
LINK_WORDS = {
    re.compile(r"\s*(?:或者|或)\s*"): " or ",
    re.compile(r"\s*(?:和|与|以及|及|且)\s*"): " and ",
}
CURRENCY = re.compile(r"\\(?:text|mathrm)\s*\{\s*([€£₹¥])\s*\}")
CURRENCY_AFTER = re.compile(r"(?<=\d)\s*([€£₹])(?!\s*\d)")
YEN = re.compile(r"[\u00a5\uffe5]\s*(\d[\d.,]*(?<![.,]))")
CIRCLED = re.compile(r"[①-⑳](?:\s*[①-⑳])+")
REPEATING = re.compile(
    r"(\d*)\.(\d*)(?:\\overline\s*\{(\d+)\}|\\overline\s*(\d)|((?:\\dot\s*\{?\d\}?)+)|((?:\\dot\s*\{?\d\}?)\d*\\dot\s*\{?\d\}?)"
    r"|\((\d+)\)(?![\d^]))"
)
# 0.333... and 0.4545...: one digit three times, or several digits twice, and an ellipsis
GOING_ON = re.compile(r"(?<![\d.])(\d*)\.(\d*?)(?:(\d)\3{2,}|(\d{2,6}?)\4+)\s*(?:\\l?dots|\\cdots|\.\.\.)")
COLORED = re.compile(r"\\(?:text)?color(?:box)?\s*\{[^{}]*\}\s*|\\(?:h?phantom|vphantom|label|tag)\*?\s*\{[^{}]*\}")
FRAMES = re.compile(
    r"\\(?:f?boxed|fbox|framebox|mathbf|boldsymbol|bm|displaystyle|textstyle|num)(?=\s*\{)"
    r"|\\u(?:nder)?line(?!\s*\{\s*[A-Za-z]\s*\})(?=\s*\{)"
)
SIGNED_INFINITY = re.compile(r"\\text\s*\{\s*(negative|minus|positive|plus)\s+infinity\s*\}", re.IGNORECASE)
OHMS = re.compile(
    r"(?<=[\d}])\s*(?:\\[,;: ]|~)*\s*(?:\\(?:text|mathrm)\s*\{\s*([kMmG])\s*\}|([kMmG]))?\s*\\Omega(?![A-Za-z_^])"
)
PRIME = r"(?:'|\^\s*\{?\s*\\prime\s*\}?)"
PART = re.compile(r"(?<![A-Za-z\d)}])(?:\\text\s*\{\s*)?\(([a-h])\)\s*(?:\}\s*)?")
MINUTES = re.compile(
    r"(\d+)\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)\s*(\d+(?:\.\d+)?)\s*" + PRIME + r"(?!')(?:\s*(\d+(?:\.\d+)?)\s*(?:''|\"))?"
)
MICRO = re.compile(r"\\mu\s*(?:\\[,;:! ]\s*)?(\\(?:text|mathrm|rm)\s*\{)\s*(?=[A-Z]|[mgsl](?![A-Za-z]))")
OVER = re.compile(r"\{([^{}]*?)\\over(?![a-z])([^{}]*)\}")
CHOSEN = re.compile(r"\{([^{}]*?)\\choose(?![a-z])([^{}]*)\}")
SIUNITX = re.compile(r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}\\]*)\}")
UNIT_FRACTION = re.compile(
    r"\\frac\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}\s*\}\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}\s*\}"
)
NESTED_UNIT = re.compile(r"\\(?:mathrm|text|rm)\s*\{(?:[^{}]|\^\{-?\d\})*\^\{-?\d\}(?:[^{}]|\^\{-?\d\})*\}")
UNIT_POWER = re.compile(r"\^\{(-?\d)\}")
MARKS = re.compile(
    r"\\(?:checkmark|square|blacksquare|qed|triangle|angle|measuredangle|odot|bigtriangleup)(?![A-Za-z])|[✓✔✅∎□■]"
)
ENVIRONMENT = re.compile(
    r"\\begin\{(aligned|align|align\*|gathered|gather|split|equation|equation\*|cases|array)\}(?:\{[lcr|\s]*\})?"
    r"(.*)\\end\{\1\}",
    re.DOTALL,
)
ROWS = re.compile(r"\s*\\\\(?:\[[^\]]*\])?\s*")
COMMA_CELL = re.compile(r"\s*,\s*&")
ALIGNED = re.compile(r"&\s*(?==|<|>|\\[lg]e|\\approx|\\text\{\s*(?:and|or)\s*\})|(?<==)\s*&")
ANSWER = re.compile(
    r"(?:\\(?:text|textbf|mathrm)\s*\{\s*)?(?:so\s+|thus,?\s+|therefore,?\s+|hence,?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?"
    r"answers?\b(?:\s*(?:is|are)\b\s*:?|\s*[:=\uff1a])\s*(?:\}\s*)?(?=\S)|(?:答案|答)(?:是|为|\uff1a|:)\s*(?=\S)",
    re.IGNORECASE,
)
BOLD = re.compile(r"(\*\*|__|`+|\*)(?=[^*`_\s])(.*[^*`_\s])\1", re.DOTALL)
ORDINAL = re.compile(
    r"(?<![\d.])(\d+)\s*(?:\^\s*)?((?:\{\s*)?(?:\\(?:text|mathrm|textsuperscript)\s*\{)?)(st|nd|rd|th)\b((?:\s*\}){0,2})"
)
ORDINAL_ENDS = {"1": "st", "2": "nd", "3": "rd"}
DAYTIME = re.compile(r"(?<=[\d\s{~])([ap])\.?\s?m\b\.?(?!\w|/)", re.IGNORECASE)
MONEY = re.compile(r"\\?\\\$\s*(?=[-+]?[\d.])|\\text\s*\{\s*\\?\$\s*\}\s*(?=[-+]?[\d.])")
LONE_DOLLAR = re.compile(r"([-+]?)\$\s*([\d.][^$]*)")
LEFTOVER = re.compile(r"\\\$")
EQUAL_WORDS = re.compile(
    r"(?:[,(\s]|\\[,;: ])*(?:\\text\s*\{\s*\(?)?\s*(?<![A-Za-z])"
    r"(?:is\s+equal\s+to|equals|(?:or\s+)?equivalently|i\.e\.|that\s+is)[,:]?\s*(?:\}\s*)?(?=[^\s)}])"
)
GLUED = re.compile(r"(?<=[\d)])(or|and)(?=[A-Z(\\])")
POINT = re.compile(r"(?:(?<=[(\[])|(?<=\\\{))\s*[-+]?\d+(?:\s*,\s*[-+]?\d+)+\s*(?=(?:\\right\s*)?\\?[)\]}])")
TAIL = re.compile(r"(?:\\+|[\s,;:]|(?<!\.)\.|。)+$")
DOUBLED = re.compile(r"\\\\(?=(?:[dt]?frac|left|right|sqrt|text|infty|le|ge|pi|boxed|cup|in)(?![a-z]))")


def plain(text: str) -> str:
    """Return the text in the spelling that the tokenizer reads."""
    if not text.isascii():
        text = ascii_form(text)
    if "\\" in text:
        text = without_layout(text)
    text = unwrapped(text)
    if "(a)" in text and "(b)" in text:
        text = with_part_labels(text)
    if "'" in text or "\\prime" in text:
        text = MINUTES.sub(in_degrees, text)
    if "\\Omega" in text:
        text = OHMS.sub(lambda match: f"\\text{{ {match[1] or match[2] or ''}\N{OHM SIGN}}}", text)
    if "." in text and ("\\" in text or "(" in text or "..." in text):
        text = REPEATING.sub(repeating, GOING_ON.sub(going_on, text))
    if "m" in text or "M" in text:
        text = DAYTIME.sub(lambda match: f"{match[1].lower()}m", text)
    if "$" in text:
        text = with_money(text)
    if "or" in text or "and" in text:
        text = GLUED.sub(r" \1 ", text)
    if "," in text:  # (45,135) is a point, no number in brackets
        text = POINT.sub(lambda match: match[0].replace(",", ", "), text)
    if EQUAL_WORDS.search(text, 1):
        text = with_equal_signs(text)
    return ORDINAL.sub(ordinal, text)


def ascii_form(text: str) -> str:
    """Return the text with Unicode digits, fractions, dashes and Chinese links in the form that is read further on."""
    text = YEN.sub(r"\1元", CURRENCY.sub(r"\1", text))
    text = CIRCLED.sub(lambda match: ",".join(match[0].replace(" ", "")), text)
    if re.search(r"[0-9A-Za-z①-⑳]", text):
        for pattern, link in LINK_WORDS.items():
            text = pattern.sub(link, text)
    return CURRENCY_AFTER.sub(r"\\text{\1}", "".join(map(spelling, text)))


@lru_cache(maxsize=4096)
def spelling(character: str) -> str:
    """Return one character's usual spelling; digits of any script become ASCII digits."""
    if character in CHARACTERS:
        return CHARACTERS[character]
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    if "\U0001d400" <= character <= "\U0001d7ff":  # mathematical letters
        return unicodedata.normalize("NFKC", character)
    return " " if unicodedata.category(character) == "Zs" else character


def without_layout(text: str) -> str:
    """Return LaTeX without colors, frames, check marks and environments that only arrange lines."""
    text = SIGNED_INFINITY.sub(signed_infinity, text.replace("\\pounds", "£"))
    text = DOUBLED.sub(r"\\", text)
    text = FRAMES.sub("", MARKS.sub("", COLORED.sub("", text)))
    text = CHOSEN.sub(r"\\binom{\1}{\2}", SIUNITX.sub(r"\1\\text{ \2}", text))
    text = MICRO.sub("\\1\N{MICRO SIGN}", text)
    text = OVER.sub(r"\\frac{\1}{\2}", text)
    text = UNIT_FRACTION.sub(r"\\text{\1/\2}", text)
    text = NESTED_UNIT.sub(lambda match: UNIT_POWER.sub(r"^\1", match[0]), text)
    text = text.replace("\\langle", "(").replace("\\rangle", ")")
    match = ENVIRONMENT.fullmatch(text.strip(" $\n"))
    return lines(match[1], match[2]) if match and "\\begin" not in match[2] else text


def signed_infinity(match: re.Match[str]) -> str:
    """Return infinity in words with its sign."""
    return "-\\infty" if match[1].lower() in ("negative", "minus") else "\\infty"


def lines(environment: str, content: str) -> str:
    """Return the rows of `cases`, `aligned` and the like as a list; rows with conditions stay a table."""
    rows = [COMMA_CELL.sub(" &", row) for row in ROWS.split(ALIGNED.sub("", content).strip()) if row]
    if environment == "array" or (environment == "cases" and any("&" in row for row in rows)):
        return "\\begin{matrix}" + r" \\ ".join(rows) + "\\end{matrix}"
    rows = [row.strip(" ,;").removeprefix("&") for row in rows]
    if all(row.lstrip("& ").startswith("=") for row in rows[1:]):
        return " ".join(row.replace("&", " ") for row in rows)
    return ", ".join(row.replace("&", " ") for row in rows)


def unwrapped(text: str) -> str:
    """Return the text without bold marks around it, "the answer is" before it and punctuation after it."""
    text = text.strip()
    if match := ANSWER.match(text):
        rest = text[match.end() :]
        text = rest.replace("}", "", 1) if match[0].count("{") > match[0].count("}") else rest
    bold = BOLD.fullmatch(text)
    text = bold[2] if bold and bold[1] not in bold[2] else text
    return TAIL.sub("", text).strip()


def going_on(match: re.Match[str]) -> str:
    """Return 0.333... as 0.\\overline{3}."""
    return f"{match[1]}.{match[2]}\\overline{{{match[3] or match[4]}}}"


def repeating(match: re.Match[str]) -> str:
    """Return a repeating decimal as a fraction."""
    whole, start, *blocks = match.groups()
    block = "".join(re.findall(r"\d", next(block for block in blocks if block)))
    scale = 10 ** len(start)
    value = Fraction(int(f"{whole}{start}" or "0"), scale) + Fraction(int(block), scale * (10 ** len(block) - 1))
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def with_part_labels(text: str) -> str:
    """Return `(a) 3, (b) 5` with its parts as labels; any other text as it is."""
    found = list(PART.finditer(text))
    names = "".join(match[1] for match in found)
    if len(found) < 2 or found[0].start() or names != "abcdefgh"[: len(names)]:
        return text
    ends = [*(match.start() for match in found[1:]), len(text)]
    parts = [text[match.end() : end].strip(" ,;") for match, end in zip(found, ends, strict=True)]
    if not all(parts):
        return text
    return ", ".join(f"\\text{{part {name}}} = {part}" for name, part in zip(names, parts, strict=True))


def in_degrees(match: re.Match[str]) -> str:
    """Return degrees, minutes and seconds as degrees alone: 45° 30' is 91/2 degrees."""
    value = Fraction(match[1]) + Fraction(match[2]) / 60 + Fraction(match[3] or 0) / 3600
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}^\\circ"


def with_equal_signs(text: str) -> str:
    """Return the text with `i.e.`, `equals` and `or equivalently` as equal signs."""
    found = EQUAL_WORDS.sub(" = ", text)
    return found.removesuffix(")") if found.count(")") > found.count("(") else found


def ordinal(match: re.Match[str]) -> str:
    """Return 6 for 6th; what is no ordinal, such as 6st, stays."""
    digits, opened, end, closed = match.groups()
    expected = "th" if digits[-2:-1] == "1" else ORDINAL_ENDS.get(digits[-1], "th")
    return digits + "}" * max(0, closed.count("}") - opened.count("{")) if end == expected else match[0]


def with_money(text: str) -> str:
    """Return the text with a dollar sign of money as `\\money`; dollars around formulas stay."""
    text = MONEY.sub(r"\\money ", text)
    if text.count("$") == 1:
        text = LONE_DOLLAR.sub(r"\1\\money \2", text) if LONE_DOLLAR.fullmatch(text) else text
    return LEFTOVER.sub("", text)
