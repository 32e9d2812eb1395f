"""The byte format of soft targets: rows survive the round trip, and realistic rows stay small."""

from typing import Any

import numpy as np
import pytest

from distill.soft_targets.codec import Decoded, decode, encode, rounded_logits

Row = tuple[np.ndarray, np.ndarray, np.ndarray]


def row(positions: int, kept: int, vocab_size: int, grid: int = 3, reuse: float = 1.0, seed: int = 0) -> Row:
    """Return ids that differ within a position, common ones more often; logits that fall; arbitrary tails."""
    random = np.random.default_rng(seed)
    commonness = -reuse * np.log(np.arange(1, vocab_size + 1)) + random.gumbel(size=(positions, vocab_size))
    ids = random.permutation(vocab_size)[np.argsort(-commonness, axis=1)[:, :kept]].astype(np.uint32)
    logits = np.sort(-random.gamma(3.0, 2.0, (positions, kept)), axis=1)[:, ::-1]
    logits -= logits.max(axis=1, keepdims=True) if kept else 0.0
    return ids, logits.astype(np.float16), random.normal(-3, 4, (positions, grid)).astype(np.float32)


def back(data: bytes, like: Row, dtype: Any = "<u4", sampled: int = 0) -> Decoded:
    return decode(data, like[0].shape, like[2].shape[1], np.dtype(dtype), sampled)


def assert_comes_back(given: Row, dtype: Any = "<u4") -> None:
    ids, logits, tails, draws = back(encode(*given), given, dtype)
    assert draws is None and ids.dtype == dtype and (ids == given[0]).all() and ids.shape == given[0].shape
    assert logits.dtype == np.float16 and (logits == rounded_logits(given[1])).all()
    assert tails.dtype == np.float32
    np.testing.assert_allclose(tails, given[2], rtol=2.0**-15)
    assert ids.flags.c_contiguous and logits.flags.c_contiguous and tails.flags.c_contiguous


@pytest.mark.parametrize("reuse", [0.0, 1.2])  # as they are; in a dictionary
@pytest.mark.parametrize(
    ("positions", "kept", "vocab_size"),
    [(40, 8, 200), (40, 8, 70_000), (300, 20, 5_000), (1, 50, 151_936), (7, 1, 10), (5, 30, 30), (3, 1, 1)],
)
def test_rows_come_back(positions: int, kept: int, vocab_size: int, reuse: float) -> None:
    given = row(positions, kept, vocab_size, reuse=reuse)
    assert_comes_back(given)
    if vocab_size <= 2**16:
        assert_comes_back(given, "<u2")


@pytest.mark.parametrize("shape", [(0, 8), (0, 0), (5, 0)])
def test_nothing_comes_back_as_nothing(shape: tuple[int, int]) -> None:
    empty = np.zeros(shape, np.uint32), np.zeros(shape, np.float16), np.zeros((shape[0], 2), np.float32)
    assert_comes_back(empty)


def test_the_largest_ids_come_back() -> None:
    for positions in (1, 200):  # as they are; in a dictionary
        ids, logits, tails = row(positions, 3, 10)
        assert_comes_back((ids + (2**24 - 10), logits, tails))
    with pytest.raises(AssertionError, match="16777216 does not fit"):
        encode(np.array([[2**24]], np.uint32), logits[:1, :1], tails[:1])


def test_logits_are_rounded_by_their_own_size_and_infinities_stay() -> None:
    sizes = np.exp(np.random.default_rng(0).uniform(-9, 11, 5000)).astype(np.float16)
    error = np.abs(rounded_logits(-sizes).astype(np.float64) + sizes)
    assert (error <= 2.0**-9 * sizes).all() and np.isfinite(rounded_logits(np.array([-65504.0], np.float16))).all()
    rows = [[0.0, -0.0, -6e-8, -65504.0, -np.inf, -np.inf], [0.0, -np.inf, -1.0, -0.5, -20.0, -3.0]]
    extremes, tails = np.array(rows, np.float16), np.array([[-np.inf, 0.0], [80.0, -1e30]], np.float32)
    given = np.arange(12, dtype=np.uint32).reshape(2, 6), extremes, tails
    assert_comes_back(given)
    with pytest.raises(AssertionError, match="above the top one"):
        encode(given[0], -extremes, given[2])


def test_draws_come_back() -> None:
    given = row(50, 9, 300)
    draws = np.random.default_rng(1).integers(0, 70_000, (50, 4))
    ids, _, _, found = back(encode(*given, draws), given, sampled=4)
    assert found is not None and (ids == given[0]).all() and (found == draws).all()


def test_a_row_that_repeats_its_tokens_takes_130_bytes_a_position_at_most() -> None:
    random = np.random.default_rng(0)
    common = random.permutation(151_936)[:12_000]
    ids = common[np.minimum(random.pareto(0.7, (1000, 50)) * 20, 11_999).astype(int)].astype(np.uint32)
    _, logits, tails = row(1000, 50, 60, grid=4)
    assert len(encode(ids, logits, tails)) / 1000 <= 130
    random_ids = random.integers(0, 151_936, (1000, 50)).astype(np.uint32)
    assert len(encode(random_ids, logits, tails)) / 1000 <= 165  # the worst case: no repeated ids, logits in no order
