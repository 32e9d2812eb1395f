"""Sampled log-probabilities on disk: keyed by exact tokens, joined for continuations, safe from kills."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generators.contract.sampled_logprobs import (
    FILE,
    HEADER_BYTES,
    SampledLogprobs,
    SampledLogprobsFile,
    completion_key,
)

WHOSE = {"teacher": "t", "revision": "r", "sampling": "{}"}
PROMPT = [5, 6, 7]


def made(completion: list[int], start: int = 0, width: int = 4) -> SampledLogprobs:
    """Return log-probabilities of the tokens after the first `start` of a completion."""
    draw = np.random.default_rng([*completion, start])
    logits = -np.sort(-draw.normal(size=(len(completion) - start, 50)))
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    token_ids = draw.integers(0, 2**20, (len(completion) - start, width))
    return SampledLogprobs.of([*PROMPT, *completion], len(PROMPT), len(PROMPT) + start, token_ids, log_probs[:, :width])


def key(completion: list[int], teacher: str = "t") -> str:
    return completion_key([*PROMPT, *completion], len(PROMPT), teacher, "r")


def same(found: Any, *parts: SampledLogprobs) -> None:
    for i, name in enumerate(("token_ids", "logits", "log_tails")):
        assert (found[i] == np.concatenate([getattr(part, name) for part in parts])).all()


def test_kept_and_other_mass_make_one() -> None:
    logprobs = made([1, 2, 3])
    kept = np.exp(logprobs.logits.astype(float)).sum(1)
    tail = np.exp(logprobs.log_tails.astype(float))
    everything = made([1, 2, 3], width=50)
    np.testing.assert_allclose(kept + tail, np.exp(everything.logits.astype(float)).sum(1), rtol=1e-3)
    assert (np.exp(everything.log_tails) < 1e-6).all()


def test_logprobs_are_found_by_their_tokens_and_teacher(tmp_path: Path) -> None:
    with SampledLogprobsFile(tmp_path, write=True) as file:
        file.add(made([1, 2, 3]), WHOSE)
        file.add(made([1, 2]), WHOSE)
        file.add(made([1, 2]), WHOSE)
    with SampledLogprobsFile(tmp_path) as file:
        assert len(file) == 2 and file.width(key([1, 2])) == 4
        same(file.get(key([1, 2, 3])), made([1, 2, 3]))
        assert file.get(key([1, 2], "another")) is None and file.width(key([1, 2, 4])) == 0


def test_what_goes_on_is_joined_to_its_beginning(tmp_path: Path) -> None:
    first, rest = made([1, 2]), made([1, 2, 3, 4], start=2)
    with SampledLogprobsFile(tmp_path, write=True) as file:
        file.add(rest, WHOSE)  # its beginning is not here
        assert len(file) == 0
        file.add(first, WHOSE)
        file.add(rest, WHOSE)
        same(file.get(key([1, 2, 3, 4])), first, rest)


@pytest.mark.parametrize("lost", [1, 30])
def test_a_torn_end_is_cut_off(tmp_path: Path, lost: int) -> None:
    with SampledLogprobsFile(tmp_path, write=True) as file:
        file.add(made([1, 2]), WHOSE)
        file.add(made([3]), WHOSE)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-lost])
    with SampledLogprobsFile(tmp_path, write=True) as file:
        assert len(file) == 1
        file.add(made([4, 5]), WHOSE)
    with SampledLogprobsFile(tmp_path) as file:
        same(file.get(key([1, 2])), made([1, 2]))
        same(file.get(key([4, 5])), made([4, 5]))
        assert file.get(key([3])) is None


def test_a_damaged_block_is_skipped(tmp_path: Path) -> None:
    with SampledLogprobsFile(tmp_path, write=True) as file:
        file.add(made([1, 2]), WHOSE)
        file.add(made([3]), WHOSE)
    data = bytearray((tmp_path / FILE).read_bytes())
    data[HEADER_BYTES + 5] ^= 1
    (tmp_path / FILE).write_bytes(data)
    with SampledLogprobsFile(tmp_path) as file:
        assert file.get(key([1, 2])) is None
        same(file.get(key([3])), made([3]))
