"""Letters of options as they stand in texts: alone, in lists, in brackets, before an option's value.

A capital letter is an option only where it can be nothing else: not in a word, not in a formula (`A = 12`, `C_6`), not
an article ("A banana") and not the pronoun I.
"""

# ruff: noqa: RUF001  (signs of formulas, letters of other languages)

import re
from collections.abc import Mapping
from typing import NamedTuple

from filters.text.final_answer import PLAIN
from filters.text.short_answer import COMMANDS, QUOTES, normalized, unwrapped

COMMAND = re.compile(rf"\\(?:{COMMANDS})\s*\{{([^{{}}]*)\}}")
MATH = re.compile(r"\$|\\[()\[\]{}]|\\[ ,;:!]|[\u2705\u2713\u2714\u2611]\ufe0f?")  # and signs that a choice is right
QUOTED = re.compile(r"""["'\u201c\u201d<]([A-Z])["'\u201c\u201d>]""")
EMPHASIS = re.compile(r"\*{2,}|(?<!\w)[*`](?=\S)|(?<=\S)[*`](?!\w)|^[ \t]*(?:[#>]+|[-*•])[ \t]+", re.MULTILINE)
TAG = re.compile(r"</?[a-z]\w*>")
STRUCK = re.compile(r"</?(?:s|del|strike)>")
NESTED = 3  # commands inside commands that are taken off

WORD = r"A-Za-z\u00c0-\u024f0-9_"
BEFORE, AFTER = rf"(?<![{WORD}\\'])", rf"(?![{WORD}({{\[])(?!'(?!d[iıuü]r))"
CAPITAL = rf"{BEFORE}[(\[]?\s?([A-Z])\s?[)\]]?{AFTER}"
SMALL = rf"{BEFORE}[(\[]?\s?([a-hj-z])\s?[)\]]?{AFTER}"
# After a letter in a list comes the list's next sign, the end, or a word that goes on about all its letters.
GOES_ON = (
    r"(?=\s*(?:$|\n|[^\w\s'=+^<>\\]|(?![\x00-\x7f])\w|(?:and|or|are|both|because|since|as|y|o|et|ou|und|oder|e)\b))"
)
OR = (
    r"/|或者?|还是|抑或|또는|혹은|または|もしくは|หรือ|\b(?:or|oder|ou|o|или|або|hoặc|atau|veya|lub|albo|nebo|alebo|vagy|sau|eller|tai|of"
    r"|ή|au|או|أو|یا|या|অথবা|বা|किंवा|અથવા|లేదా|அல்லது|ಅಥವಾ)(?!\w)"
)
SEPARATOR = rf"\s*(?:,\s*(?:and\b|&|{OR})?|&|;|、|和|及|与|\b(?:and|und|et|y|e|и|và|dan|ve)\b|{OR})\s*"
ASIDE = r"(?:(?:option|choice|maybe|possibly|perhaps|even|also)\s+)*"
LIST = rf"(?-i:{CAPITAL})(?:{SEPARATOR}{ASIDE}(?-i:{CAPITAL}){GOES_ON}){{0,9}}"
ONE_OF = re.compile(OR, re.IGNORECASE)
LETTER = re.compile(CAPITAL)
SPACED = re.compile(rf"{CAPITAL}(?:\s+{CAPITAL})+")
COMPACT = re.compile(r"[A-J]{2,10}")
COMPACT_WORD = re.compile(rf"{BEFORE}[A-J]{{2,10}}{AFTER}")

LEAD = re.compile(
    r"(?:(?:the|my|so|thus|therefore|hence|it|final|correct|right|best|answers?|options?|choices?|letters?|is|are|both|only"
    r"|(?:i|we)\s+(?:think|believe|choose|chose|select|pick)|it's|答案|正确|选项|选|是|为)(?:\s*:\s*|\s+|(?<![a-z])))*",
    re.IGNORECASE,
)
WORDS_AFTER = (
    "because since as for so which where with by due and but not is was are while given from in on although though"
    " rather instead only here indeed non pas nicht no porque pois car parce weil da perché vì karena çünkü"
)
ENDS = re.compile(
    r"\s*(?:$|\n|[,;!?)\]}\"|\u2013\u2014\u3002\u3001\u201d\u300d\u300f\u3011\u0964\u0965\u061f\u060c]|\.(?![A-Za-z0-9])"
    r"|\.(?=[A-Z][a-z])|:(?![A-Za-z]\b)|\(|'d|-\s+(?!\d)|(?![\x00-\x7f])[^\W\d_])"
    rf"|\s+(?:{'|'.join(WORDS_AFTER.split())})\b"
)
VALUE_AFTER = re.compile(r"\s+(?:[A-Z][a-z]|\d)")  # "B Mitochondria"; not after A and I, which are words
FORMULA = re.compile(r"\s*(?:[=+^_<>*/\\×·≤≥≠≈∈~%°²³′]|-\s*\d|-\w)")
DENIED = re.compile(
    r"\W{0,3}\b(?:or|nor|(?:is|was|are)\s+(?:\w+ly\s+|also\s+)?(?:not|wrong|incorrect|false|eliminated|excluded|rejected|ruled"
    r"|impossible|out))\b|\s*(?:是)?(?:错|不正确|不对|不成立)"
)
REMARK = re.compile(r"[ \t]*\(([^()\n]*)\)")
ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)


class Choice(NamedTuple):
    """The letters that a text chooses; `unsure` if it leaves open which of them."""

    letters: frozenset[str]
    unsure: bool = False


def plain(text: str) -> str:
    """Return a text without LaTeX commands, dollar signs, emphasis and tags, which may stand around letters."""
    text = text.translate(PLAIN).translate(QUOTES)
    for _ in range(NESTED):
        text = COMMAND.sub(r"\1", text)
    return QUOTED.sub(r"\1", EMPHASIS.sub("", MATH.sub(" ", TAG.sub("\n", STRUCK.sub("~~", text))))).strip()


def value_of(text: str) -> str:
    """Return a value in the form in which options are compared: without emphasis, a final stop or `\\text{}`."""
    return normalized(unwrapped(unwrapped(text.strip()).removesuffix(".")))


def choice_in(listed: str) -> Choice:
    """Return the letters of a list such as "A, C" or "A or B"."""
    letters = frozenset(LETTER.findall(listed))
    return Choice(letters, len(letters) > 1 and ONE_OF.search(listed) is not None)


def ends_well(said: str, tail: str, options: Mapping[str, str]) -> bool:
    """Return whether the text after letters lets them be options: an end, a clause about them, an option's value."""
    letter, line = only_letter(said), tail.partition("\n")[0]
    if letter and options.get(value_of(line)) == letter:
        return True
    if FORMULA.match(line):
        return False
    bracketed = said.rstrip().endswith((")", "]"))
    return ENDS.match(tail) is not None or (
        VALUE_AFTER.match(line) is not None and (bracketed or letter not in ("", "A", "I"))
    )


def only_letter(said: str) -> str:
    """Return the letter of a list of one; an empty text for several."""
    letters = set(LETTER.findall(said))
    return letters.pop() if len(letters) == 1 else ""


def contradicts(said: str, tail: str, options: Mapping[str, str]) -> bool:
    """Return whether the text after a letter is the value of another option."""
    remark = REMARK.match(tail)
    values = (tail.lstrip(" ).:]-").partition("\n")[0], *(remark.groups() if remark else ()))
    named = [options[value] for value in map(value_of, values) if value in options]
    return bool(named) and only_letter(said) not in named


def read_answer(text: str, options: Mapping[str, str]) -> Choice | None:
    """Return what a marked answer chooses: a value, or letters with few words around them; None if it is neither."""
    if letter := option_of(text, options):
        return Choice(frozenset(letter))
    short = plain(text)
    if SPACED.fullmatch(short):
        return choice_in(short)
    return read_letters(short[lead.end() :] if (lead := LEAD.match(short)) else short, options)


def option_of(text: str, options: Mapping[str, str]) -> str | None:
    """Return the option whose value a text is, with or without an article; an option's letter is no value."""
    for value in (value_of(text), value_of(plain(text))):
        if value.upper() in options.values():
            return None
        if letter := options.get(value) or options.get(ARTICLE.sub("", value, count=1)):
            return letter
    return None


def read_letters(short: str, options: Mapping[str, str]) -> Choice | None:
    """Return the letters with which a short text begins; None if it begins otherwise or goes on as something else.

    No letters are returned for a letter with the value of another option.
    """
    if len(short) == 1 and short.isascii() and short.isalpha():
        return Choice(frozenset(short.upper()))
    if re.fullmatch(rf"{SMALL}[.:]?", short):
        return Choice(frozenset(short.strip("()[].: ").upper()))
    match = re.match(LIST, short)
    if match is None:
        return None
    said, tail = match.group(), short[match.end() :]
    if contradicts(said, tail, options):
        return Choice(frozenset())
    readable = ends_well(said, tail, options) and not DENIED.match(tail) and not tail.startswith(("!", "?"))
    return choice_in(said) if readable else None


def read_line(line: str) -> Choice | None:
    """Return the letters that a whole line consists of, with few words before them; None if there is more."""
    short = plain(line)
    lead = LEAD.match(short)
    found = re.compile(LIST).match(short, lead.end() if lead else 0)
    return choice_in(found.group()) if found and not short[found.end() :].strip(" .)]") else None


def spread(text: str) -> str:
    """Return a text in which letters without separators, such as `ACD`, are a list."""
    return COMPACT_WORD.sub(
        lambda match: ", ".join(match.group()) if is_compact(match.group()) else match.group(), text
    )


def is_compact(word: str) -> bool:
    """Return whether a word may be a set of options: capital letters up to J, none of them twice."""
    return COMPACT.fullmatch(word) is not None and len(set(word)) == len(word)
