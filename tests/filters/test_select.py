from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters import select as module
from filters.select import SelectConfig, select
from generators.contract.errors import NothingKept
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, SELECTED, TRACE, VERDICT
from generators.contract.stage_protocol import StageCounts

PROSE = "Consider what the question asks and take each of the parts in turn before adding anything up"


def sample(status: str | None, reasoning: str | None, answer: str = "12", **more: Any) -> dict[str, Any]:
    return {"status": status, "reasoning": reasoning, "answer": answer, "finish_reason": "stop", **more}


def run(folder: Path, prompts: list[list[dict[str, Any]]], **config: Any) -> tuple[pl.DataFrame, StageCounts]:
    """The selected traces of prompts given as lists of samples, and the counts."""
    traces, verdicts = [], []
    for number, samples in enumerate(prompts):
        for index, row in enumerate(samples):
            row = {"completion_tokens": 100, "sample_index": index, **row}
            status = row.pop("status")
            traces.append({"trace_id": f"{number}-{index}", "prompt_id": f"p{number}", **row})
            if status:
                verdicts.append(
                    {"trace_id": f"{number}-{index}", "verifier": "exact", "status": status, "reason": "why"}
                )
    names = [None if all(s["status"] is None for s in samples) else "exact" for samples in prompts]
    questions = [{"prompt_id": f"p{number}", "verifier": name} for number, name in enumerate(names)]
    tables = (("traces", traces, TRACE), ("verdicts", verdicts, VERDICT), ("prompts", questions, PROMPT))
    for name, rows, schema in tables:
        write_frame(frame(rows, schema), folder / f"{name}.parquet")
    counts = select_in(folder, SelectConfig(**config))
    return pl.read_parquet(folder / "selected.parquet"), counts


def select_in(folder: Path, config: SelectConfig) -> StageCounts:
    traces, verdicts, prompts = (folder / f"{name}.parquet" for name in ("traces", "verdicts", "prompts"))
    return select(traces, verdicts, prompts, folder, config)


def reasons(selected: pl.DataFrame) -> list[str | None]:
    return selected["drop_reason"].to_list()


def test_each_trace_gets_the_first_reason_against_it(tmp_path: Path) -> None:
    texts = [f"{PROSE} {i} {' '.join(f'{w}{i}' for w in PROSE.split())}" for i in range(10)]
    samples = [
        (sample("error", None, "", finish_reason="error"), "error"),
        (sample("wrong", texts[0], finish_reason="length"), "truncated"),
        (sample("wrong", " "), "no_reasoning"),
        (sample("wrong", texts[0]), "wrong"),
        (sample("unparseable", texts[0]), "unparseable"),
        (sample("timeout", texts[0]), "timeout"),
        (sample("error", texts[0]), "verifier_error"),
        (sample("correct", "short", "a long answer " * 20), "short_reasoning"),
        (sample("correct", texts[0], completion_tokens=900), "long_completion"),
        (sample("correct", f"{texts[1]} 3 * 4 = 12"), None),
        (sample("correct", f"{texts[1]}  3 * 4 = 12"), "exact_duplicate"),
        (sample("correct", f"{texts[1]} 3 * 4 = 12!"), "near_duplicate"),
        (sample("correct", f"{texts[2]} $3 \\times 4 = 12$"), "same_path"),
        (sample("correct", f"{texts[3]} 6 + 6 = 12"), None),
        (sample("correct", f"{texts[4]} 24 / 2 = 12"), "over_cap"),
    ]
    selected, counts = run(
        tmp_path,
        [[row for row, _ in samples]],
        max_per_prompt=2,
        require_reasoning=True,
        min_reasoning_tokens=20,
        max_completion_tokens=800,
    )
    assert reasons(selected) == [reason for _, reason in samples]
    assert dict(selected.schema) == SELECTED
    assert selected["trace_id"].to_list() == [f"0-{i}" for i in range(15)]
    assert selected["cluster_id"].to_list()[9:] == ["0-9", "0-9", "0-9", "0-12", "0-13", "0-14"]
    assert (counts.rows_in, counts.rows_kept, counts.tokens) == (15, 2, 200)
    assert counts.dropped == Counter(reason for _, reason in samples if reason)
    assert counts.notes["mean_distinct_paths"] == 3.0


def test_a_trace_with_a_fault_is_never_kept_and_files_of_older_versions_have_none(tmp_path: Path) -> None:
    fault = "a thinking mark inside the answer: <think>"
    rows = [[sample("correct", "a 1", fault=fault), sample("wrong", "b", fault=fault), sample("correct", "c 2")]]
    selected, counts = run(tmp_path, rows)
    assert reasons(selected) == ["stray_marks", "wrong", None] and counts.dropped == {"stray_marks": 1, "wrong": 1}
    old = pl.read_parquet(tmp_path / "traces.parquet").drop("wrapping", "fault")
    write_frame(old, tmp_path / "traces.parquet")
    select_in(tmp_path, SelectConfig())
    assert reasons(pl.read_parquet(tmp_path / "selected.parquet")) == [None, "wrong", None]


def test_traces_without_equations_are_never_one_path(tmp_path: Path) -> None:
    rows = [sample("correct", " ".join(f"{word}{i}" for word in PROSE.split())) for i in range(3)]
    assert reasons(run(tmp_path, [rows])[0]) == [None] * 3


def test_duplicates_are_sought_within_a_prompt_only_and_may_be_allowed(tmp_path: Path) -> None:
    rows = [sample("correct", f"{PROSE} 3*4=12"), sample("correct", f"{PROSE} 3*4=12 so")]
    assert reasons(run(tmp_path, [rows, rows])[0]) == [None, "near_duplicate"] * 2
    selected, _ = run(tmp_path, [rows], near_duplicate_threshold=None, distinct="none")
    assert reasons(selected) == [None, None]


def test_unverified_traces_are_kept_only_when_asked(tmp_path: Path) -> None:
    rows = [[sample(None, PROSE)], [sample("correct", PROSE)]]
    assert reasons(run(tmp_path, rows)[0]) == ["unverified", None]
    assert reasons(run(tmp_path, rows, keep_unverified=True)[0]) == [None, None]
    assert reasons(run(tmp_path, rows, keep_unverified="auto")[0]) == ["unverified", None]


def test_where_no_trace_has_a_verdict_auto_keeps_them_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [[sample(None, PROSE)], [sample(None, "another text", answer=" \n")]]
    assert reasons(run(tmp_path, rows, keep_unverified="auto")[0]) == [None, "empty"]
    assert "none of 2 traces has a verdict" in caplog.text


def test_an_empty_answer_is_never_kept(tmp_path: Path) -> None:
    rows = [[sample("correct", PROSE, answer=answer)] for answer in ("", " \n ", "4")]
    assert reasons(run(tmp_path, rows)[0]) == ["empty", "empty", None]


def test_keeping_nothing_fails_with_the_most_frequent_reasons(tmp_path: Path) -> None:
    rows = [[sample("wrong", PROSE), sample("wrong", PROSE)], [sample("unparseable", PROSE)], [sample(None, PROSE)]]
    sentence = "select kept none of 4 traces: 2 wrong, 1 unparseable, 1 unverified. .* most frequent reasons: why .3.."
    with pytest.raises(NothingKept, match=sentence):
        run(tmp_path, rows)
    assert reasons(pl.read_parquet(tmp_path / "selected.parquet")) == ["wrong", "wrong", "unparseable", "unverified"]
    with pytest.raises(NothingKept, match=r"1 truncated. .*selected.parquet has the reason"):
        run(tmp_path, [[sample("correct", PROSE, finish_reason="length")]])
    with pytest.raises(NothingKept, match="no traces to choose from"):
        run(tmp_path, [])


def test_a_missing_verdict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no verdict for trace 0-1, whose prompt has a verifier \(1 such traces\)"):
        run(tmp_path, [[sample("correct", PROSE), sample(None, PROSE)]])


def test_samples_scattered_over_the_file_and_small_batches_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [sample("correct", f"{PROSE} {i % 3} + 1 = {i % 3 + 1} {'pad ' * 30 * (i % 3)}") for i in range(6)]
    together, _ = run(tmp_path, [rows] * 5)
    shuffled = pl.read_parquet(tmp_path / "traces.parquet").sample(fraction=1.0, shuffle=True, seed=1)
    write_frame(shuffled, tmp_path / "traces.parquet")
    monkeypatch.setattr(module, "READ_ROWS", 7)
    select_in(tmp_path, SelectConfig())
    scattered = pl.read_parquet(tmp_path / "selected.parquet")
    assert scattered["trace_id"].equals(shuffled["trace_id"])
    assert scattered.sort("trace_id").equals(together.sort("trace_id"))


def test_notes_tell_how_prompts_were_solved(tmp_path: Path) -> None:
    prompts = [[sample("correct" if i < solved else "wrong", f"{i}") for i in range(4)] for solved in (0, 1, 2, 4)]
    _, counts = run(tmp_path, prompts)
    histogram = {"0": 1, "0-25%": 0, "25-50%": 1, "50-75%": 1, "75-100%": 0, "100%": 1}
    assert counts.notes["solve_rates"] == histogram
    assert (counts.notes["prompts"], counts.notes["prompts_solved"]) == (4, 3)
