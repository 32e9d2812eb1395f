"""The corpus: chat rows that any trainer reads, split by prompt, without repetitions."""

import json
from pathlib import Path

import polars as pl
import pytest
from datasets import load_dataset

from generators.contract.errors import NothingKept
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS, PROMPT, SELECTED
from pipelines.stages.corpus import CorpusConfig, corpus
from pipelines.stages.other_rows import OtherRows

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


def test_the_text_is_the_teachers_and_a_fault_is_in_no_file(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    wrapping = pl.concat_list(pl.lit("<think>"), pl.lit("\n</think>\n\n"), pl.lit("\n")).first()
    faulty = pl.col("trace_id") == "t0-2"
    fault = pl.when(faulty).then(pl.lit("a thinking mark inside the answer"))
    write_frame(pl.read_parquet(selected).with_columns(wrapping=wrapping, fault=fault), selected)
    corpus(selected, prompts, tmp_path, CorpusConfig(unfiltered=True, validation_fraction=0))
    rows = {row["trace_id"]: row for row in pl.read_parquet(tmp_path / "unfiltered.parquet").iter_rows(named=True)}
    assert rows["t1-0"]["messages"][-1]["content"] == "<think>It is 1.\n</think>\n\n\\boxed{1}\n"
    assert "t0-2" not in rows and "t0-1" in rows


def test_the_card_claims_only_what_is_known(tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    corpus(selected, prompts, tmp_path, CorpusConfig())
    assert f"{5 * 2 * PROMPTS:,} completion tokens" in (tmp_path / "README.md").read_text()
    write_frame(pl.read_parquet(selected).with_columns(completion_tokens=pl.lit(None, pl.Int64)), selected)
    corpus(selected, prompts, tmp_path, CorpusConfig())
    card = (tmp_path / "README.md").read_text()
    assert "completion tokens" not in card and "| not stated |" in card and "None" not in card


@pytest.mark.parametrize(
    "right, said",
    [
        (2 * PROMPTS, "the teacher's and were kept when their verifier found them correct and they were distinct; the"),
        (0, "the teacher's, which no verifier has judged; the"),
        (PROMPTS, f"correct and they were distinct; {PROMPTS} were kept without a verdict; the"),
    ],
)
def test_the_card_says_which_rows_were_judged(right: int, said: str, tmp_path: Path) -> None:
    selected, prompts = inputs(tmp_path)
    rows = pl.read_parquet(selected).filter(pl.col("drop_reason").is_null()).with_row_index("row")
    status = pl.when(pl.col("row") < right).then(pl.lit("correct"))
    write_frame(rows.with_columns(status=status, teacher=pl.lit("t")).drop("row"), selected)
    corpus(selected, prompts, tmp_path, CorpusConfig())
    assert said in (tmp_path / "README.md").read_text()


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


def chat_file(path: Path, *turns: tuple[str, str], **columns: object) -> OtherRows:
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}], **columns}
        for asked, said in turns
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return OtherRows(path=str(path), rows=None, license="mit")


def test_other_rows_are_mixed_in_and_traces_over_the_mix_are_counted(tmp_path: Path) -> None:
    other = chat_file(tmp_path / "chat.jsonl", *((f"Hello {i}", f"Hello, {i}!") for i in range(7)))
    config = CorpusConfig(reasoning_rows=30, other=(other.model_copy(update={"rows": 5}),))
    counts = corpus(*inputs(tmp_path), tmp_path, config)
    assert (counts.rows_in, counts.rows_kept, counts.dropped) == (2 * PROMPTS + 5, 35, {"over_mix": 2 * PROMPTS - 30})


def test_other_rows_lose_the_evaluation_s_questions_and_duplicates(tmp_path: Path) -> None:
    long = "A farmer has twelve sheep and sells three of them; how many are left?"
    exam = [{"prompt_id": q, "messages": [{"role": "user", "content": q}]} for q in ("Who wrote Faust?", long)]
    write_frame(frame(exam, PROMPT), tmp_path / "eval_prompts.parquet")
    story = "Once upon a time there was a king who had three daughters and no crown to give to any of them at all."
    other = chat_file(
        tmp_path / "chat.jsonl",
        ("who  wrote FAUST?", "Goethe."),
        (f"Please solve this: {long} Thanks.", "Nine."),
        ("Tell a story", story),
        ("Tell a  story", story),
        ("Tell a story", story + " End."),
        ("Hello", "Hello!"),
        ("", ""),
    )
    found = inputs(tmp_path)
    counts = corpus(*found, tmp_path, CorpusConfig(other=(other,)), evaluation=tmp_path / "eval_prompts.parquet")
    reasons = {"exact_duplicate": 1, "in_evaluation_set": 2, "near_duplicate": 1, "empty": 1}
    assert counts.dropped == reasons and counts.rows_in == counts.rows_kept + 5
    assert corpus(*found, tmp_path / "b", CorpusConfig(other=(other,))).dropped.get("in_evaluation_set") is None


@pytest.mark.parametrize(
    "switch, stored, said",
    [
        ("none", None, "Hello!"),
        ("chat_template_kwargs", '{"enable_thinking":false,"thinking":false}', "Hello!"),
        ("empty_think", None, "<think>\n\n</think>\n\nHello!"),
    ],
)
def test_a_thinking_switch_is_stored_with_each_row(tmp_path: Path, switch: str, stored: str | None, said: str) -> None:
    other = chat_file(tmp_path / "chat.jsonl", ("Hello", "Hello!"))
    config = CorpusConfig.model_validate({"validation_fraction": 0, "thinking_switch": switch, "other": (other,)})
    corpus(*inputs(tmp_path), tmp_path, config)
    rows = pl.read_parquet(tmp_path / "train.parquet")
    last = rows.filter(pl.col("license") == "mit", pl.col("teacher").is_null()).to_dicts()[-1]
    assert (last["chat_template_kwargs"], last["messages"][-1]["content"]) == (stored, said)
    reasoned = rows["chat_template_kwargs"][0]
    assert reasoned == (stored and stored.replace("false", "true"))


def test_a_row_s_own_template_variables_are_kept(tmp_path: Path) -> None:
    other = chat_file(tmp_path / "chat.jsonl", ("Hello", "Hello!"), chat_template_kwargs={"reasoning_effort": "low"})
    config = CorpusConfig(validation_fraction=0, thinking_switch="chat_template_kwargs", other=(other,))
    corpus(*inputs(tmp_path), tmp_path, config)
    stored = pl.read_parquet(tmp_path / "train.parquet")["chat_template_kwargs"].to_list()
    assert stored[-1] == '{"reasoning_effort":"low"}'


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
