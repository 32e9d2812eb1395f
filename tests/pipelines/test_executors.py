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
from generators.contract.errors import EngineFailed, MissingFile
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of
from generators.contract.records import PROMPT
from generators.contract.stage_protocol import Runtime, Worker
from generators.generate import generate
from generators.problems import draw
from generators.sampling.adaptive import AdaptiveConfig
from generators.sampling.scheduler import Row, Scheduler
from generators.sampling.settings import GenerateConfig
from pipelines.executors import ExecutionConfig, open_executor, ray_fleet
from pipelines.executors.stream import RayStream
from pipelines.live_verifier import LiveVerifier


class Listed:
    """A source of `count` samples."""

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
    """Answers one sample every few milliseconds with the id of its process, which it also writes into a folder."""

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
    """Ends its process at one sample."""

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        if any(request.trace_id == "t7" for request in requests):
            os._exit(3)
        super().submit(requests)


class Doomed(Slow):
    """Ends its process at any sample."""

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        os._exit(3)


def broken(folder: Path) -> Engine:
    raise ValueError("there is no such model")


@pytest.fixture(scope="module", autouse=True)
def by_value() -> None:
    """Pickle the classes of this file by value: workers cannot import it."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def two_workers() -> Iterator[ExecutionConfig]:
    config = ExecutionConfig(executor="ray", workers=2, cpus_per_worker=0.5)
    with open_executor(config):
        yield config


def sample(engine: Engine, count: int, after: dict[int, object]) -> tuple[list[Row], Listed]:
    """Sample all; call `after[k]` after k rows."""
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
        while len(list(tmp_path.iterdir())) < 2:  # one engine may start long before the other
            time.sleep(0.01)
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
    monkeypatch.setattr("pipelines.executors.fleet.DEATHS", 50)
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
        engine="transformers",
        model="embedded:teacher",
        sampling=SamplingConfig(n=8, temperature=1.0, top_p=1.0, max_new_tokens=200),
        options={"slots": 16, "dtype": "float32"},
        adaptive=AdaptiveConfig(correct=2, max_samples=8),
    )
    fleets = {"here": local_fleet, "ray": partial(ray_fleet, two_workers)}
    found = {}
    for name, fleet in fleets.items():
        verifier = LiveVerifier(verify=VerifyConfig(), workers=1)
        runtime = Runtime(fleet=fleet)
        generate(tmp_path / "prompts.parquet", tmp_path / name, config, runtime=runtime, live_verifier=verifier)
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


MINE = """
from helper import answer

from generators.contract.engine import EngineOptions, Outcome


class Options(EngineOptions):
    pass


class Engine:
    def __init__(self):
        self.waiting = []

    def slots(self):
        return 8

    def submit(self, requests):
        self.waiting += requests

    def collect(self, timeout_s):
        done, self.waiting = self.waiting, []
        return [Outcome(one, one.row(answer=answer(one), finish_reason="stop", completion_tokens=1)) for one in done]

    def close(self):
        pass


def build(model, sampling, options):
    return Engine()
"""
HELPER = "def answer(request):\n    return str(request.sample_index)\n"
EVEN = """
from filters.verification.verdicts import correct, wrong


def verify(item):
    return correct("even") if int(item.answer) % 2 == 0 else wrong("odd")
"""
RECIPE = """
name = "own"
description = "plug-ins of a user"
execution = { executor = "ray", workers = 2, cpus_per_worker = 0.5 }
prompts = { source = "file", path = "in.jsonl", verifier = "VERIFIER" }
generate = { engine = "ENGINE", model = "none", sampling = { n = 4 } }
"""


@pytest.mark.parametrize(("engine", "verifier"), [("./mine.py", "./even.py"), ("own.mine", "own.even")])
def test_a_users_plugins_reach_ray(tmp_path: Path, engine: str, verifier: str) -> None:
    home = tmp_path if engine.endswith(".py") else tmp_path / "lib" / "own"
    home.mkdir(parents=True, exist_ok=True)
    (home / "mine.py").write_text(MINE if home == tmp_path else MINE.replace("from helper", "from .helper"))
    (home / "helper.py").write_text(HELPER)
    (home / "even.py").write_text(EVEN)
    if home != tmp_path:
        (home / "__init__.py").touch()
    (tmp_path / "in.jsonl").write_text('{"question": "a", "reference": "0"}\n{"question": "b", "reference": "0"}\n')
    (tmp_path / "own.toml").write_text(RECIPE.replace("ENGINE", engine).replace("VERIFIER", verifier))
    done = distill(tmp_path, "run", "own.toml", "--until", "select", PYTHONPATH=str(tmp_path / "lib"))
    assert done.returncode == 0, done.stderr[-3000:]
    verdicts = pl.read_parquet(tmp_path / "runs" / "own" / "verify" / "verdicts.parquet")
    assert Counter(verdicts["reason"]) == {"even": 4, "odd": 4}


def test_a_plugin_that_rows_alone_name_is_asked_for_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "even.py").write_text(EVEN)
    (tmp_path / "in.jsonl").write_text('{"question": "a", "reference": "0", "rule": "./even.py"}\n')
    recipe = RECIPE.replace("ENGINE", "transformers").replace('"none"', '"embedded:teacher"').replace("n = 4", "n = 1")
    fields = 'fields = { question = "question", reference = "reference", verifier = "rule" }'
    (tmp_path / "own.toml").write_text(recipe.replace('verifier = "VERIFIER"', fields))
    command = ("run", "own.toml", "generate.sampling.max_new_tokens=4", "--until", "verify")
    done = distill(tmp_path, *command)
    assert done.returncode == 2 and "even.py is named by rows alone" in done.stderr, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    done = distill(tmp_path, *command, 'verify.options={"./even.py"={}}')
    assert done.returncode == 0, done.stderr[-3000:]


def distill(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **env})


def refusing() -> Worker:
    raise MissingFile("there is no file x")


def failing() -> Worker:
    def work(shard: int) -> Iterator[int]:
        yield 1 // shard

    return work


def test_a_workers_error_is_a_sentence_and_a_fault_keeps_its_traceback(two_workers: ExecutionConfig) -> None:
    stream = RayStream(two_workers, None)
    with pytest.raises(MissingFile, match=r"^there is no file x$"):
        list(stream(refusing, [1, 2]))
    with pytest.raises(ZeroDivisionError, match=r"yield 1 // shard"):
        list(stream(failing, [1, 0]))


def test_an_engine_that_dies_again_and_again_ends_the_run(two_workers: ExecutionConfig, tmp_path: Path) -> None:
    with (
        pytest.raises(EngineFailed, match="an engine died 5 times without finishing a sample"),
        ray_fleet(two_workers, partial(Doomed, tmp_path)) as engine,
    ):
        sample(engine, 20, {})


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
