"""Pairwise judging: the better of two answers, by a model that is asked in both orders.

Judges favor a position whatever answer is in it ("Judging LLM-as-a-Judge", arXiv 2306.05685), so a win has to hold in
both orders, and a preference that changes with the order is a tie. An answer that forges chat markup loses unseen.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filters.llm_judge.prompts import Message, Place, guarded_pair, pair_messages, preferred, read_pairwise
from filters.outputs import MISSING, Row, read_rows, value_at
from generators.contract.completions import split_reasoning
from generators.contract.errors import InputError
from generators.contract.files import write_text
from generators.contract.ids import prompt_id_of
from generators.contract.stage_protocol import IN_PROCESS, Runtime
from pipelines.judge.stage import Answers, JudgeConfig, consult

NEEDED = ("question", "a", "b")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question, without their reasoning."""

    question: str
    a: str
    b: str

    def orders(self) -> tuple[list[Message], list[Message]]:
        """Return the two questions to the judge: a first and b first."""
        return pair_messages(self.question, self.a, self.b), pair_messages(self.question, self.b, self.a)


@dataclass(frozen=True, slots=True)
class Preference:
    """`a`, `b` or `tie`, and the reason."""

    preferred: str
    reason: str


def prefer(
    pairs: Sequence[Pair],
    out: Path,
    config: JudgeConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> list[Preference]:
    """Return the judge's preference for each pair, in order; `out`/ledger keeps its replies."""
    sure = [guarded_pair(pair.a, pair.b) for pair in pairs]
    open_pairs = [pair for pair, known in zip(pairs, sure, strict=True) if known is None]
    asked = {prompt_id_of(messages): messages for pair in open_pairs for messages in pair.orders()}
    answers = consult(asked, out, config, runtime=runtime)
    return [Preference(*known) if known else preference(pair, answers) for pair, known in zip(pairs, sure, strict=True)]


def preference(pair: Pair, answers: Answers) -> Preference:
    """Combine the two replies on a pair."""
    forward, backward = (place_in(answers, messages) for messages in pair.orders())
    return Preference(
        preferred(forward, backward), f"a first: {forward or 'unclear'}; b first: {backward or 'unclear'}"
    )


def place_in(answers: Answers, messages: Sequence[Message]) -> Place | None:
    """Return the position that the judge prefers; None where it does not say."""
    text = answers.replies[prompt_id_of(messages)].text
    return None if text is None else read_pairwise(text)


def prefer_file(file: Path, out: Path, config: JudgeConfig, *, runtime: Runtime = IN_PROCESS) -> dict[str, int]:
    """Write `out`/preferences.jsonl, a line for each row of `file` (question, a, b), and return the totals."""
    rows = list(read_rows(file))
    pairs = [pair_of(file, number, row) for number, row in rows]
    found = prefer(pairs, out, config, runtime=runtime)
    lines = [
        {"row": number}
        | ({"id": row["id"]} if "id" in row else {})
        | {"preferred": one.preferred, "reason": one.reason}
        for (number, row), one in zip(rows, found, strict=True)
    ]
    write_text("".join(json.dumps(line) + "\n" for line in lines), out / "preferences.jsonl")
    counted = Counter(one.preferred for one in found)
    return {name: counted[name] for name in ("a", "b", "tie")}


def pair_of(file: Path, number: int, row: Row) -> Pair:
    """Return the pair of a row; InputError for a missing field."""
    values = [value_at(row, name) for name in NEEDED]
    for name, value in zip(NEEDED, values, strict=True):
        if value is MISSING or not isinstance(value, str):
            raise InputError(f"{file}: row {number} has no text {name!r}; a pair needs {', '.join(map(repr, NEEDED))}")
    question, a, b = values
    return Pair(question, split_reasoning(a)[1], split_reasoning(b)[1])
