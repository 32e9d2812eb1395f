import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig, load_engine, local_fleet
from generators.contract.records import TRACE
from generators.contract.stage_protocol import Runtime
from generators.generate import generate
from generators.ledger.ledger import Ledger
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts
from generators.sampling.settings import GenerateConfig

ROOT = Path(__file__).resolve().parents[2]
CONTENT = ["trace_id", "seed", "token_ids", "reasoning", "answer", "finish_reason"]


def ask(folder: Path, count: int = 12) -> Path:
    """Write a prompts.parquet of sums."""
    file = folder / "sums.jsonl"
    file.write_text(
        "".join(json.dumps({"question": f"{i}+{i}=?", "reference": str(2 * i)}) + "\n" for i in range(count))
    )
    prompts(folder, FilePrompts(source="file", path=str(file)))
    return folder / "prompts.parquet"


def config(model: Path, n: int = 2) -> GenerateConfig:
    sampling = SamplingConfig(n=n, temperature=1.0, top_p=0.9, max_new_tokens=16)
    options = {"slots": 8, "device": "cpu"}
    return GenerateConfig(engine="transformers", model=str(model), sampling=sampling, options=options)


def traces(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "traces.parquet")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ask(tmp_path_factory.mktemp("prompts"))


@pytest.fixture(scope="module")
def whole(tiny: Path, asked: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Traces of an undisturbed run with four samples per prompt."""
    out = tmp_path_factory.mktemp("whole")
    generate(asked, out, config(tiny, n=4))
    return traces(out)


def test_traces_stand_in_the_order_of_prompts_and_samples(whole: pl.DataFrame, asked: Path) -> None:
    ids = pl.read_parquet(asked)["prompt_id"].to_list()
    assert list(whole.select("prompt_id", "sample_index").iter_rows()) == [(i, s) for i in ids for s in range(4)]
    assert whole.schema == pl.Schema(TRACE)
    assert whole["trace_id"].n_unique() == whole["seed"].n_unique() == 48


def test_more_samples_keep_those_there_are(tiny: Path, asked: Path, whole: pl.DataFrame, tmp_path: Path) -> None:
    first = generate(asked, tmp_path, config(tiny, n=2))
    assert (first.notes["sampled"], first.notes["reused"]) == (24, 0)
    more = generate(asked, tmp_path, config(tiny, n=4))
    assert (more.notes["sampled"], more.notes["reused"]) == (24, 24)
    assert traces(tmp_path).select(CONTENT).equals(whole.select(CONTENT))
    fewer = generate(asked, tmp_path, config(tiny, n=1))
    assert (fewer.notes["sampled"], len(traces(tmp_path))) == (0, 12)


def test_another_temperature_keeps_nothing(tiny: Path, asked: Path, tmp_path: Path) -> None:
    generate(asked, tmp_path, config(tiny, n=1))
    warmer = config(tiny, n=1)
    warmer = warmer.model_copy(update={"sampling": warmer.sampling.model_copy(update={"temperature": 0.5})})
    assert generate(asked, tmp_path, warmer).notes["sampled"] == 12


class Backwards:
    """An engine that passes on few samples at a time, the last ones first."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.close = engine.close
        self.waiting: list[SampleRequest] = []

    def slots(self) -> int:
        return 40

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        self.waiting += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        self.engine.submit(self.waiting[-7:])
        del self.waiting[-7:]
        return self.engine.collect(timeout_s)[::-1]


def test_slots_and_order_of_work_change_nothing(tiny: Path, asked: Path, whole: pl.DataFrame, tmp_path: Path) -> None:
    @contextmanager
    def backwards(build: Callable[[], Engine]) -> Iterator[Engine]:
        with local_fleet(lambda: Backwards(build())) as engine:
            yield engine

    other = config(tiny, n=4).model_copy(update={"options": {"slots": 24}})
    generate(asked, tmp_path, other, runtime=Runtime(fleet=backwards))
    assert traces(tmp_path).select(CONTENT).equals(whole.select(CONTENT))


def test_a_moved_model_is_the_same_model(tiny: Path, asked: Path, whole: pl.DataFrame, tmp_path: Path) -> None:
    elsewhere = tmp_path / "moved"
    elsewhere.symlink_to(tiny)
    generate(asked, tmp_path, config(elsewhere, n=4))
    assert traces(tmp_path).select(CONTENT).equals(whole.select(CONTENT))


KILLED = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from generators.contract.engine import local_fleet
from generators.contract.stage_protocol import Runtime
from generators.generate import generate
from generators.sampling.settings import GenerateConfig

@contextmanager
def slow(build):
    with local_fleet(build) as engine:
        quick = engine.collect
        engine.collect = lambda timeout_s: [time.sleep(0.05) or outcome for outcome in quick(timeout_s)]
        yield engine

asked, out, config = Path(sys.argv[1]), Path(sys.argv[2]), GenerateConfig.model_validate_json(sys.argv[3])
generate(asked, out, config, runtime=Runtime(fleet=slow))
"""


def test_a_killed_run_goes_on_as_if_nothing_had_been(
    tiny: Path, asked: Path, whole: pl.DataFrame, tmp_path: Path
) -> None:
    asking = config(tiny, n=4)
    command = [sys.executable, "-c", KILLED, str(asked), str(tmp_path), asking.model_dump_json()]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    log = tmp_path / "ledger" / "000001.log"
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < 10):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "traces.parquet").exists()
    before = log.read_bytes().count(b"\n")
    counts = generate(asked, tmp_path, asking)
    assert counts.notes["sampled"] == 48 - before
    assert counts.notes["reused"] == before
    assert log.read_bytes().count(b"\n") == 48
    assert traces(tmp_path).select(CONTENT).equals(whole.select(CONTENT))


ENGINE = """
from generators.contract.engine import EngineOptions, Outcome

class Options(EngineOptions):
    fails: tuple[int, ...] = ()
    reasons: bool = False

def build(model, sampling, options):
    return Stub(options)

class Stub:
    def __init__(self, options):
        self.options, self.waiting = options, []

    def slots(self):
        return 5

    def submit(self, requests):
        self.waiting += requests

    def collect(self, timeout_s):
        outcomes, self.waiting = [self.outcome(request) for request in self.waiting], []
        return outcomes

    def outcome(self, request):
        if request.sample_index in self.options.fails:
            return Outcome(request, error="out of luck", final=True)
        reasoning = "hm" if self.options.reasons else None
        row = request.row(reasoning=reasoning, answer="4", finish_reason="stop", completion_tokens=3)
        return Outcome(request, row)

    def close(self):
        pass
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GenerateConfig:
    """Settings with a user's own engine, named by a dotted path."""
    package = tmp_path / "outside"
    package.mkdir()
    (package / "engine.py").write_text(ENGINE)
    (package / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "outside"]:
        monkeypatch.delitem(sys.modules, name)
    return GenerateConfig(engine="outside.engine", model=str(package), sampling=SamplingConfig(n=2))


def test_failed_samples_are_rows_and_are_tried_again(
    outside: GenerateConfig, asked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = outside.model_copy(update={"options": {"fails": [1], "reasons": True}})
    counts = generate(asked, tmp_path, failing)
    assert (counts.rows_in, counts.rows_kept, counts.dropped) == (24, 12, {"error": 12})
    assert set(traces(tmp_path).filter(pl.col("sample_index") == 1)["error"]) == {"out of luck"}
    assert "12 of 24 samples failed, for example: out of luck" in caplog.text
    again = generate(asked, tmp_path, outside.model_copy(update={"options": {"reasons": True}}))
    assert (again.notes["sampled"], again.notes["reused"], again.dropped) == (12, 12, {})
    assert traces(tmp_path)["error"].null_count() == 24
    assert len(list(Ledger(tmp_path / "ledger").rows())) == 24


def test_a_run_without_any_reasoning_says_so(
    outside: GenerateConfig, asked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts = generate(asked, tmp_path, outside)
    assert "none of 24 completions has reasoning" in caplog.text
    assert counts.notes["without_reasoning"] == 24
    assert counts.tokens == 72


def test_a_finished_stage_loads_no_model(outside: GenerateConfig, asked: Path, tmp_path: Path) -> None:
    generate(asked, tmp_path, outside)

    def none(build: Callable[[], Engine]) -> AbstractContextManager[Engine]:
        raise AssertionError("an engine is started")

    assert generate(asked, tmp_path, outside, runtime=Runtime(fleet=none)).notes["reused"] == 24


def test_a_ledger_elsewhere_is_shared_by_runs(outside: GenerateConfig, asked: Path, tmp_path: Path) -> None:
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
    generate(asked, tmp_path / "a", outside, ledger=tmp_path / "ledger")
    assert generate(asked, tmp_path / "b", outside, ledger=tmp_path / "ledger").notes["reused"] == 24


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "transformer",
            {},
            r"no engine 'transformer': did you mean 'transformers'\? shipped are openai, replay, transformers, vllm",
        ),
        ("nobody.knows", {}, "there is no engine 'nobody.knows'"),
        ("transformers", {"slot": 8}, "no option slot; its options are chat_template_kwargs, slots, device, dtype"),
        ("transformers", {"slots": 0}, "option slots = 0: .* greater than or equal to 1"),
    ],
)
def test_a_wrong_engine_or_option_is_named(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_engine(name, options)


def test_without_vllm_its_engine_says_how_to_install_it(
    asked: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # as if it were not there
    with pytest.raises(ValueError, match=r"needs vLLM: pip install 'distill-toolkit\[vllm\]'"):
        generate(asked, tmp_path, GenerateConfig(engine="vllm", model=str(tiny)))


def test_how_the_work_is_done_is_no_part_of_what_is_made(tiny: Path) -> None:
    a = config(tiny)
    b = a.model_copy(update={"options": {"slots": 512, "dtype": "bfloat16"}, "max_attempts": 9})
    assert a.identity() == b.identity()
    assert a.identity() != config(tiny, n=3).identity()


def test_missing_models_are_named(asked: Path, tmp_path: Path) -> None:
    for model, sentence in [
        ("embedded:professor", "no embedded model 'embedded:professor'"),
        (str(tmp_path), "has no config.json"),
        ("/nowhere/model", "there is no model folder /nowhere/model"),
        ("", "generate.model is missing"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            generate(asked, tmp_path / "out", GenerateConfig(engine="transformers", model=model))


def test_several_models_are_pooled_and_each_trace_names_its_own(
    outside: GenerateConfig, asked: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"another": true}')
    pooled = outside.model_copy(update={"models": {"b": {"model": str(other), "sampling": {"n": 3}}}})
    counts = generate(asked, tmp_path, pooled)
    assert counts.rows_in == 12 * (2 + 3)
    rows = traces(tmp_path)
    assert rows["trace_id"].n_unique() == 60
    names = rows.group_by("prompt_id", maintain_order=True).agg("teacher", "sample_index")
    assert names["teacher"].to_list() == [[outside.model] * 2 + [str(other)] * 3] * 12
    assert names["sample_index"].to_list() == [[0, 1, 0, 1, 2]] * 12
    assert generate(asked, tmp_path, outside).notes["sampled"] == 0
    twice = outside.model_copy(update={"models": {"b": {}}})
    with pytest.raises(ValueError, match=r"two of generate\.models are the same model"):
        generate(asked, tmp_path, twice)


@pytest.mark.parametrize("truncated", ["keep", "drop", "continue"])
def test_cut_off_samples_are_kept_dropped_or_go_on(tiny: Path, asked: Path, tmp_path: Path, truncated: str) -> None:
    def asking(most: int, **more: Any) -> GenerateConfig:
        base = config(tiny)
        sampling = base.sampling.model_copy(update={"max_new_tokens": most})
        return GenerateConfig.model_validate({**base.model_dump(), "sampling": sampling.model_dump(), **more})

    kept = generate(asked, tmp_path, asking(100))
    before, cut = traces(tmp_path), kept.notes["truncated"]
    assert 0 < cut < 24 and kept.rows_in == kept.rows_kept == 24
    more = {"continue_to": 180} if truncated == "continue" else {}
    counts = generate(asked, tmp_path, asking(100, truncated=truncated, **more))
    assert (counts.notes["sampled"], counts.rows_in) == (0, 24)
    rows = traces(tmp_path)
    if truncated == "keep":
        assert rows.equals(before)
    elif truncated == "drop":
        assert counts.dropped == {"truncated": cut}
        assert rows.equals(before.filter(pl.col("finish_reason") == "stop"))
    else:
        assert counts.notes["continued"] == cut and counts.notes["truncated"] < cut
        first = ["trace_id", pl.col("token_ids").list.head(100)]
        assert rows.select(first).equals(before.select(first))  # joined exactly
        assert rows["token_ids"].list.len().equals(rows["completion_tokens"].cast(pl.UInt32))
        assert set(rows.filter(pl.col("finish_reason") == "length")["completion_tokens"]) == {180}
        again = generate(asked, tmp_path, asking(100, truncated=truncated, **more))
        assert "continued" not in again.notes
