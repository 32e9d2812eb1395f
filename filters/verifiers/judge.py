"""The answer is left to the model of the recipe's [judge] section, for references that no rule can compare.

By itself this verifier accepts nothing: an answer that may be shown to a judge stays `unparseable` until a judge was
asked (`pipelines.judge.stage`), and the reason of any other answer says why it may not be shown.
"""

from filters.llm_judge.guard import reason_against
from filters.llm_judge.prompts import case_of, question_text
from filters.verification.verdicts import Item, Judgement, broken, unparseable

NEEDS_REFERENCE = True  # imported rows without one have no verifier
WAITS = "left to the judge, which has not been asked"


def verify(item: Item) -> Judgement:
    """Return `unparseable`, or `error` if there is no reference."""
    if not (item.reference or "").strip():
        return broken("the prompt has no reference answer")
    case = case_of(question_text(item.messages), item)
    return unparseable(WAITS if not isinstance(case, str) else f"not shown to a judge: {case}")


def reference_answer(reference: str) -> None:
    """Return None: no rule accepts the reference as an answer (filters.check_references)."""
    return None


def reference_defects(reference: str) -> list[tuple[str, str]]:
    """Return a defect if the guard would withhold the reference as an answer: then no sample could be accepted."""
    reason = reason_against(reference.strip()) if reference.strip() else None
    return [("refused", f"as an answer it is not shown to a judge: {reason}")] if reason else []
