"""Properties of math_answer over a grammar of answers: renderings are accepted, mutations and denials never are."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.answer_grammar.pairs import KINDS, pairs
from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

CASES = 1_000  # of 20 pairs each on average: 20,000 pairs
judged: Counter[str] = Counter()


@settings(max_examples=CASES, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**9))
def test_renderings_are_accepted_and_mutations_and_denials_are_not(kind: str, seed: int) -> None:
    for pair in pairs(kind, seed):
        judgement = verify(Item(pair.response, pair.reference))
        assert (judgement.status == "correct") == pair.right, (pair, judgement)
        judged[pair.change] += 1


def test_twenty_thousand_pairs_were_judged() -> None:
    if not judged:
        pytest.skip("the property ran in another process")
    assert judged.total() >= 20_000 and min(judged.values()) >= CASES, judged


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_gives_renderings_statements_mutations_and_denials(kind: str) -> None:
    found = Counter(pair.change for pair in pairs(kind, 0))
    assert found["rendering"] >= 2 and found["mutation"] >= 1 and found["denial"] == 8 and found["statement"] == 1
