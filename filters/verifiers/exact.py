"""The final answer must equal the reference, letter for letter, after normalizing spaces, width and case.

Emphasis, `\\text{}`, boxes and dollar signs around the whole answer do not count. Case does not count in words, but it
does in symbols such as CO and mW; superscripts are no digits (10² is not 102). A full stop behind a word does
not count.
"""

import re

from filters.text.final_answer import final_answer
from filters.text.short_answer import normalized, unwrapped
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

NEEDS_REFERENCE = True  # imported rows without one have no verifier
STRUCK_OUT = re.compile(r"~~.+~~\.?", re.DOTALL)
STOPPED = re.compile(r"[^\W\d_]\.$")


def verify(item: Item) -> Judgement:
    """Compare the contents of `\\boxed{}`, `<answer>` or `####`, or the whole answer if it has none of them."""
    if item.reference is None:
        return broken("the prompt has no reference answer")
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    if answer.denied:
        return unparseable("the text takes its answer back")
    written = unwrapped(answer.joined or answer.marked or answer.text)
    if STRUCK_OUT.fullmatch(written) and not STRUCK_OUT.fullmatch(item.reference.strip()):
        return unparseable("the answer is struck out")
    said = normalized(written)
    if not said:
        return unparseable("no answer found")
    expected = normalized(unwrapped(item.reference))
    if said == expected or (STOPPED.search(said) and said[:-1] == expected):
        return correct(f"{said[:80]!r} is the reference")
    return wrong(f"got {said[:80]!r}, reference {expected[:80]!r}")
