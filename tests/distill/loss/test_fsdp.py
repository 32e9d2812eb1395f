"""The loss in training with FSDP2 on two ranks: gradients equal those of one process with all tokens."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from distill.loss.distillation_loss import OnlineTeacher, distillation_loss

ROWS, LENGTH, V, H, G = 4, 7, 37, 16, 12
WAYS = ("inside", "after", "sharded")  # the place of the user's call of the loss: see `part`
CASES = [(way, tied) for way in WAYS for tied in (False, True)]


class Step(nn.Module):
    """A student and its loss as one module, the form that FSDP2 recommends: everything in one forward."""

    def __init__(self, student: Qwen2ForCausalLM) -> None:
        super().__init__()
        self.student = student

    def forward(self, rows: slice, denominator: float) -> Tensor:
        return loss(hidden_states(self.student.model, rows), self.student.lm_head.weight, rows, denominator)


def student(tied: bool) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    layers = {"num_hidden_layers": 2, "intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=V, hidden_size=H, tie_word_embeddings=tied, **layers)  # type: ignore[arg-type]
    return Qwen2ForCausalLM(config).double()


def ids() -> Tensor:
    return torch.randint(0, V, (ROWS, LENGTH), generator=torch.Generator().manual_seed(1))


def hidden_states(model: nn.Module, rows: slice) -> Tensor:
    hidden: Tensor = model(input_ids=ids()[rows], use_cache=False).last_hidden_state
    return hidden[:, :-1].flatten(0, 1)


def loss(hidden: Tensor, head: Tensor, rows: slice, denominator: float) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    theirs, weight = (torch.randn(*shape, generator=draw).double() for shape in ((ROWS, LENGTH - 1, G), (V, G)))
    if isinstance(head, DTensor):  # then the teacher's is sharded too
        weight = distribute_tensor(weight, head.device_mesh, head.placements)
    teacher = OnlineTeacher(theirs[rows].flatten(0, 1), weight)
    labels = ids()[rows, 1:].flatten()
    return distillation_loss(
        hidden, head, labels, alpha=0.4, temperature=2.0, teacher=teacher, denominator=denominator, chunk_tokens=4
    ).loss


def part(way: str, tied: bool) -> dict[str, Tensor]:
    """Return the gradients of a model whose ranks have two rows each, in two micro-batches of one row.

    inside: the loss is in the forward of the outermost module, whose parameters are whole there. after: that forward
    has ended, but its own parameters stay whole until backward, FSDP2's default. sharded: they are shards again.
    """
    model, mesh = student(tied), init_device_mesh("cpu", (2,))
    step = Step(model)
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(step if way == "inside" else model, mesh=mesh, reshard_after_forward=way == "sharded")
    denominator = ROWS * (LENGTH - 1) / dist.get_world_size()  # FSDP2 takes the mean over ranks, not the sum
    for row in range(2 * dist.get_rank(), 2 * dist.get_rank() + 2):
        rows = slice(row, row + 1)
        if way == "inside":
            step(rows, denominator).backward()
            continue
        out = model(input_ids=ids()[rows], use_cache=False, output_hidden_states=True, logits_to_keep=1)
        assert isinstance(model.lm_head.weight, DTensor) == (way == "sharded")
        hidden = out.hidden_states[-1][:, :-1].flatten(0, 1)
        loss(hidden, model.lm_head.weight, rows, denominator).backward()
    return {name.removeprefix("student."): whole(weight.grad) for name, weight in model.named_parameters()}


def whole(gradient: Tensor | None) -> Tensor:
    assert isinstance(gradient, DTensor)
    return gradient.full_tensor()


def of_rank() -> dict[tuple[str, bool], dict[str, Tensor]]:
    return {case: part(*case) for case in CASES}


@pytest.fixture(scope="module")
def ranks(on_ranks: Callable[..., list[Any]]) -> list[dict[tuple[str, bool], dict[str, Tensor]]]:
    return on_ranks(of_rank)


@pytest.mark.parametrize("way, tied", CASES)
def test_two_ranks_equal_one_process(ranks: list[Any], way: str, tied: bool) -> None:
    model, everything = student(tied), slice(0, ROWS)
    loss(hidden_states(model.model, everything), model.lm_head.weight, everything, ROWS * (LENGTH - 1)).backward()
    expected = {name: weight.grad for name, weight in model.named_parameters()}
    for found in ranks:
        assert found[way, tied].keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[way, tied][name], gradient, atol=1e-12, rtol=1e-9)
