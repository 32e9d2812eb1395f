import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.verify import VerifyConfig, verify
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT, TRACE, VERDICT
from generators.contract.stage_protocol import Runtime

REPOSITORY = Path(__file__).resolve().parents[2]


def write_run(folder: Path, verifiers: list[str | None], answers: list[list[str]], **trace: Any) -> tuple[Path, Path]:
    """Write traces.parquet and prompts.parquet: one prompt per verifier, one trace per answer; the reference is 12."""
    prompts, traces = [], []
    for number, (verifier, texts) in enumerate(zip(verifiers, answers, strict=True)):
        messages = [{"role": "user", "content": f"question {number}"}]
        prompt_id = prompt_id_of(messages)
        reference = "12" if verifier != "none" else None
        prompts.append({"prompt_id": prompt_id, "messages": messages, "verifier": verifier, "reference": reference})
        for index, text in enumerate(texts):
            row = {"trace_id": f"{number}-{index}", "prompt_id": prompt_id, "sample_index": index, "answer": text}
            traces.append({**row, "finish_reason": "stop", "reasoning": "r", **trace})
    write_frame(frame(traces, TRACE), folder / "traces.parquet")
    write_frame(frame(prompts, PROMPT), folder / "prompts.parquet")
    return folder / "traces.parquet", folder / "prompts.parquet"


def test_one_verdict_a_verifiable_trace_in_order(tmp_path: Path, awkward: str) -> None:
    traces, prompts = write_run(
        tmp_path,
        ["math_answer", awkward, None],
        [["\\boxed{12}", "\\boxed{13}", "", "12"], ["raise x", "fine"], ["unjudged"]],
    )
    counts = verify(traces, prompts, tmp_path, VerifyConfig(), runtime=Runtime(verify_workers=1))
    verdicts = pl.read_parquet(tmp_path / "verdicts.parquet")
    assert dict(verdicts.schema) == VERDICT
    assert verdicts.drop("seconds", "verifier").rows() == [
        ("0-0", "correct", 1.0, "12 equals the reference 12"),
        ("0-1", "wrong", 0.0, "got 13, reference 12"),
        ("0-2", "unparseable", 0.0, "thinking never ended"),
        ("0-3", "correct", 1.0, "12 equals the reference 12"),
        ("1-0", "error", 0.0, "ValueError: x"),
        ("1-1", "correct", 1.0, "fine"),
    ]
    assert (counts.rows_in, counts.rows_kept) == (7, 3)
    assert counts.dropped == {"error": 1, "unparseable": 1, "unverified": 1, "wrong": 1}
    assert counts.notes == {"verdicts_by_verifier": {awkward: 2, "math_answer": 4}}


def test_the_default_verifier_is_for_prompts_with_a_reference(tmp_path: Path) -> None:
    traces, prompts = write_run(tmp_path, [None], [["12"]])
    config = VerifyConfig(default_verifier="math_answer")
    counts = verify(traces, prompts, tmp_path, config, runtime=Runtime(verify_workers=1))
    assert counts.rows_kept == 1


def test_a_question_that_is_asked_twice_has_its_first_reference(tmp_path: Path) -> None:
    traces, prompts = write_run(tmp_path, ["math_answer"], [["\\boxed{12}"]])
    first = pl.read_parquet(prompts)
    again = first.with_columns(reference=pl.lit("13"), drop_reason=pl.lit("conflicting_reference"))
    write_frame(pl.concat([first, again]), prompts)
    assert verify(traces, prompts, tmp_path, VerifyConfig(), runtime=Runtime(verify_workers=1)).rows_kept == 1


def test_a_failed_sample_is_an_error_with_its_own_reason(tmp_path: Path, awkward: str) -> None:
    traces, prompts = write_run(tmp_path, [awkward], [["exit 1"]], finish_reason="error", error="HTTP 500")
    verify(traces, prompts, tmp_path, VerifyConfig(), runtime=Runtime(verify_workers=1))
    verdict = pl.read_parquet(tmp_path / "verdicts.parquet").row(0, named=True)
    assert (verdict["status"], verdict["reason"]) == ("error", "the sample failed: HTTP 500")


def test_seven_shards_are_one_shard(tmp_path: Path) -> None:
    answers = [[f"\\boxed{{{i}}}" for i in range(5, 5 + n)] for n in (3, 11, 1, 20)]
    traces, prompts = write_run(tmp_path, ["math_answer", None, "choice", "exact"], answers)
    found = []
    for rows in (1000, 5):
        verify(traces, prompts, tmp_path / str(rows), VerifyConfig(shard_rows=rows), runtime=Runtime(verify_workers=2))
        found.append(pl.read_parquet(tmp_path / str(rows) / "verdicts.parquet").drop("seconds"))
    assert len(list((tmp_path / "5" / "parts").iterdir())) == 7
    assert found[0].equals(found[1]) and found[0].height == 24


def test_no_traces_give_no_verdicts(tmp_path: Path) -> None:
    traces, prompts = write_run(tmp_path, ["math_answer"], [[]])
    assert verify(traces, prompts, tmp_path, VerifyConfig()).rows_in == 0
    assert dict(pl.read_parquet_schema(tmp_path / "verdicts.parquet")) == VERDICT


RUN = """
    import sys
    from pathlib import Path
    sys.path[:0] = {paths}
    from filters.verify import VerifyConfig, verify
    from generators.contract.stage_protocol import Runtime
    verify(*(Path(p) for p in sys.argv[1:]), VerifyConfig(shard_rows=10), runtime=Runtime(verify_workers=1))
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, awkward: str) -> None:
    answers = [[f"sleep 0.01{number}{index}" for index in range(10)] for number in range(9)]
    traces, prompts = write_run(tmp_path, [awkward] * 9, answers)
    log, out = tmp_path / "log", tmp_path / "out"
    calls = pl.read_parquet(prompts).with_columns(reference=pl.lit(str(log)))  # the verifier logs every call there
    write_frame(calls, prompts)
    paths = [str(REPOSITORY), next(path for path in sys.path if path.endswith("modules"))]
    code = textwrap.dedent(RUN).format(paths=paths)
    run = subprocess.Popen([sys.executable, "-c", code, str(traces), str(prompts), str(out)])
    while len(list(out.glob("parts/*.parquet"))) < 3:
        assert run.poll() is None
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    finished = sum(pl.read_parquet(path).height for path in out.glob("parts/*.parquet"))
    time.sleep(0.2)  # its worker is dying; the log must not grow after this
    before = len(log.read_text().splitlines())
    verify(traces, prompts, out, VerifyConfig(shard_rows=10), runtime=Runtime(verify_workers=1))
    assert len(log.read_text().splitlines()) - before == 90 - finished, "finished shards are not judged again"
    verify(traces, prompts, tmp_path / "straight", VerifyConfig(shard_rows=10), runtime=Runtime(verify_workers=1))
    resumed, straight = (pl.read_parquet(f / "verdicts.parquet").drop("seconds") for f in (out, tmp_path / "straight"))
    assert resumed.equals(straight) and resumed.height == 90


def test_mistakes_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    traces, prompts = write_run(tmp_path, ["math_anwser"], [["12"]])
    with pytest.raises(ValueError, match="there is no verifier 'math_anwser': did you mean 'math_answer'"):
        verify(traces, prompts, tmp_path, VerifyConfig())
    write_frame(frame([], PROMPT), prompts)
    with pytest.raises(ValueError, match="trace 0-0 is of prompt"):
        verify(traces, prompts, tmp_path, VerifyConfig())
    assert not (tmp_path / "parts").exists()
