"""The wheel, installed alone and run from a folder that has an unrelated `filters/` package."""

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
    """Return the bin folder of a fresh environment: our wheel, and the libraries of this one without our checkout."""
    folder = tmp_path_factory.mktemp("install")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    # Python does not read the .pth files of a folder that a .pth line names, so the editable checkout stays out.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    target = [sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python"), "install"]
    subprocess.run([*target, "--no-deps", "--quiet", str(next(folder.glob("*.whl")))], check=True)
    return folder / "venv" / "bin"


@pytest.fixture
def next_to_a_decoy(tmp_path: Path) -> Path:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "__init__.py").write_text("raise SystemExit('the decoy was imported')\n")
    (tmp_path / "outputs.jsonl").write_text(json.dumps({"gold": "42", "response": "So it is \\boxed{42}."}) + "\n")
    return tmp_path


def distill(installed: Path, cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(installed / "distill"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_the_wheel_grades_next_to_a_decoy(installed: Path, next_to_a_decoy: Path) -> None:
    done = distill(installed, next_to_a_decoy, "grade", "outputs.jsonl", "--out", "verdicts.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads((next_to_a_decoy / "verdicts.jsonl").read_text())["status"] == "correct"


def test_the_wheel_runs_on_ray_next_to_a_decoy(installed: Path, next_to_a_decoy: Path) -> None:
    small = ["prompts.count=4", "generate.sampling.n=1", "generate.sampling.max_new_tokens=8"]
    ray = ["execution.executor=ray", "execution.cpus_per_worker=0.5"]
    done = distill(installed, next_to_a_decoy, "run", "toy", "--until", "verify", *small, *ray)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((next_to_a_decoy / "runs" / "toy" / "verify" / "manifest.json").read_text())
    assert manifest["counts"]["rows_in"] == 4
    assert manifest["versions"]["distill-toolkit"]


def test_an_unrelated_package_on_the_path_is_named(installed: Path, next_to_a_decoy: Path) -> None:
    done = distill(installed, next_to_a_decoy, "recipes", PYTHONPATH=str(next_to_a_decoy))
    assert done.returncode == 2
    assert f"Python finds {next_to_a_decoy.resolve() / 'filters' / '__init__.py'}" in done.stderr


def test_the_installed_doctor_is_content(installed: Path, next_to_a_decoy: Path) -> None:
    done = distill(installed, next_to_a_decoy, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all four from" in done.stdout
