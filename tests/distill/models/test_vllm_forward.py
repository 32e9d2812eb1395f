"""Scoring with vLLM's own engine against scoring with transformers."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from distill.models.forward import TransformersForward
from distill.models.head_file import check_form, load_head
from distill.models.loading import load_model, output_head
from distill.score import row_targets, score
from distill.settings import ScoreConfig
from distill.soft_targets.store import TargetStore
from distill.training.examples import Example

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
GRID = (1.0, 1.5, 4.0)
installed = importlib.util.find_spec("vllm") is not None  # looked up, because the import takes seconds
SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
# rows of 40 tokens take several parts of 16
VLLM_ARGS = {"enforce_eager": True, "kv_cache_memory_bytes": 2**26, "max_num_batched_tokens": 16, "max_num_seqs": 4}


def needs_vllm(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts a vLLM engine."""
    marked: Callable[..., None] = pytest.mark.skipif(not installed, reason="vLLM is not installed")(test)
    slow: Callable[..., None] = pytest.mark.slow(marked)
    return slow


def config(teacher: str, **settings: Any) -> ScoreConfig:
    given = {"top_k": 8, "temperatures": GRID, "device": "cpu", "engine": "vllm", **settings}
    return ScoreConfig(teacher=teacher, **given)


@pytest.fixture(scope="module")
def wide(make_model: Callable[..., Any], make_tokenizer: Callable[..., Any], save: Callable[..., str]) -> str:
    """Return the folder of a teacher with attention heads of a size that vLLM supports."""
    return save(make_model(1, 64, num_attention_heads=2, num_key_value_heads=1), make_tokenizer())


@pytest.fixture(scope="module")
def forward(wide: str) -> Iterator[Any]:
    from distill.models.vllm_forward import start_vllm

    with mock.patch.dict(os.environ, SETTINGS):
        yield start_vllm(wide, VLLM_ARGS, 256, torch.float32, CPU)


@needs_vllm
def test_targets_are_those_of_transformers_at_every_temperature(
    forward: Any, wide: str, examples: list[Example], make_tokenizer: Callable[..., Any]
) -> None:
    vocab_size = len(make_tokenizer())
    local = TransformersForward(load_model(wide, torch.float32, CPU))
    keys = [example.trace_id for example in examples]
    ours, theirs = (row_targets(one, config(wide), vocab_size, examples, keys) for one in (forward, local))
    for one, other in zip(ours, theirs, strict=True):
        assert (one.token_ids == other.token_ids).all()
        for temperature in GRID:
            np.testing.assert_allclose(one.log_probs(temperature), other.log_probs(temperature), atol=8e-3)
            np.testing.assert_allclose(one.log_tail(temperature), other.log_tail(temperature), atol=1e-3)


@needs_vllm
def test_a_row_is_the_same_in_any_company(forward: Any, examples: list[Example]) -> None:
    together = forward(examples)
    alone = torch.cat([forward([example]) for example in examples[::-1]][::-1])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together, forward(examples), atol=1e-4, rtol=1e-4)  # no prefix cache


@needs_vllm
def test_the_stage_writes_what_the_other_engine_writes(
    forward: Any, wide: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_corpus([("2+2?", "4"), ("Name a prime.", "<think>\n7?\n</think>\n7"), ("Hi", "Hello " * 9)])
    with mock.patch("distill.score.load_forward", return_value=forward):  # one engine per process is enough
        counts = score([corpus], tmp_path / "vllm", config(wide, batch_tokens=100))
    local = score([corpus], tmp_path / "local", config(wide, engine="transformers"))
    assert (counts.rows_kept, counts.tokens) == (local.rows_kept, local.tokens)
    same_stores(tmp_path / "vllm", tmp_path / "local")


def same_stores(ours: Path, theirs: Path) -> None:
    """Check that two stores have the same rows, up to rounding."""
    with TargetStore(ours / "targets") as one, TargetStore(theirs / "targets") as other:
        keys = list(one.keys())
        assert keys and set(keys) == set(other.keys())
        for key in keys:
            np.testing.assert_allclose(one.get(key).log_probs(1.5), other.get(key).log_probs(1.5), atol=8e-3)


RUN = """
import sys
from pathlib import Path
import psutil
from distill.score import score
from distill.settings import ScoreConfig

if __name__ == "__main__":
    score([Path(sys.argv[1])], Path(sys.argv[2]), ScoreConfig.model_validate_json(sys.argv[3]))
    left = [process.name() for process in psutil.Process().children(recursive=True)]
    assert not any("VLLM" in name for name in left), left  # training needs the GPUs next
"""


@needs_vllm
def test_the_stage_with_a_teacher_over_two_workers(
    wide: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_corpus([("2+2?", "4"), ("Hi", "Hello " * 9)])
    split = config(wide, options={"vllm_args": {**VLLM_ARGS, "tensor_parallel_size": 2}})
    (tmp_path / "run.py").write_text(RUN)
    command = [sys.executable, "run.py", str(corpus), str(tmp_path / "vllm"), split.model_dump_json()]
    more = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **more})
    assert done.returncode == 0, done.stderr[-3000:]
    score([corpus], tmp_path / "local", config(wide, engine="transformers"))
    same_stores(tmp_path / "vllm", tmp_path / "local")


@needs_vllm
def test_unknown_and_fixed_arguments_are_refused_before_a_model_is_loaded(wide: str) -> None:
    from distill.models.vllm_forward import check_vllm_args

    with pytest.raises(ValueError, match="no such argument here, did you mean tensor_parallel_size"):
        check_vllm_args({"tensor_paralel_size": 2})
    with pytest.raises(ValueError, match=r"options.vllm_args.enable_prefix_caching cannot be set"):
        check_vllm_args({"enable_prefix_caching": True})


def test_a_head_of_another_form_is_refused(make_model: Callable[..., Any], tmp_path: Path) -> None:
    with (
        mock.patch("distill.models.head_file.check_head", side_effect=ValueError("not supported")) as check,
        pytest.raises(ValueError, match="not supported"),
    ):
        make_model(2, 64).save_pretrained(tmp_path)
        check_form(str(tmp_path))
    (tried, _), _ = check.call_args
    assert len(tried.model.layers) == 0


@pytest.mark.parametrize("more", [{}, {"tie_word_embeddings": True}])
@pytest.mark.parametrize("shards", ["1GB", "20KB"])
def test_a_head_is_read_from_the_files_of_its_model(
    make_model: Callable[..., Any],
    tmp_path: Path,
    make_tokenizer: Callable[..., Any],
    more: dict[str, Any],
    shards: str,
) -> None:
    model = make_model(2, 64, **more)
    model.save_pretrained(tmp_path, max_shard_size=shards)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards != "1GB")
    found, wanted = load_head(str(tmp_path), torch.float32, CPU), output_head(model)
    assert torch.equal(found.weight, wanted.weight)
    assert (found.bias, found.scale, found.softcap) == (None, 1.0, None)


def test_options_of_vllm_are_for_vllm() -> None:
    with pytest.raises(ValueError, match='needs engine = "vllm"'):
        ScoreConfig.model_validate({"teacher": "t", "options": {"vllm_args": {"tensor_parallel_size": 2}}})
