"""The distillation step on one GPU beside its four matrix products alone and Liger's: time, extra memory, error.

python -m pipelines.benchmarks.distillation_loss [--tokens N ...]; Liger must be importable to be measured.
The step is forward and backward to hidden states and head, alpha = 0.5, T = 2, bf16, V = 151,936.

Shape suffixes: N tokens, H student hidden, G teacher hidden, V vocabulary.
"""

import argparse
import gc
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from distill import losses
from distill.losses import OnlineTeacher, distillation_loss
from pipelines.benchmarks.measure import record

V, ALPHA, T, CHUNK = 151_936, 0.5, 2.0, 2048
SHAPES = {"1.5B<-7B": (1536, 3584), "7B<-32B": (3584, 5120)}
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # student hidden and head, teacher hidden and head, labels


def make(n: int, h: int, g: int, peaked: bool = False) -> Inputs:
    """Random inputs. Peaked: hidden states point at their label's row of the head, whose logit is then 12 to 24.

    The other logits are normal with standard deviation 2, or 4 where peaked.
    """
    draw = torch.Generator("cuda").manual_seed(0)
    labels_N = torch.randint(0, V, (n,), generator=draw, device="cuda")

    def side(width: int) -> tuple[Tensor, Tensor]:
        hidden = torch.randn(n, width, generator=draw, device="cuda")
        head = torch.randn(V, width, generator=draw, device="cuda") * (2 / width**0.5)
        if peaked:
            hidden = hidden * 2 + head[labels_N] * (torch.rand(n, 1, generator=draw, device="cuda") * 3 + 3)
        return hidden.bfloat16(), head.bfloat16()

    return *side(h), *side(g), labels_N


def products(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """The four products that nothing avoids, in chunks, no softmax."""
    student_CV = torch.empty(CHUNK, V, device="cuda", dtype=hidden.dtype)
    teacher_CV, grad_head, grad_hidden = torch.empty_like(student_CV), torch.zeros_like(head), torch.empty_like(hidden)
    for start in range(0, len(hidden), CHUNK):
        rows = slice(start, start + CHUNK)
        torch.mm(hidden[rows], head.T, out=student_CV)
        torch.mm(teacher[rows], teacher_head.T, out=teacher_CV)
        torch.mm(student_CV, head, out=grad_hidden[rows])
        grad_head.addmm_(student_CV.T, hidden[rows])
    return grad_head


def ours(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """The step of this toolkit."""
    online = OnlineTeacher(teacher, teacher_head)
    return distillation_loss(hidden, head, labels, alpha=ALPHA, temperature=T, teacher=online, ignore_index=None).loss


def ours_plain_torch(*inputs: Tensor) -> Tensor:
    """The same without kernels."""
    fusable, losses._fusable = losses._fusable, lambda *_: False
    try:
        return ours(*inputs)
    finally:
        losses._fusable = fusable


def ours_cross_entropy(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Hard labels alone."""
    return distillation_loss(hidden, head, labels, ignore_index=None).loss


def liger_distillation() -> Callable[..., Tensor]:
    """Liger's chunked distillation, compiled."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    weights = {"weight_hard_loss": ALPHA, "weight_soft_loss": (1 - ALPHA) * T * T}
    step = LigerFusedLinearJSDLoss(**weights, beta=0.0, temperature=T)
    return lambda *inputs: step(*inputs)


def liger_cross_entropy() -> Callable[..., Tensor]:
    """Liger's fused linear cross-entropy."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        out: Any = liger_fused_linear_cross_entropy(hidden, head, labels)
        return out[0] if isinstance(out, tuple) else out

    return step


def measure(step: Callable[..., Tensor], inputs: Inputs, backward: bool = True) -> dict[str, float]:
    """Median milliseconds of 7, and GiB beyond the inputs and the two gradients."""
    hidden, head, *rest = inputs
    hidden, head = (t.detach().requires_grad_(backward) for t in (hidden, head))

    def once() -> None:
        hidden.grad = head.grad = None
        out = step(hidden, head, *rest)
        if backward:
            out.backward()

    for _ in range(3):
        once()
    hidden.grad = head.grad = None
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, times = torch.cuda.memory_allocated(), []
    for _ in range(7):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        once()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    extra = torch.cuda.max_memory_allocated() - before - (hidden.numel() + head.numel()) * hidden.element_size()
    return {"ms": round(statistics.median(times), 2), "extra_gib": round(extra / 2**30, 2)}


def gradient_error(step: Callable[..., Tensor], inputs: Inputs) -> dict[str, float]:
    """Relative L2 error of both gradients against float64, of some hundred tokens."""
    hidden, head, teacher, teacher_head, labels = inputs
    leaves = [t.detach().requires_grad_() for t in (hidden, head)]
    found = torch.autograd.grad(step(*leaves, teacher, teacher_head, labels), leaves)
    wide = [t.double() for t in (hidden, head, teacher, teacher_head)]
    student_NV, teacher_NV = wide[0] @ wide[1].T, wide[2] @ wide[3].T
    grad_NV = (1 - ALPHA) * T * (torch.softmax(student_NV / T, -1) - torch.softmax(teacher_NV / T, -1))
    student_NV = torch.softmax(student_NV, -1)
    student_NV[torch.arange(len(labels)), labels] -= 1.0
    grad_NV = (grad_NV + ALPHA * student_NV) / len(labels)
    exact = (grad_NV @ wide[1], grad_NV.T @ wide[0])
    errors = [float((a.double() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True)]
    return dict(zip(("hidden", "head"), errors, strict=True))


def steps() -> Iterator[tuple[str, Callable[..., Tensor]]]:
    """What is measured, under its name."""
    yield from (("ours", ours), ("ours_plain_torch", ours_plain_torch), ("ours_cross_entropy", ours_cross_entropy))
    try:
        yield from (("liger_distillation", liger_distillation()), ("liger_cross_entropy", liger_cross_entropy()))
    except ImportError as missing:
        print(f"Liger is not measured: {missing}")


def main() -> None:
    """Measure every shape and write results/distillation_loss.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--tokens", type=int, nargs="+", default=[8192, 32768])
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    for name, (h, g) in SHAPES.items():
        for n in parser.parse_args().tokens:
            inputs = make(n, h, g)
            row: dict[str, Any] = {"products": measure(products, inputs, backward=False)}
            for step_name, step in steps():
                try:
                    row[step_name] = measure(step, inputs)
                    row[step_name]["of_products"] = round(row[step_name]["ms"] / row["products"]["ms"], 3)
                except Exception as failure:  # a peer that fails is a result
                    row[step_name] = {"failed": f"{type(failure).__name__}: {failure}"[:200]}
            figures[f"{name} {n}"] = row
            print(name, n, row, flush=True)
        for kind in ("random", "peaked"):
            figures[f"{name} error {kind}"] = gradient_error(ours, make(512, h, g, kind == "peaked"))
    record("distillation_loss", figures)


if __name__ == "__main__":
    main()
