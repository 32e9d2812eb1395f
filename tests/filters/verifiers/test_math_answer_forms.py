"""Forms of answers by kind, judged by hand: for a reference, what is accepted and what never is."""

import json
from pathlib import Path
from typing import Any

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

FILE = Path(__file__).with_name("math_forms.jsonl")
KINDS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["kind"])
def test_forms_are_judged_as_by_hand(kind: dict[str, Any]) -> None:
    reference, accepted, refused = kind["reference"], kind["accepted"], kind["refused"]
    expected = dict.fromkeys((reference, *accepted), "correct") | dict.fromkeys(refused, "not correct")
    verdicts = {answer: verify(Item(f"So \\boxed{{{answer}}}.", reference)).status for answer in expected}
    found = {answer: status if status == "correct" else "not correct" for answer, status in verdicts.items()}
    assert found == expected
    assert "error" not in verdicts.values()
