"""A verifier of one's own: the final answer must be an even number.

    cd examples/custom_verifier && distill run recipe.toml      # the recipe names it: verifier = "./even.py"

A verifier is a module with `verify(item) -> Judgement`. It runs in worker processes that give each item one deadline
and one memory cap; therefore it needs no time-outs of its own.
"""

from collections.abc import Mapping
from typing import Any

from filters.text.final_answer import final_answer
from filters.verification.verdicts import Item, Judgement, correct, unparseable, wrong


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError if `[verify.options."..."]` has an unknown key or a wrong value."""
    for key, value in options.items():
        if key != "least" or not isinstance(value, int):
            raise ValueError(f"even.{key} is {value!r}; the only option is `least`, an integer")


def verify(item: Item) -> Judgement:
    """Judge the final answer (in `<answer>` tags, in \\boxed{}, else the whole answer)."""
    found = final_answer(item)
    if isinstance(found, Judgement):  # no answer, or one that was cut
        return found
    text = (found.text if found.marked is None else found.marked).strip()
    try:
        number = int(text)
    except ValueError:
        return unparseable(f"the answer {text[:40]!r} is no integer")
    if number % 2:
        return wrong(f"{number} is odd")
    least = item.options.get("least", 0)
    return correct(f"{number} is even") if number >= least else wrong(f"{number} is below {least}")
