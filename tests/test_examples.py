"""The recipes in examples/: each is valid without a download, and the two for a CPU run end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from generators.contract.engine import SampleRequest, SamplingConfig, load_engine
from generators.problems import draw
from pipelines.cli.main import main
from pipelines.recipe.loading import load_recipe

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "examples").glob("*/recipe.toml"))
COMMAND = "import sys; from pipelines.cli.main import main; sys.exit(main())"


def distill(folder: Path, *arguments: str) -> str:
    """Run the command line in a folder and return its stdout."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_every_recipe_is_valid_without_a_download(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(path.parent)  # where ./even.py and ./calculator.py are
    recipe = load_recipe("recipe.toml")
    assert recipe.name == path.parent.name.replace("_", "-")
    assert recipe.description


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_every_recipe_says_command_cost_and_what_to_expect(path: Path) -> None:
    text = path.with_name("README.md").read_text(encoding="utf-8")
    assert "recipe.toml" in text and "**Hardware" in text and "**Expected" in text
    if "GPU hours" in text:
        assert "estimate" in text or "0 GPU hours" in text


def test_the_laptop_recipe_is_the_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's measured table is the toy's, so the settings must be."""
    example = load_recipe(str(ROOT / "examples" / "laptop_toy" / "recipe.toml"))
    own = {"name", "description"}
    assert example.model_dump(exclude=own) == load_recipe("toy").model_dump(exclude=own)


def test_the_laptop_scores_are_the_measured_ones() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- table: toy -->")[2].partition("<!-- end")[0]
    scores = re.findall(r"^\| [^|]+ \| ([\d.]+%) \|", table, re.MULTILINE)
    text = (ROOT / "examples" / "laptop_toy" / "README.md").read_text(encoding="utf-8")
    assert len(scores) == 5 and all(score in text for score in scores)


STUDENTS = {  # DeepSeek-R1's six students and their peak learning rates (arXiv 2501.12948)
    "qwen_1.5b": 1e-4, "qwen_7b": 8e-5, "qwen_14b": 7e-5, "qwen_32b": 6e-5, "llama_8b": 5e-5, "llama_70b": 2e-5,
}  # fmt: skip


def test_the_students_of_r1_are_trained_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copytree(ROOT / "examples" / "r1_800k_mix", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    row = {"question": "1 + 1?", "reference": "2", "verifier": "math_answer", "domain": "math"}
    pl.DataFrame([row]).write_parquet("reasoning_prompts.parquet")
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    Path("general_chat.jsonl").write_text(json.dumps({"messages": said}) + "\n")
    Path("data/benchmarks").mkdir(parents=True)
    Path("data/benchmarks/aime24.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    assert {path.stem for path in Path("students").glob("*.toml")} == set(STUDENTS)
    base = load_recipe("recipe.toml").model_dump()
    for name, rate in STUDENTS.items():
        assert main(["run", f"students/{name}.toml", "--dry-run"]) == 0
        assert name.replace("_", "-") in capsys.readouterr().out
        recipe = load_recipe(f"students/{name}.toml")
        assert recipe.train is not None and recipe.train.learning_rate == rate
        assert (recipe.train.final_lr_ratio, recipe.train.epochs, recipe.train.sequence_tokens) == (0.1, 2, 32768)
        ours = recipe.model_dump()
        assert {key for key in base if ours[key] != base[key]} <= {"name", "description", "train"}


@pytest.mark.slow
def test_a_verifier_of_ones_own_runs(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "custom_verifier"
    distill(folder, "run", "recipe.toml", "--out", str(tmp_path))
    verdicts = pl.read_parquet(tmp_path / "verify" / "verdicts.parquet")
    assert verdicts.height == 48
    assert set(verdicts["status"].unique()) <= {"correct", "wrong", "unparseable"}
    correct = verdicts.filter(pl.col("status") == "correct")
    numbers = correct["reason"].str.extract(r"^(-?\d+) is even$").cast(pl.Int64)
    assert numbers.null_count() == 0 and ((numbers % 2 == 0) & (numbers >= 10)).all()
    assert 0 < pl.read_parquet(tmp_path / "corpus" / "train.parquet").height <= correct.height


@pytest.mark.slow
def test_a_verifier_of_ones_own_grades_a_file(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "custom_verifier"
    out = tmp_path / "verdicts.jsonl"
    fields = ["--reference-field", "reference", "--out", str(out)]
    distill(folder, "grade", "answers.jsonl", "--verifier", "./even.py", *fields)
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    said = [f"{verdict['status']:<13}{verdict['reason']}" for verdict in verdicts]
    assert "\n".join(said) in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_engine_of_ones_own_runs_and_keeps_its_samples(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "custom_engine"
    distill(folder, "run", "recipe.toml", "--out", str(tmp_path), "--until", "corpus")
    first = pl.read_parquet(tmp_path / "generate" / "traces.parquet")
    wrong = pl.read_parquet(tmp_path / "verify" / "verdicts.parquet").filter(pl.col("status") != "correct").height
    assert first.height == 800 and 0.15 < wrong / 800 < 0.25
    train, validation = (pl.read_parquet(tmp_path / "corpus" / f"{split}.parquet") for split in ("train", "validation"))
    assert train.height + validation.height == 200
    distill(folder, "run", "recipe.toml", "generate.sampling.n=8", "--out", str(tmp_path), "--until", "generate")
    second = pl.read_parquet(tmp_path / "generate" / "traces.parquet")
    assert second.height == 1600 and set(first["trace_id"]) <= set(second["trace_id"])


def test_the_calculator_is_right_unless_it_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples" / "custom_engine")
    problems = draw(["arithmetic"], 60, "demo", 3)
    for slips in (0.0, 1.0):
        engine = load_engine("./calculator.py", {"slips": slips}).build("calculator", SamplingConfig())
        asked = [
            SampleRequest(str(i), str(i), [{"role": "user", "content": problem.question}], 0, i)
            for i, problem in enumerate(problems)
        ]
        engine.submit(asked)
        answers = [outcome.row["answer"] for outcome in engine.collect(1.0) if outcome.row]
        values = [int(problem.answer) + int(slips) for problem in problems]
        assert answers == [f"The answer is \\boxed{{{value}}}." for value in values]


def test_the_calculator_says_why_it_cannot_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples" / "custom_engine")
    engine = load_engine("./calculator.py", {}).build("calculator", SamplingConfig())
    engine.submit([SampleRequest("a", "a", [{"role": "user", "content": "Why?"}], 0, 0)])
    (outcome,) = engine.collect(1.0)
    assert (outcome.row, outcome.error, outcome.final) == (None, "the question has no formula", True)
