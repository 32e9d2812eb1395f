"""Answers in words: one form for each phrase, numbers in words, dates, and qualifiers behind a formula."""

import re
from fractions import Fraction
from typing import NamedTuple

SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
TENS_NUMBERS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {word: 10 * n for n, word in enumerate(TENS_NUMBERS.split(), 2)}
NUMBERS = {word: n for n, word in enumerate(SMALL_NUMBERS.split())} | TENS
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
MONTHS = "january february march april may june july august september october november december"
MONTH = {name[:length]: n for n, name in enumerate(MONTHS.split(), 1) for length in (3, len(name))} | {"sept": 9}

WRAPPER = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf)|mbox|ce|operatorname)\*?\s*\{([^{}]*)\}")
NO_WORDS = re.compile(r"[\d\\^_=+*/<>|{}\[\]&%$]")
EDGES = re.compile(r"^[\s\"'`“”\u2018\u2019*.,;:!~]+|[\s\"'`“”\u2018\u2019*.,;:!~]+$")
ARTICLE = re.compile(r"^(?:(?:on|at|in)\s+)?(?:(?:the|a|an)\s+)?(?=\w)", re.IGNORECASE)
CHEMICAL = re.compile(r"(?=.*[_\da-z])(?:[A-Z][a-z]?(?:_?\{?\d{1,2}\}?)?){2,}")
SUBSCRIPTS = {0x2080 + digit: str(digit) for digit in range(10)}
LETTER_RUN = re.compile(r"[A-Za-z]{2,}")
COMMON_WORDS = "yes no true false none dne odd even never always undefined both neither"
COMMON = frozenset(COMMON_WORDS.split())
SAME = {
    name: meaning
    for meaning, names in {
        "does not exist": "dne|doesn't exist|does not exist (dne)|limit does not exist|limit doesn't exist",
        "undefined": "not defined|is undefined",
        "cannot be determined": "can't be determined|can not be determined|it cannot be determined",
        "infinitely many": "infinitely many solutions|infinite solutions|infinite number of solutions",
    }.items()
    for name in names.split("|")
}
SEVERAL = re.compile(r"\s*(?:,\s*(?:and|or)\b|,|;|&|\band\b|\bor\b)\s*")
FREE_ORDER = 2  # so many words may be in any order, more only if the reference has them in alphabetical order
QUADRANT = re.compile(
    r"(?:(?:the\s+)?(quadrant)\s+)?(I{1,3}|IV|[1-4]|one|two|three|four)|(?:the\s+)?(1st|2nd|3rd|4th|[1-4]|first|second|third|fourth)\s+(quadrant)",
    re.IGNORECASE,
)
QUADRANTS = {
    name: n
    for n, names in enumerate(
        ("i 1 one 1st first", "ii 2 two 2nd second", "iii 3 three 3rd third", "iv 4 four 4th fourth"), 1
    )
    for name in names.split()
}
HAN_DIGITS = {character: n for n, character in enumerate("零一二三四五六七八九")} | {"\u3007": 0, "两": 2}
HAN_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
OPENING = re.compile(
    r"(yes|no|true|false|odd|even)\s*[,.;:—-]\s*(?:it|this|that|the|there|they|he|she|we|because|since)\b"
)
DATE = (
    re.compile(r"(?P<month>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:\s*,?\s+(?P<year>\d{4}))?"),
    re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>[A-Za-z]{3,9})\.?(?:\s*,?\s+(?P<year>\d{4}))?"),
    re.compile(r"(?P<month>[A-Za-z]{3,9})\.?\s*,?\s+(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})[-/.](?P<number>\d{1,2})[-/.](?P<day>\d{1,2})"),
    re.compile(r"(?P<year>\d{4})\s*年\s*(?P<number>\d{1,2})\s*月(?:\s*(?P<day>\d{1,2})\s*[日号])?"),
    re.compile(r"(?P<number>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*[日号]"),
)
SETS = (
    r"\\mathbb\s*\{?\s*([ZNQRC])\s*\}?\s*"
    r"((?:[\^_]\s*(?:\{\s*(?:[-+*]|(?:\\geq?(?:slant)?|≥|>)?\s*\d)\s*\}|[-+*\d])|[\u207a\u207b])?)"
)
# What begins a qualifier.
PARTING = r"[,;]|\\(?:text|mathrm)\s*\{\s*[,;]\s*\}|\\q?quad(?![a-z])|\(|\\(?:text|mathrm)\s*\{\s*[,;(]?|\{"
SPACE = r"\\[,;: ]"
QUALIFIER = re.compile(
    rf"\s*(?:(?:{PARTING}|{SPACE})\s*)*"
    r"(?:\b(?:for\s+(?:all|any|every|each|some)|where|with|since|because|rejecting|reject|discarding|ignoring|excluding|as\s+required)\b"
    r".*|(?:\\pmod\s*\{?\s*\w+\s*\}?|\\?\(?\s*\\?mod\s*\{?\s*\w+\s*\}?\)?))\s*"
    rf"|\s*(?:{SPACE}\s*)*(?:{PARTING})\s*(?:(?:{PARTING}|{SPACE})\s*)*(?:\\forall\s*|for\s+)?"
    rf"(?:[a-zA-Z](?:_\w)?\s*,?\s*)+(?:(?:\\in\s*|∈\s*){SETS}|\}}?\s*(?:\\text\s*\{{)?\s*is\s+(?:an|any)\s+integer)\s*[)}}]*\s*",
    re.DOTALL,
)
PARAMETER = re.compile(r"(?<![\\A-Za-z])([a-zA-Z])\s*(?:\\in|∈|\}?\s*(?:\\text\s*\{)?\s*is\s+an(?:y)?\s+integer)")
SET_NAME = re.compile(rf"{SETS}|\b(?:(positive|negative|non-?negative)\s+)?(integer|natural|real|rational|whole)")
SET_LETTERS = {"integer": "Z", "natural": "N", "real": "R", "rational": "Q", "whole": "N"}
SET_SIGNS = {"positive": "+", "negative": "-", "nonnegative": "0", "": ""}
NATURALS = {"N": {"Z+", "Z0"}, "N+": {"Z+"}, "N*": {"Z+"}, "N0": {"Z0"}}  # with or without 0
OPERATION = re.compile(r"\s*\\?mod\s*\{?\s*(\d+)\s*\}?\s*")
MODULUS = re.compile(r"\\?p?mod\s*\{?\s*(\w+)")


def phrase(text: str) -> str | None:
    """Return an answer in words without `\\text{}`, quotes, article and final punctuation; None for a formula."""
    bare = text.strip(" $")
    while "\\" in bare and (inner := WRAPPER.sub(r" \1 ", bare)) != bare:
        bare = inner
    bare = EDGES.sub("", " ".join(bare.replace("~", " ").split()))
    if not bare or NO_WORDS.search(bare):
        return None
    bare = ARTICLE.sub("", bare)
    opening = OPENING.match(bare.lower())
    return opening[1] if opening else bare


def same_phrase(one: str, other: str) -> bool:
    """Return whether two phrases are equal; case counts only in codes and symbols, such as CO and Co."""
    if one == other or (
        (SAME.get(one.lower(), one.lower()) == SAME.get(other.lower(), other.lower())) and is_common(one)
    ):
        return True
    if one.lower() != other.lower():
        return False
    if one.lower() in COMMON:
        return True
    return (len(one) > 2 and all(side in (side.lower(), side.title(), side.capitalize()) for side in (one, other))) or (
        len(one) > 3 and one.upper() in (one, other)
    )


def is_common(words: str) -> bool:
    return words.lower() in SAME or words.lower() in SAME.values()


def same_phrases(reference: str, said: str) -> bool:
    """Return whether two lists of words are equal; the order of more than FREE_ORDER counts."""
    one, other = SEVERAL.split(reference), SEVERAL.split(said)
    links = [re.search(r"\bor\b", text) is None for text in (reference, said)]
    if len(one) != len(other) or len(one) < 2 or links[0] != links[1]:
        return False
    if len(one) <= FREE_ORDER or one == sorted(one):
        one, other = sorted(one, key=str.lower), sorted(other, key=str.lower)
    return all(same_phrase(*pair) for pair in zip(one, other, strict=True))


def quadrants(one: str, other: str) -> tuple[int, int] | None:
    """Return two quadrants if both texts are such and one says so: "Quadrant II" and "II"; else None."""
    if "quadrant" not in f"{one} {other}".lower():
        return None
    found = [QUADRANT.fullmatch(EDGES.sub("", WRAPPER.sub(r"\1", text))) for text in (one, other)]
    if None in found:
        return None
    first, second = (QUADRANTS[(match[2] or match[3]).lower()] for match in found if match)
    return first, second


def is_code(text: str) -> bool:
    """Return whether adjacent letters are a word or a code, in which the order counts, and not a product."""
    letters = phrase(text)
    if letters is None or not LETTER_RUN.fullmatch(letters):
        return False
    wrapped = "\\" in text
    return wrapped or not letters.islower() or (len(letters) > 2 and bool(set(letters) & set("aeiou")))


def chemical(text: str) -> str | None:
    """Return a chemical formula, H_2O or NaCl, as plain letters and digits; None for any other text."""
    bare = WRAPPER.sub(r"\1", text).strip(" $.").translate(SUBSCRIPTS)
    return re.sub(r"[_{}]", "", bare) if CHEMICAL.fullmatch(bare) else None


def number_in_words(text: str) -> Fraction | None:
    """Return the value of "twenty-one", "three hundred and five" or 十五; None for any other text."""
    if text and all(character in HAN_DIGITS or character in HAN_SCALES for character in text):
        return han_number(text)
    words = [word for word in text.lower().replace("-", " ").split() if word != "and"]
    if not words or not all(word in NUMBERS or word in SCALES for word in words) or words[0] in SCALES:
        return None
    total, current, last = 0, 0, ""
    for word in words:
        if word in SCALES:
            current = current * SCALES[word]
            if SCALES[word] > 100:
                total, current = total + current, 0
        elif (last in TENS and NUMBERS[word] < 10 and word != "zero") or not current or last in SCALES:
            current += NUMBERS[word]
        else:
            return None
        last = word
    return Fraction(total + current)


def han_number(text: str) -> Fraction | None:
    """Return the value of a number in Chinese characters: 十五, 三百零五; None without a digit before 百 and above."""
    total, section, digit = 0, 0, None
    for character in text:
        if character in HAN_DIGITS:
            if digit:
                return None
            digit = HAN_DIGITS[character]
            continue
        scale = HAN_SCALES[character]
        if scale >= 10**4:
            total, section = (total + section + (digit or 0)) * scale, 0
        elif digit is None and scale > 10:
            return None
        else:
            section += (1 if digit is None else digit) * scale
        digit = None
    return Fraction(total + section + (digit or 0))


def date(text: str) -> str | None:
    """Return a calendar date as `year-month-day`, with `?` for a part that is not named; None for any other text."""
    bare = EDGES.sub("", " ".join(WRAPPER.sub(r" \1 ", text).replace("~", " ").split()))
    bare = re.sub(r"\s+,", ",", bare)
    for pattern in DATE:
        match = pattern.fullmatch(bare)
        if match is None:
            continue
        parts = match.groupdict()
        month = MONTH.get(parts["month"].lower()) if parts.get("month") else int(parts.get("number") or 0)
        if month and 1 <= month <= 12:
            return f"{parts.get('year') or '?'}-{month}-{int(parts.get('day') or 0) or '?'}"
    return None


def without_qualifier(text: str) -> tuple[str, str]:
    """Return a formula and what qualifies it: `for all real x`, `k \\in \\mathbb{Z}`, `(since a > 0)`, `mod 7`."""
    for match in QUALIFIER.finditer(text):
        if match.start() and match.end() == len(text) and not is_remainder(text[: match.start()], match.group()):
            return text[: match.start()].rstrip(" ,;({"), match.group()
    return text, ""


def is_remainder(value: str, qualifier: str) -> bool:
    """Return whether `14 \\mod 5`, without parentheses, is an operation: its value is not below the modulus."""
    modulus = OPERATION.fullmatch(qualifier)
    return modulus is not None and value.strip().isdecimal() and int(value) >= int(modulus[1])


def qualifiers_conflict(one: str, other: str) -> bool:
    """Return whether two qualifiers name different number sets or moduli."""
    first, second = SET_NAME.search(one), SET_NAME.search(other)
    if first and second and not number_sets(first) & number_sets(second):
        return True
    moduli = MODULUS.search(one), MODULUS.search(other)
    return None not in moduli and len({modulus[1] for modulus in moduli if modulus}) > 1


def parameter(qualifier: str) -> str | None:
    """Return the unknown whose values a qualifier names: k of `k \\in \\mathbb{Z}`."""
    found = PARAMETER.search(qualifier)
    return found[1] if found else None


class Family(NamedTuple):
    """The parameter of a family of solutions: its names, and whether it is any integer."""

    said: str
    reference: str
    all_integers: bool


def integer_family(said: str, reference: str) -> Family | None:
    """Return the parameter that two qualifiers name, one of which may be missing; None if neither names one."""
    own, others = parameter(said), parameter(reference)
    if own is None and others is None:
        return None
    sets = [number_sets(match) for text in (said, reference) if (match := SET_NAME.search(text))]
    return Family(own or others or "", others or own or "", bool(sets) and all(names == {"Z"} for names in sets))


def number_sets(match: re.Match[str]) -> set[str]:
    """Return the sets of numbers that a match may name: Z+ of \\mathbb{Z}^+ or `positive integer`, two of N."""
    letter, suffix, sign, name = match.groups()
    if letter is None:
        letter, mark = SET_LETTERS[name], SET_SIGNS[(sign or "").replace("-", "")]
    else:
        mark = re.sub(r"\\geq?(?:slant)?|[\^_{}\s>≥]", "", suffix).translate({0x207A: "+", 0x207B: "-"})
        mark = "+" if ">" in suffix else mark
    return NATURALS.get(letter + mark, {letter + mark})
