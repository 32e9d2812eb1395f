"""Add a divergence to the distillation loss: the squared Hellinger distance, checked against the dense computation.

    python examples/custom_loss/custom_loss.py

Shape suffixes: N tokens, H student hidden, G teacher hidden, V vocabulary, K stored tokens, C tokens of one chunk,
B buckets of the distributions (V for an online teacher, K + 1 for stored targets).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill.loss.distillation_loss import OnlineTeacher, StoredTargets, Teacher, distillation_loss
from distill.loss.divergences import DIVERGENCES
from distill.loss.vocabulary import Total, whole

N, H, G, V, K = 200, 32, 48, 500, 20
ALPHA, TEMPERATURE = 0.5, 2.0


def squared_hellinger(log_q_CB: Tensor, log_p_CB: Tensor, beta: float, total: Total = whole) -> tuple[Tensor, Tensor]:
    """Return 1 - sum sqrt(p q), summed over tokens, and its gradient to the student's logits.

    `total` adds the parts of all ranks if the head is split over several. With s the derivative to p, softmax's chain
    rule is p (s - sum p s), and here p s = -sqrt(p q) / 2.
    """
    root_CB = (0.5 * (log_q_CB + log_p_CB)).exp()
    overlap_C1 = total(root_CB.sum(-1, keepdim=True))
    return (1.0 - overlap_C1).sum(), 0.5 * (log_p_CB.exp() * overlap_C1 - root_CB)


DIVERGENCES["squared_hellinger"] = squared_hellinger


def chunked_loss(hidden_NH: Tensor, head_VH: Tensor, labels_N: Tensor, teacher: Teacher) -> Tensor:
    """Return the toolkit's loss, whose logits exist for 64 tokens at a time."""
    options: dict[str, Any] = {"divergence": "squared_hellinger", "alpha": ALPHA, "temperature": TEMPERATURE}
    return distillation_loss(hidden_NH, head_VH, labels_N, teacher=teacher, chunk_tokens=64, **options).loss


def dense_loss(hidden_NH: Tensor, head_VH: Tensor, labels_N: Tensor, q_NV: Tensor, kept_NK: Tensor | None) -> Tensor:
    """Return the same loss from all logits at once; autograd finds its gradient."""
    logits_NV = hidden_NH @ head_VH.T
    p_NV = torch.softmax(logits_NV / TEMPERATURE, -1)
    p_NB, q_NB = (x if kept_NK is None else with_tail(x, kept_NK) for x in (p_NV, q_NV))
    distance = (1.0 - (p_NB * q_NB).sqrt().sum(-1)).mean()
    ce = torch.nn.functional.cross_entropy(logits_NV, labels_N)
    return ALPHA * ce + (1.0 - ALPHA) * TEMPERATURE**2 * distance


def with_tail(probabilities_NV: Tensor, kept_NK: Tensor) -> Tensor:
    """Return the probabilities of the kept tokens, and one bucket for all others [N, K + 1]."""
    rest_N1 = probabilities_NV.scatter(1, kept_NK, 0.0).sum(-1, keepdim=True)
    return torch.cat([probabilities_NV.gather(1, kept_NK), rest_N1], -1)


def compare(name: str, chunked: Callable[..., Tensor], dense: Callable[..., Tensor], points: list[Tensor]) -> None:
    """Print both losses and the relative difference of their gradients; fail if it exceeds float64's rounding."""
    losses = [loss(*points) for loss in (chunked, dense)]
    ours, theirs = (torch.autograd.grad(loss, points) for loss in losses)
    apart = max(float((a - b).norm() / b.norm()) for a, b in zip(ours, theirs, strict=True))
    print(f"{name:<15} {losses[0]:.12f}   {losses[1]:.12f}   {apart:.1e}")
    assert abs(losses[0] - losses[1]) < 1e-12 and apart < 1e-12


def main() -> None:
    """Compare loss and gradients for an online teacher and for its K stored probabilities."""
    draw = torch.Generator().manual_seed(0)
    shapes = (N, H), (V, H), (N, G), (V, G)
    hidden, head, theirs, their_head = (torch.randn(*s, generator=draw, dtype=torch.float64) * 0.5 for s in shapes)
    labels = torch.randint(0, V, (N,), generator=draw)
    points = [hidden.requires_grad_(), head.requires_grad_()]
    q = torch.softmax(theirs @ their_head.T / TEMPERATURE, -1)
    kept = q.topk(K, -1).indices
    buckets = with_tail(q, kept).log()
    stored = StoredTargets(kept, buckets[:, :-1], buckets[:, -1])

    print(f"{'teacher':<15} {'chunked':<14}   {'dense':<14}   gradients differ by")
    for name, teacher, ids in (("online", OnlineTeacher(theirs, their_head), None), (f"stored, K = {K}", stored, kept)):
        compare(
            name,
            lambda h, w, teacher=teacher: chunked_loss(h, w, labels, teacher),
            lambda h, w, ids=ids: dense_loss(h, w, labels, q, ids),
            points,
        )


if __name__ == "__main__":
    main()
