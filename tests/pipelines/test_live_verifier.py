"""The live verifier of adaptive sampling, with the real verifiers in real worker processes."""

from pathlib import Path
from typing import Any

import pytest

from filters.verify import VerifyConfig
from generators.contract.errors import RecipeError
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT
from pipelines.live_verifier import LiveVerifier


def ask(folder: Path, *verifiers: str | None) -> Path:
    """Write a prompt for each verifier, all with the reference 12."""
    rows = [
        {"prompt_id": f"p{i}", "messages": [{"role": "user", "content": "3*4?"}], "verifier": name, "reference": "12"}
        for i, name in enumerate(verifiers)
    ]
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def sample(reasoning: str | None, answer: str) -> dict[str, Any]:
    facts = {"trace_id": f"of {reasoning} {answer}", "finish_reason": "stop", "error": None}
    return {"prompt_id": "p0", "reasoning": reasoning, "answer": answer, **facts}


def test_live_verdicts_tell_right_from_wrong_and_solutions_apart_as_select_does(tmp_path: Path) -> None:
    rows = [
        sample("first 3 * 4 = 12", r"\boxed{12}"),
        sample("so 3*4=12.0, done", r"\boxed{12}"),
        sample("rather 4 * 3 = 12", r"\boxed{12}"),
        sample("I know it", r"\boxed{12}"),
        sample("I  know it", r"\boxed{12}"),
        sample(None, r"so 4*3 = 12: \boxed{12}"),
        sample("3 * 4 = 13", r"\boxed{13}"),
        sample("hm", "no idea"),
    ]
    with LiveVerifier(verify=VerifyConfig(), workers=2)(ask(tmp_path, "math_answer")) as verify:
        found = [future.result() for future in [verify(row) for row in rows]]
    assert [verdict.status for verdict in found] == ["correct"] * 6 + ["wrong", "unparseable"]
    one, same, other, worded, spaced, answered = (verdict.signature for verdict in found[:6])
    assert one == same and worded == spaced and other == answered
    assert len({one, other, worded}) == 3
    assert [verdict.signature for verdict in found[6:]] == ["", ""]


def test_a_prompt_without_a_verifier_is_an_error_before_anything_is_sampled(tmp_path: Path) -> None:
    sentence = "1 of 2 prompts have no verifier; name one in prompts.verifier or verify.default_verifier"
    with pytest.raises(RecipeError, match=sentence), LiveVerifier(verify=VerifyConfig())(ask(tmp_path, "exact", None)):
        pass
    with LiveVerifier(verify=VerifyConfig(default_verifier="exact"))(tmp_path / "prompts.parquet"):
        pass


def test_other_limits_are_another_stage_and_other_workers_are_not() -> None:
    verifier = LiveVerifier(verify=VerifyConfig(), workers=2)
    assert verifier.identity() == LiveVerifier(verify=VerifyConfig(), workers=8).identity()
    assert verifier.identity() != LiveVerifier(verify=VerifyConfig(timeout_s=9), workers=2).identity()
