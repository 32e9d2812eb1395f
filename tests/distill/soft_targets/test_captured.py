"""Soft targets from sampled log-probabilities instead of a forward pass of the teacher."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.models.loading import load_model, load_tokenizer
from distill.score import score
from distill.settings import ScoreConfig
from distill.soft_targets.store import TargetStore
from distill.training.examples import Example, load_examples
from generators.contract.sampled_logprobs import FILE, SampledLogprobs, SampledLogprobsFile
from generators.contract.stage_protocol import Runtime, Worker, stream_local

PAIRS = [("2+2?", "4"), ("Name a prime.", "<think>\n7?\n</think>\n7"), ("Hi", "Hello there, how are you?"), ("a", "b")]
WHOSE = {"revision": "r1"}


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    return write_corpus(PAIRS)


def config(teacher: str, **settings: Any) -> ScoreConfig:
    return ScoreConfig(teacher=teacher, **{"top_k": 6, "temperatures": (1.0,), "device": "cpu", **settings})


@pytest.fixture
def logprobs(teacher: str, corpus: Path, tmp_path: Path) -> Path:
    """Write eight log-probabilities per position for all rows but the last; return their folder."""
    tokenizer, model = load_tokenizer(teacher), load_model(teacher, torch.float32, torch.device("cpu"))
    examples, _ = load_examples(corpus, tokenizer, 256)
    with SampledLogprobsFile(tmp_path / "logprobs", write=True) as kept:
        for example in examples[:-1]:
            kept.add(sampled_logprobs_of(model, example, len(tokenizer)), {"teacher": teacher, **WHOSE})
    return tmp_path / "logprobs"


@torch.no_grad()
def sampled_logprobs_of(model: Any, example: Example, vocab_size: int) -> SampledLogprobs:
    """Return what an engine whose head has no padding rows would record while it samples this row."""
    logits = model(input_ids=torch.from_numpy(example.token_ids).long()[None]).logits[0, :, :vocab_size]
    log_probs, ids = torch.log_softmax(logits[example.target_start - 1 : -1], -1).topk(8)
    start = example.target_start
    return SampledLogprobs.of(example.token_ids.tolist(), start, start, ids.numpy(), log_probs.numpy())


class Counted:
    """A `stream_local` that records the keys it scored."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
        for key, row in stream_local(build, shards):
            self.keys.append(key)
            yield key, row


def test_sampled_logprobs_equal_a_pass_and_other_rows_are_scored(
    teacher: str, corpus: Path, logprobs: Path, tmp_path: Path
) -> None:
    stream = Counted()
    both = score(
        [corpus],
        tmp_path / "both",
        config(teacher),
        revision="r1",
        sampled_logprobs=[logprobs],
        runtime=Runtime(stream=stream),
    )
    alone = score([corpus], tmp_path / "alone", config(teacher), revision="r1")
    assert len(stream.keys) == 1 and both.notes["captured"] == len(PAIRS) - 1 and "captured" not in alone.notes
    assert (both.rows_kept, both.tokens) == (alone.rows_kept, alone.tokens)
    with TargetStore(tmp_path / "both" / "targets") as ours, TargetStore(tmp_path / "alone" / "targets") as theirs:
        keys = list(theirs.keys())
        assert set(ours.keys()) == set(keys)
        for key in keys:
            one, other = ours.get(key), theirs.get(key)
            assert (one.token_ids == other.token_ids).all()
            np.testing.assert_allclose(one.log_probs(1.0), other.log_probs(1.0), atol=2e-2)  # fp16, rounded twice
            np.testing.assert_allclose(np.exp(one.log_tail(1.0)), np.exp(other.log_tail(1.0)), atol=1e-3)


def test_a_rerun_takes_over_nothing_twice_and_reports_the_same(
    teacher: str, corpus: Path, logprobs: Path, tmp_path: Path
) -> None:
    first = score([corpus], tmp_path, config(teacher), revision="r1", sampled_logprobs=[logprobs])
    again = Counted()
    assert first == score(
        [corpus], tmp_path, config(teacher), revision="r1", sampled_logprobs=[logprobs], runtime=Runtime(stream=again)
    )
    assert again.keys == []


def test_damaged_sampled_logprobs_are_scored(teacher: str, corpus: Path, logprobs: Path, tmp_path: Path) -> None:
    data = bytearray((logprobs / FILE).read_bytes())
    data[40] ^= 1
    (logprobs / FILE).write_bytes(data)
    stream = Counted()
    score(
        [corpus], tmp_path, config(teacher), revision="r1", sampled_logprobs=[logprobs], runtime=Runtime(stream=stream)
    )
    assert len(stream.keys) == 2


def test_sampled_logprobs_of_another_teacher_or_fewer_tokens_are_not_used(
    teacher: str, corpus: Path, logprobs: Path, tmp_path: Path
) -> None:
    for name, revision, top_k in (("other", "r2", 6), ("more", "r1", 9)):
        stream = Counted()
        settings = config(teacher, top_k=top_k)
        counts = score(
            [corpus],
            tmp_path / name,
            settings,
            revision=revision,
            sampled_logprobs=[logprobs],
            runtime=Runtime(stream=stream),
        )
        assert len(stream.keys) == len(PAIRS) and counts.notes["captured"] == 0


@pytest.mark.parametrize("settings", [{"temperatures": (1.0, 2.0)}, {"sampled": 4}])
def test_settings_beyond_sampled_logprobs_are_refused(
    teacher: str, corpus: Path, logprobs: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"exact at T = 1 alone: temperatures = \[1.0\] and sampled = 0"):
        score([corpus], tmp_path / "new", config(teacher, **settings), revision="r1", sampled_logprobs=[logprobs])
    assert not (tmp_path / "new").exists()


def test_missing_sampled_logprobs_are_no_error(teacher: str, corpus: Path, tmp_path: Path) -> None:
    counts = score([corpus], tmp_path, config(teacher), revision="r1", sampled_logprobs=[tmp_path / "none"])
    assert counts.rows_kept == len(PAIRS)
