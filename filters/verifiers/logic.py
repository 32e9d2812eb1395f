"""Puzzles of reasoning-gym, scored by the task that generated them (`pip install distill-toolkit[logic]`).

The reference is the puzzle's entry (question, answer, metadata) as JSON; `reference_of(entry)` keeps the types that
some tasks need (tuples, non-string keys). The score is the task's own, in [0, 1]; only 1 is correct.

Several of the tasks evaluate the answer, with sympy's `parse_expr` among others, so each answer is scored in a process
that can do nothing but reply (`filters.sandbox.confined_call`). If the kernel has no Landlock, the status is `error`
unless the option `score_without_isolation` is true.
"""

import functools
import json
import sys
from collections.abc import Mapping
from typing import Any

from filters.puzzles.doubts import doubtful, folded, foreign_word, left_open, own_answer
from filters.puzzles.statements import mark, readings, statements
from filters.sandbox.confined_call import confined_call
from filters.sandbox.packages import Packages
from filters.sandbox.values import decode, encode
from filters.sandbox.zygote_process import readable_folders
from filters.text.final_answer import after_thinking, never_ends
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

NEEDS_REFERENCE = True  # imported rows without one have no verifier
NONSENSE = "zq"
MISSING = "reasoning-gym is not installed; pip install 'distill-toolkit[logic]'"


def reference_of(entry: Mapping[str, Any]) -> str:
    """Return the `reference` of a prompt made from a reasoning-gym entry."""
    return json.dumps({"entry": encode(dict(entry))})


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError if an option is unknown or its value is not accepted."""
    for key, value in options.items():
        if key != "score_without_isolation" or not isinstance(value, bool):
            raise ValueError(f"logic.{key} is {value!r}; the only option is `score_without_isolation`, true or false")


def verify(item: Item) -> Judgement:
    """Pass the answer that the text states to the task that the metadata names; accept it if it states no other.

    The answer is the last box, `<answer>` or `####`, else what follows "the answer is", else the text or its end. Marks
    around it do not count; the best reading does. An answer that is denied, hedged or one of several is refused.
    """
    try:
        entry = read_entry(item.reference or "")
        score = scorer(str(entry["metadata"]["source_dataset"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return broken(f"the reference is not a reasoning-gym entry: {error}")
    except ImportError:
        return broken(MISSING)
    text = after_thinking(item.answer).strip()
    if not text or never_ends(text):
        return unparseable("thinking never ended" if item.reasoning or text else "the answer is empty")
    found = stated_in(text, item)
    if isinstance(found, Judgement):
        return found
    isolated = not item.options.get("score_without_isolation", False)
    try:
        value, doubt = confined_call(lambda: best_score(score, found, entry), readable(), isolated)
    except OSError as error:
        return broken(f"{error}; the option score_without_isolation scores answers with all your rights")
    except RuntimeError as error:
        return wrong(f"the task cannot score the answer: {error}")
    if value >= 1:
        return correct("the task's score is 1")
    return unparseable(doubt) if doubt else Judgement("wrong", max(0.0, value), f"the task's score is {value:g}")


def stated_in(text: str, item: Item) -> list[tuple[str, str]] | Judgement:
    """Return (answer, text behind it) of what the text may state, the likeliest first, or why it states none."""
    if item.bare:
        return [(text, "")]
    if item.finish_reason == "length" and mark(text) is None:
        return unparseable("cut off before the final answer")
    return list(statements(text)) or unparseable("the text states no answer, or takes it back")


def best_score(score: Any, said: list[tuple[str, str]], entry: dict[str, Any]) -> tuple[float, str]:
    """Return (best score of the readings, doubt); a doubt is why no reading with score 1 counts.

    A task that scores nonsense with 1 is not asked: then the answer must be the entry's own.
    """

    def accepts(text: str) -> bool:
        return value_of(score, text, entry) >= 1

    blind = accepts(NONSENSE)
    best, doubt = 0.0, ""
    for text, later in said:
        for reading in readings(text):
            value = float(folded(reading) == folded(own_answer(entry))) if blind else value_of(score, reading, entry)
            if value < 1:
                best = max(best, value)
            elif why := doubtful(reading, entry):
                doubt = doubt or why
            elif left_open(later):
                doubt = doubt or "another answer or a doubt follows the answer"
            elif not blind and (word := foreign_word(reading, entry, accepts)):
                doubt = doubt or f"the answer has words that are no part of it: {word!r}"
            else:
                return 1.0, ""
    return best, doubt


def value_of(score: Any, text: str, entry: dict[str, Any]) -> float:
    """Return a task's score of a text; 0 if the task cannot read it."""
    try:
        return float(score(text, entry))
    except Exception:  # whatever a task raises on an answer that it cannot read
        return 0.0


def read_entry(reference: str) -> dict[str, Any]:
    """Return the entry, from either form."""
    data = json.loads(reference)
    entry: dict[str, Any] = decode(data["entry"]) if isinstance(data, dict) and "entry" in data else data
    return entry


@functools.cache
def scorer(task: str) -> Any:
    """Return the task's `score_answer(answer, entry)`; raise ValueError for an unknown task."""
    from reasoning_gym import get_score_answer_fn

    return get_score_answer_fn(task)


@functools.cache
def readable() -> list[str]:
    """Return the folders that tasks import from while they score."""
    return readable_folders(Packages(folders=tuple(path for path in sys.path if path), files=()))


def reference_answer(reference: str) -> str | None:
    """Return the answer of the entry, which its task must accept (filters.check_references); None if it has none."""
    try:
        answer = read_entry(reference)["answer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return answer if isinstance(answer, str) and answer.strip() else None
