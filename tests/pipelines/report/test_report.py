"""The report of a made-up run: numbers as in the manifests, hostile text harmless, one file that asks for nothing."""

import io
import json
import math
import random
import re
import shutil
import subprocess
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, SELECTED, TRACE, VERDICT
from generators.contract.stage_protocol import StageCounts, counts_by_reason
from pipelines.recipe.toml import as_toml
from pipelines.report.charts import log_ticks, tag, ticks
from pipelines.report.data import FLOW, OPTIONAL, labels, read_manifests, trained_tokens, without_folders
from pipelines.report.page import duration, report, terminal_table
from pipelines.stages.table import STAGES

HOSTILE = "<script>alert(1)</script><img src='http://evil.example/x.png' onerror=alert(2)> & {{ 7*7 }} </pre>"
STUDENTS = {
    "sft_all": {"label": "SFT on unfiltered traces"},
    "sft_rejection": {"label": "SFT on rejection-sampled traces"},
    "kl": {"label": "SFT + KL on stored targets, T=2", "alpha": 0.5},
}
RECIPE: dict[str, Any] = {
    "name": "arithmetic",
    "description": "A small student learns to reason from a teacher of four times its size.",
    "generate": {"model": "/models/teacher", "sampling": {"n": 4, "temperature": 0.7, "stop": None}},
    "score": {"top_k": 16, "temperatures": [1.0, 2.0]},
    "train": {"alpha": 1.0, "student": "toy"},
    "students": STUDENTS,
    "corpus": {"other": [{"path": "chat.jsonl", "rows": 5}]},
}
PROMPTS, SAMPLES = 60, 4
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def add_stage(run: Path, folder: str, counts: StageCounts, **more: Any) -> None:
    manifest = {
        "stage": folder,
        "fingerprint": f"fingerprint of {folder}",
        "run_id": f"run of {folder}",
        "config": {},
        "upstream": {},
        "counts": counts.as_dict(),
        "seconds": 12.5,
        "started": "2026-03-01T10:00:00+00:00",
        "finished": "2026-03-01T10:00:12+00:00",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "commit": "abc1234",
        "outputs": {"x.parquet": {"bytes": 2048, "blake2b": "00"}},
    }
    (run / folder).mkdir(parents=True, exist_ok=True)
    (run / folder / "manifest.json").write_text(json.dumps(manifest | more))


def prompt(i: int) -> dict[str, Any]:
    text = HOSTILE if i == 0 else f"A shelf holds {i + 3} boxes of {i + 7} pencils each. How many pencils are there?"
    messages = [{"role": "user", "content": text}]
    return {"prompt_id": f"p{i}", "messages": messages, "verifier": "math_answer", "reference": str((i + 3) * (i + 7))}


def trace(i: int, k: int, rng: random.Random) -> dict[str, Any]:
    """A sample, its verdict, and why it is dropped."""
    tokens = int(rng.lognormvariate(4.5, 0.5))
    status = rng.choices(["correct", "wrong", "unparseable", "timeout"], [60, 30, 6, 1])[0]
    near, cut = status == "correct" and rng.random() < 0.2, status == "wrong" and rng.random() < 0.3
    other = {"near_duplicate": near, "truncated": cut, status: status != "correct"}
    reasoning = (
        HOSTILE if i == 0 else f"There are {i + 3} boxes with {i + 7} pencils.\n{i + 3} * {i + 7} = {(i + 3) * (i + 7)}"
    )
    return {
        "trace_id": f"t{i}-{k}",
        "prompt_id": f"p{i}",
        "sample_index": k,
        "teacher": "toy",
        "reasoning": reasoning,
        "answer": HOSTILE if i == 0 else f"The answer is {(i + 3) * (i + 7)}.",
        "finish_reason": "length" if cut else "stop",
        "prompt_tokens": 30 + i % 9,
        "completion_tokens": tokens,
        "token_ids": list(range(5)),
        "status": status,
        "verdict_reason": HOSTILE if i == 0 else "equal numbers" if status == "correct" else "not the reference",
        "cluster_id": f"t{i}-0" if near else f"t{i}-{k}",
        "drop_reason": next((reason for reason, holds in other.items() if holds), None),
    }


def add_traces(run: Path, upto: str) -> None:
    """Add the stages prompts, generate, verify and select, as far as `upto`."""
    rng = random.Random(0)
    rows = [trace(i, k, rng) for i in range(PROMPTS) for k in range(SAMPLES)]
    write_frame(frame(map(prompt, range(PROMPTS)), PROMPT), run / "prompts" / "prompts.parquet")
    add_stage(run, "prompts", StageCounts(PROMPTS + 4, PROMPTS, {"duplicate": 4}))
    traces = frame(({k: row[k] for k in TRACE if k in row} for row in rows), TRACE)
    write_frame(traces, run / "generate" / "traces.parquet")
    add_stage(run, "generate", StageCounts(len(rows), len(rows), tokens=traces["completion_tokens"].sum()))
    if upto == "generate":
        return
    verdicts = frame(({"trace_id": r["trace_id"], "status": r["status"]} for r in rows), VERDICT)
    write_frame(verdicts, run / "verify" / "verdicts.parquet")
    add_stage(run, "verify", counts_by_reason(None if r["status"] == "correct" else r["status"] for r in rows))
    write_frame(frame(rows, SELECTED), run / "select" / "selected.parquet")
    add_stage(run, "select", counts_by_reason(row["drop_reason"] for row in rows))
    kept = sum(row["drop_reason"] is None for row in rows)
    add_stage(run, "corpus", StageCounts(kept + 20, kept + 20, tokens=kept * 90))


def add_training(run: Path, folder: str, kl: float, seed: int = 0) -> None:
    rng = random.Random(seed)
    lines: list[dict[str, Any]] = []
    for step in range(1, 401):
        ce = 0.35 + 0.05 * seed + 3.2 * math.exp(-step / 60) + rng.gauss(0, 0.04)
        kl_now = kl * (0.1 + math.exp(-step / 90))
        lines.append({"step": step, "tokens": step * 750, "loss": ce + kl_now, "ce": ce, "kl": kl_now, "lr": 1e-3})
        if step % 80 == 0:
            lines.append(
                {"step": step, "tokens": step * 750, "val_ce": ce + 0.03, **({"val_kl": kl_now} if kl else {})}
            )
    lines[10]["ce"] = float("nan")
    add_stage(run, folder, StageCounts(120, 118, {"too_long": 2}, tokens=300_000), seconds=95.0)
    (run / folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))


def scores(mean: float, seeds: int = 1) -> dict[str, Any]:
    group = {"pass@1": mean, "ci95": [mean - 0.04, mean + 0.04], "half_width": 0.04, "problems": 300}
    return {
        "pass@1": mean,
        "ci95": [mean - 0.03, mean + 0.03],
        "half_width": 0.03,
        "cons@k": mean + 0.05,
        "k": 4,
        "problems": 600,
        "samples": 4,
        "mean_completion_tokens": 88.1,
        "truncated": 12,
        "by_group": {
            "arithmetic": group,
            "word problems": group | {"pass@1": mean - 0.02, "ci95": [mean - 0.06, mean + 0.02]},
        },
        "seeds": seeds,
        "pass@1_by_seed": [mean - 0.015, mean, mean + 0.015][:seeds],
    }


def add_scores(run: Path, name: str, made: dict[str, Any]) -> None:
    folder = f"evaluate/{name}"
    add_stage(run, folder, StageCounts(2400, 2400, tokens=200_000), seconds=40.0)
    (run / folder / "scores.json").write_text(json.dumps(made))


def add_ablation(run: Path, grid: list[dict[str, Any]]) -> None:
    cells = []
    for i, values in enumerate(grid):
        name = ",".join(f"{key.removeprefix('train.')}={value}" for key, value in values.items())
        add_stage(run, f"ablate/{name}/train", StageCounts(10, 10, tokens=1000))
        made = scores(0.4 + 0.02 * i)
        cells.append({"cell": name, "values": values, "scores": made, "val_ce": 0.4, "val_kl": None})
    (run / "ablate" / "cells.json").write_text(json.dumps(cells))


GRID = [{"train.alpha": a, "train.temperature": t} for a in (0.25, 0.5, 1) for t in (1, 2, 4)]


def whole_run(run: Path) -> Path:
    run.mkdir()
    (run / "recipe.json").write_text(json.dumps(RECIPE))
    add_traces(run, "corpus")
    add_stage(run, "score", StageCounts(120, 120, tokens=10_000, notes={"store": "/home/someone/run/score/targets"}))
    (run / "score" / "targets").mkdir()
    (run / "score" / "targets" / "0.safetensors").write_bytes(bytes(480_000))
    for seed, (name, kl) in enumerate({"sft_all": 0, "sft_rejection": 0, "kl": 0.6}.items()):
        add_training(run, f"train/{name}", kl, seed)
    add_scores(run, "teacher", scores(0.82))
    add_scores(run, "start", scores(0.05))
    for i, name in enumerate(STUDENTS):
        add_scores(run, name, scores(0.41 + 0.07 * i, seeds=3 if name == "kl" else 1))
    add_ablation(run, GRID)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report in run/report."""
    folder = whole_run(tmp_path_factory.mktemp("runs") / "arithmetic")
    (folder / "report").mkdir()
    report(folder, folder / "report")
    return folder


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return (run / "report" / "report.html").read_text()


@pytest.fixture(scope="module")
def data(run: Path) -> dict[str, Any]:
    return json.loads((run / "report" / "report.json").read_text())


class Page(HTMLParser):
    """Every tag, and what a page could load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(name)
        loads = {"src", "srcset", "href", "action", "data", "poster", "xlink:href"}
        self.outside += [
            f"{name} {key}={value}"
            for key, value in attributes
            if key.startswith("on") or (key in loads and not (value or "").startswith(("#", "data:,")))
        ]


def ids_in(html: str) -> list[str]:
    return re.findall(r'<section id="([^"]+)"', html)


def test_stage_manifests_are_counted(run: Path, tmp_path: Path) -> None:
    manifests = list(run.rglob("manifest.json"))
    counts = report(run, tmp_path)
    assert counts.rows_in == counts.rows_kept == len(manifests)


def test_a_finished_run_has_every_section(html: str) -> None:
    expected = "results rows solve-rates tokens training soft-targets ablation examples stages recipe"
    assert ids_in(html) == expected.split()


def test_the_funnel_is_that_of_the_manifests(run: Path, data: dict[str, Any]) -> None:
    assert [row["stage"] for row in data["funnel"]][:6] == [
        "prompts",
        "generate",
        "verify",
        "select",
        "corpus",
        "score",
    ]
    for row in data["funnel"]:
        counts = json.loads((run / row["stage"] / "manifest.json").read_text())["counts"]
        assert {key: row[key] for key in ("rows_in", "rows_kept", "dropped")} == {
            key: counts[key] for key in row.keys() & counts
        }
        assert row["adds_up"] and row["rows_in"] == row["rows_kept"] + sum(row["dropped"].values())
    assert next(row for row in data["funnel"] if row["stage"] == "select")["recounted"]


def test_labels_that_disagree_with_the_manifest_are_told(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run")
    selected = pl.read_parquet(run / "select" / "selected.parquet")
    write_frame(selected.with_columns(pl.lit("wrong").alias("drop_reason")), run / "select" / "selected.parquet")
    report(run, tmp_path)
    assert "the file says otherwise" in (tmp_path / "report.html").read_text()


def test_models_come_in_the_recipes_order(html: str, data: dict[str, Any]) -> None:
    assert [row["name"] for row in data["results"]] == ["teacher", "start", *STUDENTS]
    assert "55.0% [52.0, 58.0]" in html
    assert "SFT + KL on stored targets, T=2, the best of 3 students, reaches 55.0%" in html


def test_a_changed_label_of_a_finished_run_shows_everywhere(run: Path, tmp_path: Path) -> None:
    copy, old, new = tmp_path / "run", STUDENTS["kl"]["label"], "KL, renamed"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report"))
    (copy / "recipe.json").write_text(json.dumps({**RECIPE, "students": {**STUDENTS, "kl": {"label": new}}}))
    report(copy, tmp_path)
    page, data = ((tmp_path / f"report.{form}").read_text() for form in ("html", "json"))
    assert old not in page and old not in data and page.count(new) >= 5
    assert {entry["student"]: entry["label"] for entry in json.loads(data)["training"]}["kl"] == new
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(terminal_table(copy))
    text = console.export_text()
    assert new in text and old not in text


def test_a_label_of_all_students_and_none_at_all() -> None:
    assert (
        labels({"train": {"label": "tuned"}})["student"]
        == labels({"train": {"label": "tuned"}, "students": {"a": {}}})["a"]
    )
    assert labels({"students": {"a": {}, "b": {"label": "B"}}}) == {
        "teacher": "teacher",
        "start": "student before",
        "a": "a",
        "b": "B",
    }


def test_training_tokens_are_those_of_the_last_seed(tmp_path: Path) -> None:
    for seed in (2, 9, 10):
        add_stage(tmp_path, f"train/kl/seed-{seed}", StageCounts(1, 1, tokens=1000 + seed))
    add_stage(tmp_path, "train/klx", StageCounts(1, 1, tokens=7))
    add_stage(tmp_path, "train/sft", StageCounts(1, 1, tokens=500))
    manifests = read_manifests(tmp_path)
    found = [trained_tokens(manifests, name) for name in ("kl", "sft", "teacher")]
    assert found == [1010, 500, None]


def test_written_adds_up_every_output(tmp_path: Path) -> None:
    outputs = {"traces.parquet": {"bytes": 1000, "blake2b": "00"}, "ledger/samples-0.jsonl": {"bytes": 24}}
    add_stage(tmp_path / "run", "generate", StageCounts(0, 0), outputs=outputs)
    add_stage(tmp_path / "run", "select", StageCounts(0, 0), outputs={"selected.parquet": {"bytes": 1024}})
    write_frame(frame([], TRACE), tmp_path / "run" / "generate" / "traces.parquet")
    write_frame(frame([], SELECTED), tmp_path / "run" / "select" / "selected.parquet")
    report(tmp_path / "run", tmp_path)
    assert [row["bytes"] for row in json.loads((tmp_path / "report.json").read_text())["stages"]] == [1024, 1024]
    assert "2.0 KiB" in (tmp_path / "report.html").read_text()


def test_the_order_is_that_of_the_table_of_stages() -> None:
    assert [name for name in FLOW if name != "ablate"] == list(STAGES) and FLOW.index("ablate") == len(STAGES) - 1
    assert {"judge", "rewrite", "ablate"} == OPTIONAL


def test_solve_rates_and_tokens_are_counted(run: Path, data: dict[str, Any]) -> None:
    rates = data["solve_rates"]
    assert sum(b["prompts"] for b in rates["bins"]) == rates["prompts"] == PROMPTS
    assert [b["label"] for b in rates["bins"]] == ["0/4", "1/4", "2/4", "3/4", "4/4"]
    assert sum(rates["statuses"].values()) == PROMPTS * SAMPLES
    traces = pl.read_parquet(run / "generate" / "traces.parquet")
    every = next(row for row in data["tokens"]["rows"] if row["what"] == "completions, every trace")
    assert every["total"] == traces["completion_tokens"].sum() and every["max"] == traces["completion_tokens"].max()
    assert sum(map(sum, data["tokens"]["histogram"]["counts"].values())) == len(traces)


def test_every_drop_reason_has_examples(run: Path, html: str, data: dict[str, Any]) -> None:
    reasons = set(pl.read_parquet(run / "select" / "selected.parquet")["drop_reason"])
    assert {group["drop_reason"] for group in data["examples"]} == reasons
    assert all(0 < len(group["examples"]) <= 3 for group in data["examples"])
    assert data["examples"][0]["drop_reason"] is None
    assert all(f"Dropped: {reason}" in html for reason in reasons - {None})


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run")
    recipe = {**RECIPE, "name": HOSTILE, "description": HOSTILE, "students": {"kl": {"label": HOSTILE}}}
    (run / "recipe.json").write_text(json.dumps(recipe))
    add_scores(run, "kl", scores(0.5))
    add_stage(run, "prompts", StageCounts(PROMPTS + 4, PROMPTS, {HOSTILE: 4}))
    selected = pl.read_parquet(run / "select" / "selected.parquet").with_columns(
        *(pl.lit(HOSTILE).alias(column) for column in ("reasoning", "answer", "verdict_reason"))
    )
    write_frame(selected, run / "select" / "selected.parquet")
    report(run, tmp_path)
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "{{ 7*7 }}" in html
    assert not page.tags & {"script", "img", "iframe", "object", "form"} and page.outside == []


def test_one_file_that_asks_for_nothing(html: str) -> None:
    page = Page(html)
    assert page.outside == [] and "script" not in page.tags
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html


def test_no_folder_of_this_machine_is_shown(run: Path, html: str) -> None:
    assert str(run.parent) not in html and "/home/someone" not in html
    assert "/models/teacher" in html  # the recipe's own
    assert without_folders("no file /a/b/c.txt, 1/2/3 and a/b") == "no file …/c.txt, 1/2/3 and a/b"


def test_a_run_that_stopped_early_shows_what_it_holds(tmp_path: Path) -> None:
    add_traces(tmp_path / "run", "generate")
    report(tmp_path / "run", tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert ids_in(html) == ["rows", "tokens", "stages", "recipe"]
    assert "not in this folder: verify, select, corpus, score, train, evaluate" in html


@pytest.mark.parametrize("missing", ["prompts", "generate", "verify", "select", "score", "train", "evaluate", "ablate"])
def test_any_stage_may_be_missing(run: Path, tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns(missing, "report"))
    report(copy, tmp_path)
    assert "</html>" in (tmp_path / "report.html").read_text()


def test_a_folder_without_stages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no finished stage"):
        report(tmp_path, tmp_path)


def test_a_stage_made_from_an_earlier_one_is_told(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run")
    add_stage(run, "corpus", StageCounts(5, 5), upstream={"select": "an older run", "prompts": "run of prompts"})
    report(run, tmp_path)
    stale = json.loads((tmp_path / "report.json").read_text())["overview"]["stale"]
    assert stale == [{"stage": "corpus", "made_from": "select"}]
    assert "Out of date." in (tmp_path / "report.html").read_text()


def test_curves_are_smoothed_and_survive_a_nan(data: dict[str, Any]) -> None:
    entry = data["training"][0]
    assert entry["label"] == "SFT on unfiltered traces" and len(entry["train"]) <= 301
    assert entry["train"][-1]["tokens"] == 300_000
    assert all(point["ce"] is not None and math.isfinite(point["ce"]) for point in entry["train"])
    assert entry["figures"]["steps"] == 400 and len(entry["validation"]) == 5


def test_seeds_of_a_student_have_a_curve_each(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for seed in (1, 2):
        add_training(run, f"train/kl/seed-{seed}", 0.5, seed)
        add_stage(run, f"evaluate/kl/seed-{seed}", StageCounts(1, 1))
    add_scores(run, "kl", scores(0.5, seeds=2))
    report(run, tmp_path)
    data = json.loads((tmp_path / "report.json").read_text())
    assert [entry["label"] for entry in data["training"]] == ["kl, seed-1", "kl, seed-2"]
    assert [row["name"] for row in data["results"]] == ["kl"] and "(2 seeds)" in (tmp_path / "report.html").read_text()


def test_two_settings_make_a_heat_map(html: str, data: dict[str, Any]) -> None:
    grid = data["ablation"]["grid"]
    assert grid["rows"] == [0.25, 0.5, 1] and grid["columns"] == [1, 2, 4]
    assert grid["cells"][2][2]["cell"] == data["ablation"]["best"] == "alpha=1,temperature=4"
    assert 'class="heat"' in html and "ablate (9 stages)" in html


def test_one_setting_makes_a_chart_and_three_a_heat_map_of_the_best(tmp_path: Path) -> None:
    add_ablation(tmp_path / "one", [{"train.alpha": a, "train.temperature": 1} for a in (1, 0.5)])
    report(tmp_path / "one", tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["ablation"]["varied"] == ["train.alpha"]
    assert 'class="heat"' not in (tmp_path / "report.html").read_text()
    add_ablation(tmp_path / "three", [cell | {"train.lr": lr} for cell in GRID[:4] for lr in ("a", "b")][:7])
    report(tmp_path / "three", tmp_path)
    assert "Each place shows the best cell over train.lr" in (tmp_path / "report.html").read_text()


def test_the_terminal_table_has_the_same_numbers(run: Path) -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(terminal_table(run))
    text = console.export_text()
    assert re.search(r"teacher .* 82\.0% \[79\.0, 85\.0\] .* 87\.0% \(k=4\) .* 600 x 4 .* 88\.1 ", text)
    assert text.index("student before") < text.index("SFT on unfiltered") < text.index("SFT + KL")


def test_no_number_of_the_terminal_table_is_broken_in_80_columns(run: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_table(run))
    text = console.export_text()
    assert "82.0% [79.0, 85.0]" in text and "87.0% (k=4)" in text and "600 x 4" in text
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines()) and re.search(r"88\.1 +\S", text)


def test_the_recipe_is_shown_as_toml_that_reads_back() -> None:
    recipe = {
        "a b": 'quote " and \n line',
        "table": {"x": [1, {"y": None, "z": True}], "none": None, "inner": {"f": 1e-5}},
    }
    expected = {"a b": 'quote " and \n line', "table": {"x": [1, {"z": True}], "inner": {"f": 1e-5}}}
    assert tomllib.loads(as_toml(recipe)) == expected


def test_axes_have_round_numbers() -> None:
    assert ticks(0, 97) == [0, 20, 40, 60, 80, 100]
    assert ticks(0.41, 0.55)[0] <= 0.41 and ticks(0.41, 0.55)[-1] >= 0.55
    assert ticks(3, 3)[0] <= 3 < ticks(3, 3)[-1]
    assert log_ticks(0.3, 40) == pytest.approx([0.2, 0.5, 1, 2, 5, 10, 20, 50])


def test_values_are_written_for_people() -> None:
    assert [duration(s) for s in (3.21, 65, 7800)] == ["3.2 s", "1 min 05 s", "2 h 10 min"]
    assert tag("text", "a < b", x='"') == '<text x="&#34;">a &lt; b</text>'


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
def test_a_browser_shows_it_without_errors_or_requests(run: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --dump-dom"
    )
    more = [f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr", "--v=0"]
    page = (run / "report" / "report.html").as_uri()
    done = subprocess.run([str(CHROMIUM), *flags.split(), *more, page], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr
    assert Page(done.stdout).outside == [] and "script" not in Page(done.stdout).tags
    assert "evil.example" not in log.read_text()
