"""The corpus: chat rows that any trainer reads, split by prompt, without repetitions."""

import json
from pathlib import Path

import polars as pl
import pytest
from datasets import load_dataset

from generators.contract.errors import NothingKept
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS, PROMPT, SELECTED
from pipelines.stages.corpus import CorpusConfig, OtherRows, corpus

PROMPTS = 40


def inputs(folder: Path) -> tuple[Path, Path]:
    """Write every question twice, the second one dropped, and three traces of each, one of them wrong."""
    prompts, traces = [], []
    for i in range(PROMPTS):
        row = {"prompt_id": f"p{i}", "messages": [{"role": "user", "content": f"What is {i}?"}], "domain": "math"}
        prompts += [{**row, "source": "a"}, {**row, "source": "b", "drop_reason": "duplicate"}]
        for j in range(3):
            traces.append(
                {
                    "trace_id": f"t{i}-{j}", "prompt_id": f"p{i}", "reasoning": f"It is {i}.",
                    "answer": f"\\boxed{{{i}}}",
                    "finish_reason": "stop", "completion_tokens": 5, "drop_reason": "wrong" if j == 2 else None,
                }
            )  # fmt: skip
    write_frame(frame(prompts, PROMPT), folder / "prompts.parquet")
    write_frame(frame(traces, SELECTED), folder / "selected.parquet")
    return folder / "selected.parquet", folder / "prompts.parquet"


def test_a_question_asked_twice_has_its_traces_once(tmp_path: Path) -> None:
    counts = corpus(*inputs(tmp_path), tmp_path, CorpusConfig(validation_fraction=0.3, unfiltered=True))
    assert counts.rows_in == counts.rows_kept == 2 * PROMPTS
    train, validation = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("train", "validation"))
    assert len(train) + len(validation) == 2 * PROMPTS
    assert pl.concat([train, validation])["trace_id"].is_unique().all()
    unfiltered = pl.read_parquet(tmp_path / "unfiltered.parquet")
    assert len(unfiltered) == 3 * train["prompt_id"].n_unique()


def test_rows_carry_the_reference_and_the_verdict(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    status = pl.when(pl.col("drop_reason").is_null()).then(pl.lit("correct")).otherwise(pl.lit("wrong"))
    judged = pl.read_parquet(selected).with_columns(status=status, score=(status == "correct").cast(pl.Float64))
    write_frame(judged, selected)
    asked = pl.read_parquet(prompts).with_columns(
        verifier=pl.lit("math_answer"), reference=pl.col("prompt_id").str.slice(1), license=pl.lit("MIT")
    )
    write_frame(asked, prompts)
    corpus(selected, prompts, tmp_path, CorpusConfig(unfiltered=True, validation_fraction=0))
    for row in pl.read_parquet(tmp_path / "unfiltered.parquet").iter_rows(named=True):
        right = not row["trace_id"].endswith("-2")
        assert (row["verdict"], row["reward"]) == (("correct", 1.0) if right else ("wrong", 0.0))
        assert (row["verifier"], row["reference"], row["license"]) == ("math_answer", row["prompt_id"][1:], "MIT")
        assert row["solve_rate"] == pytest.approx(2 / 3) and row["chat_template_kwargs"] is None


def test_the_card_claims_only_what_is_known(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    corpus(selected, prompts, tmp_path, CorpusConfig())
    assert f"{5 * 2 * PROMPTS:,} completion tokens" in (tmp_path / "README.md").read_text()
    write_frame(pl.read_parquet(selected).with_columns(completion_tokens=pl.lit(None, pl.Int64)), selected)
    corpus(selected, prompts, tmp_path, CorpusConfig())
    card = (tmp_path / "README.md").read_text()
    assert "completion tokens" not in card and "| not stated |" in card and "None" not in card


def test_a_corpus_without_a_row_to_train_on_is_never_written(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(NothingKept, match="all 80 are held out for validation"):
        corpus(selected, prompts, tmp_path / "out", CorpusConfig(validation_fraction=0.999999))
    write_frame(pl.read_parquet(selected).with_columns(drop_reason=pl.lit("wrong")), selected)
    with pytest.raises(NothingKept, match=r"none of the 120 traces of .*selected.parquet is kept \(120 wrong\)"):
        corpus(selected, prompts, tmp_path / "out", CorpusConfig(unfiltered=True))
    assert not list((tmp_path / "out").iterdir())


def test_no_prompt_stands_on_both_sides(tmp_path: Path) -> None:
    corpus(*inputs(tmp_path), tmp_path, CorpusConfig(validation_fraction=0.3, unfiltered=True))
    train, validation, unfiltered = (
        set(pl.read_parquet(tmp_path / f"{name}.parquet")["prompt_id"])
        for name in ("train", "validation", "unfiltered")
    )
    assert train and validation and not train & validation and not unfiltered & validation


def test_datasets_reads_the_folder_with_its_splits(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    corpus(*inputs(tmp_path), out, CorpusConfig(validation_fraction=0.3))
    rows = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(rows) == {"train", "validation"} and set(rows["train"].column_names) == set(CORPUS)
    last = rows["train"][0]["messages"][-1]
    assert last["role"] == "assistant" and last["content"].startswith("<think>\nIt is ")


def test_other_rows_are_mixed_in_and_traces_over_the_mix_are_counted(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]}
    other = tmp_path / "chat.jsonl"
    other.write_text("".join(json.dumps(chat) + "\n" for _ in range(7)))
    config = CorpusConfig(reasoning_rows=30, other=(OtherRows(path=str(other), rows=5, license="mit"),))
    counts = corpus(*inputs(tmp_path), tmp_path, config)
    assert (counts.rows_in, counts.rows_kept, counts.dropped) == (2 * PROMPTS + 5, 35, {"over_mix": 2 * PROMPTS - 30})


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_settings_give_the_same_bytes(tmp_path: Path, seed: int) -> None:
    files = inputs(tmp_path)
    for name in ("a", "b"):
        corpus(*files, tmp_path / name, CorpusConfig(seed=seed, reasoning_rows=20))
    for name in ("train.parquet", "validation.parquet", "README.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_sampled_tokens_are_kept_where_asked_for(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    given = pl.Series([[1, 2, i] for i in range(3 * PROMPTS)], dtype=pl.List(pl.Int32))
    write_frame(pl.read_parquet(selected).with_columns(token_ids=given), selected)
    for asked in (False, True):
        corpus(selected, prompts, tmp_path, CorpusConfig(token_ids=asked))
        kept = pl.read_parquet(tmp_path / "train.parquet")["token_ids"]
        assert kept.null_count() == (0 if asked else len(kept))
