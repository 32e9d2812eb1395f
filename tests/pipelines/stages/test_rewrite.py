"""The rewrite stage: the rows kept of good and of failed rewrites, and that nothing is lost or paid for twice."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from filters.verify import VerifyConfig
from generators.contract.errors import RecipeError
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS, REWRITTEN, SELECTED
from generators.contract.stage_protocol import Runtime, StageCounts
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts
from pipelines.recipe.loading import load_recipe
from pipelines.stages.corpus import CorpusConfig, corpus
from pipelines.stages.rewrite import RewriteConfig, parse, rewrite

TESTS = Path(__file__).resolve().parents[2]
DISTILL = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())"]
STUB = ["generate.engine=stubs.writer", "rewrite.engine=stubs.writer"]
FAILURES = {  # by a % 10 of the question a + 4 = ?, with two rewrites
    **{0: None, 1: None, 2: "wrong", 3: "mixed_language", 4: None},
    **{5: "error", 6: None, 7: "malformed", 8: None, 9: "unparseable"},
}


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TESTS))
    module = import_module("stubs.writer")
    module.asked.clear()
    return module


def kept_traces(folder: Path, count: int = 10) -> None:
    """Write prompts.parquet and selected.parquet: a kept trace and a wrong one of each question."""
    file = folder / "sums.jsonl"
    rows = [{"question": f"{a} + 4 = ?", "reference": str(a + 4)} for a in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts(folder, FilePrompts(source="file", path=str(file), verifier="math_answer"))
    ids = pl.read_parquet(folder / "prompts.parquet")["prompt_id"]
    traces = [
        {"trace_id": f"{kind}{a}", "prompt_id": prompt_id, "finish_reason": "stop", "completion_tokens": 9,
         "teacher": "t", "reasoning": f"Hm, hm. {a} + 4, so {a + 4}, hm.", "answer": f"{a + 4}", "status": kind,
         "token_ids": [1, 2], "drop_reason": None if kind == "correct" else kind}
        for a, prompt_id in enumerate(ids) for kind in ("correct", "wrong")
    ]  # fmt: skip
    write_frame(frame(traces, SELECTED), folder / "selected.parquet")


def rewritten(folder: Path, out: str = "out", **settings: Any) -> tuple[pl.DataFrame, StageCounts]:
    config = RewriteConfig(engine="stubs.writer", model="editor", **settings)
    (folder / out).mkdir(exist_ok=True)
    inputs = (folder / "selected.parquet", folder / "prompts.parquet")
    counts = rewrite(*inputs, folder / out, config, VerifyConfig(), runtime=Runtime(verify_workers=1))
    return pl.read_parquet(folder / out / "rewritten.parquet"), counts


def test_right_rewrites_take_the_place_of_their_originals(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    rows, _ = rewritten(tmp_path)
    assert dict(rows.schema) == REWRITTEN and rows["trace_id"].n_unique() == len(rows)
    originals = rows.filter(pl.col("rewritten_from").is_null())
    selected = pl.read_parquet(tmp_path / "selected.parquet")
    untouched = [name for name in SELECTED if name != "drop_reason"]
    assert originals.select(untouched).equals(selected.select(untouched))
    assert originals["drop_reason"].to_list()[1::2] == ["wrong"] * 10
    assert originals["rewrite_failure"].to_list()[::2] == list(FAILURES.values())
    expected = ["rewritten" if failure is None else f"rewrite_{failure}" for failure in FAILURES.values()]
    assert originals["drop_reason"].to_list()[::2] == expected
    kept = rows.filter(pl.col("drop_reason").is_null())
    assert kept["rewritten_from"].to_list() == [f"correct{a}" for a in (0, 1, 4, 6, 8)]
    first = kept.row(0, named=True)
    assert (
        first["reasoning"] == "I add 4 to 0.\n\n0 + 4 = 4. It holds." and first["answer"] == "Adding gives \\boxed{4}."
    )
    assert (first["status"], first["score"], first["teacher"]) == ("correct", 1.0, "editor")
    assert first["token_ids"] is None and 0 < first["completion_tokens"] < 50
    assert first["prompt_id"] == selected["prompt_id"][0]


def test_the_funnel_adds_up_and_every_reply_says_what_became_of_it(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    rows, counts = rewritten(tmp_path)
    dropped = {"error": 1, "malformed": 1, "mixed_language": 1, "unparseable": 1, "wrong": 1}
    assert (counts.rows_in, counts.rows_kept) == (10, 5)
    assert counts.dropped == {f"rewrite_{reason}": n for reason, n in dropped.items()}
    assert counts.rows_kept == rows["drop_reason"].null_count()
    replies = rows.filter(pl.col("rewritten_from").is_not_null())
    unused = {"wrong": 2, "mixed_language": 2, "malformed": 3, "truncated": 1, "error": 2, "unparseable": 2}
    assert counts.notes["replies_not_used"] == {f"rewrite_{reason}": n for reason, n in unused.items()}
    assert (counts.notes["replies"], counts.notes["rewritten"], counts.notes["sampled"]) == (len(replies), 5, 17)


def test_failed_rewrites_may_leave_the_original(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    rows, counts = rewritten(tmp_path, on_failure="original")
    assert (counts.rows_in, counts.rows_kept, counts.dropped) == (10, 10, {})
    assert (counts.notes["rewritten"], counts.notes["left_as_they_were"]) == (5, 5)
    kept = rows.filter(pl.col("drop_reason").is_null())
    assert kept["prompt_id"].n_unique() == len(kept) == 10
    as_they_were = kept.filter(pl.col("rewritten_from").is_null())
    assert as_they_were["rewrite_failure"].to_list() == [failure for failure in FAILURES.values() if failure]


def test_nothing_is_paid_for_twice(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    whole, _ = rewritten(tmp_path)
    assert len(writer.asked) == 17
    writer.asked.clear()
    with pytest.raises(KeyboardInterrupt):
        rewritten(tmp_path, "cut", options={"stop_after": 6})
    resumed, counts = rewritten(tmp_path, "cut")
    assert counts.notes["reused"] in (5, 6)  # of six answers one may be a failure, which is tried again
    assert counts.notes["sampled"] + counts.notes["reused"] == 17
    assert resumed.equals(whole)
    writer.asked.clear()
    again, counts = rewritten(tmp_path, "cut", on_failure="original", readability={})
    assert len(writer.asked) == counts.notes["sampled"] == 2  # the two failures
    assert "correct3" in again.filter(pl.col("drop_reason").is_null())["rewritten_from"].to_list()
    rewritten(tmp_path, "cut", max_rewrites=3)
    assert len(writer.asked) == 2 + 3 + 4  # a third rewrite of what failed twice; errors are sampled again


def test_a_prompt_without_a_verifier_takes_the_first_readable_rewrite(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    asked = pl.read_parquet(tmp_path / "prompts.parquet").with_columns(verifier=None, reference=None)
    write_frame(asked.cast({"verifier": pl.String, "reference": pl.String}), tmp_path / "prompts.parquet")
    rows, _ = rewritten(tmp_path)
    kept = rows.filter(pl.col("drop_reason").is_null())
    assert kept["rewritten_from"].to_list() == [f"correct{a}" for a in (0, 1, 2, 4, 6, 8, 9)]
    assert kept["status"].null_count() == len(kept)


def test_nothing_kept_is_nothing_to_rewrite(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    rows = pl.read_parquet(tmp_path / "selected.parquet").with_columns(drop_reason=pl.lit("wrong"))
    write_frame(rows, tmp_path / "selected.parquet")
    after, counts = rewritten(tmp_path)
    assert len(after) == 20 and (counts.rows_in, counts.rows_kept) == (0, 0) and not writer.asked


def test_the_corpus_takes_rewritten_traces_and_says_so(writer: ModuleType, tmp_path: Path) -> None:
    kept_traces(tmp_path)
    rewritten(tmp_path, on_failure="original")
    settings = CorpusConfig(validation_fraction=0.0, unfiltered=True)
    counts = corpus(tmp_path / "out" / "rewritten.parquet", tmp_path / "prompts.parquet", tmp_path, settings)
    train = pl.read_parquet(tmp_path / "train.parquet")
    assert dict(train.schema) == CORPUS and (counts.rows_in, len(train)) == (10, 10)
    assert train["rewritten_from"].null_count() == 5
    row = train.filter(rewritten_from="correct0").row(0, named=True)
    assert row["messages"][0] == {"role": "user", "content": "0 + 4 = ?"}
    assert row["messages"][1]["content"].startswith("<think>\nI add 4 to 0.")
    unfiltered = pl.read_parquet(tmp_path / "unfiltered.parquet")
    assert len(unfiltered) == 20 and unfiltered["rewritten_from"].null_count() == 20
    assert "5 of them were then rewritten" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        ("<reasoning>a</reasoning><summary>b</summary>", ("a", "b")),
        ("Sure:\n<reasoning>\na\n\nc\n</reasoning>\n\n<summary> b </summary>\nDone.", ("a\n\nc", "b")),
        ("<reasoning>a</reasoning>", None),
        ("<reasoning>a</reasoning><summary>b", None),
        ("<summary>b</summary><reasoning>a</reasoning>", None),
        ("<reasoning>a</reasoning><summary>b</summary><summary>c</summary>", None),
        ("<reasoning><reasoning>a</reasoning><summary>b</summary>", None),
        ("<reasoning>a</reasoning> or <summary>b</summary>", None),
        ("<reasoning> </reasoning><summary>b</summary>", None),
        ("<reasoning>a</think></reasoning><summary>b</summary>", None),
        ("", None),
    ],
)
def test_a_reply_has_each_part_once(reply: str, parts: tuple[str, str] | None) -> None:
    assert parse(reply) == parts


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rewrite.sampling.n=3", "rewrite.*: sampling.n is 3; set max_rewrites instead"),
        ("rewrite.engine=replay", "rewrite.engine: .*replay"),
        ("rewrite.on_failure=keep", "rewrite.on_failure = 'keep'"),
        ("rewrite.readability.repeat=3", "did you mean rewrite.readability.repeats?"),
        ("generate.style=fewshot", "generate.style = 'fewshot'"),
        ("generate.shots=9", "generate.examples: shots is 9, but .* holds 4 examples"),
    ],
)
def test_wrong_settings_are_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("cold-start", [override])


def distill(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([*DISTILL, *arguments], cwd=cwd, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def cold_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return (folder of a finished run, its arguments): the shipped recipe with a stub as the teacher."""
    folder = tmp_path_factory.mktemp("cold-start")
    rows = [{"question": f"{a} + {b} = ?", "reference": str(a + b)} for a in range(20, 40) for b in (4, 7)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = f'{{source="file", path="{folder / "sums.jsonl"}", verifier="math_answer"}}'
    arguments = ["run", "cold-start", *STUB, f"prompts={file}", "corpus.validation_fraction=0.2"]
    distill(folder, *arguments)
    return folder, arguments


def counts_of(run: Path, stage: str) -> dict[str, Any]:
    return json.loads((run / stage / "manifest.json").read_text())["counts"]


def test_the_recipe_from_prompts_to_corpus(cold_start: tuple[Path, list[str]]) -> None:
    run = cold_start[0] / "runs" / "cold-start"
    traces = pl.read_parquet(run / "generate" / "traces.parquet")
    assert {json.loads(text)["style"] for text in traces["sampling"].unique()} == {"few_shot", "reflect"}
    assert counts_of(run, "select")["dropped"]["loop"] > 0
    rewriting = counts_of(run, "rewrite")
    assert rewriting["rows_in"] == counts_of(run, "select")["rows_kept"]
    assert rewriting["rows_in"] == rewriting["rows_kept"] + sum(rewriting["dropped"].values())
    assert rewriting["rows_kept"] == counts_of(run, "corpus")["rows_in"] > 0
    rows = pl.concat([pl.read_parquet(run / "corpus" / f"{split}.parquet") for split in ("train", "validation")])
    assert rows["rewritten_from"].null_count() == 0
    assert all("Question:" not in row[0]["content"] for row in rows["messages"])  # the plain question
    report = json.loads((run / "report" / "report.json").read_text())
    (row,) = [row for row in report["funnel"] if row["stage"] == "rewrite"]
    assert row["adds_up"] and row["recounted"] and "rewrite_mixed_language" in row["note"]
    assert row["note"] in (run / "report" / "report.html").read_text()
    assert "rewrite" not in report["overview"]["missing"]


def test_a_changed_rewrite_runs_again_what_comes_after_it_alone(cold_start: tuple[Path, list[str]]) -> None:
    folder, arguments = cold_start
    done = distill(folder, *arguments, "rewrite.on_failure=original", "--until", "rewrite")
    assert "select: finished before, skipped" in done.stderr
    assert "rewrite: runs again (on_failure drop -> original)" in done.stderr and "corpus" not in done.stderr
    done = distill(folder, *arguments)
    assert "corpus: runs again (made from rewrite, which ran again)" in done.stderr


def test_by_itself_on_paths_it_does_the_same(cold_start: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, arguments = cold_start
    distill(folder, *arguments)
    run = folder / "runs" / "cold-start"
    inputs = ["--selected", f"{run}/select/selected.parquet", "--prompts", f"{run}/prompts/prompts.parquet"]
    distill(tmp_path, "rewrite", *inputs, "--recipe", "cold-start", "engine=stubs.writer", "--out", "again")
    same = pl.read_parquet(run / "rewrite" / "rewritten.parquet")
    assert pl.read_parquet(tmp_path / "again" / "rewritten.parquet").equals(same)


def test_ray_gives_the_same_as_local(cold_start: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, arguments = cold_start
    distill(folder, *arguments)
    ray = ["execution.executor=ray", "execution.workers=2", "execution.cpus_per_worker=0.5"]
    distill(tmp_path, *arguments, *ray, "--until", "corpus")
    for file in ("rewrite/rewritten.parquet", "corpus/train.parquet"):
        other = pl.read_parquet(tmp_path / "runs" / "cold-start" / file)
        assert other.equals(pl.read_parquet(folder / "runs" / "cold-start" / file)), file
