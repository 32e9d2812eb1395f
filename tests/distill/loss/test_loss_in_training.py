"""The loss inside typical training code: accumulation, LoRA, autocast, torch.compile, a retained graph."""

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen2ForCausalLM

from distill.loss.distillation_loss import LossOutput, OnlineTeacher, distillation_loss

N, H, G, V = 13, 6, 5, 17


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels() -> Tensor:
    drawn = torch.randint(0, V, (N,), generator=torch.Generator().manual_seed(1))
    drawn[::4] = -100
    return drawn


def loss(hidden: Tensor, head: Tensor, rows: slice = slice(None), **arguments: Any) -> LossOutput:
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    teacher = OnlineTeacher(draw(2, N, G).to(dtype)[rows], draw(3, V, G).to(dtype))
    return distillation_loss(
        hidden, head, labels()[rows], alpha=0.3, temperature=2.0, teacher=teacher, chunk_tokens=4, **arguments
    )


def leaves(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return draw(5, N, H).to(dtype).requires_grad_(), draw(6, V, H).to(dtype).requires_grad_()


@pytest.mark.parametrize("cut", [1, 4, 5])  # parts with 0 + 9, 3 + 6 and 3 + 6 targets
@pytest.mark.parametrize("as_tensor", [False, True])
def test_micro_batches_over_the_targets_of_all_equal_one_batch(cut: int, as_tensor: bool) -> None:
    hidden, head = leaves(torch.float64)
    whole = loss(hidden, head)
    expected = torch.autograd.grad(whole.loss, [hidden, head])
    targets = int((labels() != -100).sum())
    denominator = torch.tensor(targets) if as_tensor else targets
    parts = [loss(hidden[rows], head, rows, denominator=denominator) for rows in (slice(cut), slice(cut, N))]
    for part in parts:
        part.loss.backward()
    assert sum(part.tokens for part in parts) == whole.tokens == targets
    torch.testing.assert_close(parts[0].loss + parts[1].loss, whole.loss)
    torch.testing.assert_close((hidden.grad, head.grad), expected)


class MadeLike(TorchDispatchMode):
    """A counter of new tensors of one shape; views of the given tensor do not count."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape, self.memory, self.made = given.shape, given.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, Tensor) and tensor.shape == self.shape:
                self.made += tensor.untyped_storage().data_ptr() != self.memory
        return out


@pytest.mark.parametrize("frozen", [True, False])
def test_no_gradient_is_made_for_a_frozen_head(frozen: bool) -> None:
    hidden, head = leaves()
    head.requires_grad_(not frozen)
    with MadeLike(head) as counted:
        loss(hidden, head).loss.backward()
    assert hidden.grad is not None and (head.grad is None) == frozen
    assert (counted.made == 0) == frozen


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
def test_an_adapter_on_a_frozen_model_gets_the_gradients_of_dense_logits(
    make_model: Callable[..., Qwen2ForCausalLM],
) -> None:
    from peft import LoraConfig, get_peft_model

    base = make_model()
    adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    ids = torch.randint(0, base.config.vocab_size, (2, 9), generator=torch.Generator().manual_seed(0))
    trained = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    head = base.get_output_embeddings().weight
    hidden = base.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
    output = distillation_loss(hidden, head, ids[:, 1:].flatten())
    found = torch.autograd.grad(output.loss, list(trained.values()))
    dense = adapted(input_ids=ids, labels=ids, use_cache=False).loss
    torch.testing.assert_close(output.loss, dense)
    assert trained and not head.requires_grad and head.grad is None
    torch.testing.assert_close(found, torch.autograd.grad(dense, list(trained.values())), atol=1e-6, rtol=1e-4)


def test_autocast_multiplies_as_bf16_inputs_do() -> None:
    hidden, head = leaves()
    with torch.autocast("cpu", torch.bfloat16):
        output = loss(hidden, head)
    found = torch.autograd.grad(output.loss, [hidden, head])
    low = [leaf.detach().bfloat16().requires_grad_() for leaf in (hidden, head)]
    expected = loss(low[0], low[1])
    assert output.loss.dtype == expected.loss.dtype == torch.float32
    assert [gradient.dtype for gradient in found] == [torch.float32] * 2
    wanted = torch.autograd.grad(expected.loss, low)
    assert torch.equal(output.loss, expected.loss)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs.float(), atol=1e-5, rtol=2**-7)


def test_a_function_compiled_around_it_gives_the_same_value_and_gradients() -> None:
    def step(hidden: Tensor, head: Tensor) -> Tensor:
        return loss(hidden * 2.0, head.tanh()).loss * 3.0

    hidden, head = leaves()
    expected = step(hidden, head)
    found = torch.compile(step, backend="aot_eager")(hidden, head)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, [hidden, head]), torch.autograd.grad(expected, [hidden, head])
    )


def test_a_graph_that_is_kept_gives_its_gradients_again() -> None:
    hidden, head = leaves()
    output = loss(hidden, head).loss
    first = [gradient.clone() for gradient in torch.autograd.grad(output, [hidden, head], retain_graph=True)]
    for times in (1, 2):
        (output * 3.0).backward(retain_graph=True)
        torch.testing.assert_close((hidden.grad, head.grad), tuple(3.0 * times * gradient for gradient in first))
    torch.testing.assert_close(torch.autograd.grad(output, [hidden, head]), tuple(first))
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(output, [hidden, head])
