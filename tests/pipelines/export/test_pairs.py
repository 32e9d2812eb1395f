"""Preference pairs: correct against wrong of one prompt, near in length, the same ones every time, none lost."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.contract.errors import InputError, NothingKept
from generators.contract.files import write_frame
from pipelines.export.export import Exported, export
from pipelines.export.pairs import plan_pairs, wrong_traces
from pipelines.stages.corpus import CorpusConfig, corpus


def pairs(done: Exported) -> list[dict[str, Any]]:
    return [json.loads(line) for path in done.counts for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_pair_is_a_right_and_a_wrong_answer_of_one_prompt(run: Path, tmp_path: Path) -> None:
    done = export(run, "preference", tmp_path)
    traces = {row["trace_id"]: row for row in pl.read_parquet(run / "select/selected.parquet").iter_rows(named=True)}
    found = pairs(done)
    assert len({row["prompt_id"] for row in found}) == len(found) == 11
    for row in found:
        wrong, right = traces[row["rejected_trace_id"]], traces[row["trace_id"]]
        assert (right["status"], wrong["status"], wrong["finish_reason"]) == ("correct", "wrong", "stop")
        assert right["prompt_id"] == wrong["prompt_id"] == row["prompt_id"]
        assert row["rejected_trace_id"].endswith("x2"), "the one that is near in length"
        for name, trace in (("chosen", right), ("rejected", wrong)):
            text = f"<think>\n{trace['reasoning']}\n</think>\n{trace['answer']}"
            assert row[name] == [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, {"over_pairs_per_prompt": 11, "no_wrong_trace": 2}), (2, {"no_wrong_trace": 2}), (9, {"no_wrong_trace": 2})],
)
def test_rows_without_a_pair_have_a_reason(most: int, expected: dict[str, int], run: Path, tmp_path: Path) -> None:
    done = export(run, "preference", tmp_path, pairs_per_prompt=most)
    dropped = sum((Counter(counts.dropped) for counts in done.counts.values()), Counter[str]())
    assert dropped == {**expected, "not_correct": 1}  # the row from elsewhere has no verdict
    assert len({row["rejected_trace_id"] for row in pairs(done)}) == len(pairs(done)), "each wrong trace once"


def test_without_a_run_the_unfiltered_rows_hold_the_wrong_ones(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("train", "validation", "unfiltered"):
        write_frame(pl.read_parquet(run / "corpus" / f"{name}.parquet"), folder / f"{name}.parquet")
    of_run = {(row["trace_id"], row["rejected_trace_id"]) for row in pairs(export(run, "preference", tmp_path / "a"))}
    done = export(folder, "preference", tmp_path / "b")
    found = {(row["trace_id"], row["rejected_trace_id"]) for row in pairs(done)}
    assert found and found <= of_run, "unfiltered rows are those of training prompts"
    alone = export(folder / "unfiltered.parquet", "preference", tmp_path / "c")
    assert {(row["trace_id"], row["rejected_trace_id"]) for row in pairs(alone)} == found


def test_the_order_of_the_wrong_traces_does_not_matter_for_the_texts(run: Path, tmp_path: Path) -> None:
    corpus, selected = run / "corpus/train.parquet", pl.read_parquet(run / "select/selected.parquet")
    moved = tmp_path / "run"
    (moved / "select").mkdir(parents=True)
    write_frame(selected.sample(fraction=1, shuffle=True, seed=3), moved / "select/selected.parquet")
    write_frame(pl.read_parquet(corpus), moved / "corpus/train.parquet")
    (moved / "run.json").write_text("{}")
    write_frame(pl.read_parquet(corpus), tmp_path / "same/corpus/train.parquet")
    write_frame(selected, tmp_path / "same/select/selected.parquet")
    (tmp_path / "same/run.json").write_text("{}")
    one, other = (pairs(export(tmp_path / name, "preference", tmp_path / f"{name}-out")) for name in ("run", "same"))
    assert one == other


def test_a_rewritten_row_is_not_compared_with_a_text_of_another_style(run: Path, tmp_path: Path) -> None:
    rows = pl.read_parquet(run / "corpus/unfiltered.parquet").with_columns(rewritten_from=pl.lit("t"))
    write_frame(rows, tmp_path / "rows.parquet")
    plan = plan_pairs(tmp_path / "rows.parquet", tmp_path / "rows.parquet", 1)
    assert {plan.reason(row) for row in range(len(rows))} == {"rewritten"}


def _row(i: int, draw: random.Random) -> dict[str, Any]:
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x" * draw.randrange(9)}]
    verdict = draw.choice(["correct", "wrong", None])
    return {"trace_id": f"{i}", "prompt_id": f"p{draw.randrange(6)}", "verdict": verdict, "messages": said}


def test_every_row_is_paired_or_has_a_reason(tmp_path: Path) -> None:
    draw = random.Random(1)
    for seed in range(30):
        rows = [_row(i, draw) for i in range(40)]
        file = tmp_path / f"{seed}.parquet"
        write_frame(pl.DataFrame(rows), file)
        plan = plan_pairs(file, file, draw.randrange(1, 4))
        paired = {right: int(wrong) for right, wrong in enumerate(plan.wrong_of) if wrong >= 0}
        assert all((right in paired) == (plan.reason(right) == "") for right in range(40))
        assert len(set(paired.values())) == len(paired)
        for right, wrong in paired.items():
            assert rows[right]["prompt_id"] == rows[wrong]["prompt_id"]
            assert (rows[right]["verdict"], rows[wrong]["verdict"]) == ("correct", "wrong")
        for right in {i for i in range(40) if plan.reason(i) == "no_wrong_trace"}:
            assert not any((row["prompt_id"], row["verdict"]) == (rows[right]["prompt_id"], "wrong") for row in rows)


def test_the_run_comes_before_the_unfiltered_rows(run: Path) -> None:
    from pipelines.export.corpus_files import find_corpus

    corpus = find_corpus(run)
    assert wrong_traces(corpus, corpus.files["train"]) == run / "select/selected.parquet"


def test_a_corpus_without_wrong_traces_has_no_pairs(run: Path, tmp_path: Path) -> None:
    for name in ("train", "unfiltered"):
        rows = pl.read_parquet(run / "corpus" / f"{name}.parquet")
        write_frame(rows if name == "train" else rows.clear(), tmp_path / "corpus" / f"{name}.parquet")
    with pytest.raises(NothingKept, match=r"none of \d+ rows can be exported \(\d+ no_wrong_trace, 1 not_correct\)"):
        export(tmp_path / "corpus", "preference", tmp_path / "out")
    write_frame(rows.clear(), tmp_path / "corpus" / "train.parquet")
    with pytest.raises(InputError, match="has no rows to export"):
        export(tmp_path / "corpus", "preference", tmp_path / "out")


def test_texts_are_as_the_teacher_wrote_them(run: Path, tmp_path: Path) -> None:
    wrapping = pl.lit(["<think>", "</think>\n\n", "\n"])
    selected = pl.read_parquet(run / "select/selected.parquet").with_columns(wrapping=wrapping)
    moved = tmp_path / "run"
    write_frame(selected, moved / "select/selected.parquet")
    corpus(moved / "select/selected.parquet", run / "prompts/prompts.parquet", moved / "corpus", CorpusConfig())
    (moved / "run.json").write_text("{}")
    found = pairs(export(moved, "preference", tmp_path / "out"))
    traces = {row["trace_id"]: row for row in selected.iter_rows(named=True)}
    for row in found:
        for name, trace in (("chosen", traces[row["trace_id"]]), ("rejected", traces[row["rejected_trace_id"]])):
            assert row[name][0]["content"] == f"<think>{trace['reasoning']}</think>\n\n{trace['answer']}\n"
