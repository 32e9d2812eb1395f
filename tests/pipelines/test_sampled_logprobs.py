"""A run whose teacher keeps log-probabilities while it samples: the rows that have them are not scored again."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTILL = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())"]
VLLM_ARGS = '{enforce_eager=true, dtype="float32", kv_cache_memory_bytes=67108864, max_num_seqs=16, max_model_len=512}'
SMALL = [
    *("prompts.count=20", "generate.sampling.n=2", "generate.sampling.max_new_tokens=300", "students={}"),
    *("generate.engine=vllm", f"generate.options={{sampled_logprobs=20, vllm_args={VLLM_ARGS}}}"),
    *("score.temperatures=[1.0]", "score.top_k=16", "corpus.validation_fraction=0.2"),
]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.parametrize(("executor", "own_tokens"), [("local", "false"), ("ray", "true")])
def test_rows_with_sampled_logprobs_are_not_scored(tmp_path: Path, executor: str, own_tokens: str) -> None:
    how = [f"execution.executor={executor}", f"corpus.token_ids={own_tokens}"]
    command = [*DISTILL, "run", "toy", "--until", "score", *how, *SMALL]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads((tmp_path / "runs" / "toy" / "score" / "manifest.json").read_text())["counts"]
    assert counts["rows_kept"] >= 10
    assert counts["notes"]["captured"] == counts["rows_kept"]
