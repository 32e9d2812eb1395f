"""The chunked loss against a dense float64 reference, in value and in gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor

from distill.loss.distillation_loss import (
    DIVERGENCES,
    LossOutput,
    OnlineTeacher,
    SampledTargets,
    StoredTargets,
    distillation_loss,
)
from distill.loss.heads import Head

N, H, G, V = 13, 6, 5, 17


def problem(seed: int = 0, peak: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    labels = torch.randint(0, V, (N,), generator=g)
    labels[::4] = -100
    return draw(N, H).requires_grad_(), draw(V, H).requires_grad_(), labels, draw(N, G) * peak, draw(V, G)


def reference_divergence(name: str, p: Tensor, q: Tensor, beta: float) -> Tensor:
    m = beta * q + (1 - beta) * p

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return (a * (a.clamp_min(1e-300).log() - b.clamp_min(1e-300).log())).sum()

    values = {"forward_kl": (q, p), "reverse_kl": (p, q), "skew_kl": (q, m)}
    return beta * kl(q, m) + (1 - beta) * kl(p, m) if name == "jsd" else kl(*values[name])


def reference(
    hidden: Tensor, head: Tensor, labels: Tensor, q: Tensor, alpha: float, temperature: float,
    name: str = "forward_kl", beta: float = 0.5, kept: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Compute the dense formula with plain autograd; `kept` [N, K] puts all others into one bucket on both sides."""
    target = labels != -100
    logits = (hidden @ head.T)[target].double()
    p, q = torch.softmax(logits / temperature, -1), q[target].double()
    if kept is not None:
        p, q = (torch.cat([r.gather(1, kept[target]), r.scatter(1, kept[target], 0).sum(1, True)], 1) for r in (p, q))
    ce = torch.nn.functional.cross_entropy(logits, labels[target], reduction="sum")
    soft = reference_divergence(name, p, q, beta)
    return (alpha * ce + (1 - alpha) * temperature**2 * soft) / target.sum()


def top_k(q: Tensor, k: int) -> StoredTargets:
    probs, ids = q.topk(k, -1)
    return StoredTargets(ids, probs.log(), q.scatter(1, ids, 0).sum(1).log())


def assert_same(output: LossOutput, expected: Tensor, inputs: list[Tensor], tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(output.loss.double(), expected.double(), atol=tolerance, rtol=tolerance)
    wanted = torch.autograd.grad(expected, inputs)
    for ours, dense in zip(torch.autograd.grad(output.loss, inputs), wanted, strict=True):
        torch.testing.assert_close(ours.double(), dense.double(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_online_equals_dense(temperature: float, alpha: float, chunk: int) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem()
    q = torch.softmax(teacher_hidden @ teacher_head.T / temperature, -1)
    output = distillation_loss(
        hidden, head, labels, alpha=alpha, temperature=temperature,
        teacher=OnlineTeacher(teacher_hidden, teacher_head), chunk_tokens=chunk,
    )  # fmt: skip
    assert_same(output, reference(hidden, head, labels, q, alpha, temperature), [hidden, head])


@pytest.mark.parametrize("name", list(DIVERGENCES))
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("beta", [0.1, 0.7])
def test_every_divergence_equals_dense(name: str, stored: bool, beta: float) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=1)
    q = torch.softmax(teacher_hidden @ teacher_head.T / 2.0, -1)
    targets = top_k(q, 4)
    teacher = targets if stored else OnlineTeacher(teacher_hidden, teacher_head)
    output = distillation_loss(
        hidden, head, labels, alpha=0.3, temperature=2.0, teacher=teacher, divergence=name, beta=beta, chunk_tokens=5  # type: ignore[arg-type]
    )  # fmt: skip
    kept = targets.token_ids if stored else None
    assert_same(output, reference(hidden, head, labels, q, 0.3, 2.0, name, beta, kept), [hidden, head])


def test_jsd_nears_both_kls_and_skew_kl_the_forward_one() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=8)
    arguments: dict[str, Any] = {
        "alpha": 0.0,
        "temperature": 2.0,
        "teacher": OnlineTeacher(teacher_hidden, teacher_head),
    }

    def gradient(name: str, beta: float, share: float) -> Tensor:
        output = distillation_loss(hidden, head, labels, divergence=name, beta=beta, **arguments)  # type: ignore[arg-type]
        return torch.cat([g.flatten() for g in torch.autograd.grad(output.loss / share, [hidden, head])])

    for limit, name, beta, share in [
        ("forward_kl", "jsd", 1e-6, 1e-6),
        ("reverse_kl", "jsd", 1 - 1e-6, 1e-6),
        ("forward_kl", "skew_kl", 1e-6, 1.0),
    ]:
        torch.testing.assert_close(gradient(name, beta, share), gradient(limit, 0.5, 1.0), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_all_tokens_stored_equals_online(name: str) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=2)
    q = torch.softmax(teacher_hidden @ teacher_head.T / 2.0, -1)
    arguments = {"alpha": 0.5, "temperature": 2.0, "divergence": name}
    online = distillation_loss(hidden, head, labels, teacher=OnlineTeacher(teacher_hidden, teacher_head), **arguments)  # type: ignore[arg-type]
    stored = distillation_loss(hidden, head, labels, teacher=top_k(q, V), **arguments)  # type: ignore[arg-type]
    assert_same(stored, online.loss, [hidden, head])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient_holds_against_finite_differences(temperature: float) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=3)
    targets = top_k(torch.softmax(teacher_hidden @ teacher_head.T / temperature, -1), 3)

    def loss(h: Tensor, w: Tensor) -> Tensor:
        return distillation_loss(h, w, labels, alpha=0.4, temperature=temperature, teacher=targets, chunk_tokens=4).loss

    assert torch.autograd.gradcheck(loss, (hidden, head))


def draws(q: Tensor, r: Tensor, k: int, seed: int = 0) -> SampledTargets:
    """Return `k` tokens of each row, drawn from `r`, as targets that estimate `q`."""
    ids = torch.multinomial(r, k, replacement=True, generator=torch.Generator().manual_seed(seed))
    return SampledTargets(ids, q.gather(1, ids).log(), 1.0 / (k * r.gather(1, ids)))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 8.0])
def test_sampled_targets_gradient_holds_against_finite_differences(temperature: float) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=5)
    logits = teacher_hidden @ teacher_head.T
    targets = draws(torch.softmax(logits / temperature, -1), torch.softmax(logits, -1), 6)

    def loss(h: Tensor, w: Tensor) -> Tensor:
        return distillation_loss(h, w, labels, alpha=0.4, temperature=temperature, teacher=targets, chunk_tokens=4).loss

    assert torch.autograd.gradcheck(loss, (hidden, head))


def test_every_token_with_weight_one_equals_the_whole_distribution() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=6)
    q = torch.softmax(teacher_hidden @ teacher_head.T / 2.0, -1)
    everything = SampledTargets(torch.arange(V).expand(N, V), q.log(), torch.ones(N, V))
    output = distillation_loss(hidden, head, labels, alpha=0.3, temperature=2.0, teacher=everything)
    assert_same(output, reference(hidden, head, labels, q, 0.3, 2.0), [hidden, head])


@pytest.mark.parametrize("head_tokens", [0, 3])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_sampled_targets_are_unbiased_where_the_kept_top_is_not(head_tokens: int, temperature: float) -> None:
    """Average many draws at T = 1 for a loss at T: the mean is the loss and gradient of the whole distribution."""
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=7, peak=0.4)  # weights without heavy tails
    q, r = (torch.softmax(teacher_hidden @ teacher_head.T / t, -1) for t in (temperature, 1.0))
    certain = r.topk(head_tokens, -1).indices
    rest = r.scatter(1, certain, 0.0)
    rest /= rest.sum(1, keepdim=True)

    def gradient(seed: int) -> Tensor:
        drawn = draws(q, rest, 8, seed)
        targets = SampledTargets(
            torch.cat([certain, drawn.token_ids], 1),
            torch.cat([q.gather(1, certain).log(), drawn.log_probs], 1),
            torch.cat([torch.ones(N, head_tokens, dtype=q.dtype), drawn.weights], 1),
        )
        output = distillation_loss(hidden, head, labels, alpha=0.0, temperature=temperature, teacher=targets)
        return flat(output.loss)

    def flat(loss: Tensor) -> Tensor:
        gradients = torch.autograd.grad(loss, [hidden, head])
        return torch.cat([loss.detach()[None], *(gradient.flatten() for gradient in gradients)])

    runs = torch.stack([gradient(seed) for seed in range(400)])
    wanted = flat(reference(hidden, head, labels, q, 0.0, temperature))
    error = (runs.mean(0) - wanted) / (runs.std(0) / 20).clamp_min(1e-12)
    moved = runs.std(0) > 1e-9
    assert error[moved].abs().max() < 4.5 and error[moved].pow(2).mean() < 1.5
    kept = top_k(q, 4)
    bucket = distillation_loss(hidden, head, labels, alpha=0.0, temperature=temperature, teacher=kept)
    assert (flat(bucket.loss) - wanted).norm() > 3 * (runs.mean(0) - wanted).norm()


def test_sampled_targets_estimate_forward_kl_alone() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem()
    q = torch.softmax(teacher_hidden @ teacher_head.T, -1)
    with pytest.raises(ValueError, match="'reverse_kl'; sampled targets estimate forward_kl alone"):
        distillation_loss(hidden, head, labels, alpha=0.5, teacher=draws(q, q, 3), divergence="reverse_kl")


@pytest.mark.parametrize("k", [1, 4, V])
def test_peaked_teacher_and_student_stay_finite_and_right(k: int) -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=4, peak=60.0)
    with torch.no_grad():
        hidden *= 20.0
    q = torch.softmax(teacher_hidden @ teacher_head.T, -1)
    targets = top_k(q, k)
    output = distillation_loss(hidden, head, labels, alpha=0.0, teacher=targets)
    assert_same(output, reference(hidden, head, labels, q, 0.0, 1.0, kept=targets.token_ids), [hidden, head], 1e-9)
    halves = [t.detach().float().requires_grad_() for t in (hidden, head)]
    single = distillation_loss(halves[0], halves[1], labels, alpha=0.0, teacher=targets)
    assert_same(single, reference(halves[0], halves[1], labels, q, 0.0, 1.0, kept=targets.token_ids), halves, 1e-3)


def test_autocast_multiplies_in_bf16_with_fp32_statistics_and_gradients() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=5, dtype=torch.float32)
    q = torch.softmax(teacher_hidden @ teacher_head.T / 2, -1)
    with torch.autocast("cpu", torch.bfloat16):
        output = distillation_loss(hidden, head, labels, alpha=0.5, temperature=2.0, teacher=top_k(q, 5))
    assert output.loss.dtype == output.ce_sum.dtype == torch.float32
    expected = reference(hidden, head, labels, q, 0.5, 2.0, kept=top_k(q, 5).token_ids)
    assert_same(output, expected, [hidden, head], 3e-2)


def test_padding_rows_of_either_head_change_nothing() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=6)
    teacher = OnlineTeacher(teacher_hidden, teacher_head)
    plain = distillation_loss(hidden, head, labels, alpha=0.5, teacher=teacher)
    wide = torch.cat([head.detach(), torch.full((3, H), 9.0)]).requires_grad_()
    wide_teacher = OnlineTeacher(teacher_hidden, torch.cat([teacher_head, torch.full((7, G), 9.0)]))
    cut = distillation_loss(hidden, wide, labels, alpha=0.5, teacher=wide_teacher, vocab_size=V)
    torch.testing.assert_close(cut.loss, plain.loss)
    gradient = torch.autograd.grad(cut.loss, wide)[0]
    torch.testing.assert_close(gradient[:V], torch.autograd.grad(plain.loss, head)[0])
    assert (gradient[V:] == 0).all()
    with pytest.raises(ValueError, match="20 rows and the teacher's 24"):
        distillation_loss(hidden, wide, labels, alpha=0.5, teacher=wide_teacher)


def test_sums_and_denominator() -> None:
    hidden, head, labels, teacher_hidden, teacher_head = problem(seed=7)
    teacher = OnlineTeacher(teacher_hidden, teacher_head)
    output = distillation_loss(hidden, head, labels, alpha=0.25, temperature=3.0, teacher=teacher, denominator=100)
    assert output.tokens == int((labels != -100).sum())
    torch.testing.assert_close(output.loss, (0.25 * output.ce_sum + 0.75 * 9.0 * output.kl_sum) / 100)
    measured = distillation_loss(hidden, head, labels, teacher=teacher, temperature=3.0)
    torch.testing.assert_close(measured.kl_sum, output.kl_sum)
    torch.testing.assert_close(measured.loss, measured.ce_sum / output.tokens)


def test_no_target_at_all_is_a_zero_loss_with_zero_gradients() -> None:
    hidden, head, labels, _, _ = problem()
    output = distillation_loss(hidden, head, torch.full_like(labels, -100))
    assert output.loss == 0 and output.tokens == 0
    assert all((g == 0).all() for g in torch.autograd.grad(output.loss, [hidden, head]))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"alpha": 1.5}, r"alpha is 1.5; it must lie in \[0, 1\]"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"alpha": 0.5}, "there is no teacher"),
        ({"divergence": "tvd"}, "one of forward_kl, reverse_kl, jsd, skew_kl"),
        ({"vocab_size": V + 1}, "vocab_size is 18"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], message: str) -> None:
    hidden, head, labels, _, _ = problem()
    with pytest.raises(ValueError, match=message):
        distillation_loss(hidden, head, labels, **arguments)


def test_heads_with_bias_scale_and_cap_on_both_sides_equal_dense() -> None:
    hidden, weight, labels, teacher_hidden, teacher_weight = problem()
    bias = torch.randn(V, dtype=torch.float64).requires_grad_()
    teacher_bias = torch.randn(V, dtype=torch.float64)
    theirs = Head(teacher_weight, teacher_bias, 0.5, 2.0)
    ours = Head(weight, bias, 1.5, 3.0)
    teacher = OnlineTeacher(teacher_hidden, theirs)
    output = distillation_loss(hidden, ours, labels, alpha=0.3, temperature=2.0, teacher=teacher, chunk_tokens=4)
    target = labels != -100
    logits = 3.0 * torch.tanh(1.5 * (hidden @ weight.T + bias) / 3.0)[target]
    q = torch.softmax(2.0 * torch.tanh(0.5 * (teacher_hidden @ teacher_weight.T + teacher_bias) / 2.0) / 2.0, -1)[
        target
    ]
    log_p = torch.log_softmax(logits / 2.0, -1)
    ce = torch.nn.functional.cross_entropy(logits, labels[target], reduction="sum")
    expected = (0.3 * ce + 0.7 * 4 * (q * (q.log() - log_p)).sum()) / target.sum()
    assert_same(output, expected, [hidden, weight, bias])


def test_a_frozen_head_gets_no_gradient_and_changes_none() -> None:
    hidden, weight, labels, teacher_hidden, teacher_weight = problem()
    teacher = OnlineTeacher(teacher_hidden, teacher_weight)
    arguments: dict[str, Any] = {"alpha": 0.5, "temperature": 2.0, "teacher": teacher}
    (expected,) = torch.autograd.grad(distillation_loss(hidden, weight, labels, **arguments).loss, [hidden])
    output = distillation_loss(hidden, weight.detach(), labels, **arguments)
    assert torch.equal(torch.autograd.grad(output.loss, [hidden])[0], expected)


def test_without_gradients_only_the_loss_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, labels, *_ = problem()
    expected = distillation_loss(hidden, weight, labels).loss
    monkeypatch.setattr("distill.loss.distillation_loss._accumulate", lambda *parts: pytest.fail("a gradient was made"))
    with torch.no_grad():
        assert torch.equal(distillation_loss(hidden, weight, labels).loss, expected)
