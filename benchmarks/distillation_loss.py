"""Compare the distillation step on one GPU with its four matrix products alone and with Liger: time, memory, error.

    python -m benchmarks.distillation_loss [--tokens N ...]

Liger is measured if it can be imported. A step is forward and backward to hidden states and head, with alpha = 0.5,
T = 2, bf16 and V = 151,936.

Shape suffixes: N tokens, H student hidden, G teacher hidden, V vocabulary.
"""

import argparse
import gc
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import record
from distill.loss import distillation_loss as losses
from distill.loss.distillation_loss import OnlineTeacher, SampledTargets, StoredTargets, distillation_loss

V, ALPHA, T, CHUNK, TOLERANCES = 151_936, 0.5, 2.0, 2048, (0.001, 0.002)
SHAPES = {"1.5B<-7B": (1536, 3584), "7B<-32B": (3584, 5120)}
SLOPE, LOG_Z, LEVELS = (
    1.5,
    5.1,
    (0.8, 0.07, 0.04, 0.025, 0.015, 0.01, 0.008, 0.006),
)  # all other tokens share the rest, 0.026
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # student hidden and head, teacher hidden and head, labels


def make(n: int, h: int, g: int) -> Inputs:
    """Return random inputs whose logits are normal with standard deviation 2."""
    draw = torch.Generator("cuda").manual_seed(0)
    labels_N = torch.randint(0, V, (n,), generator=draw, device="cuda")

    def side(width: int) -> tuple[Tensor, Tensor]:
        hidden = torch.randn(n, width, generator=draw, device="cuda")
        return hidden.bfloat16(), (torch.randn(V, width, generator=draw, device="cuda") * (2 / width**0.5)).bfloat16()

    return *side(h), *side(g), labels_N


def make_peaked(n: int, h: int, g: int) -> Inputs:
    """Return inputs with peaked distributions like those of trained models; `masses` measures them.

    A token's logit falls with its rank, which is its id, as -SLOPE ln(rank). In addition, each position has 8
    candidates, drawn in proportion to 1 / rank, whose log-probabilities are those of LEVELS with a little noise,
    different for student and teacher; hidden states are sums of the candidates' rows of the head. The label is one of
    the candidates.
    """
    draw = torch.Generator("cuda").manual_seed(0)
    ranks_V = torch.arange(1, V + 1, device="cuda").float()
    candidates_N8 = torch.multinomial((1 / ranks_V).expand(n, -1), len(LEVELS), generator=draw)
    levels_8 = torch.tensor(LEVELS, device="cuda")
    label = torch.multinomial(levels_8.expand(n, -1), 1, generator=draw)

    def side(width: int) -> tuple[Tensor, Tensor]:
        head = torch.randn(V, width, generator=draw, device="cuda") * (2 / width**0.5)
        noise = 0.3 * torch.randn(n, len(LEVELS), generator=draw, device="cuda")
        wanted = levels_8.log() + LOG_Z + noise + SLOPE * ranks_V[candidates_N8].log()
        hidden = torch.einsum("nk,nkh->nh", wanted / 4, head[candidates_N8])  # rows have the square norm 4
        head[:, 0], hidden[:, 0] = -ranks_V.log() * (SLOPE / 8), 8.0
        return hidden.bfloat16(), head.bfloat16()

    return *side(h), *side(g), candidates_N8.gather(1, label).squeeze(1)


def masses(inputs: Inputs) -> dict[str, float]:
    """Return the mean probability of the top token and of the top 64, for student and teacher, at T = 1 and 2."""
    found = {}
    for name, hidden, head in (("student", inputs[0], inputs[1]), ("teacher", inputs[2], inputs[3])):
        logits = hidden[:512].float() @ head.float().T
        for t in (1.0, 2.0):
            top = torch.softmax(logits / t, -1).topk(64, -1).values
            found[f"{name} T={t:g} top 1"] = round(float(top[:, 0].mean()), 3)
            found[f"{name} T={t:g} top 64"] = round(float(top.sum(1).mean()), 3)
    return found


def products(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Compute the four unavoidable matrix products in chunks, without softmax."""
    student_CV = torch.empty(CHUNK, V, device="cuda", dtype=hidden.dtype)
    teacher_CV, grad_head, grad_hidden = torch.empty_like(student_CV), torch.zeros_like(head), torch.empty_like(hidden)
    for start in range(0, len(hidden), CHUNK):
        rows = slice(start, start + CHUNK)
        torch.mm(hidden[rows], head.T, out=student_CV)
        torch.mm(teacher[rows], teacher_head.T, out=teacher_CV)
        torch.mm(student_CV, head, out=grad_hidden[rows])
        grad_head.addmm_(student_CV.T, hidden[rows])
    return grad_head


def student_products(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Compute the three products that a student needs when no teacher runs."""
    student_CV = torch.empty(CHUNK, V, device="cuda", dtype=hidden.dtype)
    grad_head, grad_hidden = torch.zeros_like(head), torch.empty_like(hidden)
    for start in range(0, len(hidden), CHUNK):
        rows = slice(start, start + CHUNK)
        torch.mm(hidden[rows], head.T, out=student_CV)
        torch.mm(student_CV, head, out=grad_hidden[rows])
        grad_head.addmm_(student_CV.T, hidden[rows])
    return grad_head


def ours_online(tolerance: float) -> Callable[..., Tensor]:
    """Return the step of this toolkit with an online teacher."""

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        return distillation_loss(
            hidden, head, labels, alpha=ALPHA, temperature=T, tolerance=tolerance,
            teacher=OnlineTeacher(teacher, teacher_head),
        ).loss  # fmt: skip

    return step


ours = ours_online(0.0)


def ours_kept(targets: StoredTargets | SampledTargets) -> Callable[..., Tensor]:
    """Return the step of this toolkit with stored targets."""

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        return distillation_loss(hidden, head, labels, alpha=ALPHA, temperature=T, teacher=targets).loss

    return step


def stored(inputs: Inputs, k: int = 64) -> StoredTargets:
    """Return the teacher's K largest probabilities."""
    parts = []
    for hidden in inputs[2].split(1024):
        top = torch.log_softmax((hidden @ inputs[3].T).float() / T, -1).topk(k, -1)
        parts.append((top.indices, top.values, torch.log1p(-top.values.exp().sum(-1))))
    return StoredTargets(*(torch.cat(part) for part in zip(*parts, strict=True)))


def sampled(inputs: Inputs, k: int = 12) -> SampledTargets:
    """Return K tokens drawn from the teacher."""
    parts = []
    for hidden in inputs[2].split(1024):
        log_q = torch.log_softmax((hidden @ inputs[3].T).float() / T, -1)
        ids = torch.multinomial(log_q.exp(), k, replacement=True)
        values = log_q.gather(1, ids)
        parts.append((ids, values, 1 / (k * values.exp())))
    return SampledTargets(*(torch.cat(part) for part in zip(*parts, strict=True)))


def ours_plain_torch(*inputs: Tensor) -> Tensor:
    """Run the step in torch chunks, without Triton kernels."""
    fusable, losses._fusable = losses._fusable, lambda *_: False
    try:
        return ours(*inputs)
    finally:
        losses._fusable = fusable


def ours_cross_entropy(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Run the step on hard labels only."""
    return distillation_loss(hidden, head, labels).loss


def liger_distillation() -> Callable[..., Tensor]:
    """Return Liger's chunked distillation, compiled."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    weights = {"weight_hard_loss": ALPHA, "weight_soft_loss": (1 - ALPHA) * T * T}
    step = LigerFusedLinearJSDLoss(**weights, beta=0.0, temperature=T)
    return lambda *inputs: step(*inputs)


def liger_cross_entropy() -> Callable[..., Tensor]:
    """Return Liger's fused linear cross-entropy."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        out: Any = liger_fused_linear_cross_entropy(hidden, head, labels)
        loss: Tensor = out[0] if isinstance(out, tuple) else out
        return loss

    return step


def measure(step: Callable[..., Tensor], inputs: Inputs, backward: bool = True) -> dict[str, float]:
    """Return the median of 7 runs in milliseconds, and peak memory in GiB beyond the inputs and the two gradients."""
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
    """Return the relative L2 error of both gradients against float64."""
    hidden, head, teacher, teacher_head, labels = inputs
    leaves = [t.detach().requires_grad_() for t in (hidden, head)]
    found = torch.autograd.grad(step(*leaves, teacher, teacher_head, labels), leaves)
    exact = exact_gradients(inputs)
    errors = [float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True)]
    return dict(zip(("hidden", "head"), errors, strict=True))


def exact_gradients(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return both gradients in float64, computed 512 tokens at a time."""
    head, teacher_head = inputs[1].double(), inputs[3].double()
    grad_hidden, grad_head = torch.empty_like(inputs[0], dtype=torch.float64), torch.zeros_like(head)
    for start in range(0, len(inputs[4]), 512):
        rows = slice(start, start + 512)
        hidden, labels = inputs[0][rows].double(), inputs[4][rows]
        student_CV, teacher_CV = hidden @ head.T, inputs[2][rows].double() @ teacher_head.T
        grad_CV = torch.softmax(student_CV / T, -1).sub_(torch.softmax(teacher_CV / T, -1)).mul_((1 - ALPHA) * T)
        del teacher_CV
        grad_CV.add_(torch.softmax(student_CV, -1), alpha=ALPHA)
        grad_CV[torch.arange(len(labels)), labels] -= ALPHA
        grad_CV /= len(inputs[4])
        torch.mm(grad_CV, head, out=grad_hidden[rows])
        grad_head.addmm_(grad_CV.T, hidden)
    return grad_hidden, grad_head


def steps() -> Iterator[tuple[str, Callable[..., Tensor]]]:
    """Yield (name, step) of everything that is measured."""
    yield from (("ours", ours), ("ours_plain_torch", ours_plain_torch), ("ours_cross_entropy", ours_cross_entropy))
    try:
        yield from (("liger_distillation", liger_distillation()), ("liger_cross_entropy", liger_cross_entropy()))
    except ImportError as missing:
        print(f"Liger is not measured: {missing}")


def row(inputs: Inputs, parts: dict[str, Callable[..., Tensor]], limit: Callable[..., Tensor]) -> dict[str, Any]:
    """Return each step's figures, and its time as a multiple of the matrix products' time."""
    found: dict[str, Any] = {"products": measure(limit, inputs, backward=False)}
    for name, step in parts.items():
        try:
            found[name] = measure(step, inputs)
            found[name]["of_products"] = round(found[name]["ms"] / found["products"]["ms"], 3)
        except Exception as failure:  # a peer that fails is a result
            found[name] = {"failed": f"{type(failure).__name__}: {failure}"[:200]}
    return found


def masked(inputs: Inputs, share: float) -> Inputs:
    """Return the inputs with a share of the labels masked out."""
    draw = torch.Generator("cuda").manual_seed(1)
    out = torch.rand(len(inputs[4]), generator=draw, device="cuda") < share
    return *inputs[:4], inputs[4].masked_fill(out, -100)


def shape(h: int, g: int, n: int) -> dict[str, Any]:
    """Return all figures of one shape and number of tokens."""
    inputs = make(n, h, g)
    found = {"online": row(inputs, dict(steps()), products)}
    kept = {
        "ours_stored_64": ours_kept(stored(inputs)),
        "ours_sampled_12": ours_kept(sampled(inputs)),
        "ours_cross_entropy": ours_cross_entropy,
    }
    found["student_alone"] = row(inputs, kept, student_products)
    found["masked"] = {f"{share:.0%}": measure(ours, masked(inputs, share)) for share in (0.3, 0.7)}
    inputs = make_peaked(n, h, g)
    skipping = {f"ours_leaving_out_{tolerance}": ours_online(tolerance) for tolerance in TOLERANCES}
    found["peaked"] = row(inputs, {"ours": ours} | skipping, products)
    return found


def errors(name: str, h: int, g: int) -> dict[str, Any]:
    """Return gradient errors of one shape for one chunk and for 16 chunks, whose head gradients are summed in bf16."""
    found: dict[str, Any] = {}
    for n in (2048, 32768):
        for kind, inputs in (("random", make(n, h, g)), ("peaked", make_peaked(n, h, g))):
            figures: dict[str, Any] = {"masses": masses(inputs), "error": gradient_error(ours, inputs)}
            for tolerance in TOLERANCES:
                figures[f"error_leaving_out_{tolerance}"] = gradient_error(ours_online(tolerance), inputs)
            found[f"{name} {n} {kind}"] = figures
            print(name, n, kind, figures, flush=True)
    return found


def main() -> None:
    """Measure every shape and write results/distillation_loss.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[8192, 32768])
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    for name, (h, g) in SHAPES.items():
        for n in parser.parse_args().tokens:
            figures[f"{name} {n}"] = shape(h, g, n)
            print(name, n, figures[f"{name} {n}"], flush=True)
        figures |= errors(name, h, g)
    record("distillation_loss", figures)


if __name__ == "__main__":
    main()
