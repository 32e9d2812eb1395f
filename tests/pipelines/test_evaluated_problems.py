"""Problems that no verifier can judge, and a model that cannot be had, are told before anything is sampled."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from generators.contract import models
from generators.contract.errors import InputError, RecipeError
from pipelines.standalone import run_stage

ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"question": "Q?"}, "math_answer", "prompts.fields.reference"),
    ({"question": "Which?", "choices": ["a", "b"], "answer": 1}, "choice", "prompts.fields.reference"),
    ({"Question": "Which?", "Correct Answer": "Foo"}, "choice", "prompts.fields.reference"),
    ({"question": "Which?", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}, "choice", "prompts.fields"),
]


@pytest.mark.parametrize(("row", "verifier", "said"), ROWS)
def test_problems_that_cannot_be_judged(row: dict[str, Any], verifier: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text(json.dumps(row))
    given = [f"prompts.verifier={verifier}", "sampling.n=1"]
    with pytest.raises(InputError, match=said):
        run_stage("evaluate", {"prompts": file}, tmp_path / "out", given, model="embedded:student")


def test_a_model_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    models._unreachable.cache_clear()
    file = tmp_path / "problems.jsonl"
    file.write_text(json.dumps({"question": "1 + 1?", "answer": "2"}))
    given = ["prompts.verifier=math_answer"]
    with pytest.raises(RecipeError, match=r"--model: .*some/name"):
        run_stage("evaluate", {"prompts": file}, tmp_path / "out", given, model="some/name")
