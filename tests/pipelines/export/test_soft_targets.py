"""Soft targets beside the text: the stored teacher's log-probabilities, at the tokens that were scored."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.models.loading import load_tokenizer, tokenizer_fingerprint
from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore, target_key
from distill.training.examples import Example, encode
from generators.contract.errors import InputError, NothingKept
from pipelines.export.export import export

K = 3


def stored(run: Path, folder: Path, *, sampled: int = 0, skip: int = 0, tokenizer: str = "embedded:student") -> Path:
    """Copy a run and store random targets of all its rows but the first `skip`."""
    moved = folder / "run"
    shutil.copytree(run, moved)
    ours = load_tokenizer(tokenizer)
    metadata = StoreMetadata(
        teacher="embedded:teacher", revision="r", tokenizer=tokenizer_fingerprint(ours), vocab_size=512, top_k=K,
        temperatures=(1.0, 2.0), sampled=sampled, sampled_temperature=1.0 if sampled else None,
    )  # fmt: skip
    draw = np.random.default_rng(0)
    with TargetStore(moved / "score" / "targets", "a", metadata) as store:
        for split in ("train", "validation"):
            rows = pl.read_parquet(moved / "corpus" / f"{split}.parquet").to_dicts()
            for example in encode(rows[skip:], ours, 4096):
                assert isinstance(example, Example)
                n, k = example.targets, K + sampled
                logits = -np.sort(draw.exponential(size=(n, k)), axis=1).astype(np.float16)
                logits -= logits[:, :1]
                ids = draw.integers(0, 512, (n, k)).astype(np.uint16)
                draws = np.ones((n, sampled), np.uint8) if sampled else None
                row = RowTargets(ids, logits, draw.normal(size=(n, 2)).astype(np.float32), (1.0, 2.0), draws, 1.0)
                store.append(target_key(example.token_ids, example.target_start, "embedded:teacher", "r"), row)
    return moved


@pytest.mark.parametrize("sampled", [0, 2])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_each_completion_token_has_its_distribution(sampled: int, ending: str, run: Path, tmp_path: Path) -> None:
    moved = stored(run, tmp_path, sampled=sampled)
    export(moved, "trl", tmp_path / "out", soft_targets=True, ending=ending)  # type: ignore[arg-type]
    read = pl.read_parquet if ending == "parquet" else pl.read_ndjson
    tokenizer = load_tokenizer("embedded:student")
    with TargetStore(moved / "score" / "targets") as store:
        for row in read(tmp_path / f"out/train.{ending}").iter_rows(named=True):
            ids = np.array(row["prompt_token_ids"] + row["completion_token_ids"], np.int32)
            said = tokenizer.decode(row["completion_token_ids"])
            assert said == row["completion"][0]["content"] + "<|end|>"
            targets = store.get(target_key(ids, len(row["prompt_token_ids"]), "embedded:teacher", "r"))
            assert len(row["target_token_ids"]) == len(row["completion_token_ids"])
            assert np.array_equal(row["target_token_ids"], targets.token_ids)
            np.testing.assert_allclose(row["target_logprobs"], targets.log_probs(1.0), rtol=1e-5)
            np.testing.assert_allclose(row["target_tail_logprob"], targets.log_tail(1.0), rtol=1e-5)
            if sampled:
                np.testing.assert_allclose(row["target_weights"], targets.weights(), rtol=1e-5)
            else:
                mass = np.exp(row["target_logprobs"]).sum(axis=1) + np.exp(row["target_tail_logprob"])
                np.testing.assert_allclose(mass, 1, rtol=1e-4)


def test_a_row_that_was_not_scored_is_counted(run: Path, tmp_path: Path) -> None:
    moved = stored(run, tmp_path, skip=2)
    done = export(moved, "trl", tmp_path / "out", soft_targets=True)
    assert [counts.dropped for counts in done.counts.values()] == [{"no_soft_targets": 2}] * 2


def test_another_tokenizer_is_refused(run: Path, tmp_path: Path) -> None:
    moved = stored(run, tmp_path)
    other = tmp_path / "other"
    shutil.copytree(load_tokenizer("embedded:student").name_or_path, other)
    text = (other / "tokenizer.json").read_text(encoding="utf-8").replace('"<think>"', '"<thunk>"')
    (other / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"are of another tokenizer than .*--student"):
        export(moved, "trl", tmp_path / "out", soft_targets=True, tokenizer=str(other))
    with pytest.raises(NothingKept, match="no_soft_targets"):
        export(stored(run, tmp_path / "all", skip=99), "trl", tmp_path / "out", soft_targets=True)
