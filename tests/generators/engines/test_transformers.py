import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generators.contract.completions import split_reasoning
from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig
from generators.engines.transformers.decoding import Job, SlotDecoder, draw_tokens, uniforms
from generators.engines.transformers.engine import Options, TransformersEngine, build, load

Drive = Callable[[Engine, Sequence[SampleRequest]], dict[str, Outcome]]

PROMPTS = [tuple(int(x) for x in np.random.default_rng(i).integers(4, 250, 3 + 5 * i)) for i in range(7)]


def complete(
    model: Any,
    jobs: Iterable[Job],
    *,
    slots: int = 8,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop_ids: Iterable[int] = (0,),
) -> dict[Any, tuple[list[int], str]]:
    """Return token ids and finish reason of each job."""
    decoder = SlotDecoder(model, slots=slots, stop_ids=stop_ids, temperature=temperature, top_p=top_p)
    return {done.key: (done.token_ids, done.finish_reason) for done in decoder.run(jobs)}


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_greedy_completions_are_those_of_transformers_generate(kind: str, make_model: Callable[[str], Any]) -> None:
    model = make_model(kind)
    expected = {}
    for prompt in PROMPTS:
        out = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=40, pad_token_id=0, eos_token_id=[7, 90]
        )
        expected[prompt] = out[0, len(prompt) :].tolist()
    ours = complete(model, [Job(p, p, 0, 40) for p in PROMPTS], temperature=0, stop_ids=(7, 90))
    assert {key: ids for key, (ids, _) in ours.items()} == expected
    for ids, reason in ours.values():
        assert reason == ("stop" if ids[-1] in (7, 90) else "length")


def test_a_completion_does_not_depend_on_slots_or_company(make_model: Callable[[str], Any]) -> None:
    model = make_model("qwen2")
    jobs = [Job((i, s), prompt, 1000 * i + s, 5 + 3 * s) for i, prompt in enumerate(PROMPTS) for s in range(6)]
    together = complete(model, jobs, slots=64)
    assert together == complete(model, jobs, slots=8)
    assert together == complete(model, jobs[::-1], slots=24)
    alone: dict[Any, tuple[list[int], str]] = {}
    for job in jobs[::5]:
        alone |= complete(model, [job])
    assert alone == {key: together[key] for key in alone}


def test_jobs_that_come_in_while_others_are_decoded_read_their_own_prompt(make_model: Callable[[str], Any]) -> None:
    model = make_model("qwen2")
    rng = random.Random(0)
    jobs = [Job((i, s), PROMPTS[i], 1000 * i + s, 5 + 3 * s) for s in range(12) for i in rng.sample(range(7), 7)]
    expected = complete(model, jobs, slots=64)
    decoder = SlotDecoder(model, slots=16, stop_ids=(0,), temperature=1.0, top_p=1.0)
    done: dict[Any, tuple[list[int], str]] = {}
    while jobs or decoder.busy():
        if jobs and rng.random() < 0.3:  # at times rows are free and nothing waits for them
            decoder.add([jobs.pop() for _ in range(min(len(jobs), rng.randint(1, 4)))])
        done |= {ended.key: (ended.token_ids, ended.finish_reason) for ended in decoder.step()}
    assert done == expected


def test_samples_of_one_prompt_differ_and_end_where_they_may(make_model: Callable[[str], Any]) -> None:
    model = make_model("qwen2")
    done = complete(model, [Job(s, PROMPTS[2], s, 20) for s in range(40)], slots=16)
    assert len({tuple(ids) for ids, _ in done.values()}) == 40
    assert all(len(ids) <= 20 for ids, _ in done.values())
    assert all((ids[-1] == 0) == (reason == "stop") for ids, reason in done.values())


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.7), (2.0, 0.05)])
def test_draws_follow_the_truncated_softmax(temperature: float, top_p: float) -> None:
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(1)) * 2
    expected = torch.softmax(logits[0].double() / temperature, -1)
    order = expected.argsort(descending=True)
    before = expected[order].cumsum(0) - expected[order]
    expected[order[before >= top_p]] = 0
    expected /= expected.sum()
    n = 40_000
    drawn = draw_tokens(logits.expand(n, -1), np.arange(n), np.full(n, 3), temperature, top_p)
    observed = torch.bincount(drawn, minlength=50).double() / n
    assert (observed[expected == 0] == 0).all()
    # five standard errors of each frequency
    assert ((observed - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt() + 1e-9).all()


def test_uniforms_are_uniform_and_depend_on_seed_step_and_attempt() -> None:
    seeds, steps = np.arange(1000).repeat(100), np.tile(np.arange(100), 1000)
    u = uniforms(seeds, steps)
    assert u.min() >= 0 and u.max() < 1
    histogram = np.histogram(u, 20, (0, 1))[0]
    assert ((histogram - 5000) ** 2 / 5000).sum() < 45  # chi-square, 19 degrees of freedom
    assert len(np.unique(np.concatenate([u, uniforms(seeds, steps, 1)]))) == 200_000
    neighbours = u.reshape(1000, 100)
    assert abs(np.corrcoef(neighbours[:-1].ravel(), neighbours[1:].ravel())[0, 1]) < 0.02


def test_a_model_with_a_window_shorter_than_the_sequences_is_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=1, intermediate_size=32, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=8,
    )  # fmt: skip
    with pytest.raises(ValueError, match="vllm"):
        complete(MistralForCausalLM(config).eval(), [Job(0, tuple(range(1, 20)), 0, 5)])


def request(index: int, text: str = "2+2?") -> SampleRequest:
    return SampleRequest(f"t{index}", f"p-{text}", [{"role": "user", "content": text}], index, index)


def test_rows_hold_the_exact_tokens_and_split_text(tiny: Path, drive: Drive) -> None:
    engine = build(str(tiny), SamplingConfig(temperature=1, top_p=1, max_new_tokens=30), Options(slots=8))
    outcomes = drive(engine, [request(i) for i in range(20)])
    _, tokenizer = load(str(tiny))
    for outcome in outcomes.values():
        row = outcome.row
        assert row is not None
        assert row["completion_tokens"] == len(row["token_ids"]) <= 30
        assert row["finish_reason"] == ("stop" if row["token_ids"][-1] == 0 else "length")
        text = tokenizer.decode([t for t in row["token_ids"] if t != 0])
        if "<think>" not in text and "</think>" not in text:
            assert (row["reasoning"], row["answer"]) == split_reasoning(text)
        assert row["prompt_tokens"] == len("2+2?") + 3


def test_a_prompt_longer_than_the_model_takes_fails_for_good(tiny: Path, drive: Drive) -> None:
    engine = build(str(tiny), SamplingConfig(max_new_tokens=8), Options(slots=8))
    outcomes = drive(engine, [request(0, "x" * 300), request(1)])
    assert outcomes["t0"].row is None and outcomes["t0"].final
    assert "303 tokens" in outcomes["t0"].error and "256" in outcomes["t0"].error
    assert outcomes["t1"].row and outcomes["t1"].row["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_cut_completion_goes_on_as_if_it_had_not_been_cut(tiny: Path, drive: Drive, temperature: float) -> None:
    def engine(most: int) -> TransformersEngine:
        return build(str(tiny), SamplingConfig(temperature=temperature, max_new_tokens=most), Options(slots=8))

    asked = [request(i, f"{i}+{i}?") for i in range(12)]
    whole, cut = drive(engine(60), asked), drive(engine(25), asked)
    rows = {key: outcome.row for key, outcome in cut.items() if outcome.row}
    again = [
        replace(r, prefix=tuple(rows[r.trace_id]["token_ids"]), room=35)
        for r in asked
        if rows[r.trace_id]["finish_reason"] == "length"
    ]
    assert again
    joined = {**cut, **drive(engine(60), again)}
    assert {key: outcome.row for key, outcome in joined.items()} == {key: o.row for key, o in whole.items()}


def test_jobs_may_come_while_others_are_decoded(make_model: Callable[[str], Any]) -> None:
    model = make_model("qwen2")
    jobs = [Job(i, PROMPTS[i % 7], i, 8 + i) for i in range(40)]
    alone = complete(model, jobs, slots=8)
    decoder = SlotDecoder(model, slots=24, stop_ids=[0], temperature=1.0, top_p=1.0)
    waiting, done = list(jobs), {}
    while waiting or decoder.busy():
        decoder.add(waiting[:3])
        del waiting[:3]
        done |= {c.key: (c.token_ids, c.finish_reason) for c in decoder.step()}
    assert done == alone
