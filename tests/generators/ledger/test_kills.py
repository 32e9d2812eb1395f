"""kill -9 of the driver at 50 random moments of a run: no sample lost or doubled, the result of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from generators.ledger.ledger import Ledger
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts

ROOT = Path(__file__).resolve().parents[3]
PROMPTS, N, KILLS = 500, 8, 50

ENGINE = """
import os, time
from generators.contract.engine import EngineOptions, Outcome

class Options(EngineOptions):
    answered: str

def build(model, sampling, options):
    return Stub(os.open(options.answered, os.O_WRONLY | os.O_APPEND | os.O_CREAT))

class Stub:
    def __init__(self, answered):
        self.answered, self.waiting = answered, []

    def slots(self):
        return 16

    def submit(self, requests):
        self.waiting += requests

    def collect(self, timeout_s):
        time.sleep(0.001)
        request = self.waiting.pop(0)
        os.write(self.answered, f"{request.trace_id}\\n".encode())
        text = f"{request.seed} " * 20
        row = request.row(reasoning=text, answer="4", finish_reason="stop", completion_tokens=100)
        return [Outcome(request, row)]

    def close(self):
        pass
"""
RUN = """
import sys
from pathlib import Path
from generators.ledger import export, ledger
from generators.generate import generate
from generators.sampling.settings import GenerateConfig

# Often, so that kills meet them: sealed segments, commits, and many parts of traces.parquet.
SMALL = ((ledger, "SEAL_BYTES", 60_000), (ledger, "FSYNC_S", 0.05), (export, "PART_BYTES", 100_000))
for module, name, value in SMALL:
    assert hasattr(module, name), f"{module.__name__} has no {name}: the kills would no longer meet what it rules"
    setattr(module, name, value)
generate(Path(sys.argv[1]), Path(sys.argv[2]), GenerateConfig.model_validate_json(sys.argv[3]))
"""


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps({"question": f"{i}+{i}=?"}) + "\n" for i in range(PROMPTS)))
    prompts(tmp_path, FilePrompts(source="file", path=str(file)))
    package = tmp_path / "patient"
    package.mkdir()
    (package / "engine.py").write_text(ENGINE)
    (package / "config.json").write_text("{}")
    answered, out = tmp_path / "answered", tmp_path / "out"
    config = {
        "engine": "patient.engine", "model": str(package), "sampling": {"n": N},
        "options": {"answered": str(answered)},
    }  # fmt: skip
    command = [sys.executable, "-c", RUN, str(tmp_path / "prompts.parquet"), str(out), json.dumps(config)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    dice, kills, kept = random.Random(3), 0, 0
    while kills < KILLS:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        wait_for_work(process, out, kept)
        time.sleep(dice.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        now = len(Ledger(out / "ledger"))
        assert now >= kept  # nothing that was there is lost
        kept = now
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert kills >= KILLS, f"the run ended after {kills} kills: make it longer"
    rows = pl.read_parquet(out / "traces.parquet")
    assert rows.height == rows["trace_id"].n_unique() == PROMPTS * N
    in_ledger = pl.concat([ids for _, ids in Ledger(out / "ledger").scan("trace_id")])
    assert in_ledger.height == PROMPTS * N  # nothing that the ledger held was asked for again
    asked = answered.read_text().splitlines()
    assert len(set(asked)) == PROMPTS * N
    assert len(asked) - PROMPTS * N <= kills  # at most the one that was answered at the moment of the kill


def wait_for_work(process: subprocess.Popen[bytes], out: Path, kept: int) -> None:
    """Wait until the process has opened the ledger and appended to it, or has ended."""
    while process.poll() is None:
        logs = sorted((out / "ledger").glob("*.log")) if (out / "ledger").exists() else []
        size = sum(log.stat().st_size for log in logs if log.exists())
        if size and process.poll() is None and grew(logs, size):
            return


def grew(logs: list[Path], size: int) -> bool:
    time.sleep(0.01)
    return sum(log.stat().st_size for log in logs if log.exists()) != size
