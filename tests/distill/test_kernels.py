"""The GPU's kernels, run by Triton's interpreter where there is no GPU, against the loss in plain torch."""

import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from distill import losses
from distill.losses import OnlineTeacher, distillation_loss

pytest.importorskip("triton")
HERE = torch.cuda.is_available() or "TRITON_INTERPRET" in os.environ  # Triton asks when it is first imported
here = pytest.mark.skipif(not HERE, reason="runs in the interpreter's own process, see the first test")
C, V, H, G = 5, 301, 12, 20


@pytest.mark.skipif(HERE, reason="this process can run the kernels itself")
def test_kernels_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", __file__]
    run = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0 and "26 passed" in run.stdout, run.stdout + run.stderr


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernels with blocks so small that a row has several and a last one in part."""
    from distill import kernels

    monkeypatch.setattr(kernels, "BLOCK", 64)
    monkeypatch.setattr(losses, "_fusable", lambda logits, teacher, terms: True)
    return kernels


def inputs(dtype: torch.dtype, peak: float) -> tuple[Tensor, ...]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    g = torch.Generator().manual_seed(3)
    draw = (torch.randn(C, H, generator=g) * peak, torch.randn(V, H, generator=g))
    teacher = (torch.randn(C, G, generator=g) * peak, torch.randn(V, G, generator=g))
    labels = torch.randint(0, V, (C,), generator=g).to(device)
    return labels, *(t.to(device, dtype) for t in (*draw, *teacher))


@here
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("peak", [1.0, 8.0])
def test_kernels_equal_plain_torch(kernels: ModuleType, temperature: float, alpha: float, peak: float) -> None:
    labels, hidden, head, *theirs = inputs(torch.float32, peak)
    teacher = OnlineTeacher(*theirs)
    ours, dense = ([t.to(dtype).requires_grad_() for t in (hidden, head)] for dtype in (torch.float32, torch.float64))
    options = {"alpha": alpha, "temperature": temperature, "chunk_tokens": 3}
    output = distillation_loss(*ours, labels, teacher=teacher, **options)  # type: ignore[misc, arg-type]
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr(losses, "_fusable", lambda *_: False)
        double = OnlineTeacher(*(t.double() for t in theirs))
        expected = distillation_loss(*dense, labels, teacher=double, **options)  # type: ignore[misc, arg-type]
    for name in ("loss", "ce_sum", "kl_sum"):
        torch.testing.assert_close(getattr(output, name).double(), getattr(expected, name), rtol=1e-4, atol=1e-5)
    gradients = zip(torch.autograd.grad(output.loss, ours), torch.autograd.grad(expected.loss, dense), strict=True)
    for single, exact in gradients:
        assert (single.double() - exact).norm() <= 1e-5 * exact.norm() + 1e-9


@here
def test_plain_cross_entropy_needs_no_teacher(kernels: ModuleType) -> None:
    labels, hidden, head, *_ = inputs(torch.float32, 1.0)
    hidden.requires_grad_()
    output = distillation_loss(hidden, head, labels)
    expected = torch.nn.functional.cross_entropy(hidden @ head.T, labels)
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, hidden)[0] for loss in (output.loss, expected)))


@here
def test_the_gradient_of_bf16_products_lies_in_the_memory_of_their_logits(kernels: ModuleType) -> None:
    labels, hidden, head, *theirs = inputs(torch.bfloat16, 1.0)
    logits, teacher_logits = hidden.float() @ head.float().T, theirs[0].float() @ theirs[1].float().T
    student, q = torch.softmax(logits / 2.0, -1), torch.softmax(teacher_logits / 2.0, -1)
    start = logits.data_ptr()
    _, gradient = kernels.fused_terms(logits, teacher_logits, labels, 0.0, 2.0, torch.bfloat16, True)
    assert gradient.data_ptr() == start and gradient.dtype == torch.bfloat16
    rounding = 0.003 if torch.cuda.is_available() else 0.006  # the interpreter cuts bits off
    assert (gradient.float() - 2.0 * (student - q)).norm() <= rounding * (2.0 * (student - q)).norm()
