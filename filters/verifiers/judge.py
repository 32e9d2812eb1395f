"""Leaves the answer to the model of the recipe's [judge] section, for prompts whose references no rule can compare.

By itself it accepts nothing: an answer that may be shown to a judge stays `unparseable` until one was asked
(`pipelines.judge.stage`), and one that may not says why.
"""

from filters.llm_judge.guard import reason_against
from filters.llm_judge.prompts import case_of, question_text
from filters.verification.verdicts import Item, Judgement, broken, unparseable

WAITS = "left to the judge, which has not been asked"


def verify(item: Item) -> Judgement:
    """Unparseable; an error where there is no reference."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    case = case_of(question_text(item.messages), item)
    return unparseable(WAITS if not isinstance(case, str) else f"not shown to a judge: {case}")


def gold_answer(reference: str) -> None:
    """No rule accepts the gold as an answer (filters.check_references)."""
    return None


def gold_defects(reference: str) -> list[tuple[str, str]]:
    """A gold that the guard would withhold if a sample gave it: no sample of its prompt could be accepted."""
    reason = reason_against(reference.strip()) if reference.strip() else None
    return [("refused", f"as an answer it is not shown to a judge: {reason}")] if reason else []
