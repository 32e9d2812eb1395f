"""A head whose rows are split over two ranks gives the loss and the gradients of the whole head."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.distributed.tensor import Shard as ShardOf

from distill.loss.distillation_loss import (
    DIVERGENCES,
    LossOutput,
    OnlineTeacher,
    SampledTargets,
    StoredTargets,
    Teacher,
    distillation_loss,
)
from distill.loss.heads import Head
from distill.loss.vocabulary import Shard

N, H, G, V = 13, 6, 5, 17
KINDS = [("online", name) for name in DIVERGENCES] + [("stored", name) for name in DIVERGENCES]
CASES = {
    f"{kind} {name} T={temperature:g} cut={cut} first={first}": (kind, name, temperature, cut, first)
    for kind, name in [*KINDS, ("sampled", "forward_kl"), ("none", "forward_kl")]
    for temperature in (1.0, 2.0)
    for cut, first in ((None, 9), (15, 5), (8, 9))  # the last leaves the second rank without a row
}


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(size: int) -> Tensor:
    drawn = torch.randint(0, size, (N,), generator=torch.Generator().manual_seed(1))
    drawn[::4] = -100
    return drawn


def teacher(kind: str, temperature: float, size: int, head: Tensor | Head) -> Teacher | None:
    """Return an online teacher with `head`, or targets stored or sampled from it."""
    hidden = draw(2, N, G)
    q = torch.softmax(hidden @ draw(3, V, G)[:size].T / temperature, -1)
    top = q.topk(3, -1)
    rest = q.scatter(1, top.indices, 0.0)
    if kind == "stored":
        return StoredTargets(top.indices, top.values.log(), rest.sum(1).log())
    if kind == "sampled":  # a kept head and a sampled tail with repeated tokens
        drawn = torch.multinomial(rest, 6, replacement=True, generator=torch.Generator().manual_seed(4))
        ids = torch.cat([top.indices, drawn], 1)
        weights = torch.cat([torch.ones(N, 3), (rest.sum(1, True) / (6 * q.gather(1, drawn)))], 1)
        return SampledTargets(ids, q.gather(1, ids).log(), weights)
    return OnlineTeacher(hidden, head) if kind == "online" else None


def loss(head: Head, hidden: Tensor, theirs: Tensor | Head, case: tuple[Any, ...]) -> LossOutput:
    kind, name, temperature, cut, _ = case
    size, alpha = cut or V, 1.0 if kind == "none" else 0.3
    return distillation_loss(
        hidden, head, labels(size), alpha=alpha, temperature=temperature, divergence=name, beta=0.3, chunk_tokens=5,
        teacher=teacher(kind, temperature, size, theirs), vocab_size=cut,
    )  # fmt: skip


def results(output: LossOutput, hidden: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    gradients = torch.autograd.grad(output.loss, [hidden, weight, bias])
    return [output.loss.detach(), output.ce_sum, output.kl_sum, *gradients]


def of_whole(case: tuple[Any, ...]) -> list[Tensor]:
    hidden, weight, bias = (draw(i, *shape).requires_grad_() for i, shape in ((5, (N, H)), (6, (V, H)), (7, (V,))))
    return results(loss(Head(weight, bias, 1.5, 3.0), hidden, draw(3, V, G), case), hidden, weight, bias)


def world() -> dist.ProcessGroup:
    group = dist.group.WORLD
    assert group is not None
    return group


def of_rank() -> dict[str, Any]:
    """Return this rank's part of every case with plain rows, and of one case with DTensors."""
    rank, found = dist.get_rank(), {}
    for name, case in CASES.items():
        rows = slice(0, case[-1]) if rank == 0 else slice(case[-1], V)
        hidden = draw(5, N, H).requires_grad_()
        weight, bias = (whole[rows].clone().requires_grad_() for whole in (draw(6, V, H), draw(7, V)))
        shard = Shard.of(weight.shape[0], world())
        theirs = Head(draw(3, V, G)[rows], shard=shard)
        found[name] = results(loss(Head(weight, bias, 1.5, 3.0, shard), hidden, theirs, case), hidden, weight, bias)
    found["DTensor"] = of_dtensor()
    found["recut"] = of_recut()
    return found


def of_dtensor() -> list[Tensor]:
    mesh = init_device_mesh("cpu", (2,))
    hidden = draw(5, N, H).requires_grad_()
    weight, bias = (
        distribute_tensor(part, mesh, [ShardOf(0)]).requires_grad_() for part in (draw(6, V, H), draw(7, V))
    )
    output = loss(Head.vocabulary_parallel(weight, bias, 1.5, 3.0), hidden, draw(3, V, G), CASES[DTENSOR])
    found = results(output, hidden, weight, bias)
    sharded = [gradient for gradient in found[4:] if isinstance(gradient, DTensor)]
    assert [gradient.placements for gradient in sharded] == [(ShardOf(0),)] * 2
    return [*found[:4], *(gradient.to_local() for gradient in sharded)]


def of_recut() -> list[Tensor]:
    """Recut a teacher that has more rows than the student, and other cuts."""
    rank, bias = dist.get_rank(), torch.zeros(V + 3, dtype=torch.float64)
    weight = torch.cat([draw(3, V, G), draw(8, 3, G)])
    rows, own = ((slice(0, at), slice(at, None))[rank] for at in (13, 9))
    theirs = Head(weight[rows], bias[rows], shard=Shard.of(len(weight[rows]), world()))
    parts = (whole.clone().requires_grad_() for whole in (draw(5, N, H), draw(6, V, H)[own], draw(7, V)[own]))
    hidden, student, offsets = parts
    head = Head(student, offsets, 1.5, 3.0, Shard.of(len(student), world()))
    return results(loss(head, hidden, theirs.recut(head), CASES[RECUT]), hidden, student, offsets)


RECUT = "online reverse_kl T=2 cut=15 first=5"
DTENSOR = "online reverse_kl T=2 cut=None first=9"  # DTensor cuts 17 rows this way


@pytest.fixture(scope="module")
def ranks(on_ranks: Callable[..., list[Any]]) -> Iterator[list[dict[str, list[Tensor]]]]:
    yield on_ranks(of_rank)


def assert_ranks_equal(parts: list[list[Tensor]], whole: list[Tensor]) -> None:
    for part in parts:
        torch.testing.assert_close(part[:4], whole[:4], atol=1e-12, rtol=1e-10)
    for at in (4, 5):
        torch.testing.assert_close(torch.cat([part[at] for part in parts]), whole[at], atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_equal_one(ranks: list[dict[str, list[Tensor]]], name: str) -> None:
    assert_ranks_equal([rank[name] for rank in ranks], of_whole(CASES[name]))


def test_a_sharded_dtensor_and_a_teacher_whole_on_each_rank_equal_one(ranks: list[dict[str, list[Tensor]]]) -> None:
    assert_ranks_equal([rank["DTensor"] for rank in ranks], of_whole(CASES[DTENSOR]))


def test_heads_that_do_not_belong_together_are_named() -> None:
    group: Any = None  # these checks come before its first use
    hidden, target = draw(5, N, H), torch.zeros(N, dtype=torch.int64)
    half, theirs = Head(draw(6, 9, H), shard=Shard(group, 9, V)), Head(draw(3, 8, G), shard=Shard(group, 8, V))
    with pytest.raises(ValueError, match=r"rows \(9, 17\) of the student's head and \(8, 16\) of the teacher's"):
        distillation_loss(hidden, half, target, alpha=0.5, teacher=OnlineTeacher(draw(2, N, G), theirs))
    with pytest.raises(ValueError, match="the teacher's head is vocabulary-parallel and the student's is not"):
        distillation_loss(hidden, draw(6, V, H), target, alpha=0.5, teacher=OnlineTeacher(draw(2, N, G), theirs))
    with pytest.raises(ValueError, match=r"the weight is a Tensor placed None.*placed \(Shard\(0\),\)"):
        Head.vocabulary_parallel(draw(6, V, H))


def test_a_teacher_cut_at_other_rows_is_recut(ranks: list[dict[str, list[Tensor]]]) -> None:
    assert_ranks_equal([rank["recut"] for rank in ranks], of_whole(CASES[RECUT]))
