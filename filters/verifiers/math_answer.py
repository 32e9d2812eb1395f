"""Mathematical answers, compared by our own exact arithmetic, or by Math-Verify where that cannot decide.

No text is evaluated as code: it is parsed into a tree (filters.mathematics.reading.parser), and two trees are compared
by exact and modular arithmetic (filters.mathematics.compare). Where these cannot decide, Math-Verify gets the trees,
written out again; an answer that cannot be read as a whole is never accepted.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from filters.mathematics import symbolic
from filters.mathematics.compare import LENIENCIES, Comparer, Comparison, leniencies_needed
from filters.mathematics.expressions import Expression, Name, Quantity, Sequence, Words, nodes, substituted
from filters.mathematics.quantities import DEFAULT_LENIENCIES
from filters.mathematics.reading.literal import literal, worded
from filters.mathematics.reading.numbers import exact_number
from filters.mathematics.reading.parser import read_answer
from filters.mathematics.reading.surface import plain
from filters.mathematics.reading.tokens import Unreadable, tokens
from filters.mathematics.reading.words import (
    Family,
    chemical,
    date,
    integer_family,
    is_code,
    number_in_words,
    phrase,
    quadrants,
    qualifiers_conflict,
    same_phrase,
    same_phrases,
    without_qualifier,
)
from filters.mathematics.references import defects
from filters.mathematics.symbolic import DELIMITER, PROSE, SHOWN_CHARS, equal_by_math_verify, shown, too_large
from filters.mathematics.units import SCALE, read_unit
from filters.text.assertion.languages import DENIAL
from filters.text.boxes import boxed, joined_boxes
from filters.text.commitment import committed
from filters.text.final_answer import DISOWNED, Answer, final_answer, stated_answer
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

NEEDS_REFERENCE = True  # imported rows without one have no verifier
MARKED_CHARS = 4_000
FREE_LETTER = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])")
SHORT_CHARS = 200
FORMAL = re.compile(r"[\\$=]")
SYLLABLES = re.compile(r"[\u3041-\u3096\uac00-\ud7a3]{2}")  # Japanese and Korean prose
TEXT = re.compile(r"\\(?:text|mathrm)\s*\{[^{}]*\}")

LAYOUT = re.compile(r"(?:\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\[,!;: ]|\s)+")
BLANK = re.compile(r"(?<![\w.,_]) | (?![\w.,])")
SIZED_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
DOLLARS = re.compile(r"(\$\$?)([^$]+)\1")
DOLLAR = re.compile(r"(?<!\\)\$")
MONTHLY = re.compile(r"[A-Z][a-z]{2}|月")  # a date that names its month
CHOICE = re.compile(r"(?:\*\*)?(?:\\(?:text|math)(?:bf|rm|it)?\s*\{)?\s*\(?([A-J])[).]?\s*\}?(?:\*\*)?")
LABELLED = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*\(?([A-J])\s*[).:](?!\s*[-+*/^=,])")
UNCLOSED_BOX = re.compile(r"^\\+boxed\{(?!.*\}$)", re.DOTALL)
LABEL = re.compile(r"(?<![A-Za-z\\])[A-J]\s*[).]")
PERCENT = re.compile(r"(?:[\s$]|\\[)\]])*(?:\\text\s*\{\s*)?\s*(?:\\?%|percent\b|pct\b)")
UNIT_AFTER = re.compile(r"(?:[\s$]|\\[)\]]|\\[,;: ]|~)*((?:\\(?:text|mathrm)\s*\{)?[A-Za-z°/^\d²³.{} \\]+)")
POWER = re.compile(r"(?:\\[,;: ]|\s)*\\(?:times|cdot)\s*10\s*\^\s*\{?\s*(-?\d{1,3})\s*\}?")
UNIT_WORDS = 4
SMALL_WORDS = frozenset(("a", "in", "A", "I"))  # units that are words as well


def check_options(options: Mapping[str, Any]) -> None:
    """Check the only option, `leniencies`: a list of names in filters.mathematics.compare.LENIENCIES."""
    for key, names in options.items():
        if key != "leniencies":
            raise ValueError(f"math_answer has no option {key!r}; it has 'leniencies'")
        if not isinstance(names, list | tuple) or not set(names) <= set(LENIENCIES):
            raise ValueError(f"leniencies = {names!r}: it must be a list of {', '.join(map(repr, LENIENCIES))}")


def warm() -> None:
    """Load Math-Verify and sympy when a worker starts, so that their import counts for no item's deadline."""
    symbolic.warm()


def reference_answer(reference: str) -> str:
    """Return the answer that a reference stands for (filters.check_references)."""
    return bare_reference(reference)


def reference_defects(reference: str) -> list[tuple[str, str]]:
    """Return what looks wrong with a reference (filters.check_references)."""
    return list(defects(bare_reference(reference)))


def verify(item: Item) -> Judgement:
    """Judge the last answer that the text after the thinking commits to, else its final number or formula."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    if answer.denied:
        return wrong("the text takes the answer in its box back")
    if answer.unfinished:
        return unparseable("the text states no answer")
    reference = bare_reference(item.reference or "")
    leniencies = tuple(item.options.get("leniencies", DEFAULT_LENIENCIES))
    if goes_on(answer, leniencies):
        return wrong("the text goes on to another answer than that in its box")
    return (
        by_letter(answer, reference)
        or by_parts(answer, reference, leniencies)
        or by_value(answer, reference, leniencies)
    )


def goes_on(answer: Answer, leniencies: tuple[str, ...]) -> bool:
    """Return whether a later sentence states another value than the last box; a decimal may be the same one rounded."""
    if answer.another is None or answer.marked is None or "." in answer.another or len(answer.marked) > MARKED_CHARS:
        return False
    if set(FREE_LETTER.findall(answer.another)) - set(FREE_LETTER.findall(answer.marked)):
        return False
    return compared(answer.another, answer.marked, leniencies).status == "wrong"


def bare_reference(reference: str) -> str:
    """Return the reference answer without `####`, `\\boxed{}` or dollars around the whole of it."""
    text = reference.rpartition("####")[2].strip()
    text = UNCLOSED_BOX.sub("", text)
    boxes = boxed(text) if "box" in text else []
    if len(boxes) > 1:
        text = joined_boxes(text) or boxes[-1]
    elif boxes:
        text = boxes[0]
    whole = DOLLARS.fullmatch(text)
    text = whole.group(2).strip() if whole else text
    if len(text) > SHOWN_CHARS and (found := solution_answer(text)):  # a whole solution
        return found
    return text


def solution_answer(text: str) -> str | None:
    """Return the final answer of a solution in prose; None if the text is no prose."""
    try:
        prose = isinstance(read_answer(text), Words)
    except (Unreadable, RecursionError):
        prose = " is " in text
    return (stated_answer(text, None, 0) or next(iter(committed(text)), None)) if prose else None


def by_letter(answer: Answer, reference: str) -> Judgement | None:
    """Return a judgement if the reference is the letter of a choice and the mark holds `(B) 12`; else None."""
    expected = CHOICE.fullmatch(reference)
    said = LABELLED.match(answer.marked or "") if expected else None
    if not expected or not said or len(LABEL.findall(answer.marked or "")) != 1:
        return None
    if said.group(1) == expected.group(1):
        return correct(f"{said.group(1)} is the reference")
    return wrong(f"got {said.group(1)}, reference {expected.group(1)}")


def by_parts(answer: Answer, reference: str, leniencies: tuple[str, ...]) -> Judgement | None:
    """Judge boxes that prose parts as a list if the reference is a list of as many values, in its order; else None."""
    if not answer.separate or answer.joined:
        return None
    try:
        expected = read_answer(reference)
        items = expected.items if isinstance(expected, Sequence) and expected.brackets in ("", "()") else ()
        if len(items) != len(answer.separate):
            return None
        found = [
            Comparer(defaults(leniencies)).compare(*pair)
            for pair in zip(items, map(read_answer, answer.separate), strict=True)
        ]
    except (Unreadable, RecursionError):
        return None
    said = ", ".join(answer.separate)
    if set(found) == {Comparison.EQUAL}:
        return correct(f"{shown(said)} equals the reference {shown(reference)}")
    return wrong(f"got {shown(said)}, reference {shown(reference)}")


def by_value(answer: Answer, reference: str, leniencies: tuple[str, ...] = ()) -> Judgement:
    """Judge the first readable candidate; several readings of one value count if they are equal."""
    judgement = None
    readings = list(candidates(answer, reference))
    for said in readings:
        judgement = compared(said, reference, leniencies)
        if judgement.status != "unparseable":
            break
    if judgement is None:
        return unparseable("no answer found")
    if (
        judgement.status == "wrong"
        and len(answer.said) > 1
        and compared(answer.said[1], answer.said[0], leniencies).score
    ):
        return compared(answer.said[1], reference, leniencies)
    return judgement


def candidates(answer: Answer, reference: str) -> Iterator[str]:
    """Yield the possible readings of the final answer, the last committed one first."""
    if answer.stated:
        yield answer.stated
    elif answer.marked is None and is_formula(answer.text):
        yield answer.text
    if answer.joined:
        yield answer.joined
    elif answer.marked is not None:
        yield with_unit(answer.marked, answer.after, reference)
    yield from answer.said


def is_formula(text: str) -> bool:
    """Return whether a text without a mark is a short answer and nothing else: LaTeX, an equation, or no letters."""
    if (
        len(text) > SHORT_CHARS
        or SYLLABLES.search(text)
        or DENIAL.search(text)
        or DISOWNED.match(text)
        or PROSE.search(TEXT.sub("", plain(text)))
    ):
        return False
    return FORMAL.search(text) is not None or not re.search(r"[A-Za-z]", text)


def with_unit(marked: str, after: str, reference: str) -> str:
    """Return the contents of a box with the unit that stands right after it, if the reference has a unit.

    A percentage whose sign is outside the box is a share, and `million` behind a box belongs to the number.
    """
    if PERCENT.match(after) and not marked.rstrip().endswith("%"):
        return f"{marked}\\%" if has_unit(reference) else f"({marked})/100"
    if scale := SCALE.match(after):
        return f"{marked}\\text{{ {scale[1] or scale[2]}}}"
    if power := POWER.match(after):
        return f"{marked} \\times 10^{{{power[1]}}}"
    if after and (unit := unit_after(after)) and has_unit(reference):
        return f"{marked}\\text{{ {unit}}}"
    return marked


def has_unit(reference: str) -> bool:
    """Return whether the reference is a value with a unit."""
    try:
        return any(isinstance(node, Quantity) for node in nodes(read_answer(reference)))
    except (Unreadable, RecursionError):
        return False


def unit_after(after: str) -> str:
    """Return the unit that a text begins with: `cm` of `cm long`, `square feet`; the empty string if there is none."""
    match = UNIT_AFTER.match(after)
    if match is None:
        return ""
    words = re.sub(r"\\(?:text|mathrm)\s*\{|[{}\\]", " ", match[1]).rstrip(". ").split()
    for length in range(min(len(words), UNIT_WORDS), 0, -1):
        unit = read_unit(" ".join(words[:length]))
        if unit.dimension and not unit.nouns and not (words[0] in SMALL_WORDS and len(words) > 1):
            return " ".join(words[:length])
    return ""


def compared(said: str, reference: str, leniencies: tuple[str, ...]) -> Judgement:
    """Return a judgement on one reading of the answer."""
    if len(said) > MARKED_CHARS:
        return unparseable(f"the answer has {len(said)} characters; at most {MARKED_CHARS} are read")
    number, expected = exact_number(said), exact_number(reference)
    if number is not None and number == expected:
        return correct(f"{said} equals the reference {reference}")
    letters = CHOICE.fullmatch(said), CHOICE.fullmatch(reference)
    if letters[0] and letters[1] and letters[0][1] == letters[1][1]:
        return correct(f"{letters[0][1]} is the reference")
    if spelled(said) == spelled(reference):
        return correct(f"{shown(said)} is the reference")
    one, other = without_delimiters(said), without_delimiters(reference)
    if (judgement := by_words(one, other)) is not None:
        return judgement
    (core, qualifier), (expected_core, expected_qualifier) = without_qualifier(one), without_qualifier(other)
    if qualifiers_conflict(qualifier, expected_qualifier):
        return wrong(f"got {shown(said)}, reference {shown(reference)}")
    return by_trees((core, expected_core), leniencies, said, reference, integer_family(qualifier, expected_qualifier))


def without_delimiters(text: str) -> str:
    """Return the text without pairs of dollars and the like; a single dollar is money."""
    return text if len(DOLLAR.findall(text)) % 2 else DELIMITER.sub("", text)


def by_words(said: str, reference: str) -> Judgement | None:
    """Judge dates, numbers in words, words and codes; None if the answers are mathematics."""
    one, other = plain(said), plain(reference)
    dates = date(one), date(other)
    words, expected = phrase(one), phrase(other)
    if None not in dates:
        same = dates[0] == dates[1]
    elif any(dates) and MONTHLY.search(f"{one} {other}"):
        same = False
    elif (places := quadrants(one, other)) is not None:
        same = places[0] == places[1]
    elif None not in (codes := (chemical(one), chemical(other))):
        same = codes[0] == codes[1]
    elif words is None and expected is None:
        return None
    elif None not in (number := value_of(one, words), wanted := value_of(other, expected)):
        same = number == wanted
    elif words is not None and expected is not None:
        same = same_phrase(words, expected) or same_phrases(expected, words)
        if not same and not (is_code(one) or is_code(other)):
            return None
    else:
        return None
    if same:
        return correct(f"{shown(said)} is the reference")
    return wrong(f"got {shown(said)}, reference {shown(reference)}")


def value_of(text: str, words: str | None) -> Fraction | None:
    """Return the value of a number in words or digits."""
    return exact_number(text) if words is None else number_in_words(words)


def by_trees(
    cores: tuple[str, str],
    leniencies: tuple[str, ...],
    said: str,
    reference: str,
    family: Family | None = None,
) -> Judgement:
    """Return the judgement on the two sides as parsed trees, by Math-Verify if they do not decide.

    `family`: the parameter that runs through a family of solutions.
    """
    try:
        expected = read_answer(cores[1])
    except (Unreadable, RecursionError):
        return by_spelling(said, reference)
    excess = too_large(cores[0])
    try:
        got = read_answer(cores[0])
    except (Unreadable, RecursionError):
        return unparseable(f"the answer {excess}" if excess else f"{shown(said)} could not be read as mathematics")
    found = compared_family(Comparer(defaults(leniencies)), expected, got, family)
    if found is Comparison.UNDECIDED and excess:
        return unparseable(f"the answer {excess}")
    if found is Comparison.UNDECIDED:
        found = equal_by_math_verify(expected, got)
    if found is Comparison.EQUAL:
        return correct(f"{shown(said)} equals the reference {shown(reference)}")
    return not_equal(got, expected, said, reference, leniencies)


def compared_family(comparer: Comparer, expected: Expression, got: Expression, family: Family | None) -> Comparison:
    """Compare two trees, the parameter of the answer's family being named as in the reference's."""
    if family is None:
        return comparer.compare(expected, got)
    got = substituted(got, Name(family.said), Name(family.reference))
    return (
        comparer.families(expected, got, family.reference) if family.all_integers else comparer.compare(expected, got)
    )


def by_spelling(said: str, reference: str) -> Judgement:
    """Judge a reference that is no mathematics as it is written: an ion, a formula of logic, a number among words."""
    expected, got = worded(reference), worded(said)
    if literal(said) == literal(reference) or (expected is not None and expected == got):
        return correct(f"{shown(said)} is the reference")
    try:
        mangled = any(kind == "mangled" for kind, _ in defects(reference)) or not tokens(plain(reference))
    except Unreadable:
        mangled = True
    if mangled:
        return broken(f"the reference {shown(reference)} could not be read as mathematics")
    return wrong(f"got {shown(said)}, reference {shown(reference)}, compared as they are written")


def defaults(leniencies: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the leniencies that are on by default; the others are tried where these find no equality."""
    return tuple(name for name in DEFAULT_LENIENCIES if name in leniencies)


def not_equal(
    got: Expression, expected: Expression, said: str, reference: str, leniencies: tuple[str, ...]
) -> Judgement:
    """Return the judgement on an answer that differs, naming the leniencies under which it would be equal."""
    if isinstance(got, Words) and not isinstance(expected, Words):
        return unparseable(f"{shown(said)} could not be read as mathematics")
    needed = leniencies_needed(expected, got)
    if needed and set(needed) <= set(leniencies):
        return correct(f"{shown(said)} equals the reference {shown(reference)} with leniency {' and '.join(needed)}")
    hint = f"; equal with leniency {' and '.join(needed)}" if needed else ""
    return wrong(f"got {shown(said)}, reference {shown(reference)}{hint}")


def spelled(text: str) -> str:
    """Return the text without mere layout; formulas that differ in nothing else are equal, parsable or not."""
    bare = LAYOUT.sub(" ", SIZED_FRACTION.sub(r"\\frac", DELIMITER.sub("", text))).strip()
    return BLANK.sub("", bare).removesuffix(".")
