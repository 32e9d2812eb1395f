"""Engines on Ray: an actor or a whole node that is killed costs what it had in flight, and that is asked again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from filters.verify import VerifyConfig
from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig, local_fleet
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT
from generators.generate import generate
from generators.problems import draw
from generators.sampling.adaptive import AdaptiveConfig
from generators.sampling.scheduler import Row, Scheduler
from generators.sampling.settings import GenerateConfig
from pipelines import executors as cluster
from pipelines.executors import ExecutionConfig, open_executor, ray_fleet
from pipelines.live_verifier import Judging


class Listed:
    """A source of some samples."""

    def __init__(self, count: int) -> None:
        self.requests = [SampleRequest(f"t{i}", f"p{i}", [], 0, i) for i in range(count)]
        self.settlements: list[str] = []

    def take(self, most: int) -> list[SampleRequest]:
        taken, self.requests = self.requests[:most], self.requests[most:]
        return taken

    def settled(self, request: SampleRequest, row: Row) -> None:
        self.settlements.append(request.trace_id)

    def undecided(self) -> bool:
        return False


class Slow:
    """Answers one sample every few milliseconds, naming its process, which it also writes into a folder."""

    def __init__(self, folder: Path, slots: int = 4) -> None:
        (folder / str(os.getpid())).touch()
        self.waiting: list[SampleRequest] = []
        self.most = slots

    def slots(self) -> int:
        return self.most

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        self.waiting += requests

    def collect(self, timeout_s: float) -> list[Outcome]:
        time.sleep(0.01)
        if not self.waiting:
            return []
        request = self.waiting.pop(0)
        return [Outcome(request, request.row(answer=str(os.getpid()), finish_reason="stop", completion_tokens=1))]

    def close(self) -> None:
        pass


class Placed(Slow):
    """Answers with the bundles of the placement group that it was put into."""

    def collect(self, timeout_s: float) -> list[Outcome]:
        from ray.util import get_current_placement_group, placement_group_table

        found = placement_group_table(get_current_placement_group())
        nodes = len(set(found["bundles_to_node_id"].values()))
        text = f"bundles on {nodes} nodes: {[dict(sorted(bundle.items())) for bundle in found['bundles'].values()]}"
        request = self.waiting.pop()
        return [Outcome(request, request.row(answer=text, finish_reason="stop", completion_tokens=1))]


class Poisoned(Slow):
    """Dies of one sample."""

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        if any(request.trace_id == "t7" for request in requests):
            os._exit(3)
        super().submit(requests)


def broken(folder: Path) -> Engine:
    raise ValueError("there is no such model")


@pytest.fixture(scope="module", autouse=True)
def by_value() -> None:
    """Workers cannot import this file, so its classes travel whole."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def two_workers() -> Iterator[ExecutionConfig]:
    config = ExecutionConfig(executor="ray", workers=2, cpus_per_worker=0.5)
    with open_executor(config):
        yield config


def sample(engine: Engine, count: int, after: dict[int, object]) -> tuple[list[Row], Listed]:
    """Sample all; `after` some rows, call something."""
    source, rows = Listed(count), list[Row]()

    def keep(request: SampleRequest, row: Row) -> None:
        rows.append(row)
        act = after.pop(len(rows), None)
        if callable(act):
            act()

    Scheduler(engine, source, keep).run()
    assert sorted(source.settlements) == sorted(f"t{i}" for i in range(count))
    return rows, source


def test_two_engines_share_the_work(two_workers: ExecutionConfig, tmp_path: Path) -> None:
    with ray_fleet(two_workers, partial(Slow, tmp_path)) as engine:
        rows, _ = sample(engine, 200, {})
    shares = Counter(row["answer"] for row in rows)
    assert len(rows) == 200 and len(shares) == 2 and min(shares.values()) > 40


def test_a_killed_engine_is_started_again_and_loses_nothing(two_workers: ExecutionConfig, tmp_path: Path) -> None:
    def kill() -> None:
        for file in tmp_path.iterdir():
            os.kill(int(file.name), signal.SIGKILL)

    with ray_fleet(two_workers, partial(Slow, tmp_path)) as engine:
        rows, _ = sample(engine, 300, {60: kill})
    assert len(list(tmp_path.iterdir())) == 4  # two other processes took the place
    assert Counter(row["trace_id"] for row in rows).most_common(1)[0][1] == 1
    assert all(row["finish_reason"] == "stop" for row in rows)


def test_a_sample_that_kills_engines_fails_and_the_others_are_done(
    two_workers: ExecutionConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "DEATHS", 50)
    with ray_fleet(two_workers, partial(Poisoned, tmp_path, 1)) as engine:
        rows, _ = sample(engine, 20, {})
    failed = [row for row in rows if row["finish_reason"] == "error"]
    assert [row["trace_id"] for row in failed] == ["t7"] and "its engine died" in failed[0]["error"]


def test_adaptive_sampling_on_ray_takes_the_samples_that_it_takes_here(
    two_workers: ExecutionConfig, tmp_path: Path
) -> None:
    problems = draw(["arithmetic", "units"], 24, "demo", 1)
    messages = [[{"role": "user", "content": problem.question}] for problem in problems]
    facts = {"domain": "math", "verifier": "math_answer", "split": "train"}
    rows = [
        {"prompt_id": prompt_id_of(chat), "messages": chat, "reference": problem.answer, **facts}
        for chat, problem in zip(messages, problems, strict=True)
    ]
    write_frame(frame(rows, PROMPT), tmp_path / "prompts.parquet")
    config = GenerateConfig(
        teacher="transformers",
        model="embedded:teacher",
        sampling=SamplingConfig(n=8, temperature=1.0, top_p=1.0, max_new_tokens=200),
        options={"slots": 16, "dtype": "float32"},
        adaptive=AdaptiveConfig(correct=2, max_samples=8),
    )
    fleets = {"here": local_fleet, "ray": partial(ray_fleet, two_workers)}
    found = {}
    for name, fleet in fleets.items():
        judge = Judging(verify=VerifyConfig(), workers=1)
        generate(tmp_path / "prompts.parquet", tmp_path / name, config, fleet=fleet, judge=judge)
        found[name] = [pl.read_parquet(tmp_path / name / file) for file in ("traces.parquet", "pass_rates.parquet")]
    assert 48 <= found["here"][0].height < 24 * 8
    for here, there in zip(*found.values(), strict=True):
        assert here.equals(there)


def test_an_engine_that_cannot_be_built_says_so(two_workers: ExecutionConfig, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="there is no such model"),
        ray_fleet(two_workers, partial(broken, tmp_path)) as engine,
    ):
        sample(engine, 3, {})


@pytest.mark.slow
def test_a_killed_node_loses_nothing(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "ray_nodes.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all 300 samples, each once" in done.stdout


@pytest.mark.slow
def test_an_engine_across_nodes_gets_a_bundle_for_each_gpu(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "ray_nodes.py"
    command = [sys.executable, str(script), str(tmp_path), "across"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "bundles on 2 nodes: [{'CPU': 1.0, 'GPU': 1.0}, {'CPU': 1.0, 'GPU': 1.0}]" in done.stdout
