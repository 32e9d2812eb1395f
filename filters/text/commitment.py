"""The number or formula that a text without a mark commits to, unless it is denied, hedged or only mentioned.

Every pass over the text takes linear time, whatever the text contains.
"""

import re

from filters.text.assertion.languages import any_of, word
from filters.text.assertion.operands import limited
from filters.text.assertion.stance import NOT_HARD, denies, negated, only_supposed
from filters.text.assertion.words import AND, OR, OR_CJK, REASONS

TAIL_CHARS = 600  # the last sentences; a text that commits to an answer does so at its end
SENTENCE_END = re.compile(r"(?<!\d)[.!?]+(?=\s|$)|(?<=\d)[.!?](?=\s|$)|[。\uff01\uff1f\n]+|<\|[^|>]*\|>\w*")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
# A sentence that states a word: "So the function is **odd**".
BOLD_WORDS = re.compile(
    r"(?:^\s*|\b(?:is|are|was|be|answer|therefore|thus|hence)\s*:?\s+|[:=]\s*)(?:an?\s+|the\s+)?\*\*[^*\n:]{1,40}\*\*\s*$",
    re.IGNORECASE,
)
# A reason behind a value, which may deny others: "8, because it cannot be 9".
REASON = re.compile(
    r"(?<=[\d$)}]),?\s+(?:because|since|as\s+(?:the|we|it|there|otherwise|x)|and\s+not|rather\s+than|instead\s+of)\b.*"
    rf"|(?<=[\d$)}}]),?\s*(?:{word(REASONS)}|因为|因為).*",
    re.IGNORECASE,
)
DENIED_NUMBER = re.compile(
    r"\b(?:not|isn't|never|n't|rather than|instead of)\s+(?:it'?s\s+not\s+)?(?:\$|\\\()?-?\d[\d.,/]*(?:\\?%|\$|\\\))?"
    r"(?:(?:\s+\d[\d.,/]*)*\s+(?:or|nor)\s+-?\d[\d.,/]*)?"  # "not 3, 4, or 5"
)
# A sentence with one of these commits to nothing.
HEDGE = re.compile(
    r"\b(?:cannot|can't|could|unable|unsure|(?:not|n't)\s+(?:sure|certain|know|be|equal|determine|find)|guess\w*|maybe"
    r"|perhaps|possibly|probably\s+not|might|may\s+be|ran\s+out|either|between|at\s+least|at\s+most"
    r"|(?:more|less|greater|smaller|fewer|larger)\s+than|or\s+(?:more|less|fewer)|if|unless|whether"
    r"|no\s+(?:answer|solution\s+found)|do(?:es)?\s+not|don't|doesn't|wrong|incorrect|impossible|rule[sd]?\s+out"
    r"|exclude[sd]?|discard(?:ed)?|doubt\w*|unclear|unlikely|not|isn't)\b|不是|可能|也许|不确定",
    re.IGNORECASE,
)
# A text that ends with one of these gave up, whatever number it names last.
GAVE_UP = re.compile(
    r"\b(?:(?:could|can|did|do)(?:\s+not|n't)|cannot|unable\s+to|failed\s+to)\s+(?:find|determine|solve|answer|finish"
    r"|complete|get|know|decide)|\bcan(?:not|'t)\s+be\s+(?:determined|found|computed|known)|\bgive\s+up\b|\bran\s+out\s+of|\bno\s+answer\b|\bnot\s+(?:sure|certain)\b",
    re.IGNORECASE,
)
# A number behind one of these is mentioned, not stated.
MENTION = re.compile(
    r"(?:\b(?:in|at|by|for|from|within|after|before|per|than|every|each|step|steps|section|page|chapter|case|line|part|question|problem|"
    r"equation|with|until|past|first|figure|fig\.|table|theorem|lemma|exercise|mod|modulo|d'ici|dans|en|pour|sur)\s+(?:the\s+|about\s+|all\s+)?\(?|\b[a-z]\(|第)$",
    re.IGNORECASE,
)
CALCULATED = re.compile(r"[\w)\]}]\s*[-+*/\u00d7÷^<>≤≥≠]\s*$")  # before a number that is a part of a calculation
CALCULATING = re.compile(
    r"\s*[*/+\u00d7÷^=<>_]|\s+-\s*\d|\s+times\s+(?:as|more|less|the|that)\b|\s+(?:more|fewer|less)(?:\s+\w+)?\s+than\b",
    re.IGNORECASE,
)
LATEX = re.compile(r"[\\^_{}]")
EQUATION = re.compile(r"[-+]?[\d(][\d\s.,+\-*/\u00d7·÷^()%]*(?:=\s*[-+]?[\d(][\d\s.,+\-*/\u00d7·÷^()%]*)+")
NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])[-\u2212]?(?:[$€£]\s?)?(?:(?:\d{1,3}(?:[,\s]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:/\d+)?(?:\s?\\?%|(?:e[+-]?\d+)\b)?"
)
# A number that is a part of a larger value: a time, a ratio, a point, a list, a range.
LARGER = re.compile(
    r"(?:(?:\b(?:is|are|was|were|be|equals|answers?|shows|at|by|until)\s+|[:=]\s+|^\s*)[(\[]?|[(\[])\s*(-?\d[\d.]*(?:(?::|,\s*(?:and\s+|or\s+)?|\s+(?:and|or|to|y|et|und|e|и)\s+|\s*[\u2013;]\s*)-?\d[\d.]*(?<!\.))+)"
    r"(?=([)\]]?)(?:\s*(?:[.,;!)\]]|$|[ap]\.?m\b)|\s+[^\W\d]))",
    re.IGNORECASE,
)
RANGE = re.compile(r"\bto\b|\u2013", re.IGNORECASE)
THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
ITEM_ALONE = re.compile(
    r"\n\s*\d+[.)][ \t]+\S[^\n]*\n+\s*\d+[.)]\s*$"
)  # a list that is cut off at the number of its next item
# "**Result:** 37": the words in bold type are a label.
LABEL = re.compile(r"\s*(?:\*\*([^*\n]{1,80}?)(?:[:\uff1a=]\s*\*\*|\*\*\s*[:\uff1a]))(?=.*\d)")
NO_LABEL = re.compile(
    r"\s*(?:step|case|part|question|problem|example|hint|note|check|option|equation|check|given)\b", re.IGNORECASE
)
PARENTHESES = re.compile(r"\([^()]*\)")
UNIT = re.compile(r"\s?(?!(?:more|fewer|less|left|each|altogether|total)\b)[A-Za-z°²³]{1,12}\b")
RESTATED = re.compile(r",?\s*(?:which\s+is|which\s+equals|that\s+is|i\.e\.)[,\s]+(?:about\s+)?", re.IGNORECASE)
LIST_LINK = re.compile(
    rf"\s*(?:,|;|and|or|, and|, or|和|或|、|,?\s*(?:{word(OR)}|{word(AND)}|{any_of(OR_CJK)}))\s*", re.IGNORECASE
)
OR_LINK = re.compile(rf"\bor\b|{word(OR)}|{any_of(OR_CJK)}", re.IGNORECASE)

BEFORE = re.compile(
    r"(?:\b(?:not|cannot|never|neither|isn't|can't|won't|doesn't|n't)\s+(?:be\s+|equal(?:\s+to)?\s+|exactly\s+|simply\s+"
    r"|just\s+|necessarily\s+)?|(?:≠|\\neq?|\\not\s*=|不是|不等于|(?:(?<=\s)|(?<=[\s$(]\w)|(?<=[\d)}]))[<>≤≥]|\\[lg](?:e|eq|t)?(?![a-z]))\s*"
    r"|\b(?:more|less|greater|fewer|smaller|larger)\s+than\s+|\brule[sd]?\s+out\s+|\bmy\s+(?:best\s+|only\s+)?guess\s+(?:is|would\s+be)\s+"
    r"|\b(?:unclear|unsure|doubt\w*)\s+(?:whether\s+|if\s+|that\s+)?(?:it\s+is\s+)?)(?:[\s$*(]|\\[(\[])*$",
    re.IGNORECASE,
)
AFTER = re.compile(
    r"(?:[ $*)\]}]|\\[)\]])*(?:\?|(?:,?\s*but\s+)?(?:this|that|it|which)?\s*"
    r"(?:(?:is|was|would\s+be|seems|might\s+be|may\s+be|could\s+be)\s+(?:wrong|incorrect|not\b|false|impossible"
    r"|(?:only|just|merely)?\s*(?:a|my)\s+guess)|(?:cannot|can't|could\s+not)\s+be\b|is\s+unclear)"
    r"|,?\s*\(?(?:but|though|although)?\s*\(?I(?:'m|\s+am)?\s+(?:not|un|do\s+not|don't|doubt)"
    r"|or\s+(?:maybe\s+|perhaps\s+|possibly\s+|else\s+)?(?:more|less|fewer|[$\\(]*-?\d)|if\b|unless\b)",
    re.IGNORECASE,
)
# What "the answer is" is followed by where it names no answer, and what a denial goes on with where it does.
NOT = re.compile(r"(?:\w+ly\s+)?(?:not|never|neither|n't)\b", re.IGNORECASE)
BUT = re.compile(r"^not\s+\S+\s+but\s+(?:rather\s+)?", re.IGNORECASE)
CONTEXT_CHARS = 60
GIVING_UP_CHARS = 150


def is_denied(text: str, start: int, end: int) -> bool:
    """Return whether the text around a mark takes it back: "it is not [5]", "[5] is wrong", "[5] or 6"."""
    before = text[max(0, start - CONTEXT_CHARS) : start]
    return BEFORE.search(before) is not None or AFTER.match(text, end, end + CONTEXT_CHARS) is not None


def committed(text: str) -> tuple[str, ...]:
    """Return the readings of the final number or formula of a text without a mark, the best first; none if it has none.

    A value that is said in two ways ("60 minutes, which is 1 hour") has two readings.
    """
    tail = text[-TAIL_CHARS:]
    if (
        tail.rstrip(" *$").endswith("?")
        or ITEM_ALONE.search(tail)
        or GAVE_UP.search(tail, max(0, len(tail) - GIVING_UP_CHARS))
    ):
        return ()
    for sentence in reversed(SENTENCE_END.split(tail)):
        sentence = REASON.sub("", DENIED_NUMBER.sub(" ", NOT_HARD.sub(" ", sentence)))
        if HEDGE.search(sentence) or negated(sentence) or only_supposed(sentence):
            return ()
        if re.search(r"\d", sentence) or FORMULA.search(sentence) or BOLD_WORDS.search(sentence):
            found = stated_in(sentence)
            return () if any(is_disowned(sentence, value) for value in found) else tuple(found)
    return ()


def is_disowned(sentence: str, value: str) -> bool:
    """Return whether a sentence names a value without standing by it: "we reject x = 8", "~~8~~"."""
    number = value if value in sentence else value.partition("\\text")[0]  # a unit may have been added
    place = sentence.rfind(number)
    if place < 0:
        return False
    start = len(sentence[:place].rstrip("0123456789:./,^{}\\"))  # a ratio, a time
    end = place + len(number)
    return limited(sentence[:start], sentence[end:]) or denies(sentence, start, end)


def stated_in(sentence: str) -> list[str]:
    """Return the value that a sentence states: a formula, bold text, an equation of numbers, or a number."""
    if "**" in sentence and (label := LABEL.match(sentence)):
        return [] if NO_LABEL.match(label[1]) else stated_in(sentence[label.end() :])
    formulas = list(FORMULA.finditer(sentence))
    if formulas:
        return [joined(sentence, formulas)]
    if bold := BOLD.findall(sentence):
        return [bold[-1]]
    if LATEX.search(sentence):  # a formula without delimiters
        value = sentence.rpartition("=")[2].strip()
        return [value] if NUMBER.fullmatch(value) else []
    if "=" in sentence and (equations := EQUATION.findall(sentence)):
        return [
            equations[-1].strip().rstrip(")")
            if equations[-1].count("(") < equations[-1].count(")")
            else equations[-1].strip()
        ]
    parts = RESTATED.split(sentence)
    found = [number for part in parts if (number := last_number(part))]
    return found[::-1]


def joined(sentence: str, formulas: list[re.Match[str]]) -> str:
    """Return the last formulas as a list if only commas, `and` or `or` stand between them."""
    first = len(formulas) - 1
    while first and LIST_LINK.fullmatch(sentence, formulas[first - 1].end(), formulas[first].start()):
        first -= 1
    links = " or " if OR_LINK.search(sentence[formulas[first].start() :]) else ", "
    return links.join(next(filter(None, match.groups())).strip() for match in formulas[first:])


def last_number(sentence: str) -> str | None:
    """Return the last number that a sentence states with its unit; one that is only mentioned does not count."""
    bare = PARENTHESES.sub("", sentence)
    sentence = bare if NUMBER.search(bare) else sentence
    found = None
    for match in NUMBER.finditer(sentence):
        before = sentence[max(0, match.start() - CONTEXT_CHARS) : match.start()]
        part = CALCULATED.search(before) or CALCULATING.match(sentence, match.end())
        if not part and MENTION.search(before) is None:
            found = match
    if found is None:
        return None
    unit = UNIT.match(sentence, found.end())
    for larger in LARGER.finditer(sentence):
        if larger.start(1) <= found.start() < larger.end(1) and not THOUSANDS.fullmatch(larger[1]):
            return None if RANGE.search(larger[1]) else whole(larger, unit)
    return found.group().strip() + (f"\\text{{{unit.group()}}}" if unit else "")


def whole(larger: re.Match[str], unit: re.Match[str] | None) -> str:
    """Return a time, a list or a point as it stands, with the brackets or the unit behind it."""
    before, after = larger.string[larger.start(1) - 1 : larger.start(1)], larger[2]
    if before and after and before in "([":
        return f"{before}{larger[1]}{after}"
    return larger[1] + (f"\\text{{{unit.group()}}}" if unit else "")
