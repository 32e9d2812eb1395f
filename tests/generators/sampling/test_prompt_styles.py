"""Prompt styles: the messages that the model reads, the ids of samples, and what a style leaves unchanged."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.text.final_answer import boxed
from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig
from generators.contract.ids import prompt_id_of, trace_id_of
from generators.contract.stage_protocol import Runtime
from generators.generate import generate
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts
from generators.sampling.prompt_styles import MATHEMATICS, read_examples, style_of
from generators.sampling.settings import GenerateConfig

QUESTIONS = ["1+1=?", "2+2=?", "3+3=?"]
SAMPLING = {"n": 2, "temperature": 1.0, "top_p": 0.9, "max_new_tokens": 16}


class Echo:
    """An engine that answers with the messages it reads."""

    def __init__(self) -> None:
        self.asked: list[SampleRequest] = []

    def slots(self) -> int:
        return 4

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        self.asked += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        asked, self.asked = self.asked, []
        texts = [(r, json.dumps(list(r.messages))) for r in asked]
        return [Outcome(r, r.row(reasoning="r", answer=text, finish_reason="stop")) for r, text in texts]

    def close(self) -> None:
        return None


@contextmanager
def echo(build: Callable[[], Engine]) -> Iterator[Engine]:
    yield Echo()


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps({"question": question}) + "\n" for question in QUESTIONS))
    prompts(tmp_path, FilePrompts(source="file", path=str(file), system="Be exact."))
    return tmp_path / "prompts.parquet"


def config(tiny: Path, **more: Any) -> GenerateConfig:
    sampling = SamplingConfig.model_validate(SAMPLING)
    return GenerateConfig(engine="transformers", model=str(tiny), sampling=sampling, **more)


def sampled(asked: Path, settings: GenerateConfig) -> tuple[pl.DataFrame, dict[str, list[dict[str, str]]]]:
    """Return (traces, prompt_id -> messages that the model read), from one ledger for all calls."""
    generate(asked, asked.parent, settings, runtime=Runtime(fleet=echo))
    traces = pl.read_parquet(asked.parent / "traces.parquet")
    return traces, {row["prompt_id"]: json.loads(row["answer"]) for row in traces.iter_rows(named=True)}


def examples(path: Path, count: int) -> str:
    rows = [
        {"question": f"{i}+{i}=?", "reasoning": f"twice {i}", "answer": f"\\boxed{{{2 * i}}}"} for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_plain_is_what_it_always_was(tiny: Path, asked: Path) -> None:
    traces, read = sampled(asked, config(tiny))
    sampling = '{"max_new_tokens":16,"seed":0,"temperature":1.0,"top_p":0.9}'
    assert set(traces["sampling"]) == {sampling}
    messages = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "1+1=?"}]
    assert read[prompt_id_of(messages)] == messages
    revision = traces["revision"][0]
    assert traces["trace_id"][1] == trace_id_of(prompt_id_of(messages), "", revision, sampling, 1)
    assert not {"style", "examples", "shots", "style_id"} & set(config(tiny).identity())


def test_a_style_changes_what_is_read_and_the_sample_but_not_the_prompt(tiny: Path, asked: Path) -> None:
    plain, plainly = sampled(asked, config(tiny))
    few, read = sampled(asked, config(tiny, style="few_shot"))
    reflect, reflected = sampled(asked, config(tiny, style="reflect"))
    for traces in (few, reflect):
        assert traces["prompt_id"].equals(plain["prompt_id"])
        assert not set(traces["trace_id"]) & set(plain["trace_id"])
    assert {json.loads(text)["style"] for text in few["sampling"]} == {"few_shot"}
    shown = list(read_examples(MATHEMATICS, 3))
    for prompt_id, (system, user) in read.items():
        assert system == plainly[prompt_id][0]
        assert user["content"].endswith(f"Question: {plainly[prompt_id][1]['content']}")
        assert [example.reasoning in user["content"] for example in shown] == [True, True, False]
        assert reflected[prompt_id][1]["content"].startswith(plainly[prompt_id][1]["content"] + "\n\nSolve this in")
    assert (
        generate(asked, asked.parent, config(tiny, style="few_shot"), runtime=Runtime(fleet=echo)).notes["sampled"] == 0
    )


def test_examples_that_are_shown_are_part_of_the_sample(tiny: Path, asked: Path, tmp_path: Path) -> None:
    file = examples(tmp_path / "examples.jsonl", 3)
    settings = config(tiny, style="few_shot", examples=file, shots=1)
    first, read = sampled(asked, settings)
    assert settings.sources().files == (Path(file),)
    own = {user["content"].rpartition("Question: ")[2]: user["content"] for _, user in read.values()}
    assert "twice 0" in own["2+2=?"] and "twice 1" not in own["2+2=?"]
    examples(tmp_path / "examples.jsonl", 9)  # further ones are not read
    assert sampled(asked, settings)[0]["trace_id"].equals(first["trace_id"])
    Path(file).write_text(Path(file).read_text().replace("twice 0", "two times 0"))
    assert not set(sampled(asked, settings)[0]["trace_id"]) & set(first["trace_id"])


def test_an_example_is_not_shown_to_its_own_question(tmp_path: Path) -> None:
    style = style_of("few_shot", Path(examples(tmp_path / "e.jsonl", 3)), 2)
    text = style.text("1+1=?")
    assert text.count("1+1=?") == 1 and "twice 1" not in text
    assert [f"twice {i}" in text for i in (0, 2)] == [True, True]


def test_further_models_have_styles_of_their_own(tiny: Path, asked: Path, tmp_path: Path) -> None:
    file = examples(tmp_path / "examples.jsonl", 3)
    models = {"plain": {"style": "plain"}, "one": {"shots": 1}}
    settings = config(tiny, style="few_shot", examples=file, models=models)
    assert [(one.style, one.examples, one.shots) for one in settings.each()] == [
        ("few_shot", file, None),
        ("plain", None, None),
        ("few_shot", file, 1),
    ]
    traces, _ = sampled(asked, settings)
    assert len(traces) == 3 * len(QUESTIONS) * 2 and traces["sampling"].n_unique() == 3


def test_only_the_last_user_message_is_put_in_the_style() -> None:
    chat = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    asked = style_of("reflect", None, 2).ask(chat)
    assert asked[:2] == chat[:2] and asked[2]["content"].startswith("user\n\n")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"question": "q", "answer": "a"}, "no column 'reasoning' for the reasoning; there are 'question', 'answer'"),
        ({"question": "q", "reasoning": " ", "answer": "a"}, "row 1: the reasoning of the example is empty"),
        ({"question": "q", "reasoning": "r", "answer": "a"}, "shots is 2, but .* holds 1 examples"),
    ],
)
def test_bad_examples_are_one_sentence(row: dict[str, str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match=sentence):
        style_of("few_shot", tmp_path / "e.jsonl", 2)


def test_examples_without_the_style_that_shows_them_are_refused(tiny: Path) -> None:
    with pytest.raises(ValueError, match='shots is 3, which needs style = "few_shot"'):
        config(tiny, shots=3)


def test_the_built_in_examples_are_right_and_check_themselves() -> None:
    found = list(read_examples(MATHEMATICS, 99))
    assert [boxed(example.answer)[-1] for example in found] == ["667", r"\frac{25}{42}", "133", "2"]
    for example in found:
        assert len(example.reasoning) > 2 * len(example.answer)
        assert any(word in example.reasoning.lower() for word in ("verify", "check"))
