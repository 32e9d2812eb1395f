"""Answers in words: one form for each phrase, numbers in words, dates, and qualifiers behind a formula."""

import re
from fractions import Fraction

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

WRAPPER = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname)\*?\s*\{([^{}]*)\}")
NO_WORDS = re.compile(r"[\d\\^_=+*/<>|{}\[\]&%$]")
EDGES = re.compile(r"^[\s\"'`“”\u2018\u2019*.,;:!~]+|[\s\"'`“”\u2018\u2019*.,;:!~]+$")
ARTICLE = re.compile(r"^(?:(?:on|at|in)\s+)?(?:(?:the|a|an)\s+)?(?=\w)", re.IGNORECASE)
CHEMICAL = re.compile(r"(?=.*[_\da-z])(?:[A-Z][a-z]?(?:_?\{?\d{1,2}\}?)?){2,}")
SUBSCRIPTS = {0x2080 + digit: str(digit) for digit in range(10)}
LETTER_RUN = re.compile(r"[A-Za-z]{2,}")
COMMON_WORDS = "yes no true false none dne odd even never always undefined both neither"
COMMON = frozenset(COMMON_WORDS.split())
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
SETS = r"\\mathbb\s*\{?\s*([ZNQRC])\s*\}?(?:\s*_?\s*[\^_]?\s*\{?[+*>0-9]*\}?)"
QUALIFIER = re.compile(
    r"\s*(?:[,;]\s*|\\q?quad\s*|\\[,;: ]\s*|\(\s*|\\(?:text|mathrm)\s*\{\s*[,;(]?\s*|\{\s*)*"
    r"(?:\b(?:for\s+(?:all|any|every|each|some)|where|with|since|because|rejecting|reject|discarding|ignoring|excluding|as\s+required)\b"
    rf".*|(?<![\\A-Za-z])(?:[a-zA-Z](?:_\w)?\s*,?\s*)+(?:\\in\s*|∈\s*){SETS}\s*\)?\s*|(?:\\pmod\s*\{{?\s*\w+\s*\}}?|\\?\(?\s*\\?mod\s*\{{?\s*\w+\s*\}}?\)?))\s*",
    re.DOTALL,
)
PARAMETER = re.compile(r"(?<![\\A-Za-z])([a-zA-Z])\s*(?:\\in|∈|\}?\s*(?:\\text\s*\{)?\s*is\s+an(?:y)?\s+integer)")
SET_NAME = re.compile(rf"{SETS}|\b(?:(positive|negative|non-?negative)\s+)?(integer|natural|real|rational|whole)")
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
    if one == other:
        return True
    if one.lower() != other.lower():
        return False
    if one.lower() in COMMON:
        return True
    return (len(one) > 2 and all(side in (side.lower(), side.title(), side.capitalize()) for side in (one, other))) or (
        len(one) > 3 and one.upper() in (one, other)
    )


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
    """Return the value of "twenty-one" or "three hundred and five"; None for any other text."""
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
        if match.start() and match.end() == len(text):
            return text[: match.start()].rstrip(" ,;({"), match.group()
    return text, ""


def qualifiers_conflict(one: str, other: str) -> bool:
    """Return whether two qualifiers name different number sets or moduli."""
    for pattern in (SET_NAME, MODULUS):
        first, second = pattern.search(one), pattern.search(other)
        if first and second and named(first) != named(second):
            return True
    return False


def parameter(qualifier: str) -> str | None:
    """Return the unknown whose values a qualifier names: k of `k \\in \\mathbb{Z}`."""
    found = PARAMETER.search(qualifier)
    return found[1] if found else None


def named(match: re.Match[str]) -> tuple[str, ...]:
    """Return what a match names, with `integer` for Z and the like."""
    letters = {"Z": "integer", "N": "natural", "R": "real", "Q": "rational"}
    return tuple(letters.get(part, part) for part in match.groups() if part)
