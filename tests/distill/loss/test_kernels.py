"""The GPU's kernels against the loss in plain torch; without a GPU, Triton's interpreter runs them."""

import os
import subprocess
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.loss import distillation_loss as loss_module
from distill.loss.distillation_loss import OnlineTeacher, SampledTargets, StoredTargets, Teacher, distillation_loss
from distill.loss.heads import Head

pytest.importorskip("triton")
HERE = torch.cuda.is_available() or "TRITON_INTERPRET" in os.environ  # Triton reads it at its first import
here = pytest.mark.skipif(not HERE, reason="runs in the interpreter's own process, see the first test")
C, V, H, G = 5, 67, 12, 20
LABEL, SCALE = 17, 1.3
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.skipif(HERE, reason="this process can run the kernels itself")
def test_kernels_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", __file__]
    run = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0 and "56 passed" in run.stdout, run.stdout + run.stderr


@pytest.fixture(autouse=True)
def several_programs(monkeypatch: pytest.MonkeyPatch) -> ModuleType | None:
    """Run the kernels with so few programs that each has several blocks of rows, the last one only partly full."""
    if not HERE:
        return None
    from distill.loss import triton_chunk

    monkeypatch.setattr(triton_chunk, "PROGRAMS", 5)
    monkeypatch.setattr(loss_module, "_fusable", lambda *_: True)
    return triton_chunk


def inputs(dtype: torch.dtype, peak: float, tokens: int = C) -> tuple[Tensor, ...]:
    g = torch.Generator().manual_seed(3)
    draw = (torch.randn(tokens, H, generator=g) * peak, torch.randn(V, H, generator=g))
    teacher = (torch.randn(tokens, G, generator=g) * peak, torch.randn(V, G, generator=g))
    labels = torch.randint(0, V, (tokens,), generator=g).to(DEVICE)
    return labels, *(t.to(DEVICE, dtype) for t in (*draw, *teacher))


def both(options: dict[str, Any], labels: Tensor, points: list[Tensor], teacher: Teacher | None) -> None:
    """Check that value and gradients of the kernels in fp32 equal those of plain torch in fp64."""
    ours, dense = ([t.to(dtype).requires_grad_() for t in points] for dtype in (torch.float32, torch.float64))
    heads = [Head(weight, bias[0] if bias else None, SCALE) for _, weight, *bias in (ours, dense)]
    output = distillation_loss(ours[0], heads[0], labels, teacher=teacher, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "_fusable", lambda *_: False)
        double = teacher and type(teacher)(*(wide(part) for part in vars(teacher).values()))
        expected = distillation_loss(dense[0], heads[1], labels, teacher=double, **options)
    for name in ("loss", "ce_sum", "kl_sum"):
        torch.testing.assert_close(getattr(output, name).double(), getattr(expected, name), rtol=1e-4, atol=1e-5)
    gradients = zip(torch.autograd.grad(output.loss, ours), torch.autograd.grad(expected.loss, dense), strict=True)
    for single, exact in gradients:
        assert (single.double() - exact).norm() <= 1e-5 * exact.norm() + 1e-9


def wide(part: Any) -> Any:
    if isinstance(part, Head):
        return replace(part, weight=part.weight.double(), bias=wide(part.bias))
    return part.double() if isinstance(part, Tensor) and part.is_floating_point() else part


def kept(kind: str, teacher: OnlineTeacher, temperature: float) -> Teacher:
    """Return targets of one kind, made from a teacher's whole distribution."""
    log_q = torch.log_softmax(teacher.hidden @ Head.of(teacher.head).weight.T / temperature, -1)
    if kind == "online":
        return teacher
    if kind == "stored":
        values, ids = log_q.topk(6, dim=-1)
        return StoredTargets(ids, values, torch.log1p(-values.exp().sum(-1).clamp(max=1 - 1e-6)))
    g = torch.Generator().manual_seed(5)
    ids = torch.multinomial(log_q.exp().cpu(), 6, replacement=True, generator=g).to(log_q.device)
    ids[:, 1] = ids[:, 0]  # drawn twice
    ids[0, 2] = LABEL
    return SampledTargets(ids, log_q.gather(1, ids), torch.rand(ids.shape, generator=g).to(log_q.device))


@here
@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("peak", [1.0, 8.0])
def test_kernels_equal_the_torch_chunk(temperature: float, alpha: float, peak: float) -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, peak)
    labels[3] = -100
    options = {"alpha": alpha, "temperature": temperature, "chunk_tokens": 3}
    both(options, labels, [hidden, head], OnlineTeacher(*theirs))


@here
@pytest.mark.parametrize("kind", ["stored", "sampled"])
@pytest.mark.parametrize(
    ("temperature", "alpha", "peak"),
    [(1.0, 0.5, 1.0), (1.5, 0.0, 8.0), (2.0, 0.5, 8.0), (4.0, 1.0, 1.0), (8.0, 0.0, 1.0)],
)
def test_kept_targets_equal_the_torch_chunk(kind: str, temperature: float, alpha: float, peak: float) -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, peak)
    labels[0], labels[3] = LABEL, -100
    teacher = kept(kind, OnlineTeacher(*theirs), temperature)
    both({"alpha": alpha, "temperature": temperature, "chunk_tokens": 3}, labels, [hidden, head], teacher)


@here
@pytest.mark.parametrize("kind", ["online", "stored", "sampled"])
def test_heads_with_bias_and_scale_cut_to_the_shared_vocabulary(kind: str) -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, 1.0)
    teacher = OnlineTeacher(theirs[0], Head(theirs[1], theirs[1][:, 0], scale=0.7))
    targets = teacher if kind == "online" else kept(kind, OnlineTeacher(*theirs), 2.0)
    labels = labels.clamp(max=V - 9)
    if not isinstance(targets, OnlineTeacher):
        targets = replace(
            targets, token_ids=targets.token_ids.clamp(max=V - 9) if kind == "sampled" else targets.token_ids % (V - 9)
        )
    both({"alpha": 0.3, "temperature": 2.0, "vocab_size": V - 8}, labels, [hidden, head, head[:, 1].clone()], targets)


@here
def test_plain_cross_entropy_needs_no_teacher() -> None:
    labels, hidden, head, *_ = inputs(torch.float32, 1.0)
    both({"chunk_tokens": 3}, labels, [hidden, head], None)
    hidden.requires_grad_()
    output = distillation_loss(hidden, head, labels)
    expected = torch.nn.functional.cross_entropy(hidden @ head.T, labels)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, hidden)[0] for loss in (output.loss, expected)))


@here
def test_the_gradient_of_bf16_products_lies_in_the_memory_of_their_logits() -> None:
    from distill.loss.torch_chunk import Terms
    from distill.loss.triton_chunk import Logits, chunk_terms

    g = torch.Generator().manual_seed(2)
    student, theirs = (torch.randn(V, 16, generator=g).to(DEVICE, torch.bfloat16) for _ in range(2))
    labels = torch.randint(0, V, (16,), generator=g).to(DEVICE)
    p, q = (torch.softmax(logits.float() / 2.0, 0) for logits in (student, theirs))
    ours, given = (Logits(x, x.gather(0, labels[None])[0].float(), None, 1.0) for x in (student, theirs))
    terms = Terms(0.0, 2.0, "forward_kl", 0.5, V, None, 1.0, None, True)
    chunk_terms(ours, given, labels, torch.ones((), device=DEVICE), terms)
    rounding = 0.003 if torch.cuda.is_available() else 0.006  # the interpreter cuts bits off
    assert (student.float() - 2.0 * (p - q)).norm() <= rounding * (2.0 * (p - q)).norm()


@here
def test_common_rows_of_a_bf16_head_are_summed_in_fp32() -> None:
    labels, hidden, head, *_ = inputs(torch.bfloat16, 1.0, tokens=60)
    labels %= 3  # three rows have most of the gradient
    head.requires_grad_()
    few = {"chunk_tokens": 12}, {"chunk_tokens": 6}  # 5 and 10 chunks
    exact = torch.autograd.grad(distillation_loss(hidden, head, labels, chunk_tokens=60).loss, head)[0]
    for options in few:
        found = torch.autograd.grad(distillation_loss(hidden, head, labels, **options).loss, head)[0]  # type: ignore[arg-type]
        assert (found - exact).float().norm() <= 0.003 * exact.float().norm()


@here
@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_chunks_of_the_student_in_parts_of_the_teacher(monkeypatch: pytest.MonkeyPatch, tolerance: float) -> None:
    from distill.loss import fused_loss

    monkeypatch.setattr(fused_loss, "quarter_tokens", lambda weight: 16)
    labels, hidden, head, *theirs = inputs(torch.float32, 1.0, tokens=75)
    labels[::7] = -100
    options = {"alpha": 0.5, "temperature": 2.0, "tolerance": tolerance}
    both(options, labels, [hidden, head], OnlineTeacher(*theirs))


@here
def test_left_out_rows_stay_within_the_tolerance() -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, 6.0)
    teacher = OnlineTeacher(*theirs)
    points = hidden.requires_grad_(), head.requires_grad_()
    options: dict[str, Any] = {"alpha": 0.5, "teacher": teacher, "chunk_tokens": 3}
    exact = torch.autograd.grad(distillation_loss(hidden, head, labels, **options).loss, points)
    found = torch.autograd.grad(distillation_loss(hidden, head, labels, tolerance=0.01, **options).loss, points)
    assert (found[1] != exact[1]).any(1).sum() > V / 2  # among the head's rows
    for some, all_ in zip(found, exact, strict=True):
        assert 0.0 < (some - all_).norm() <= 0.02 * all_.norm()


@here
def test_logits_far_from_zero_are_rounded_near_their_top() -> None:
    labels, hidden, head, *theirs = inputs(torch.bfloat16, 1.0)
    head[:, 0], hidden[:, 0] = 8.0, 32.0  # adds 256 to each logit, where bf16's steps are 2
    points = hidden.requires_grad_(), head.requires_grad_()
    teacher = OnlineTeacher(*theirs)
    found = torch.autograd.grad(distillation_loss(hidden, head, labels, alpha=0.5, teacher=teacher).loss, points)
    hidden_64, head_64 = wide_points = tuple(t.detach().double().requires_grad_() for t in points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "_fusable", lambda *_: False)
        double = OnlineTeacher(*(t.double() for t in theirs))
        exact = torch.autograd.grad(
            distillation_loss(hidden_64, head_64, labels, alpha=0.5, teacher=double).loss, wide_points
        )
    rounding = 0.005 if torch.cuda.is_available() else 0.012  # the interpreter cuts bits off
    for some, all_ in zip(found, exact, strict=True):
        assert (some.double() - all_).norm() <= rounding * all_.norm()


@here
def test_logits_in_memory_stay_within_their_limit() -> None:
    from distill.loss.fused_loss import quarter_tokens

    rows = {(151_936, torch.bfloat16): 1024, (151_936, torch.float32): 512, (262_144, torch.bfloat16): 512}
    rows |= {(32_000, torch.bfloat16): 1024, (2**28, torch.bfloat16): 16}
    for (size, dtype), tokens in rows.items():
        assert quarter_tokens(torch.empty(size, 1, dtype=dtype, device="meta")) == tokens


@here
def test_without_targets_gradients_are_zero() -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, 1.0)
    points = hidden.requires_grad_(), head.requires_grad_()
    masked = torch.full_like(labels, -100)
    output = distillation_loss(hidden, head, masked, alpha=0.5, teacher=OnlineTeacher(*theirs))
    assert output.loss == 0.0 and output.tokens == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(output.loss, points))


@here
def test_the_gradient_of_a_scaled_loss_is_scaled() -> None:
    labels, hidden, head, *_ = inputs(torch.float32, 1.0)
    hidden.requires_grad_()
    output = distillation_loss(hidden, head, labels, denominator=torch.tensor(7.0))
    once = torch.autograd.grad(output.loss, hidden, retain_graph=True)[0]
    thrice = torch.autograd.grad(3.0 * output.loss, hidden)[0]
    torch.testing.assert_close(thrice, 3.0 * once)


@here
def test_left_out_rows_count_by_their_common_direction() -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, 6.0)
    head[:, 0] = 20.0 - torch.linspace(0.0, 3.0, V)  # a large mean, and one common direction
    hidden[:, 0] = 0.0
    hidden.requires_grad_()
    options: dict[str, Any] = {"alpha": 0.5, "teacher": OnlineTeacher(*theirs)}
    exact = torch.autograd.grad(distillation_loss(hidden, head, labels, **options).loss, hidden)[0]
    found = torch.autograd.grad(distillation_loss(hidden, head, labels, tolerance=0.03, **options).loss, hidden)[0]
    assert 0.0 < (found - exact).norm() <= 0.04 * exact.norm()


@here
def test_log_tails_sum_the_other_tokens_at_every_temperature() -> None:
    from distill.soft_targets.tail_kernels import log_tails

    logits = 20.0 * torch.randn(C, V, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    kept, ids = logits.topk(4, dim=-1)
    logits[1] = -torch.inf  # nothing is left
    rest = logits.scatter(1, ids, -torch.inf)
    found = log_tails(rest, kept[:, 0], kept[:, 3], (1.0, 2.5, 0.1))
    below = rest - kept[:, :1]
    exact = torch.stack([torch.logsumexp(below.double() / t, dim=-1) for t in (1.0, 2.5, 0.1)], dim=1)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
    assert exact[1, 0] == -torch.inf and exact[0, 2] < -50.0


@here
def test_maxima_of_blocks() -> None:
    from distill.soft_targets.tail_kernels import block_maxima

    logits = torch.randn(C, V, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    assert torch.equal(block_maxima(logits, 4), logits[:, : V // 4 * 4].unflatten(1, (-1, 4)).amax(dim=-1))
