"""The wheel, installed alone and run from a folder with a stranger's `filters/` beside it."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's bin folder: our wheel, and the libraries of this environment without our checkout."""
    folder = tmp_path_factory.mktemp("install")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    # A path line is not searched for .pth files of its own, so the editable checkout does not come along.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    target = [sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python"), "install"]
    subprocess.run([*target, "--no-deps", "--quiet", str(next(folder.glob("*.whl")))], check=True)
    return folder / "venv" / "bin"


@pytest.fixture
def beside_a_decoy(tmp_path: Path) -> Path:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "__init__.py").write_text("raise SystemExit('the decoy was imported')\n")
    (tmp_path / "outputs.jsonl").write_text(json.dumps({"gold": "42", "response": "So it is \\boxed{42}."}) + "\n")
    return tmp_path


def distill(installed: Path, cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(installed / "distill"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_the_wheel_grades_beside_a_decoy(installed: Path, beside_a_decoy: Path) -> None:
    done = distill(installed, beside_a_decoy, "grade", "outputs.jsonl", "--out", "verdicts.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads((beside_a_decoy / "verdicts.jsonl").read_text())["status"] == "correct"


def test_the_wheel_runs_on_ray_beside_a_decoy(installed: Path, beside_a_decoy: Path) -> None:
    small = ["prompts.count=4", "generate.sampling.n=1", "generate.sampling.max_new_tokens=8"]
    ray = ["execution.executor=ray", "execution.cpus_per_worker=0.5"]
    done = distill(installed, beside_a_decoy, "run", "toy", "--until", "verify", *small, *ray)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((beside_a_decoy / "runs" / "toy" / "verify" / "manifest.json").read_text())
    assert manifest["counts"]["rows_in"] == 4
    assert manifest["versions"]["distill-toolkit"]


def test_a_stranger_on_the_path_is_named(installed: Path, beside_a_decoy: Path) -> None:
    done = distill(installed, beside_a_decoy, "recipes", PYTHONPATH=str(beside_a_decoy))
    assert done.returncode == 2
    assert f"Python finds {beside_a_decoy.resolve() / 'filters' / '__init__.py'}" in done.stderr


def test_the_installed_doctor_is_content(installed: Path, beside_a_decoy: Path) -> None:
    done = distill(installed, beside_a_decoy, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all four from" in done.stdout
