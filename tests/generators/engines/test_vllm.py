"""The engine vllm on vLLM itself, wherever that runs."""

import asyncio
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM

from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig, local_fleet
from generators.contract.ids import seed_of
from generators.engines import transformers, vllm
from generators.engines.vllm import Options, VllmEngine

Drive = Callable[[Engine, Sequence[SampleRequest]], dict[str, Outcome]]
Answers = Callable[[Engine, Sequence[SampleRequest]], dict[str, dict[str, Any]]]

# looked up, not imported: collecting the tests must not take the seconds that an import of vLLM does
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]
# 64 MiB of cache: a share of the memory would fail, or take all, on a machine that does something else as well
ENGINE = {
    "enforce_eager": True,
    "max_model_len": 128,
    "dtype": "float32",
    "max_num_seqs": 16,
    "kv_cache_memory_bytes": 2**26,
}
# no multiprocessing: on a CPU, the engine's process then computes itself, and no third one imports everything;
# one thread: those of OpenMP spin while they wait, on cores that others need
SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
SAMPLED = SamplingConfig(temperature=1, top_p=0.95, max_new_tokens=40)
STOP = 0
QUESTIONS = ["2+2?", "What is 12 - 5?", "é 你好"]


def ask(count: int = 30, questions: list[str] = QUESTIONS) -> list[SampleRequest]:
    """Return requests over the questions in turn, with seeds as large as real ones."""
    texts = [questions[i % len(questions)] for i in range(count)]
    return [
        SampleRequest(f"t{i}", f"p-{text}", [{"role": "user", "content": text}], i, seed_of(0, f"t{i}"))
        for i, text in enumerate(texts)
    ]


@pytest.fixture
def answers(drive: Drive) -> Answers:
    """A function that drives an engine and returns trace_id -> row."""
    return lambda engine, requests: {key: dict(outcome.row or {}) for key, outcome in drive(engine, requests).items()}


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Iterator[VllmEngine]:
    """An engine that is started once; tests of other settings share it."""
    with mock.patch.dict(os.environ, SETTINGS):  # takes back what vLLM sets, such as LD_PRELOAD
        engine = vllm.build(str(tiny), SAMPLED, Options(vllm_args=ENGINE, seeded=True))
        yield engine
        engine.close()


@contextmanager
def sampling_as(engine: VllmEngine, sampling: SamplingConfig) -> Iterator[VllmEngine]:
    """Sample with other settings for a while."""
    before, engine.sampling = engine.sampling, sampling
    yield engine
    engine.sampling = before


def test_every_request_is_answered_with_its_own_tokens(engine: VllmEngine, answers: Answers) -> None:
    requests = ask(60)
    rows = answers(engine, requests)
    assert {row["finish_reason"] for row in rows.values()} == {"stop", "length"}
    for request in requests:
        row, ids = rows[request.trace_id], rows[request.trace_id]["token_ids"]
        assert (row["seed"], row["error"], row["completion_tokens"]) == (request.seed, None, len(ids))
        assert row["prompt_tokens"] == len(request.messages[0]["content"].encode()) + 3
        assert (STOP in ids[:-1], ids[-1] == STOP) == (False, row["finish_reason"] == "stop")
        assert len(ids) == 40 or row["finish_reason"] == "stop"
        text = engine.tokenizer.decode(ids[:-1] if row["finish_reason"] == "stop" else ids)
        if "think>" not in text:
            assert (row["reasoning"], row["answer"]) == (None, text.strip())
    assert len({tuple(row["token_ids"]) for row in rows.values()}) > 50


def test_the_same_seeds_give_the_same_completions(engine: VllmEngine, answers: Answers) -> None:
    first = answers(engine, ask(12))
    assert first == answers(engine, ask(12))
    assert first == answers(engine, ask(12)[::-1])


def test_sampled_logprobs_are_the_model_s_at_temperature_1(
    engine: VllmEngine, tiny: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "top_k", 8)
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    with sampling_as(engine, SamplingConfig(temperature=0.7, top_p=0.8, max_new_tokens=40)) as cooled:
        outcomes = drive(cooled, ask(12))
    for outcome in outcomes.values():
        logprobs, row = outcome.logprobs, outcome.row or {}
        assert logprobs and list(logprobs.ids[logprobs.start :]) == row["token_ids"]
        assert logprobs.start == logprobs.prompt_tokens == row["prompt_tokens"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([logprobs.ids])).logits[0, logprobs.start - 1 : -1]
        below_top, ids = (logits - logits.amax(-1, keepdim=True)).topk(8)
        tails = torch.logsumexp((logits - logits.amax(-1, keepdim=True)).scatter(1, ids, -torch.inf), -1)
        np.testing.assert_allclose(logprobs.logits, below_top, atol=8e-3, rtol=1e-3)
        np.testing.assert_allclose(np.exp(logprobs.log_tails), np.exp(tails), atol=1e-5, rtol=1e-4)
        assert (logprobs.token_ids == ids.numpy()).mean() > 0.99  # but for equals


def test_a_token_that_the_tokenizer_does_not_know_leaves_no_logprobs(
    engine: VllmEngine, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "top_k", 8)
    monkeypatch.setattr(engine, "known", 3)
    assert all(outcome.row and outcome.logprobs is None for outcome in drive(engine, ask(3)).values())


def test_engine_arguments_that_spoil_sampled_logprobs_are_refused(tiny: Path) -> None:
    for vllm_args in ({"logprobs_mode": "processed_logprobs"}, {"max_logprobs": 5}):
        with pytest.raises(
            ValueError, match=r"sampled_logprobs is 8, which needs vllm_args.logprobs_mode = .raw_logprobs"
        ):
            vllm.build(str(tiny), SAMPLED, Options(vllm_args=vllm_args, sampled_logprobs=8))


def test_without_seeds_completions_differ_and_rows_say_that_there_was_none(
    engine: VllmEngine, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "seeded", False)
    first, second = answers(engine, ask(12)), answers(engine, ask(12))
    assert {row["seed"] for row in [*first.values(), *second.values()]} == {None}
    assert {tuple(row["token_ids"]) for row in first.values()} != {tuple(row["token_ids"]) for row in second.values()}


def test_greedy_rows_are_those_of_transformers(engine: VllmEngine, tiny: Path, answers: Answers) -> None:
    greedy = SamplingConfig(temperature=0, max_new_tokens=60)
    local = transformers.build(str(tiny), greedy, transformers.Options(slots=8, dtype="float32"))
    requests = ask(12, [f"{i} * {i + 3} = ?" for i in range(12)])
    with sampling_as(engine, greedy) as greedy_engine:
        assert answers(greedy_engine, requests) == answers(local, requests)


def test_a_cut_completion_goes_on_as_if_it_had_not_been_cut(engine: VllmEngine, answers: Answers) -> None:
    requests = ask(12, [f"{i} * {i + 3} = ?" for i in range(12)])
    with sampling_as(engine, SamplingConfig(temperature=0, max_new_tokens=60)) as whole:
        expected = answers(whole, requests)
    with sampling_as(engine, SamplingConfig(temperature=0, max_new_tokens=25)) as cut:
        rows = answers(cut, requests)
        while longer := [r for r in requests if rows[r.trace_id]["finish_reason"] == "length"]:
            longer = [r for r in longer if rows[r.trace_id]["completion_tokens"] < 60]
            if not longer:
                break
            ids = {r.trace_id: tuple(rows[r.trace_id]["token_ids"]) for r in longer}
            again = [replace(r, prefix=ids[r.trace_id], room=60 - len(ids[r.trace_id])) for r in longer]
            rows |= answers(cut, again)
    assert rows == expected


def test_a_prompt_longer_than_the_engine_takes_fails_for_good(engine: VllmEngine, drive: Drive) -> None:
    lengths = {"just fits": 124, "too long": 125}
    fits, long = drive(engine, ask(2, ["x" * length for length in lengths.values()])).values()
    if long.request.trace_id == "t0":
        fits, long = long, fits
    assert fits.row and (fits.row["finish_reason"], fits.row["completion_tokens"]) in {("length", 1), ("stop", 1)}
    assert long.row is None and long.final
    assert long.error == "the prompt has 128 tokens, the model takes 128 in all"


@pytest.mark.parametrize("temperature", [0.001, 3.0])
def test_a_temperature_that_vllm_would_not_sample_at_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"sampling.temperature = {temperature}: the engine vllm"):
        vllm.build("/nowhere", SamplingConfig(temperature=temperature), Options())


def test_an_argument_that_vllm_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match=r"vllm_args.max_model_length: .* did you mean max_model_len\?"):
        vllm.build("/nowhere", SAMPLED, Options(vllm_args={"max_model_length": 128}))


def test_an_engine_whose_process_is_killed_is_started_again(tiny: Path) -> None:
    others = set(psutil.Process().children(recursive=True))
    with mock.patch.dict(os.environ, SETTINGS):
        build = partial(vllm.build, str(tiny), SAMPLED, Options(vllm_args=ENGINE))
        with local_fleet(build) as engine:
            engine.submit(ask(12))
            answered = engine.collect(60)
            for child in set(psutil.Process().children(recursive=True)) - others:
                child.kill()
            outcomes = list(answered)
            while len(outcomes) < 12:
                outcomes += engine.collect(60)
            lost = [outcome.request for outcome in outcomes if outcome.row is None]
            assert lost and all("its engine died" in outcome.error for outcome in outcomes if outcome.row is None)
            engine.submit(lost)
            again: list[Outcome] = []
            while len(again) < len(lost):
                again += engine.collect(60)
            assert all(outcome.row for outcome in again)


def test_it_samples_in_a_thread_that_runs_a_loop(tiny: Path, drive: Drive) -> None:
    async def notebook() -> dict[str, Outcome]:
        engine = vllm.build(str(tiny), SAMPLED, Options(vllm_args=ENGINE, seeded=True))
        outcomes = drive(engine, ask(12))
        engine.close()
        return outcomes

    with mock.patch.dict(os.environ, SETTINGS):
        outcomes = asyncio.run(notebook())
    assert len(outcomes) == 12 and all(outcome.row for outcome in outcomes.values())
