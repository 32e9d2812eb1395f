"""Tokenizer for LaTeX and plain mathematics; it drops mere layout."""

import re
from typing import NamedTuple
from unicodedata import lookup

from filters.mathematics.units import is_unit

MAX_TOKENS = 1000


class Unreadable(ValueError):
    """The text is outside the mathematics that is parsed here."""


class Token(NamedTuple):
    """A token; kind is number, name, word (adjacent letters), text (\\text{}), function, command, begin, end, sign."""

    kind: str
    text: str
    spaced: bool = False  # whether white space precedes it
    upright: bool = False  # a single letter in \\text{} or \\mathrm{}, as units are set


END = Token("end", "")
SIGNS = {
    **dict.fromkeys((r"\cdot", r"\ast", "·", "⋅", "\N{ASTERISK OPERATOR}"), "*"),
    **dict.fromkeys((r"\times", "\N{MULTIPLICATION SIGN}"), "\N{MULTIPLICATION SIGN}"),
    **dict.fromkeys((r"\div", "÷", "\N{DIVISION SLASH}"), "/"),
    **dict.fromkeys(("\N{MINUS SIGN}", "\N{EN DASH}"), "-"),
    **dict.fromkeys((r"\le", r"\leq", r"\leqslant", "≤", "⩽", "=<", r"\leslant"), "<="),
    **dict.fromkeys((r"\ge", r"\geq", r"\geqslant", "≥", "⩾", "=>", r"\geslant"), ">="),
    **dict.fromkeys((r"\ne", r"\neq", "≠", "\\not="), "!="),
    **dict.fromkeys((r"\lt",), "<"),
    **dict.fromkeys((r"\gt",), ">"),
    **dict.fromkeys((r"\approx", r"\simeq", "≈"), "~"),
    **dict.fromkeys((r"\equiv", "=="), "="),
    **dict.fromkeys((r"\in", "∈"), "in"),
    **dict.fromkeys((r"\cup", "\N{UNION}"), "cup"),
    **dict.fromkeys((r"\pm", "±"), "±"),
    **dict.fromkeys((r"\{", r"\lbrace"), "{set"),
    **dict.fromkeys((r"\}", r"\rbrace"), "set}"),
    **dict.fromkeys((r"\mid", r"\vert", r"\lvert", r"\rvert"), "|"),
    **dict.fromkeys((r"\colon", "\N{FULLWIDTH COLON}"), ":"),
    **dict.fromkeys((r"\circ", r"\degree", "°", r"\textdegree"), "°"),
    **dict.fromkeys((r"\%", r"\percent"), "%"),
    **dict.fromkeys((r"\cap", "\N{INTERSECTION}"), "cap"),
    **dict.fromkeys((r"\setminus", r"\backslash"), "setminus"),
    **dict.fromkeys((r"\land", r"\wedge", "and"), "and"),
    **dict.fromkeys((r"\vee", r"\lor", "or"), "or"),
    r"\money": "$",
    **{mark: mark for mark in (r"\lfloor", r"\rfloor", r"\lceil", r"\rceil", r"\sqrt", r"\frac", r"\binom")},
    **dict.fromkeys((r"\dfrac", r"\tfrac", r"\cfrac"), r"\frac"),
    **dict.fromkeys((r"\dbinom", r"\tbinom"), r"\binom"),
    **dict.fromkeys(("√", "sqrt"), r"\sqrt"),
    "**": "^",
    "\\\\": "row",
    ";": ",",
}
GREEK = "ALPHA BETA GAMMA DELTA EPSILON THETA LAMDA MU NU RHO SIGMA TAU PHI OMEGA"
NAMES = {
    **dict.fromkeys((r"\pi", "π", "pi"), "π"),
    **dict.fromkeys((r"\infty", "∞", "infty", "infinity", "inf", "oo"), "∞"),
    **dict.fromkeys((r"\emptyset", r"\varnothing", "∅"), "∅"),
    **dict.fromkeys((r"\imath",), "i"),
    **dict.fromkeys((r"\ldots", r"\dots", r"\cdots", r"\dotsc", r"\dotsb", "...", "…", "⋯"), "…"),
    **{rf"\{letter}": letter for letter in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")},
    **{rf"\{letter}": letter for letter in ("iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau")},
    **{rf"\{letter}": letter for letter in ("upsilon", "phi", "chi", "psi", "omega", "ell", "hbar")},
    **{rf"\var{letter}": letter for letter in ("epsilon", "theta", "phi", "rho", "sigma")},
    **{rf"\{letter}": letter for letter in ("Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega")},
    **{lookup(f"GREEK SMALL LETTER {letter}"): letter.lower().replace("lamda", "lambda") for letter in GREEK.split()},
}
FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "ln",
        "lg",
        "exp",
        "gcd",
        "lcm",
        "max",
        "min",
        "deg",
        "det",
        "cis",
    ]
)
HIGH = {
    "⁰": "0",
    "¹": "1",
    "²": "2",
    "³": "3",
    "⁴": "4",
    "⁵": "5",
    "⁶": "6",
    "⁷": "7",
    "⁸": "8",
    "⁹": "9",
    "⁻": "-",
    "⁺": "+",
    "ⁿ": "n",
    "ˣ": "x",
    "ᵏ": "k",
}
LOW = {chr(0x2080 + digit): str(digit) for digit in range(10)} | {"ₙ": "n", "ₖ": "k"}

TOKEN = re.compile(
    r"""
      (?P<skip>\s+|~|\\[,;:!\ ]|\\?\$|\\[()\[\]]|\\q?quad
        |\\(?:left|right)\s*\.
        |\\(?:left|right|[Bb]igg?[lrm]?|displaystyle|textstyle|limits|small|[Ll]arge|LARGE|[Hh]uge|mathrm|mathbf|boldsymbol|bf|it|rm|sf|tt|bfseries)(?![A-Za-z{]))
    | (?P<dots>\.\.\.|…|⋯)
    | \\mathbb\s*\{?\s*(?P<set>[ZNQRC])\s*\}?(?P<part>\s*[\^_]\s*(?:[+*-](?!\s*[\w\\])|\{\s*(?:[+*-]|>\s*0)\s*\})|[⁺⁻])?
    | (?P<number>(?:[1-9]\d{0,2}(?:,\ 0\d\d)+(?!\d)
          |[1-9]\d{0,2}(?:(?:,|\{,\}|,\\!|\\,|,\\,|,\\!\s|\\!,|\\?\ |\\[;:])\d{3})+(?!\d)|\d+)
          (?:\.\d+)?(?:[eE][+-]?\d{1,4}(?!\d))?
        |\.\d+(?:[eE][+-]?\d{1,4}(?!\d))?)
    | \\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf|cal|bb)|mbox|operatorname|rm|bf)\*?\s*
        \{(?P<text>[^{}]*)\}
    | \\(?P<accent>vec|overrightarrow|overline|bar|hat|tilde|d?dot|widehat|underline)(?![A-Za-z])
        \s*(?P<under>\{[^{}]*\}|\\?[A-Za-z]+)
    | \\(?P<edge>begin|end)\s*\{(?P<environment>[A-Za-z]+)\*?\}(?:\{[lcr|\ ]*\})?
    | (?P<command>\\(?:[A-Za-z]+|[{}%\\]))
    | (?P<letters>[A-Za-z]+)
    | (?P<high>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿˣᵏ]+)
    | (?P<low>[₀-₉ₙₖ]+)
    | (?P<circled>[①-⑳])
    | (?P<han>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)
    | (?P<sign>\*\*|<=|>=|!=|==|=<|=>|[^\sA-Za-z\d\\\u3040-\ud7af])
    """,
    re.VERBOSE,
)
SET_NAMES = {"N*": "set(Z+)", "N+": "set(Z+)"}
UNIT_VECTORS = frozenset(("i", "j", "k", "imath", "jmath"))
MEASURED = re.compile(r"(-?[\d.,:/]*\d)\s*([^\W\d_][\w\s.%/^°²³-]*|[°%])?")
LETTERS = re.compile(r"[A-Za-z](?:\s*(?:,|and|or|[<>=≤≥])+\s*[A-Za-z])+")  # several letters, or their order
PLAIN_TEXT = re.compile(r"[\s\d.,+\-*/^=<>()]+|\s*[A-Za-z]\s*")
LINKS = {
    "and": "and",
    "or": "or",
    ", and": "and",
    ", or": "or",
    ",": ",",
    "and/or": "or",
    ";": ",",
    "or equivalently": "or",
    "to": ":",
}


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text; raise Unreadable for characters without a meaning here."""
    found: list[Token] = []
    position, spaced = 0, False
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"the character {text[position]!r}")
        position = match.end()
        if match.lastgroup == "skip":
            spaced = True
            continue
        found.extend(read(match, spaced))
        spaced = False
        if len(found) > MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} signs")
    return found


def read(match: re.Match[str], spaced: bool) -> list[Token]:
    """Return the tokens for one match."""
    kind = match.lastgroup
    word = match.group()
    match kind:
        case "number":
            return [Token("number", re.sub(r"[,{}\\!;: ]", "", word), spaced)]
        case "letters":
            return letters(word, spaced)
        case "text":
            return text_tokens(match["text"], spaced)
        case "under":
            under = match["under"].strip("{} ").replace("math", "").removeprefix("\\")
            if under in UNIT_VECTORS and match["accent"] in ("hat", "vec", "overrightarrow", "widehat"):
                return [Token("name", under[0], spaced)]
            under = match["under"].strip("{} ")
            return [Token("name", f"{match['accent']}({NAMES.get(under, under)})", spaced)]
        case "environment":
            return [Token(match["edge"], match["environment"])]
        case "high":
            return raised("".join(HIGH[character] for character in word))
        case "low":
            return [Token("sign", "_"), Token("number", "".join(LOW[character] for character in word))]
        case "set" | "part":
            sign = (
                re.sub(r"[\^_{}\s]", "", match["part"] or "").replace(">0", "+").translate({0x207A: "+", 0x207B: "-"})
            )
            return [Token("name", SET_NAMES.get(match["set"] + sign, f"set({match['set']}{sign})"), spaced)]
        case "dots":
            return [Token("name", "…", spaced)]
        case "circled":
            return [Token("name", word, spaced)]
        case "han":
            return [Token("text", word, spaced)]
    if word in NAMES:
        return [Token("name", NAMES[word], spaced)]
    if word in SIGNS:
        return [Token("sign", SIGNS[word], spaced)]
    if kind == "command" and word[1:] in FUNCTIONS:
        return [Token("function", word[1:], spaced)]
    if kind == "command" and (glued := split_command(word, spaced)):
        return glued
    return [Token("command" if kind == "command" else "sign", word, spaced)]


def raised(exponent: str) -> list[Token]:
    """Return the tokens of an exponent in Unicode superscripts."""
    inner = tokens(exponent)
    return [Token("sign", "^"), Token("sign", "{"), *inner, Token("sign", "}")]


def split_command(word: str, spaced: bool) -> list[Token]:
    """Return the tokens of a command that lost its space: `\\piG` is a named letter and a letter."""
    return [Token("name", NAMES[word[:-1]], spaced), *letters(word[-1], False)] if word[:-1] in NAMES else []


def letters(word: str, spaced: bool) -> list[Token]:
    """Return the tokens of adjacent letters: a link, a function, a name, or a word to be read in context."""
    if word in SIGNS:
        return [Token("sign", SIGNS[word], spaced)]
    if word in FUNCTIONS and not is_unit(word):  # without a backslash, min and sec are units
        return [Token("function", word, spaced)]
    if word in NAMES:
        return [Token("name", NAMES[word], spaced)]
    return [Token("name" if len(word) == 1 else "word", word, spaced)]


def text_tokens(content: str, spaced: bool) -> list[Token]:
    """Return the tokens in `\\text{}`: a link between answers, mathematics after all, or words."""
    words = content.strip(" ~").replace("\\Omega", "\N{OHM SIGN}")
    if not words:
        return []
    if words.lower() in LINKS:
        return [Token("sign", LINKS[words.lower()])]
    if len(words) == 1 and words.isalpha() and (words.isascii() or not is_unit(words)):
        return [token._replace(upright=True) for token in letters(words, spaced)] if words.isascii() else tokens(words)
    if is_unit(words):
        return [Token("text", words, spaced)]
    if words.lower() in NAMES:
        return [Token("name", NAMES[words.lower()], spaced)]
    if words.endswith(",") and len(words) > 1:
        return [*text_tokens(words[:-1], spaced), Token("sign", ",")]
    if words.lower().endswith((" and", " or")) and not is_unit(words.split()[0]):
        rest, _, link = words.rpartition(" ")
        return [*text_tokens(rest, spaced), Token("sign", link.lower())]
    if PLAIN_TEXT.fullmatch(words) or LETTERS.fullmatch(words):
        return tokens(words)
    if measured := MEASURED.fullmatch(words):
        unit = measured[2] or ""
        return [*tokens(measured[1]), *(tokens(unit) if unit in "°%" else text_tokens(unit, spaced=True))]
    if words in FUNCTIONS:
        return [Token("function", words)]
    return [Token("text", words, spaced)]
