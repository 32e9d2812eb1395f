"""Adaptive sampling with a simulated engine: when prompts stop, where the budget goes, and what changes neither."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from benchmarks.simulation import Clock, SimulatedEngine, SimulatedJudge
from generators.contract.engine import SampleRequest, SamplingConfig
from generators.contract.ids import content_id
from generators.generate import generate
from generators.prompt_settings import FilePrompts
from generators.prompts import prompts
from generators.sampling.adaptive import AdaptiveConfig, AdaptiveSource
from generators.sampling.live_verdicts import LiveVerdict, LiveVerdicts, LiveVerify, Row
from generators.sampling.sampling_plan import SamplingPlan
from generators.sampling.scheduler import Scheduler
from generators.sampling.settings import GenerateConfig

ROOT = Path(__file__).resolve().parents[3]
COLUMNS = {"teacher": "simulated", "revision": "", "sampling": "{}"}


def plan_of(prompts: int, n: int) -> SamplingPlan:
    messages = [[{"role": "user", "content": f"question {i}"}] for i in range(prompts)]
    return SamplingPlan([f"p{i}" for i in range(prompts)], messages, COLUMNS, n, 0)


def dice(row: Row, of: str = "") -> random.Random:
    return random.Random(f"{of} {row['prompt_id']} {row['sample_index']}")


class World:
    """Prompts of given pass rates, an engine with some slots, and a live verifier with delays."""

    def __init__(self, rates: list[float], folder: Path, *, slots: int = 8, delay: float = 50.0, seed: int = 0) -> None:
        self.rates, self.folder, self.slots, self.delay, self.seed = rates, folder, slots, delay, seed
        self.requests: list[SampleRequest] = []
        self.clock = Clock()
        self.judge = SimulatedJudge(self.clock, self.verdict_of, self.wait)

    def verdict_of(self, row: Row) -> LiveVerdict:
        rng = dice(row)
        if rng.random() < self.rates[int(row["prompt_id"][1:])]:
            return LiveVerdict("correct", str(rng.randrange(20)))
        return LiveVerdict("wrong")

    def wait(self, row: Row) -> float:
        return dice(row, f"wait {self.seed}").random() * self.delay

    def length(self, request: SampleRequest) -> int:
        self.requests.append(request)
        return dice({"prompt_id": request.prompt_id, "sample_index": request.sample_index}, "length").randint(5, 90)

    def sample(self, n: int, kept: frozenset[str] = frozenset(), **settings: Any) -> AdaptiveSource:
        """Run the real scheduler until all is settled."""
        engine = SimulatedEngine(self.clock, self.slots, self.length)
        with LiveVerdicts(self.folder / "live_verdicts.jsonl", self.judge) as verdicts:
            source = AdaptiveSource(plan_of(len(self.rates), n), AdaptiveConfig(**settings), verdicts, kept)
            Scheduler(engine, source, lambda request, row: None).run()
        ids = [request.trace_id for request in self.requests]
        assert len(set(ids)) == len(ids)
        return source


def sampled(source: AdaptiveSource) -> list[int]:
    return [len(standing.verdicts) for standing in source.standings]


def test_prompts_stop_when_they_have_enough_or_at_the_cap(tmp_path: Path) -> None:
    source = World([1.0, 0.5, 0.0], tmp_path, slots=1).sample(40, correct=3, max_samples=24)
    sure, even, never = source.tallies()
    assert (sure.outcome(24), even.outcome(24), never.outcome(24)) == ("solved", "solved", "hopeless")
    assert sampled(source)[2] == never.samples == 24
    assert source.solved == 2
    assert sure.distinct == even.distinct == 3
    assert sampled(source)[0] <= sure.samples + 2  # look_ahead
    rates = source.pass_rates(source.tallies())
    assert rates["outcome"].to_list() == ["solved", "solved", "hopeless"]


def test_nothing_superfluous_is_taken_while_there_is_other_work(tmp_path: Path) -> None:
    rates = [0.9] * 200
    alone = World(rates, tmp_path, slots=16, delay=0).sample(50, correct=2, max_samples=32, look_ahead=0)
    assert sampled(alone) == [tally.samples for tally in alone.tallies()]
    ahead = World(rates, tmp_path / "ahead", slots=16, delay=0).sample(50, correct=2, max_samples=32, look_ahead=2)
    surplus = sum(sampled(ahead)) - sum(tally.samples for tally in ahead.tallies())
    assert surplus < 32  # only what was under way at the end


def test_the_budget_goes_from_easy_to_hard_prompts_and_is_kept_to(tmp_path: Path) -> None:
    source = World([0.95] * 30 + [0.15] * 10, tmp_path).sample(4, correct=2, max_samples=60)
    counts = sampled(source)
    assert sum(counts) == source.spent == 4 * 40
    assert sum(counts[:30]) < 3 * 30 and sum(counts[30:]) > 7 * 10
    open_ones = [count for count, tally in zip(counts, source.tallies(), strict=True) if not tally.solved]
    assert open_ones and max(open_ones) - min(open_ones) <= 4  # spread evenly: fewest samples first
    small = World([0.0] * 40, tmp_path / "small").sample(6, correct=2, max_samples=60, budget=70)
    assert sum(sampled(small)) == 70 and set(sampled(small)) == {1, 2}


def test_the_likeliest_order_brings_more_traces_and_no_other_stop(tmp_path: Path) -> None:
    rates = [0.0] * 60 + [0.6] * 60

    def distinct(order: str, n: int) -> tuple[int, list[Any]]:
        world = World(rates, tmp_path / order / str(n), slots=4, delay=0)
        source = world.sample(n, correct=4, max_samples=16, order=order)
        assert min(sampled(source)) >= 1 and source.spent <= n * 120
        return sum(tally.distinct for tally in source.tallies()), source.tallies()

    assert distinct("likeliest", 3)[0] > 1.2 * distinct("even", 3)[0]
    assert distinct("likeliest", 16)[1] == distinct("even", 16)[1]


def test_every_prompt_is_asked_once_before_any_is_asked_again(tmp_path: Path) -> None:
    world = World([0.2] * 50, tmp_path)
    world.sample(4, correct=4, max_samples=16)
    assert {request.sample_index for request in world.requests[:50]} == {0}
    assert world.requests[50].sample_index == 1


def test_late_and_shuffled_verdicts_change_nothing(tmp_path: Path) -> None:
    rates = [random.Random(i).random() for i in range(60)]
    worlds = [(1, 0.0, 0), (8, 50.0, 0), (8, 50.0, 1), (64, 5000.0, 2), (500, 20.0, 3)]
    found = []
    for i, (slots, delay, seed) in enumerate(worlds):
        world = World(rates, tmp_path / str(i), slots=slots, delay=delay, seed=seed)
        source = world.sample(100, correct=3, max_samples=30)
        tallies = source.tallies()
        found.append((tallies, [source.ids_of(i, tally) for i, tally in enumerate(tallies)]))
    assert all(each == found[0] for each in found[1:])


def test_a_budget_that_binds_biases_little(tmp_path: Path) -> None:
    """The mean estimate over prompts of equal rates, most of which the budget ends."""
    source = World([0.3] * 3000, tmp_path, slots=64, delay=100).sample(6, correct=2, max_samples=64)
    rates = source.pass_rates(source.tallies())
    assert len(rates.filter(outcome="budget")) > 500
    assert rates["pass_rate"].mean() == pytest.approx(0.3, abs=0.015)
    assert rates["estimated_from"].max() == rates.filter(outcome="budget")["samples"].min()
    assert (rates["correct"] / rates["judged"]).mean() > 0.33  # type: ignore[operator]


def test_verdicts_on_file_are_not_given_again_and_a_torn_end_is(tmp_path: Path) -> None:
    rates = [0.5] * 20
    first = World(rates, tmp_path)
    before = first.sample(20, correct=2, max_samples=10)
    file = tmp_path / "live_verdicts.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(first.judge.judged)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:-9])
    again = World(rates, tmp_path)
    kept = frozenset(request.trace_id for request in first.requests)
    torn = json.loads(lines[-1])[0]
    row = next(request.row() for request in first.requests if request.trace_id == torn)
    with LiveVerdicts(file, again.judge, [{**row, "finish_reason": "stop"}]) as verdicts:
        source = AdaptiveSource(plan_of(20, 20), AdaptiveConfig(correct=2, max_samples=10), verdicts, kept)
        assert source.take(99) == []  # the torn one's prompt waits for its verdict; others have theirs
        again.clock.happen()
        assert source.lacks_nothing()
    assert again.judge.judged == [torn]
    assert source.tallies() == before.tallies()


def test_a_live_verifier_that_breaks_ends_the_run(tmp_path: Path) -> None:
    world = World([0.5] * 4, tmp_path)

    def broken(row: Row) -> "Future[LiveVerdict]":
        future: Future[LiveVerdict] = Future()
        future.set_exception(RuntimeError("no verifier starts"))
        return future

    world.judge = broken  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="no verifier starts"):
        world.sample(4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"correct": 9, "max_samples": 8}, "correct is 9, which max_samples = 8 never reaches"),
        ({"corect": 2}, "corect"),
        ({"budget": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        AdaptiveConfig(**settings)


# The whole stage, with an engine in this process


ENGINE = """
import random, time
from generators.contract.engine import EngineOptions, Outcome

class Options(EngineOptions):
    pause_s: float = 0.0

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
        time.sleep(self.options.pause_s)
        outcomes = [self.outcome(request) for request in self.waiting[-3:]]
        del self.waiting[-3:]
        return outcomes

    def outcome(self, request):
        rng = random.Random(request.seed)
        hard = int(request.messages[0]["content"].partition("+")[0]) % 3 + 1
        value = "right" if rng.random() < 0.9 / hard else "wrong"
        ended = "length" if rng.random() < 0.1 and not request.prefix else "stop"
        ids = [*request.prefix, 1, 2, 3]
        answer = f"{value} {rng.randrange(9)}"
        text = {"reasoning": "hm", "answer": answer, "finish_reason": ended}
        return Outcome(request, request.row(**text, completion_tokens=len(ids), token_ids=ids))

    def close(self):
        pass
"""


def verdict(row: Row) -> LiveVerdict:
    time.sleep(random.random() * 0.01)
    value, path = row["answer"].split()
    return LiveVerdict("correct", path) if value == "right" else LiveVerdict("timeout" if path == "0" else "wrong")


@contextmanager
def verified_in_threads(prompts: Path) -> Iterator[LiveVerify]:
    with ThreadPoolExecutor(4) as threads:
        yield lambda row: threads.submit(verdict, row)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    file = folder / "sums.jsonl"
    rows = [{"question": f"{i}+{i}=?", "reference": str(2 * i)} for i in range(24)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts(folder, FilePrompts(source="file", path=str(file)))
    return folder / "prompts.parquet"


Asking = Callable[..., GenerateConfig]


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """A function that returns settings with the engine of this test."""
    package = tmp_path / "simulated"
    package.mkdir()
    (package / "engine.py").write_text(ENGINE)
    (package / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "simulated"]:
        monkeypatch.delitem(sys.modules, name)

    def settings(n: int = 12, **more: Any) -> GenerateConfig:
        adaptive = {"correct": 3, "max_samples": 12}
        values = {
            "engine": "simulated.engine",
            "model": str(package),
            "sampling": SamplingConfig(n=n),
            "adaptive": adaptive,
            **more,
        }
        return GenerateConfig(**values)

    return settings


def result(out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.read_parquet(out / "traces.parquet"), pl.read_parquet(out / "pass_rates.parquet")


def test_the_stage_hands_on_what_each_prompt_needed(asking: Asking, asked: Path, tmp_path: Path) -> None:
    counts = generate(asked, tmp_path, asking(), live_verifier=verified_in_threads)
    traces, rates = result(tmp_path)
    assert traces.group_by("prompt_id", maintain_order=True).len()["len"].to_list() == rates["samples"].to_list()
    assert all(rows["sample_index"].to_list() == list(range(len(rows))) for rows in traces.partition_by("prompt_id"))
    note = counts.notes["adaptive"][asking().model]
    assert note["samples"] == len(traces) == counts.rows_kept
    assert counts.dropped.get("surplus", 0) == note["surplus"] == counts.rows_in - len(traces)
    assert note["outcomes"] == {**dict.fromkeys(note["outcomes"], 0), **Counter(rates["outcome"])}
    assert note["unjudged"] == (rates["samples"] - rates["judged"]).sum() > 0
    assert note["samples"] < note["samples_fixed"] and note["outcomes"]["solved"] > 8
    again = generate(asked, tmp_path, asking(), live_verifier=verified_in_threads)
    assert again.notes["sampled"] == 0
    assert result(tmp_path)[0].equals(traces) and result(tmp_path)[1].equals(rates)


def test_samples_of_a_run_with_fixed_n_are_taken_as_they_are(asking: Asking, asked: Path, tmp_path: Path) -> None:
    generate(asked, tmp_path / "fresh", asking(), live_verifier=verified_in_threads)
    fixed = asking(n=5).model_copy(update={"adaptive": None})
    generate(asked, tmp_path / "after", fixed)
    counts = generate(asked, tmp_path / "after", asking(), live_verifier=verified_in_threads)
    assert result(tmp_path / "after")[0].equals(result(tmp_path / "fresh")[0])
    assert counts.notes["reused"] > 60


def test_a_stage_that_runs_again_stays_within_its_budget(asking: Asking, asked: Path, tmp_path: Path) -> None:
    counts = generate(asked, tmp_path, asking(n=4), live_verifier=verified_in_threads)
    assert counts.rows_in == counts.notes["sampled"] == 4 * 24
    before = result(tmp_path)
    again = generate(asked, tmp_path, asking(n=4), live_verifier=verified_in_threads)
    assert again.notes["sampled"] == 0 and again.dropped == counts.dropped
    assert all(one.equals(other) for one, other in zip(result(tmp_path), before, strict=True))


def test_more_is_asked_of_those_that_need_more(asking: Asking, asked: Path, tmp_path: Path) -> None:
    generate(asked, tmp_path, asking(), live_verifier=verified_in_threads)
    before = result(tmp_path)[0]["trace_id"]
    stricter = asking(adaptive={"correct": 5, "max_samples": 12})
    counts = generate(asked, tmp_path, stricter, live_verifier=verified_in_threads)
    assert set(before) <= set(result(tmp_path)[0]["trace_id"])
    assert counts.notes["sampled"] <= counts.rows_in - len(before)


def test_cut_off_samples_go_on_where_their_prompt_wants_them(asking: Asking, asked: Path, tmp_path: Path) -> None:
    generate(asked, tmp_path / "later", asking(), live_verifier=verified_in_threads)
    cut = result(tmp_path / "later")[0].filter(finish_reason="length")
    counts = generate(asked, tmp_path / "later", asking(truncated="continue"), live_verifier=verified_in_threads)
    assert counts.notes["continued"] >= 1 and len(cut) >= 1
    generate(asked, tmp_path / "fresh", asking(truncated="continue"), live_verifier=verified_in_threads)
    for one, other in zip(result(tmp_path / "later"), result(tmp_path / "fresh"), strict=True):
        assert one.equals(other)
    assert set(result(tmp_path / "fresh")[0]["finish_reason"]) == {"stop"}


def test_several_models_have_pass_rates_each(asking: Asking, asked: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"another": true}')
    counts = generate(asked, tmp_path, asking(models={"b": {"model": str(other)}}), live_verifier=verified_in_threads)
    rates = result(tmp_path)[1]
    assert rates["teacher"].to_list() == [asking().model] * 24 + [str(other)] * 24
    assert set(counts.notes["adaptive"]) == set(rates["teacher"])
    assert rates["samples"].sum() == counts.rows_kept


def test_what_cannot_be_done_is_said_first(asking: Asking, asked: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was handed no live_verifier"):
        generate(asked, tmp_path, asking())
    few = asking(adaptive={"correct": 1, "budget": 20})
    with pytest.raises(ValueError, match="budget is 20; the 24 prompts need one sample each"):
        generate(asked, tmp_path, few, live_verifier=verified_in_threads)
    replay = asking(engine="replay", options={"rows": {"source": "file", "path": "x.jsonl"}})
    with pytest.raises(ValueError, match="the engine replay makes none"):
        generate(asked, tmp_path, replay, live_verifier=verified_in_threads)
    assert not (tmp_path / "traces.parquet").exists()


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[4], sys.argv[5]]
from test_adaptive import verified_in_threads
from generators.generate import generate
from generators.sampling.settings import GenerateConfig
config = GenerateConfig.model_validate_json(sys.argv[3])
generate(Path(sys.argv[1]), Path(sys.argv[2]), config, live_verifier=verified_in_threads)
"""


def test_killed_and_resumed_samples_and_judges_nothing_twice(asking: Asking, asked: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    generate(asked, whole, asking(), live_verifier=verified_in_threads)
    slow = asking(options={"pause_s": 0.02})
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED, str(asked), str(killed), slow.model_dump_json(), here, str(tmp_path)]
    log, verdicts = killed / "ledger" / "000001.log", killed / "live_verdicts.jsonl"
    for lines in (20, 50):
        process = subprocess.Popen(command, cwd=ROOT)
        while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < lines):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with open(verdicts, "ab") as torn:
        torn.write(b'["half a li')
    before = log.read_bytes().count(b"\n")
    counts = generate(asked, killed, asking(), live_verifier=verified_in_threads)
    assert counts.notes["reused"] == before
    ids = [json.loads(line)["trace_id"] for line in log.read_bytes().splitlines()]
    assert len(set(ids)) == len(ids) == before + counts.notes["sampled"]
    judged = [json.loads(line)[0] for line in verdicts.read_bytes().splitlines()]
    assert len(set(judged)) == len(judged)
    for one, other in zip(result(killed), result(whole), strict=True):
        assert one.equals(other)


def test_what_is_asked_ahead_is_no_part_of_what_is_made(asking: Asking) -> None:
    settings = asking().adaptive
    assert settings
    wider = asking(adaptive={**settings.model_dump(), "look_ahead": 9})
    assert content_id(asking().identity()) == content_id(wider.identity())
    assert asking().identity() != asking(adaptive={"correct": 2}).identity()
