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

from filters.sandbox.confined_call import confined_call
from filters.sandbox.packages import Packages
from filters.sandbox.values import decode, encode
from filters.sandbox.zygote_process import readable_folders
from filters.text.final_answer import final_answer
from filters.text.short_answer import readings
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable, wrong

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
    """Pass the final answer (`<answer>`, `\\boxed{}`, else the whole) to the task that the metadata names.

    An answer with emphasis, `\\text{}` or the like around it is also scored without it; the better score counts.
    """
    try:
        entry = read_entry(item.reference or "")
        score = scorer(str(entry["metadata"]["source_dataset"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return broken(f"the reference is not a reasoning-gym entry: {error}")
    except ImportError:
        return broken(MISSING)
    answer = final_answer(item)
    if isinstance(answer, Judgement):
        return answer
    if answer.denied:
        return unparseable("the text takes its answer back")
    said = answer.text if answer.marked is None else answer.marked
    if not said:
        return unparseable("no answer found")
    try:
        value = confined_call(
            lambda: best_score(score, said, entry), readable(), not item.options.get("score_without_isolation", False)
        )
    except OSError as error:
        return broken(f"{error}; the option score_without_isolation scores answers with all your rights")
    except RuntimeError as error:
        return wrong(f"the task cannot score the answer: {error}")
    if value >= 1:
        return correct("the task's score is 1")
    return Judgement("wrong", max(0.0, value), f"the task's score is {value:g}")


def best_score(score: Any, said: str, entry: dict[str, Any]) -> float:
    """Return the best score of the answer's readings; raise the last one's error if no reading can be scored."""
    scores, failure = [0.0], None
    for reading in readings(said):
        try:
            scores.append(float(score(reading, entry)))
        except Exception as error:  # whatever a task raises on an answer that it cannot read
            failure = error
    if failure is not None and len(scores) == 1:
        raise failure
    return max(scores)


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
