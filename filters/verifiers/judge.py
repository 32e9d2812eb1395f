"""Leaves the answer to the model of the recipe's [judge] section, for prompts whose references no rule can compare.

By itself it accepts nothing: an answer that may be shown to a judge stays `unparseable` until one was asked
(`pipelines.judge`), and one that may not says why.
"""

from filters.judge import case_of, question_text
from filters.verdicts import Item, Judgement, broken, unparseable

WAITS = "left to the judge, which has not been asked"


def verify(item: Item) -> Judgement:
    """Unparseable; an error where there is no reference."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    case = case_of(question_text(item.messages), item)
    return unparseable(WAITS if not isinstance(case, str) else f"not shown to a judge: {case}")
