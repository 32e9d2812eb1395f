"""The documents of each step; no layout and no split of a step changes loss or gradient."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch

from distill.loss.distillation_loss import OnlineTeacher, distillation_loss
from distill.models.loading import hidden_states, output_head
from distill.training.examples import Example
from distill.training.packing import Batch, balance, batches, collate, groups_by_length, pack, plan_steps

LENGTHS = np.random.default_rng(1).integers(5, 60, 40)


def example(ids: Iterable[int], target_start: int = 1, trace_id: str = "t") -> Example:
    return Example(trace_id, np.array(list(ids), np.int32), target_start)


def test_every_epoch_takes_every_document_once_in_its_own_order() -> None:
    order = np.concatenate(plan_steps(LENGTHS, 200, seed=3, epochs=3)).reshape(3, len(LENGTHS))
    assert (np.sort(order, axis=1) == np.arange(len(LENGTHS))).all()
    assert not (order[0] == order[1]).all()


def test_the_plan_follows_from_the_seed_alone() -> None:
    first, again, other = (np.concatenate(plan_steps(LENGTHS, 200, seed, epochs=2)) for seed in (3, 3, 4))
    assert (first == again).all() and not (first == other).all()


def test_a_step_ends_with_the_document_that_fills_it() -> None:
    steps = plan_steps(LENGTHS, 200, seed=0, epochs=2)
    assert all(LENGTHS[step].sum() >= 200 for step in steps[:-1])
    assert all(LENGTHS[step[:-1]].sum() < 200 for step in steps)
    assert [len(step) for step in plan_steps(np.array([300, 300]), 200, seed=0, epochs=1)] == [1, 1]


@pytest.mark.parametrize("tokens", [1, 500, int(LENGTHS.sum()), int(LENGTHS.sum()) + 1, 5000])
def test_a_budget_ends_with_the_document_that_reaches_it(tokens: int) -> None:
    order = np.concatenate(plan_steps(LENGTHS, 200, seed=0, tokens=tokens))
    assert LENGTHS[order].sum() >= tokens > LENGTHS[order[:-1]].sum()
    assert np.concatenate(plan_steps(np.full(5, 10), 200, seed=0, tokens=20)).size == 2
    longer = np.concatenate(plan_steps(LENGTHS, 200, seed=0, tokens=6000))
    assert (longer[: len(order)] == order).all()  # a longer run starts like the shorter one


def test_packing_keeps_documents_whole_and_rows_full() -> None:
    rows = pack(LENGTHS.tolist(), 128)
    assert sorted(i for row in rows for i in row) == list(range(len(LENGTHS)))
    assert all(LENGTHS[row].sum() <= 128 for row in rows)
    assert len(rows) <= 1.1 * LENGTHS.sum() / 128
    assert sorted(map(sorted, pack([60, 40, 30, 70], 100))) == [[0, 1], [2, 3]]


def test_groups_of_similar_length_stay_within_the_limit_unless_one_row_is_longer() -> None:
    groups = list(groups_by_length(LENGTHS.tolist(), 100))
    assert sorted(i for group in groups for i in group) == list(range(len(LENGTHS)))
    assert all(len(group) * LENGTHS[group].max() <= 100 for group in groups)
    assert list(groups_by_length([7, 300, 5], 20)) == [[2, 0], [1]]


def test_a_packed_row_restarts_positions_at_each_document() -> None:
    batch = collate([[example([11, 12, 13], 2), example([14, 15])], [example([16, 17, 18])]], pad_id=0)
    assert batch.token_ids.tolist() == [[11, 12, 13, 14, 15], [16, 17, 18, 0, 0]]
    assert batch.position_ids is not None
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]
    assert batch.labels.tolist() == [13, 15, 17, 18]
    assert batch.token_ids.flatten()[batch.sources].tolist() == [12, 14, 16, 17]
    assert [len(e.token_ids) for e in batch.examples] == [3, 2, 3]


def test_one_document_a_row_needs_no_positions() -> None:
    batch = collate([[example([11, 12, 13])], [example([14, 15])]], pad_id=9)
    assert batch.position_ids is None and batch.token_ids.tolist() == [[11, 12, 13], [14, 15, 9]]


@pytest.fixture(scope="module")
def student(make_model: Callable[..., torch.nn.Module]) -> torch.nn.Module:
    return make_model(0)


@pytest.fixture(scope="module")
def teacher(make_model: Callable[..., torch.nn.Module]) -> torch.nn.Module:
    return make_model(1, 48)


Result = tuple[torch.Tensor, dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def step(student: torch.nn.Module, teacher: torch.nn.Module) -> Callable[..., Result]:
    """Return a step's summed loss, CE and KL [3], and gradients; its batches share the step's denominator."""

    def step(parts: Iterable[Batch], alpha: float) -> Result:
        parts, sums = list(parts), torch.zeros(3)
        total = sum(e.targets for batch in parts for e in batch.examples)
        student.zero_grad()
        for batch in parts:
            with torch.no_grad():
                online = OnlineTeacher(hidden_states(teacher, batch), output_head(teacher).weight)
            output = distillation_loss(
                hidden_states(student, batch), output_head(student).weight, batch.labels,
                alpha=alpha, temperature=2.0, teacher=online, ignore_index=None, denominator=total,
            )  # fmt: skip
            output.loss.backward()
            sums += torch.stack([output.loss.detach(), output.ce_sum / total, output.kl_sum / total])
        return sums, {name: weight.grad for name, weight in student.named_parameters() if weight.grad is not None}

    return step


def assert_same(got: Result, expected: Result) -> None:
    torch.testing.assert_close(got[0], expected[0], atol=1e-5, rtol=1e-5)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(got[1][name], gradient, atol=1e-5, rtol=1e-4, msg=f"the gradient of {name} differs")
    assert max(float(gradient.abs().max()) for gradient in expected[1].values()) > 1e-2  # else bounds are vacuous


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_padded_and_packed_equal_each_document_alone(
    step: Callable[..., Result], examples: list[Example], alpha: float
) -> None:
    alone = step((collate([[e]], 0) for e in examples), alpha)
    assert_same(step(batches(examples, 10_000, pad_id=7), alpha), alone)
    packed = list(batches(examples, 10_000, pad_id=7, row_tokens=64))
    assert len(packed) == 1 and packed[0].position_ids is not None and len(packed[0].token_ids) < len(examples)
    assert_same(step(packed, alpha), alone)


@pytest.mark.parametrize("row_tokens", [None, 64])
@pytest.mark.parametrize("micro_batch_tokens", [1, 70, 130])
def test_micro_batches_add_up_to_the_step(
    step: Callable[..., Result], examples: list[Example], row_tokens: int | None, micro_batch_tokens: int
) -> None:
    parts = list(batches(examples, micro_batch_tokens, 0, row_tokens))
    assert len(parts) > 1
    assert_same(step(parts, 0.5), step(batches(examples, 10_000, 0, row_tokens), 0.5))


def test_hard_labels_give_the_loss_of_transformers(
    step: Callable[..., Result], student: torch.nn.Module, examples: list[Example]
) -> None:
    document = examples[2]
    ids = torch.from_numpy(document.token_ids).long()[None]
    labels = ids.clone()
    labels[:, : document.target_start] = -100
    student.zero_grad()
    with torch.no_grad():
        expected = student(input_ids=ids, labels=labels).loss
    torch.testing.assert_close(step([collate([[document]], 0)], 1.0)[0][0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_balanced_micro_batches_hold_every_document_and_cost_about_the_same(ranks: int) -> None:
    lengths = np.random.default_rng(2).integers(5, 400, 300).tolist()
    costs = [n * (1 + n / 100) for n in lengths]
    dealt = balance(lengths, costs, 1000, ranks)
    assert len(dealt) == ranks and len({len(parts) for parts in dealt}) == 1
    assert sorted(i for parts in dealt for part in parts for i in part) == list(range(300))
    assert all(sum(lengths[i] for i in part) <= 1000 for parts in dealt for part in parts)
    total = [sum(costs[i] for part in parts for i in part) for parts in dealt]
    assert max(total) <= 1.02 * min(total)
    assert len(dealt[0]) <= 1 + -(-sum(lengths) // (1000 * ranks))
    assert balance([1500, 10], [2.0, 1.0], 1000) == [[[0], [1]]]


def test_many_documents_fill_long_rows() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(7.9, 0.8, 20_000), 300, 32_768).astype(int)
    assert lengths.sum() / (len(pack(lengths.tolist(), 32_768)) * 32_768) > 0.985
