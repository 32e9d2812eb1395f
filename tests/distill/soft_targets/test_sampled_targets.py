"""Sampled targets: numbers of draws, and unbiased estimates at every temperature of the grid."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.loss.distillation_loss import SampledTargets, distillation_loss
from distill.score import summarize
from distill.settings import ScoreConfig
from distill.soft_targets.sampled_targets import sample_tokens, sampling_points
from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore, target_key

N, H, V, GRID = 6, 5, 40, (1.0, 2.0, 4.0)


def key_of(number: int) -> str:
    return target_key(np.array([number], np.int32), 1, "t", "r")


def targets(logits: Tensor, config: ScoreConfig, seed: int) -> RowTargets:
    where = torch.from_numpy(sampling_points(key_of(seed), len(logits), config.sampled))
    ids, kept, tails, draws = (part.numpy() for part in summarize(logits.clone(), config, where))
    return RowTargets(ids, kept, tails, config.temperatures, draws, config.sampled_temperature)


def sampled(row: RowTargets, temperature: float) -> SampledTargets:
    parts = row.token_ids.astype(np.int64), row.log_probs(temperature), row.weights()
    return SampledTargets(*(torch.from_numpy(part) for part in parts))


@pytest.mark.parametrize("top_k", [0, 4])
@pytest.mark.parametrize("drawn_at", [1.0, 2.0])
@pytest.mark.parametrize("temperature", GRID)
def test_loss_and_gradient_are_those_of_the_whole_distribution_on_average(
    top_k: int, drawn_at: float, temperature: float
) -> None:
    g = torch.Generator().manual_seed(3)
    hidden, head, logits = (torch.randn(*shape, generator=g) for shape in ((N, H), (V, H), (N, V)))
    logits *= 0.5  # weights without heavy tails
    labels, hidden, head = torch.zeros(N, dtype=torch.int64), hidden.requires_grad_(), head.requires_grad_()
    config = ScoreConfig(teacher="t", top_k=top_k, sampled=6, sampled_temperature=drawn_at, temperatures=GRID)

    def run(teacher: SampledTargets) -> Tensor:
        output = distillation_loss(hidden, head, labels, alpha=0.0, temperature=temperature, teacher=teacher)
        gradients = torch.autograd.grad(output.loss, [hidden, head])
        return torch.cat([output.loss.detach()[None], *(gradient.flatten() for gradient in gradients)]).double()

    everything = SampledTargets(
        torch.arange(V).expand(N, V), torch.log_softmax(logits / temperature, -1), torch.ones(N, V)
    )
    wanted = run(everything)
    runs = torch.stack([run(sampled(targets(logits, config, seed), temperature)) for seed in range(400)])
    error = (runs.mean(0) - wanted) / (runs.std(0) / 20 + 2e-4 * wanted.abs().max())  # fp16 logits in the store
    assert error.abs().max() < 4.5 and error.pow(2).mean() < 1.5


def test_each_token_stands_once_with_its_number_of_draws_and_the_rest_is_unused() -> None:
    logits = torch.randn(50, V, generator=torch.Generator().manual_seed(0)) * 3
    below = logits - logits.amax(1, keepdim=True)
    below[7] = -torch.inf  # nothing to draw
    below[8, 1:] = -torch.inf  # one token
    where = torch.from_numpy(sampling_points(key_of(0), 50, 20))
    ids, values, draws = sample_tokens(below, 1.5, where, torch.full((50, 1), -9.0))
    assert draws[7].sum() == 0 and (values[7] == -9.0).all() and draws.sum(1)[8:].eq(20).all()
    assert (int(ids[8, 0]), int(draws[8, 0])) == (0, 20)
    assert (values.diff(dim=1) <= 0).all() and torch.isfinite(values[9:]).all()
    for i in range(50):
        used = ids[i][draws[i] > 0].tolist()
        assert len(used) == len(set(used))
        torch.testing.assert_close(values[i][draws[i] > 0], below[i][used])


def test_draws_are_stratified() -> None:
    """A token of mass m is drawn n * m times, give or take one at each end of its interval."""
    logits = torch.randn(1, V, generator=torch.Generator().manual_seed(0)) * 2
    ids, _, draws = sample_tokens(logits, 1.0, torch.from_numpy(sampling_points(key_of(1), 1, 500)), logits[:, :1])
    mass = torch.softmax(logits.double(), -1)[0, ids[0]]
    assert (draws[0] - 500 * mass)[draws[0] > 0].abs().max() < 2


def test_sampling_points_depend_on_the_key_alone() -> None:
    assert (sampling_points(key_of(1), 4, 7) == sampling_points(key_of(1), 4, 7)).all()
    assert (sampling_points(key_of(1), 4, 7) != sampling_points(key_of(2), 4, 7)).all()
    assert (sampling_points(key_of(1), 4, 7) < 1).all() and (
        np.diff(sampling_points(key_of(1), 4, 7), axis=1) > 0
    ).all()
    assert sampling_points("", 4, 0).shape == (4, 0)


@pytest.mark.parametrize("top_k", [0, 3])
def test_sampled_rows_come_back_from_a_store(top_k: int, tmp_path: Path) -> None:
    config = ScoreConfig(teacher="t", top_k=top_k, sampled=5, temperatures=GRID)
    row = targets(torch.randn(9, V, generator=torch.Generator().manual_seed(1)) * 3, config, 1)
    metadata = StoreMetadata(
        teacher="t", revision="r", tokenizer="t", vocab_size=V, top_k=top_k, temperatures=GRID, sampled=5,
        sampled_temperature=1.0,
    )  # fmt: skip
    with TargetStore(tmp_path, "a", metadata) as store:
        store.append(key_of(1), row)
        with pytest.raises(AssertionError, match="the store wants"):
            store.append(key_of(2), RowTargets(row.token_ids, row.logits, row.log_tails, GRID))
    with TargetStore(tmp_path) as store:
        found = store.get(key_of(1))
    assert found.draws is not None and row.draws is not None
    assert (found.token_ids == row.token_ids).all() and (found.draws == row.draws).all() and found.head == top_k
    np.testing.assert_allclose(found.weights(), row.weights(), rtol=0.1)
    np.testing.assert_allclose(found.log_probs(2.0), row.log_probs(2.0), atol=0.05)
