"""Short final answers as text: what stands around them is taken off, and what carries no meaning is folded.

NFKC would fold too much (x² into x2), so only full-width letters, spaces and dashes are made plain.
"""

import re
import unicodedata
from collections.abc import Iterator

from filters.text.final_answer import PLAIN

# Marks around a whole answer. Each pattern holds the answer in its one group.
COMMANDS = r"text|textbf|textit|textrm|texttt|mathrm|mathbf|mathit|mathsf|mathtt|operatorname|boxed|fbox|mbox"
POWER = r"(?<=[\w)])\*\*(?=[\w(+-])"  # the ** of Python, not the end of bold type
WRAPPERS = (
    re.compile(rf"\\(?:{COMMANDS})\s*\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}\.?", re.DOTALL),
    re.compile(r"```[\w+-]*\n((?:(?!```).)*)```", re.DOTALL),
    re.compile(r"\*\*\*([^*]+)\*\*\*\.?", re.DOTALL),
    re.compile(rf"\*\*((?:[^*]|\*(?!\*)|{POWER})+)\*\*\.?", re.DOTALL),
    re.compile(r"\*([^*]+)\*\.?|`([^`]+)`\.?|\$\$?([^$]+)\$\$?\.?", re.DOTALL),
    re.compile(r"\\\(((?:(?!\\\)).)+)\\\)\.?|\\\[((?:(?!\\\]).)+)\\\]\.?", re.DOTALL),
)
BLANKS = re.compile(r"\\[ ,;:!]|~|\s+")
DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014), ord("-"))
QUOTES = {0x2018: ord("'"), 0x2019: ord("'"), 0x201C: ord('"'), 0x201D: ord('"')}
TOKEN = re.compile(r"[^\W\d_]+\d*(?:[^\W\d_]+\d*)*")
MIXED_CASE = re.compile(r"[^\W\d_]*[a-zß-ÿ\d][A-Z]")
SYMBOL_LETTERS = 4  # longer words with capitals inside are names: McDonald, LaTeX
# Two letters are a unit or an element (Co and CO, mm and Mm) unless they are one of these words.
COMMON = "ah am an as at be by do go he hi if in is it la le me my no of oh ok on or ox pm so to tv up us we"
TWO_LETTER_WORDS = frozenset(COMMON.split())


def unwrapped(text: str) -> str:
    """Return an answer without what is written around the whole of it: emphasis, `\\text{}`, boxes, $, code fences."""
    inner = text.strip()
    while (core := innermost(inner)) != inner:
        inner = core
    return inner


def innermost(text: str) -> str:
    """Return the text inside the outermost wrapper; the text itself if it has none."""
    for wrapper in WRAPPERS:
        if match := wrapper.fullmatch(text):
            return next(group for group in match.groups() if group is not None).strip()
    return text


def readings(text: str) -> Iterator[str]:
    """Yield the answer as it was written, then without the wrappers around it if it has any."""
    yield text
    if (inner := unwrapped(text)) != text:
        yield inner


def normalized(text: str) -> str:
    """Return the form in which texts are compared: plain width, quotes, dashes and spaces, and no case in words.

    Case stays where it carries meaning: in symbols such as CO (Co is cobalt), mW (MW is mega) and NaCl.
    """
    text = unicodedata.normalize("NFC", text)
    plain = BLANKS.sub(" ", text.translate(PLAIN).translate(DASHES).translate(QUOTES)).strip()
    return TOKEN.sub(lambda match: match.group() if is_symbol(match.group()) else match.group().casefold(), plain)


def is_symbol(word: str) -> bool:
    """Return whether the case of a word carries meaning."""
    if len(word) == 2 and word.isascii() and word.isalpha():
        return word.lower() not in TWO_LETTER_WORDS
    return len(word) <= SYMBOL_LETTERS and MIXED_CASE.match(word) is not None
