"""Tests of combined rewards: the status is the accuracy's, the score the weighted mean, and every part is named."""
# ruff: noqa: RUF001  (other scripts are what it is about)

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.verification.rewards import Reward, check_rewards, combined, with_accuracy
from filters.verification.verdicts import Verdict
from filters.verify import VerifyConfig, verify
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT, TRACE
from generators.contract.stage_protocol import Runtime

R1 = [{"name": "accuracy"}, {"name": "think_format", "weight": 0.5}, {"name": "language", "weight": 0.5}]
ENGLISH = "First we add the numbers and look at the sum, which has to be twelve."
CHINESE = "首先我们把两个数字相加，然后检查它们的和。"


def judged(folder: Path, traces: list[tuple[str | None, str]], rewards: list[dict[str, Any]]) -> pl.DataFrame:
    messages = [{"role": "user", "content": "What is the sum of five and seven?"}]
    prompt = {"prompt_id": prompt_id_of(messages), "messages": messages, "verifier": "math_answer", "reference": "12"}
    rows = [
        {"trace_id": str(i), "prompt_id": prompt["prompt_id"], "reasoning": reasoning, "answer": answer}
        for i, (reasoning, answer) in enumerate(traces)
    ]
    write_frame(frame([row | {"finish_reason": "stop"} for row in rows], TRACE), folder / "traces.parquet")
    write_frame(frame([prompt], PROMPT), folder / "prompts.parquet")
    config = VerifyConfig.model_validate({"rewards": rewards})
    verify(folder / "traces.parquet", folder / "prompts.parquet", folder, config, runtime=Runtime(verify_workers=1))
    return pl.read_parquet(folder / "verdicts.parquet")


def test_the_status_stays_the_accuracys_and_the_score_is_the_weighted_mean(tmp_path: Path) -> None:
    traces = [(ENGLISH, "\\boxed{12}"), (ENGLISH, "\\boxed{13}"), (None, "\\boxed{12}"), (CHINESE, "\\boxed{12}")]
    verdicts = judged(tmp_path, traces, R1)
    assert verdicts["status"].to_list() == ["correct", "wrong", "correct", "correct"]
    assert verdicts["score"].to_list() == [1.0, 0.5, 0.75, 0.75]
    assert verdicts["verifier"].unique().to_list() == ["math_answer"]
    assert verdicts["reason"][1].startswith("score 0.5: 1 x math_answer 0 (got 13, reference 12); 0.5 x think_format 1")
    assert "0.5 x language 0 (0 of " in verdicts["reason"][3]


def test_a_part_may_have_its_own_reference(tmp_path: Path) -> None:
    rewards = [{"name": "math_answer"}, {"name": "think_format", "reference": "answer"}]
    tagged = "<answer>\\boxed{12}</answer>"
    assert judged(tmp_path, [(ENGLISH, tagged), (ENGLISH, "\\boxed{12}")], rewards)["score"].to_list() == [1.0, 0.5]


def test_without_rewards_the_score_is_the_verifiers(tmp_path: Path) -> None:
    verdicts = judged(tmp_path, [(ENGLISH, "\\boxed{12}")], [])
    assert verdicts.row(0)[2:5] == ("correct", 1.0, "12 equals the reference 12")


def test_parts_that_could_not_be_judged_are_left_out() -> None:
    rewards = [Reward.model_validate(reward) for reward in R1]
    right, late, half = Verdict("correct", 1.0, "x"), Verdict("timeout", 0.0, "y"), Verdict("wrong", 0.4, "z")
    found = combined(rewards, "math_answer", right, [late, half])
    assert found.status == "correct" and found.score == pytest.approx((1 + 0.5 * 0.4) / 1.5)
    assert "0.5 x think_format timeout (y)" in found.reason
    unsure = combined(rewards, "math_answer", late, [right, half])
    assert (unsure.status, unsure.score) == ("timeout", 0.0)


def test_a_judge_may_restore_the_accuracys_share() -> None:
    rewards = [Reward.model_validate(reward) for reward in R1]
    assert with_accuracy(0.25, rewards, "math_answer") == 0.75
    assert with_accuracy(0.0, [], "math_answer") == 1.0


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["think_format"], r"lacks the prompts' verifier 'math_answer'"),
        (["accuracy", "math_answer"], r"names the prompts' verifier 'math_answer' and 'accuracy'"),
        (["accuracy", "languag"], r"did you mean 'language'"),
        (["accuracy", "language", "language"], r"names 'language' twice"),
    ],
)
def test_wrong_lists_are_refused_in_one_sentence(names: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_rewards([Reward(name=name) for name in names], ["math_answer"], {})
