"""Sentences that follow an answer: some take it back, some give the same answer again or another one."""

# ruff: noqa: E501  (patterns, one alternative a line)

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from filters.text.assertion.languages import ANSWER_NOUN, CALLED_WRONG, NOT, WITHDRAWN, word

CLOSE = Fraction(1, 100)  # a decimal within this share of the answer is the answer rounded
SENTENCES = re.compile(r"(?:[^.!?\n\u3002\u0964\uff01\uff1f]|[.](?!\s|$))+[.!?\u3002\u0964\uff01\uff1f]*")
PRONOUN = (
    r"(?:(?:this|that)(?:\s+(?:answer|result|value|solution|number))?|it|which|there|(?:the|my|our|above)(?:\s+(?:above|previous|earlier|boxed|first|initial|final))?\s+"
    r"(?:answer|result|value|solution|claim|conclusion|computation|calculation|reasoning|work)(?:\s+above)?)"
)
BAD = (
    r"(?:wrong|incorrect|not\s+(?:right|correct|valid|true|the(?!\s+only\s+(?:way|method|approach|proof|solution\s+method))|possible|an?)|invalid|(?:a|an|the)\s+(?:mistake|error|trap|misconception|wrong)|false|flawed"
    r"|impossible|mistaken|erroneous|rejected|extraneous|absurd|nonsense|unverified|(?:only|just|merely)\s+an?\s+(?:\w+\s+)?(?:guess|estimate|bound)|an?\s+(?:over|under)count"
    r"|an?\s+extraneous|off\s+by|(?:far\s+|way\s+|much\s+)?too\s+(?:large|small|big|high|low|many|few))"
)
IS = r"(?:'s|\s+is|\s+was|\s+would\s+be|\s+must\s+be|\s+(?:has|needs|have)\s+to\s+be|\s+should\s+be|\s+seems|\s+cannot\s+be|\s+can't\s+be|\s+turns\s+out\s+to\s+be)"
UNDONE = r"(?:revised|corrected|rejected|discarded|ignored|excluded|eliminated|ruled\s+out|changed|fixed|disregarded)"
LATER = re.compile(
    rf"\b{PRONOUN}\s*(?:{IS}\s+(?:clearly\s+|actually\s+|obviously\s+|all\s+)?{BAD}|\s+(?:is|was)n't\s+(?:right|correct|it|the\s+answer)|\s+(?:can't|cannot)\s+be\s+(?:right|correct|true|it)"
    rf"|\s+contradicts\s+(?:the|our|what)|\s+(?:needs|has)\s+to\s+be\s+{UNDONE}|\s+(?:does\s*n't|does\s+not|fails\s+to)\s+(?:work|satisfy|hold|make\s+sense|fit))"
    r"|\bthere(?:'s|\s+is|\s+was|\s+must\s+be)\s+an?\s+(?:\w+\s+)?(?:error|mistake|slip|typo|flaw)\s+(?:above|in\s+(?:my|the\s+(?:above|calculation|computation|previous)))"
    r"|\bI(?:'ve|\s+have)?\s+(?:just\s+)?(?:made|found|notice\w*|spot\w*|see)\s+(?:a|an|my|the)\s+(?:\w+\s+)?(?:error|mistake|slip|typo|bug|flaw)"
    r"|\bI\s+(?:was\s+(?:wrong|mistaken)|mis(?:calculated|counted|read|took|added|applied|interpreted)|take\s+(?:that|it)\s+back|retract|withdraw|messed\s+up|forgot|should\s+have\s+(?:written|said|answered))"
    r"|\b(?:my|a)\s+mistake\b(?!\s+(?:would|to|is\s+to|people|students))|\b(?:scratch|strike)\s+that\b|\b(?:ignore|disregard)\s+(?:that|the\s+above|my|this)|\bnever\s*mind\b"
    r"|\b(?:i|we)\s+mean[t]?\s+(?:to\s+(?:say|write)\s+)?(?:\\?\$|\\\(|-)*\d"
    r"|(?:^\W*|[,;]\s*)(?:wait|oops|sorry|no|hold\s+on|hmm+|correction|actually|on\s+second\s+thou?ghts?|apologies|whoops|scratch)\b[^\n]{0,160}?"
    r"\b(?:should\s+be|must\s+be|is\s+(?:actually|really|instead)|(?:correct|right|true|real|actual|final)\s+(?:\w+\s+)?is|wrong|incorrect|mistake|error|invalid|can(?:'t|not)\s+be)"
    r"|^\W*(?:no|oops|correction|edit|sorry|apologies|actually|rather|on\s+second\s+thou?ghts?|on\s+reflection)\s*[,.:!\u2014-]*\s*(?:it(?:'s|\s+is)\s+|the\s+answer\s+is\s+)?(?:\\?\$|\\\(|\\boxed|-)*\d"
    r"|\b(?:correct|right|true|real|actual)\s+(?:answer|value|result|one|count|number|total|sum)\s+(?:is|should|must|would)|\bshould\s+have\s+been\b"
    r"|(?:^\W*|[,;]\s*)(?:(?:but|so|therefore|thus)\s+)?the\s+(?:\w+\s+)?(?:answer|value|result)\s+should\s+(?:be|have\s+been)"
    r"|\b(?:they|the\s+\w+)\s+are\s+not\s+(?:fair|equal|valid)\b|\b(?:we\s+get|leads\s+to|reach|this\s+is|which\s+is)\s+a\s+contradiction\b"
    r"|\b(?:no|not\s+any)\s+solutions?\s+exists?\b",
    re.IGNORECASE,
)
# Sentences that leave an answer in doubt, whatever else is in them.
DOUBT = re.compile(
    r"^\W*(?:he|she|they)\s+(?:is|are|was|were)\s+(?:wrong|mistaken|incorrect)|\b(?:does\s*n't|does\s+not)\s+(?:look|seem|sound)\s+(?:right|correct)|\bsomething\s+is\s+(?:off|wrong)"
    r"|\b(?:answer|it|this|that|result)\s+(?:may|might|could)\s+(?:well\s+|still\s+|also\s+)?be\s+(?:wrong|incorrect|off|mistaken)|\b(?:could|can)(?:\s+not|n't)\s+(?:verify|prove|confirm|justify)\s+(?:this|it|that|my)\b"
    r"|\bcannot\s+(?:verify|prove|confirm|justify)\s+(?:this|it|that|my)\b|\bnot\s+(?:\w+\s+)?confident\s+(?:at\s+all|in\s+(?:this|it|that|my))\b|\bI(?:'m|\s+am)\s+not\s+(?:\w+\s+)?(?:sure|certain|confident)(?:\s+(?:about|of|in|that)\s+(?:this|it|that|my)\b|\W*$)"
    r"|\b(?:this|that|it)\s+is\s+(?:only|just|merely)?\s*(?:a|my)\s+(?:\w+\s+)?guess|\bI\s+(?:just\s+|only\s+)?guessed\b"
    r"|\b(?:calculations?|computations?|above|reasoning|work)\s+(?:above\s+)?(?:(?:contains?|has|had)\s+an?\s+(?:\w+\s+)?(?:error|mistake|flaw)|was\s+off|is\s+off)",
    re.IGNORECASE,
)
# A last sentence that begins the work again.
AGAIN = re.compile(
    r"^\W*(?:(?:wait|hmm+|so|ok|okay|but)\W+)*let(?:'s|\s+me|\s+us)\s+(?:redo|start\s+over|recompute|recalculate|recount|rethink|try\s+again|begin\s+again)\b",
    re.IGNORECASE,
)
# A last sentence that goes on to another number: "Hmm, but zero is excluded, giving 30."
TURNED = re.compile(
    r"^\W*(?:hmm+|wait|hold\s+on)\b[^\n]*\b(?:giving|gives|leaving|leaves|so|thus|hence|get|yields)\W+(?:\w+\s+){0,3}\\?\$?(?:\\boxed\{)?-?\d[\d.,]*\}?\$?\W*$",
    re.IGNORECASE,
)
# Sentences about another value than the answer.
ASIDE = re.compile(
    r"\b(?:if|unless|suppose|assume|assuming|otherwise|had|were|would|might|could|common|typical|people|students|example|e\.g|avoid|note\s+that|for\s+instance"
    r"|(?:anything|if\s+something)\s+is)\b",
    re.IGNORECASE,
)
NEVER = re.compile(
    rf"{word(NOT)}|\b(?:not|n't|wrong|incorrect|mistake|previous|initial|initially|first|part|approximately|about|roughly)\b",
    re.IGNORECASE,
)
VALUE = r"(?P<{}>\$[^$\n]{{1,80}}\$|\\\([^\n]{{1,80}}?\\\)|\*\*[^*\n]{{1,60}}\*\*|[-\u2212]?\d[\d,]*(?:\.\d+)?(?:/\d+)?|(?<!\w)[A-J](?!\w))"
RESTATED = re.compile(
    rf"(?:{ANSWER_NOUN.pattern}|\b(?:answer|result|one|it)\b|^\W*(?:edit|correction|corrected)\b|\bshould\s+(?:be|have\s+been)|\bshould\s+have\s+written|\b(?:correct|right|true|actual)\s+(?:value|count|number|total|sum)|^\W*(?:so|hence|thus|therefore)\b|^\s*####)"
    rf"(?:[^.\d$\\*\n]{{0,25}}?[\s:=*]+|[^\x00-\x7f]{{0,4}}?\s?){VALUE.format('value')}(?P<unit>\s*\\?%|\s*[^\s\d.,;:!?()*$\\]{{1,20}})?(?=\s*(?:[.,;:!)*\u3002\u0964]|$))"
    rf"|(?<![\w.]){VALUE.format('first')}\s+is\s+(?:correct|right|the\s+answer|the\s+(?:right|correct|true|actual|final)\s+(?:answer|one|value))",
    re.IGNORECASE,
)
MARKUP = re.compile(r"[\s$*{},\\()]|text|boxed|left|right")
PLAIN_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?:/(\d+))?")
LATEX_FRACTION = re.compile(r"\\[dt]?frac\{?(\d+)\}?\{?(\d+)\}?")
NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


class Restated(NamedTuple):
    """An answer that a later sentence gives, its unit, and where that sentence ends."""

    value: str
    unit: str
    end: int


def another(later: str, said: str) -> str | None:
    """Return the answer that a later sentence gives in the place of this one, if it is written otherwise."""
    again = restated(later)
    if again is None or same(again, said) or (again.unit and again.unit[0] <= "\x7f"):
        return None
    return again.value if any(character.isdigit() for character in again.value) else None


def withdrawn(later: str, said: str) -> bool:
    """Return whether the text behind an answer takes it back or goes on to another one.

    Sentences before the same answer is given again are how it was checked.
    """
    again = restated(later)
    if again is not None and not same(again, said):
        if differs(again, said):
            return True
        again = None
    rest = later[again.end :] if again else later
    spoken = list(sentences(rest))
    if spoken and AGAIN.match(spoken[-1]) and not ends_with(spoken[-1], said):
        return True
    if spoken and TURNED.match(spoken[-1]) and value_of(said) is not None and not ends_with(spoken[-1], said):
        return True
    return any(map(takes_back, spoken)) or WITHDRAWN.search(rest) is not None


def ends_with(sentence: str, said: str) -> bool:
    """Return whether the last number of a sentence is the answer."""
    numbers = NUMBERS.findall(sentence)
    return bool(numbers) and value_of(numbers[-1]) == value_of(said)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences, without those that answer a question."""
    asked = False
    for match in SENTENCES.finditer(text):
        sentence = match.group().strip()
        if sentence and not asked:
            yield sentence
        asked = sentence.endswith(("?", "\uff1f"))


def takes_back(sentence: str) -> bool:
    """Return whether one sentence takes back what was said before it."""
    if DOUBT.search(sentence):
        return True
    if sentence.endswith("?") or ASIDE.search(sentence):
        return False
    return LATER.search(sentence) is not None or CALLED_WRONG.match(sentence) is not None


def restated(later: str) -> Restated | None:
    """Return the last answer that a text states in a sentence of its own; None if it states none."""
    found, start = None, 0
    for match in SENTENCES.finditer(later):
        start, sentence = match.start(), match.group()
        for said in RESTATED.finditer(sentence):
            before = sentence[: said.start("value" if said["value"] else "first")]
            if not (sentence.rstrip().endswith("?") or ASIDE.search(before) or NEVER.search(before)):
                found = Restated(said["value"] or said["first"], (said["unit"] or "").strip(), start + said.end())
    return found


def same(again: Restated, said: str) -> bool:
    """Return whether two answers are written alike, up to a unit."""
    one, other = MARKUP.sub("", again.value), MARKUP.sub("", said)
    return (
        one == other
        or f"{one}{MARKUP.sub('', again.unit)}" == other
        or value_of(again.value) == value_of(said) is not None
    )


def differs(again: Restated, said: str) -> bool:
    """Return whether two numbers are certainly two answers: in the same unit, and not one the other rounded."""
    one, other = value_of(again.value), value_of(said)
    if (
        one is None
        or other is None
        or (again.unit and again.unit.lower() not in said.lower() and not again.unit[0] > "\x7f")
    ):
        return False
    if "." in again.value or "." in said:
        return abs(one - other) > CLOSE * abs(other)
    return one != other


def value_of(text: str) -> Fraction | None:
    """Return the value of the only number or fraction in a text; None if it has none or several."""
    plain = LATEX_FRACTION.sub(r"\1/\2", re.sub(r"(?<=\d),(?=\d{3})|\\[!,]|\{,\}", "", text)).replace("\u2212", "-")
    bare = re.sub(r"[\s$*{}]|\\[()]", "", plain)
    match = PLAIN_NUMBER.fullmatch(bare)
    if match is None and len(NUMBERS.findall(plain)) == 1 and "^" not in plain:
        match = PLAIN_NUMBER.search(plain)
    if match is None or match[2] == "0":
        return None
    return Fraction(match[1]) / int(match[2] or 1)
