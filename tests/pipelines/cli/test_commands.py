"""The command line on bad input: a clear sentence and exit code, soon, with nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DISTILL = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())"]
FROM_FILE = ["prompts.source=file", "prompts.path=in.jsonl"]
RECIPE = """
name = "mine"
description = "prompts from a file"
[prompts]
source = "file"
path = "in.jsonl"
verifier = "math_answer"
[prompts.fields]
question = "question"
reference = "answer"
[generate]
engine = "transformers"
model = "embedded:teacher"
sampling = { n = 1, temperature = 0.0, max_new_tokens = 8 }
"""


def distill(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DISTILL, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(RECIPE)
    (tmp_path / "in.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "4"}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "in.jsonl"),
        ("", "in.jsonl"),
        ('{"question": "a"}\n', "answer"),
        ('{"query": "a", "answer": "1"}\n', "question"),
        ('{"question": {"x": 1}, "answer": "1"}\n', "question"),
    ],
    ids=["missing file", "empty file", "missing reference", "missing question", "wrong type"],
)
def test_a_bad_prompt_file_is_one_clear_sentence(folder: Path, content: str | None, sentence: str) -> None:
    if content is None:
        (folder / "in.jsonl").unlink()
    else:
        (folder / "in.jsonl").write_text(content)
    done = distill(folder, "run", "mine.toml")
    assert done.returncode == 2
    assert sentence in done.stderr and "in.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_malformed_line_is_skipped_and_named_and_ends_a_strict_run(folder: Path) -> None:
    (folder / "in.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": oops}\n')
    done = distill(folder, "run", "mine.toml", "--until", "prompts")
    assert done.returncode == 0 and "row 2" in done.stderr and "1 unreadable" in done.stderr
    strict = distill(folder, "run", "mine.toml", "--until", "prompts", "--redo", "prompts", "prompts.strict=true")
    assert strict.returncode == 2 and "row 2" in strict.stderr and "Traceback" not in strict.stderr


def test_an_unknown_key_is_refused_before_anything_is_written(folder: Path) -> None:
    done = distill(folder, "run", "mine.toml", "generate.sampling.temprature=1")
    assert done.returncode == 2
    assert "did you mean generate.sampling.temperature?" in done.stderr
    assert not (folder / "runs").exists()


def test_an_unknown_plugin_names_the_nearest(folder: Path) -> None:
    done = distill(folder, "run", "mine.toml", "prompts.verifier=math_anser")
    assert done.returncode == 2 and "math_answer" in done.stderr


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ('corpus.other=[{path="chat.jsonl"}]', "corpus.other.0.path: there is no file chat.jsonl"),
        ("prompts.path=no.jsonl", "prompts.path: there is no file no.jsonl"),
    ],
)
def test_missing_files_of_late_stages_are_named_at_once(folder: Path, override: str, sentence: str) -> None:
    done = distill(folder, "run", "mine.toml", override)
    assert done.returncode == 2 and sentence in done.stderr
    assert not (folder / "runs").exists()


def test_a_missing_input_of_a_single_stage_is_named(folder: Path) -> None:
    done = distill(folder, "verify", "--traces", "no.parquet", "--prompts", "no.parquet", "--out", "v")
    assert done.returncode == 2 and "--traces: there is no no.parquet" in done.stderr


SOLVER = """
from generators import EngineOptions, Outcome

class Options(EngineOptions):
    REMOTE = True

def build(model, sampling, options):
    return Solver()

class Solver:
    def __init__(self):
        self.waiting = []

    def slots(self):
        return 8

    def submit(self, requests):
        self.waiting += requests

    def collect(self, timeout_s):
        done, self.waiting = self.waiting, []
        return [Outcome(one, one.row(reasoning="2 + 2", answer="\\\\boxed{4}", finish_reason="stop")) for one in done]

    def close(self):
        pass
"""


def test_stages_run_one_by_one_on_paths(folder: Path) -> None:
    (folder / "solver.py").write_text(SOLVER)
    source = ["source=file", "path=in.jsonl", "verifier=math_answer", "fields.question=question"]
    for command in (
        ["prompts", *source, "fields.reference=answer", "--out", "p"],
        [
            "generate",
            "--prompts",
            "p/prompts.parquet",
            "--out",
            "g",
            "engine=./solver.py",
            "model=solver",
            "sampling.n=2",
        ],
        ["verify", "--traces", "g/traces.parquet", "--prompts", "p/prompts.parquet", "--out", "v", "timeout_s=4"],
        [
            *("select", "--traces", "g/traces.parquet", "--verdicts", "v/verdicts.parquet"),
            *("--prompts", "p/prompts.parquet", "--out", "s"),
        ],
        ["corpus", "--selected", "s/selected.parquet", "--prompts", "p/prompts.parquet", "--out", "c"],
    ):
        done = distill(folder, *command)
        assert done.returncode == 0, done.stderr
    assert json.loads((folder / "v" / "manifest.json").read_text())["counts"]["rows_in"] == 2
    assert json.loads((folder / "v" / "manifest.json").read_text())["config"]["timeout_s"] == 4
    assert (folder / "c" / "train.parquet").exists()


def test_a_selection_without_rows_says_why(folder: Path) -> None:
    done = distill(folder, "run", "mine.toml", "--until", "corpus")
    assert done.returncode == 1 and "select kept none of 1 traces: 1 truncated" in done.stderr  # of 8 tokens
    assert not (folder / "runs/mine/corpus/train.parquet").exists()


def test_grade_summarizes_and_exits_zero_whatever_the_verdicts(tmp_path: Path) -> None:
    rows = [("12", "<think>\n3*4\n</think>\n\\boxed{12}"), ("12", "\\boxed{13}"), ("12", "I do not know")]
    lines = [json.dumps({"gold": gold, "response": response}) for gold, response in rows]
    (tmp_path / "outputs.jsonl").write_text("\n".join(lines) + "\n")
    done = distill(tmp_path, "grade", "outputs.jsonl", "--verifier", "math_answer", "--out", "verdicts.jsonl")
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["status"] for verdict in verdicts] == ["correct", "wrong", "unparseable"]
    assert all(verdict["reason"] for verdict in verdicts)
    assert "correct" in done.stdout


def test_grade_audits_tolerates_and_counts_errors_when_asked(tmp_path: Path) -> None:
    row = {"gold": "50", "response": "\\boxed{0.5}", "label": True}
    (tmp_path / "outputs.jsonl").write_text(json.dumps(row) + "\n")
    done = distill(tmp_path, "grade", "outputs.jsonl", "--lenient", "percent", "--audit", "exact", "--out", "v.jsonl")
    assert done.returncode == 0, done.stderr
    assert "1 disagreements to label: v.disagreements.jsonl" in done.stdout
    assert "1/1 100.00%" in done.stdout and "0/1 0.00%" in done.stdout
    assert json.loads((tmp_path / "v.jsonl").read_text())["reason"].endswith("with leniency percent")


def test_check_references_fails_where_a_reference_needs_attention(tmp_path: Path) -> None:
    file, rows = tmp_path / "references.jsonl", [{"reference": reference} for reference in ("12", "1, 2")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("check-references", "references.jsonl", "--verifier", "math_answer", "--out", "defects.jsonl")
    done = distill(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    file.write_text(json.dumps({"reference": "\\frac{1}{"}) + "\n")
    done = distill(tmp_path, *command)
    assert done.returncode == 1 and "1 of 1 reference answers need attention; defects.jsonl says why" in done.stderr


def test_a_second_run_on_the_same_folder_is_refused(folder: Path) -> None:
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    hold = "import time, sys; from pathlib import Path; from pipelines.stage_folder import sole_use\n"
    hold += f"with sole_use(Path({str(run)!r})): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout and holder.stdout.readline() == "held\n"
            done = distill(folder, "run", "mine.toml")
        finally:
            holder.kill()
    assert done.returncode == 1
    assert f"is in use by process {holder.pid}" in done.stderr


def test_a_full_disk_is_reported_and_what_was_finished_is_kept(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        assert distill(folder, "run", "mine.toml", "--out", "disk/run", "--until", "prompts").returncode == 0
        (disk / "filler").write_bytes(b"x" * (disk_free(disk) - 4096))
        full = distill(folder, "run", "mine.toml", "--out", "disk/run", "--until", "generate")
        assert full.returncode == 1
        assert "no space left on the disk" in full.stderr
        (disk / "filler").unlink()
        again = distill(folder, "run", "mine.toml", "--out", "disk/run", "--until", "generate")
        assert again.returncode == 0, again.stderr
        assert "prompts: finished before, skipped" in again.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def disk_free(disk: Path) -> int:
    stats = os.statvfs(disk)
    return stats.f_bavail * stats.f_frsize


def test_ctrl_c_says_how_to_go_on(folder: Path) -> None:
    slow = ["generate.sampling.max_new_tokens=200", "generate.sampling.n=400", "generate.sampling.temperature=1"]
    command = [*DISTILL, "run", "mine.toml", *slow, "--until", "generate"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 120
        while not list((folder / "runs/mine/generate").glob("ledger/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped; the same command goes on from here" in said
    assert "Traceback" not in said


def test_import_takes_files_and_settings_in_any_order(tmp_path: Path) -> None:
    row = {"question": "1 + 1?", "generations": ["2", "3"], "correctness": [True, False]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    orders = (["a.jsonl", "--out", "x", "strict=true"], ["--out", "y", "strict=true", "a.jsonl"])
    for words in orders:
        done = subprocess.run([*DISTILL, "import", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = "the file's own verdicts (column file_verdicts): 1 correctness: false, 1 correctness: true"
        assert said in done.stderr + done.stdout


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = " ".join(f"'{word}'" for word in DISTILL)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} settings | head -1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "top level\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["prompts.split=test"],
            'prompts.split is no key of this source; prompts.source = "tasks" or "dataset" has it',
        ),
        (["generate.options.finish_reason=nope"], "no column 'nope' for the finish_reason; there are 'question'"),
        (["generate.options.response=nope"], "no column 'nope' for the response; there are 'question'"),
        (["prompts.verifier=math_anwser"], "did you mean 'math_answer'"),
    ],
)
def test_a_wrong_setting_of_a_replay_is_named(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "1 + 1?", "answer": "2", "response": "2"}\n')
    command = [*DISTILL, "run", "replay", "prompts.path=a.jsonl", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_requests_of_a_batch_alone_ask_for_their_results(tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "1 + 1?"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps({"custom_id": "1", "body": body}) + "\n")
    command = [*DISTILL, "run", "replay", "prompts.path=a.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "without their results; name both files: set prompts.path = [" in done.stderr
