"""The choice that a whole text states: by a phrase, by a mark around a letter, or by a line of its own."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from filters.choices import denials, phrases
from filters.choices.letters import Choice, choice_in, contradicts, ends_well, option_of, plain, read_answer, read_line

SEARCHED_CHARS = 20_000  # from the end
CLAUSE = re.compile(r"[.;:!?\n,]")
SENTENCE = re.compile(r"[!?\n]|\.(?=\s|$)")
CONTRASTED = re.compile(
    r"(?:,\s+(?:and\s+)?not|,?\s+(?:rather\s+than|instead\s+of))\s.*$", re.IGNORECASE
)  # "Paris, not Rome"
CLAUSE_CHARS, SENTENCE_CHARS = 60, 120
OPERATOR = re.compile(r"[\w)]\s*[+*/^]\s*$")  # "x^2/2 + **C**"
BOLD = re.compile(r"\*\*(?=\S)([^*\n]{1,200})\*\*|__(?=\S)([^_\n]{1,200})__")
MARK = re.compile(
    rf"(?:[^\n:]{{1,60}}:\s*)?(?:(?:{phrases.any_of(phrases.NAMES)})[\s:]+)*[(\[]?(?-i:([A-J]))"
    r"(?:[)\].:]+\s*$|[)\]]\s*\S|[.:]\s*(?=[^\sA-Za-z0-9])|[.:]\s+\S|\s*$|\s+[-\u2013\u2014(]\s?)",
    re.IGNORECASE,
)
LINE = re.compile(
    r"^[ \t]*(?:Option\s+|Choice\s+)?(?:\(([A-J])\)|\[([A-J])\]|([A-J])(?:[).:]|(?=[ \t]*$)))[.:]?"
    r"(?:[ \t]*$|[ \t]+\S.*$|(?=[^\x00-\x7f]).*$)",
    re.MULTILINE,
)


class Mark(NamedTuple):
    """A letter that its place or its type makes stand out, whether it begins a line, and where the line starts."""

    letter: str
    begins_line: bool
    line: int


def stated_choice(text: str, options: Mapping[str, str]) -> Choice | None:
    """Return the choice that a text states, by the clearest sign in it; None if it states none.

    The signs, in order: "the answer is B" and the like, the last one that is not taken back; "B is correct", "I choose
    B"; a letter in bold type or after a label; a line that is a letter or begins with one; a last line that is a value.
    """
    text = text[-SEARCHED_CHARS:]
    short = plain(text)
    if choice := phrased(short, options):
        return choice if choice.letters else None
    if letter := settled(bold_marks(text, options)):
        return Choice(frozenset(letter))
    last = short.rpartition("\n")[2]
    if (labelled := phrases.LABEL.fullmatch(last)) and not denied_label(last) and holds(last, labelled, options):
        return choice_in(labelled.group("letters"))
    if letter := settled(line_marks(short, options)):
        return Choice(frozenset(letter))
    return read_line(last) or read_value(text.strip().rpartition("\n")[2], options)


def read_value(line: str, options: Mapping[str, str]) -> Choice | None:
    """Return the option whose value a line ends in, after a colon if it has one."""
    if phrases.UNSURE.search(line) or phrases.WITHDRAWN.search(line):
        return None
    line = CONTRASTED.sub("", line)
    for part in (line, line.rpartition(": ")[2]):
        if (choice := read_answer(part, options)) and choice.letters <= set(options.values()):
            return choice
    return None


def stated_value(stated: str, options: Mapping[str, str]) -> Choice | None:
    """Return the option whose value follows "the answer is"; a letter there was read, or refused, before."""
    letter = option_of(stated, options) or option_of(CONTRASTED.sub("", stated), options)
    return Choice(frozenset(letter)) if letter else None


def phrased(text: str, options: Mapping[str, str]) -> Choice | None:
    """Return what the phrases of a text choose; no letters if the last phrase is taken back, None without a phrase."""
    stated = found_by((*phrases.STATED, phrases.STATED_SMALL), text, options)
    others = found_by(phrases.CHOSEN, text, options)
    if not stated:
        return agreed(others)
    end, choice = stated[-1]
    if phrases.WITHDRAWN.search(text, end):
        return next((other for place, other in reversed(others) if place > end), Choice(frozenset()))
    return choice


def stated_after(text: str, options: Mapping[str, str]) -> Choice | None:
    """Return the last choice that phrases such as "the answer is B" state in a text; None without one."""
    found = found_by(phrases.STATED, text, options)
    return found[-1][1] if found else None


def denied_label(line: str) -> bool:
    """Return whether a line's label announces an answer that is not right."""
    label = line.partition(":")[0]
    return denials.NOT_THE_ANSWER.search(label) is not None and phrases.ANSWER_NAME.search(label) is not None


def agreed(found: Sequence[tuple[int, Choice]]) -> Choice | None:
    """Return the one choice of all phrases, or no letters if they differ; None without a phrase."""
    choices = {choice for _, choice in found}
    return None if not choices else choices.pop() if len(choices) == 1 else Choice(frozenset())


def found_by(patterns: Sequence[re.Pattern[str]], text: str, options: Mapping[str, str]) -> list[tuple[int, Choice]]:
    """Return (end, choice) of every phrase that holds, in the text's order; of phrases with one end, the longest."""
    found: dict[int, Choice] = {}
    for pattern in patterns:
        for match in pattern.finditer(text):
            if holds(text, match, options):
                found[match.end("letters")] = choice_in(match.group("letters").upper())
    return sorted(found.items())


def holds(text: str, match: re.Match[str], options: Mapping[str, str]) -> bool:
    """Return whether a phrase is a statement: its letters are options, and nothing around it denies or doubts it."""
    tail = text[match.end() : match.end() + SENTENCE_CHARS]
    before = CLAUSE.split(text[max(0, match.start() - CLAUSE_CHARS) : match.start()])[-1]
    said = match.group("letters").upper()
    if phrases.DENIED_BEFORE.search(before) or phrases.DENIED_AFTER.match(tail) or contradicts(said, tail, options):
        return False
    sentence = SENTENCE.split(text[max(0, match.start() - SENTENCE_CHARS) : match.start("letters")])[-1]
    if denials.denied_before(sentence) or denials.NOT_THE_ANSWER.search(before) or denials.denied_after(tail):
        return False
    if denials.crossed_out(ahead := text[: match.start("letters")][-CLAUSE_CHARS:]) or phrases.NAMED.search(ahead):
        return False
    if phrases.DOUBTED_BEFORE.search(ahead) or phrases.DOUBTED_BEHIND.match(text, match.end("letters")):
        return False
    if (gap := match.groupdict().get("gap")) and denials.NOT_WORDS.search(gap):
        return False
    if phrases.UNSURE.search(SENTENCE.split(tail, maxsplit=1)[0]):
        return False
    return match.end() > match.end("letters") or ends_well(said, tail, options)


def bold_marks(text: str, options: Mapping[str, str]) -> list[Mark]:
    """Return the letters that begin a text in bold type, in order, alone or before their option's value."""
    found = []
    for match in BOLD.finditer(text):
        inner = plain(match.group(1) or match.group(2))
        mark = MARK.match(inner)
        if mark and not contradicts(mark.group(1), inner[mark.end(1) :], options) and not refused(text, match):
            line_start = text.rfind("\n", 0, match.start()) + 1
            found.append(Mark(mark.group(1), not re.search(r"\w", text[line_start : match.start()]), line_start))
    return found


def refused(text: str, match: re.Match[str]) -> bool:
    """Return whether the sentence around a marked letter denies or doubts it."""
    before = CLAUSE.split(text[max(0, match.start() - CLAUSE_CHARS) : match.start()])[-1]
    rest = SENTENCE.split(text[match.end() : match.end() + SENTENCE_CHARS], maxsplit=1)[0]
    sentence = SENTENCE.split(text[max(0, match.start() - SENTENCE_CHARS) : match.start()])[-1]
    if denials.denied_before(sentence) or denials.crossed_out(before) or denials.denied_after(rest):
        return True
    if phrases.NAMED.search(before) or OPERATOR.search(before) or phrases.DOUBTED_BEFORE.search(before):
        return True
    if phrases.THING.match(rest) or phrases.DOUBTED_BEHIND.match(rest) or text.startswith("?", match.end()):
        return True
    return any(
        pattern.search(part)
        for pattern, part in (
            (phrases.DENIED_MARK, before),
            (phrases.HEDGE, before),
            (phrases.REFUSED, rest),
            (phrases.UNSURE, rest),
            (denials.NOT_WORDS, f"{before}\n{rest}"),
        )
    )


def hedged(before: str, after: str) -> bool:
    """Return whether the sentence around an answer says that it is a guess."""
    sentence = f"{SENTENCE.split(before)[-1]} {SENTENCE.split(after, maxsplit=1)[0]}"
    return phrases.HEDGE.search(sentence) is not None


def line_marks(text: str, options: Mapping[str, str]) -> list[Mark]:
    """Return the letters that begin a line, alone or before their option's value, up to the first or last line."""
    found, last_line = [], text.rfind("\n") + 1
    for match in LINE.finditer(text):
        letter = next(letter for letter in match.groups() if letter)
        said = match.group().partition(letter)[2]
        if not contradicts(letter, said, options) and not phrases.REFUSED.search(said) and not denied_line(said):
            found.append(Mark(letter, True, match.start()))
    return found if found and (found[-1].line == last_line or found[0].line == 0) else []


def denied_line(said: str) -> bool:
    """Return whether the rest of a line calls the letter at its start wrong."""
    return denials.denied_after(said.lstrip(".): "))


def settled(marks: Sequence[Mark]) -> str | None:
    """Return the last marked letter that is no item of a list of options; None if there is none.

    Lines that begin with A, B, C in order go through the options: they explain, and choose none.
    """
    left = list(marks)
    run = 1
    while run < len(left) and in_order(left[-run - 1], left[-run]):
        run += 1
    left = left if run == 1 else left[:-run]
    return left[-1].letter if left and one_a_line(left) else None


def one_a_line(marks: Sequence[Mark]) -> bool:
    """Return whether the last mark's line has no other letter marked."""
    return len({mark.letter for mark in marks if mark.line == marks[-1].line}) == 1


def in_order(one: Mark, next_one: Mark) -> bool:
    """Return whether two marks begin lines and stand in the order of the alphabet."""
    return one.begins_line and next_one.begins_line and one.letter < next_one.letter
