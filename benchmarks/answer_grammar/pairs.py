"""Pairs of a reference and a response with the verdict that is right, for each kind of answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.answer_grammar import collections, formulas, numbers
from benchmarks.answer_grammar.forms import Case, Kind
from benchmarks.answer_grammar.stances import asserted_boxes, denied_boxes, filled, in_languages

KINDS: dict[str, Kind] = {kind.__name__: kind for kind in (*numbers.KINDS, *collections.KINDS, *formulas.KINDS)}
PRESENTED = (
    "So the result is \\boxed{{{}}}.",
    "$\\boxed{{{}}}$",
    "\\[\\boxed{{{}}}\\]",
    "We try 3 cases. Hence\n\n\\[\n\\boxed{{\n{}\n}}\n\\]",
    "First we put the answer in \\boxed{{}}. It is $\\boxed{{{}}}$",
    "<answer>{}</answer>",
    "<answer>\\boxed{{{}}}</answer>",
    "**Final Answer**\n\n\\fbox{{{}}}",
    "The final answer is ${}$.",
    "Adding all up, **Answer:** ${}$",
    "Some steps.\n#### {}",
    "Thus the result is $\\boxed{{{}}}$, as required.",
    "\\boxed{{{}}}\n\nLet me verify: 3 + 4 = 7. Good.",
    "I tried \\boxed{{99}} first.\n\nThat was wrong; the answer is \\boxed{{{}}}",
)
# Denials, hedges and half sentences around the right value.
DENIED = (
    "The answer is not \\boxed{{{}}}.",
    "It cannot be $\\boxed{{{}}}$.",
    "\\boxed{{{}}} is wrong.",
    "$\\boxed{{{}}}$ or 987654",
    "\\boxed{{{}}} or \\boxed{{987654}}",
    "\\boxed{{{}}} and \\boxed{{987654}}",
    "\\boxed{{\\neq {}}}",
    "\\boxed{{\\text{{not }} {}}}",
    "\\boxed{{{} \\text{{ is wrong}}}}",
    "\\boxed{{\\text{{either }} {} \\text{{ or }} 987654}}",
    "\\boxed{{{} \\text{{ or }} 987654}}",
    "\\boxed{{{}}}\n\nWait, that is wrong. \\boxed{{987654}}",
    "<|begin_of_thought|>maybe \\boxed{{{}}}<|end_of_thought|> I do not know.",
    "<think>It should be \\boxed{{{}}}",
)
UNMARKED = (
    "The answer is not {}.",
    "The answer cannot be {}.",
    "It is either {} or 987654, I am not sure.",
    "I ran out of time at step {}.",
    "I cannot determine the answer. {} is a guess.",
    "The answer is between {} and 987654.",
    "The answer is greater than {}.",
    "We still have to add 4 to {} +",
    "Maybe it is {}?",
)


# Sentences of all languages around a box, and around an answer without a mark.
ASSERTED, NOT_ASSERTED = asserted_boxes(), denied_boxes()
NOT_ASSERTED_PLAIN = [
    form for stance in ("denied", "doubted") for forms in in_languages()[stance].values() for form in forms
]


@dataclass(frozen=True)
class Pair:
    """A reference, a response, whether it is right, and what was done: rendering, statement, mutation or denial."""

    kind: str
    reference: str
    response: str
    right: bool
    change: str


def pairs(kind: str, seed: int) -> Iterator[Pair]:
    """Yield every pair of one case; it depends on the seed alone."""
    rng = Random(f"{kind} {seed}")
    case: Case = KINDS[kind](rng)
    for change, answers in (("rendering", case.same), ("mutation", case.other)):
        for answer in answers:
            yield Pair(kind, case.reference, rng.choice(PRESENTED).format(answer), change == "rendering", change)
    yield from (Pair(kind, case.reference, response, False, "denial") for response in denials(case.reference, rng))
    yield Pair(kind, case.reference, filled(rng.choice(ASSERTED), rng.choice(case.same)), True, "statement")


def denials(reference: str, rng: Random) -> Iterator[str]:
    """Yield responses that name the right value and do not stand by it."""
    for form in rng.sample(DENIED, 3):
        yield form.format(reference)
    for form in rng.sample(NOT_ASSERTED, 3):
        yield filled(form, reference)
    yield rng.choice(UNMARKED).format(reference)
    yield filled(rng.choice(NOT_ASSERTED_PLAIN), reference).replace(
        "{}", f"${reference}$" if rng.random() < 0.5 else reference
    )
