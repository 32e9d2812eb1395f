"""Span weights: where spans end, the loss and gradient they give, and that equal weights change no bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from distill.loss.distillation_loss import OnlineTeacher
from distill.models.loading import hidden_states, output_head
from distill.settings import SpanSettings, TrainConfig
from distill.training.examples import Example
from distill.training.span_weights import SpanWeights, WeightedExample
from distill.training.trainer import Trainer

TEXTS = [
    ("<|user|>2+2?<|end|><|assistant|>", "<think>\nsum\n</think>\n4<|end|>"),
    ("<|user|>hi<|end|><|assistant|>", "hello<|end|>"),
    ("<|user|>a?<|end|><|assistant|><think>\n", "b\n</think>\nc</think><|end|>"),
]


@pytest.fixture
def documents(make_tokenizer: Callable[..., Any]) -> list[Example]:
    tokenizer = make_tokenizer()
    pairs = [[tokenizer(text, add_special_tokens=False)["input_ids"] for text in pair] for pair in TEXTS]
    return [Example(f"t{i}", np.array([*p, *c], np.int32), len(p)) for i, (p, c) in enumerate(pairs)]


def trainer_of(model: Any, tokenizer: Any, spans: dict[str, float] | None = None, **settings: Any) -> Trainer:
    config = TrainConfig.model_validate({"student": "student", "device": "cpu", "layout": "padded", **settings})
    weigh = None if spans is None else SpanWeights(SpanSettings.model_validate(spans), tokenizer)
    return Trainer(config, model.train(), lambda batch: None, None, 0, weigh=weigh)


def taken(trainer: Trainer, examples: list[Example]) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    trainer.model.zero_grad()
    facts = trainer.gradients(examples)
    return facts, {n: w.grad.clone() for n, w in trainer.model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize(
    ("completion", "reasoning"),
    [
        ("<think>\nsum\n</think>\n4<|end|>", "<think>\nsum\n</think>"),
        ("sum\n</think>\n4<|end|>", "sum\n</think>"),  # the prompt opened it
        ("<think>a</think>b</think>c", "<think>a</think>"),
        ("[THINK]a[/THINK]b", "[THINK]a[/THINK]"),
        ("<thought>ä</thought>ü", "<thought>ä</thought>"),
        ("<think>never closed", "<think>never closed"),
        ("an answer<|end|>", ""),
        ("</think>4", "</think>"),
        ("", ""),
    ],
)
def test_reasoning_ends_with_the_mark_that_closes_it(
    completion: str, reasoning: str, make_tokenizer: Callable[..., Any]
) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
    count = SpanWeights(SpanSettings(), tokenizer).thought_tokens(ids)
    assert count == len(tokenizer(reasoning, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("spans", [{}, {"think": 2.0, "answer": 2.0}, {"think": 0.25, "answer": 0.25}])
@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_equal_weights_change_no_bit(
    spans: dict[str, float],
    layout: str,
    documents: list[Example],
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
) -> None:
    usual: dict[str, Any] = {"layout": layout, "sequence_tokens": 128}
    facts, expected = taken(trainer_of(make_model(0), make_tokenizer(), **usual), documents)
    weighted, found = taken(trainer_of(make_model(0), make_tokenizer(), spans, **usual), documents)
    assert weighted["loss"] == facts["loss"] and weighted["ce"] == pytest.approx(facts["ce"], rel=1e-12)
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("micro_batch_tokens", [1, 4096])
@pytest.mark.parametrize(
    "spans", [{"think": 0.5}, {"think": 0.0}, {"answer": 0.0}, {"prompt": 0.1, "think": 2.0, "answer": 3.0}]
)
def test_the_loss_is_the_weighted_mean_of_the_targets_cross_entropy(
    spans: dict[str, float],
    layout: str,
    micro_batch_tokens: int,
    documents: list[Example],
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
) -> None:
    model, tokenizer = make_model(0).double().train(), make_tokenizer()
    weighted = SpanWeights(SpanSettings.model_validate(spans), tokenizer)(documents)
    total, whole = 0.0, torch.zeros((), dtype=torch.float64)
    for example in weighted:
        ids = torch.from_numpy(example.token_ids.astype(np.int64))
        losses = cross_entropy(model(input_ids=ids[None]).logits[0, :-1], ids[1:], reduction="none")
        weights = torch.from_numpy(example.weights.astype(np.float64))
        whole = whole + (losses[example.target_start - 1 :] * weights).sum()
        total += float(weights.sum())
    (whole / total).backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    settings = {"layout": layout, "micro_batch_tokens": micro_batch_tokens, "sequence_tokens": 128}
    facts, found = taken(trainer_of(model, tokenizer, spans, **settings), documents)
    assert [facts["loss"], facts["ce"]] == pytest.approx([float(whole.detach()) / total] * 2, rel=1e-6)
    for name, gradient in expected.items():
        assert_close(found[name], gradient, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_the_gradient_with_a_teacher_is_that_of_finite_differences(
    alpha: float, documents: list[Example], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]
) -> None:
    model, teacher = make_model(0).double().train(), make_model(1).double()
    spans = {"prompt": 0.2, "think": 0.5, "answer": 2.0}
    soft = {"alpha": alpha, "temperature": 2.0, "soft_targets": "online", "teacher": "teacher"}
    trainer = trainer_of(model, make_tokenizer(), spans, **soft)

    @torch.no_grad()
    def teacher_of(batch: Any) -> OnlineTeacher:
        return OnlineTeacher(hidden_states(teacher, batch), output_head(teacher))

    trainer.teacher_of = teacher_of
    _, gradient = taken(trainer, documents)
    head, step = model.get_output_embeddings().weight, 1e-5  # norms compute in fp32, and the head comes after them
    along = torch.randn(head.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses = []
    for sign in (1, -2):
        with torch.no_grad():
            head += sign * step * along
        losses.append(taken(trainer, documents)[0]["loss"])
    slope = (losses[0] - losses[1]) / (2 * step)
    assert slope == pytest.approx(float((gradient["lm_head.weight"] * along).sum()), rel=1e-6)


def test_a_step_without_weight_leaves_no_gradient(
    documents: list[Example], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]
) -> None:
    facts, gradient = taken(trainer_of(make_model(0), make_tokenizer(), {"answer": 0.0}), documents[1:2])
    assert facts["loss"] == 0.0 and all(not g.any() for g in gradient.values())


def test_validation_is_without_weights(
    documents: list[Example], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]
) -> None:
    plain, weighted = (trainer_of(make_model(0), make_tokenizer(), s) for s in (None, {"prompt": 1.0, "think": 0.1}))
    assert plain.validate(documents) == weighted.validate(documents)


def test_weights_follow_the_spans(documents: list[Example], make_tokenizer: Callable[..., Any]) -> None:
    weigh = SpanWeights(SpanSettings(prompt=0.5, think=2.0, answer=3.0), make_tokenizer())
    for before, after in zip(documents, weigh(documents), strict=True):
        assert isinstance(after, WeightedExample) and after.target_start == 1
        assert len(after.weights) == after.targets == len(before.token_ids) - 1
        assert (after.weights[: before.target_start - 1] == 0.5).all() and after.weights[-1] == 3.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"spans": {"think": 0, "answer": 0}}, "all 0"),
        ({"spans": {"think": -1}}, "greater than or equal to 0"),
        ({"spans": {"think": float("inf")}}, "finite"),
        ({"spans": {"prompt": 1}, "soft_targets": "stored"}, "spans.prompt is 1"),
        (
            {"spans": {"think": 2}, "soft_targets": "online", "teacher": "t", "divergence": "span_kl"},
            "spans are set",
        ),
    ],
)
def test_impossible_weights_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainConfig.model_validate({"student": "student", **settings})
