"""What a run folder says, as tables of plain values: the data of report.html, written beside it as report.json.

Only finished stages are read (those with a manifest); a stage that is missing gives None or an empty list.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.ids import content_id
from generators.contract.records import STATUSES
from pipelines.hardware import hardware
from pipelines.judge.summary import judging
from pipelines.report.ablation import ablation
from pipelines.report.adaptive import adaptive
from pipelines.report.training import training

FLOW = ("prompts", "generate", "verify", "judge", "select", "rewrite", "corpus", "score", "train", "ablate", "evaluate")
OPTIONAL = ("judge", "rewrite", "ablate")  # their absence is no gap
REFERENCES = ("teacher", "start")  # evaluated beside the students
FEW_SAMPLES = 12  # up to so many samples a prompt, each count correct has a bar of its own
EXAMPLES_A_GROUP = 3
EXAMPLE_CHARACTERS = 8000  # of one text; the rest is counted, not shown

ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")

Manifests = dict[str, dict[str, Any]]  # stage folder, relative to the run -> its manifest


def collect(run: Path) -> dict[str, Any]:
    """Everything the report shows, as JSON values. A run folder without any finished stage is a ValueError."""
    manifests = read_manifests(run)
    if not manifests:
        raise ValueError(f"{run} holds no finished stage: no manifest.json in it or below")
    recipe = read_recipe(run, manifests)
    scores = results(run, manifests)
    data = {
        "overview": overview(recipe, manifests),
        "results": scores,
        "groups": groups(scores),
        "funnel": funnel(run, manifests),
        "solve_rates": solve_rates(run, manifests),
        "adaptive": adaptive(run, manifests["generate"]["counts"]["notes"]) if "generate" in manifests else [],
        "tokens": tokens(run, manifests),
        "examples": examples(run, manifests),
        "training": training(run, [name for name in manifests if name.startswith("train/")], labels(recipe)),
        "soft_targets": soft_targets(run, recipe, manifests),
        "ablation": ablation(run),
        "stages": stage_rows(run, manifests),
        "versions": versions(manifests),
        "recipe": recipe,
    }
    return finite(data)


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity as None, which JSON has no numbers for."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_manifests(run: Path) -> Manifests:
    """Manifests of all finished stages, in the order of the pipeline and of the recipe's students."""
    found: Manifests = {}
    for path in sorted(run.rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if "counts" in manifest and manifest.get("stage") != "report":
            found[path.parent.relative_to(run).as_posix()] = manifest
    order = student_names(read_recipe(run, found))
    return dict(sorted(found.items(), key=lambda item: _place(item[0], order)))


def _place(folder: str, students: Sequence[str]) -> tuple[int, int, str]:
    stage, _, rest = folder.partition("/")
    name = rest.partition("/")[0]
    models = [*REFERENCES, *students]
    return (
        FLOW.index(stage) if stage in FLOW else len(FLOW),
        models.index(name) if name in models else len(models),
        folder,
    )


def read_recipe(run: Path, manifests: Manifests) -> dict[str, Any]:
    """The resolved recipe: recipe.json, or what a manifest remembers of it."""
    path = run / "recipe.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return next((manifest["recipe"] for manifest in manifests.values() if "recipe" in manifest), {})


def student_names(recipe: Mapping[str, Any]) -> list[str]:
    """Students in the recipe's order; a recipe without [students] trains one, called student."""
    return list(recipe.get("students") or {}) or ["student"]


def labels(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Student -> the name tables show."""
    students = recipe.get("students") or {}
    return {name: (students.get(name) or {}).get("label") or name for name in student_names(recipe)}


def overview(recipe: Mapping[str, Any], manifests: Manifests) -> dict[str, Any]:
    """What ran, when, on what, from which commit, and what is missing or out of date."""
    every = list(manifests.values())
    present = {folder.partition("/")[0] for folder in manifests}
    recorded = sorted({manifest["hardware"] for manifest in every if "hardware" in manifest})
    return {
        "name": recipe.get("name", "run"),
        "description": recipe.get("description", ""),
        "started": min(manifest["started"] for manifest in every),
        "finished": max(manifest["finished"] for manifest in every),
        "seconds": sum(manifest["seconds"] for manifest in every),
        "commits": sorted({manifest["commit"] for manifest in every if manifest.get("commit")}),
        "hardware": "; ".join(recorded) or f"{hardware()} (where this report was made)",
        "stages": [stage for stage in FLOW if stage in present],
        "missing": [stage for stage in FLOW if stage not in present and stage not in OPTIONAL],
        "stale": stale(manifests),
    }


def stale(manifests: Manifests) -> list[dict[str, str]]:
    """Stages made from an upstream run that is no longer the one in the folder."""
    return [
        {"stage": folder, "made_from": upstream}
        for folder, manifest in manifests.items()
        for upstream, made_from in manifest.get("upstream", {}).items()
        if upstream in manifests and made_from not in _identities(manifests[upstream])
    ]


def _identities(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    return manifest.get("run_id"), manifest["fingerprint"]


def results(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """One row a model: the teacher, the student before training, then students in the recipe's order."""
    folders = [folder for folder in manifests if folder.startswith("evaluate/") and folder.count("/") == 1]
    rows = []
    for folder in folders:
        scores = json.loads((run / folder / "scores.json").read_text(encoding="utf-8"))
        name = folder.removeprefix("evaluate/")
        rows.append({**scores, "name": name, "label": scores.get("label") or name, "reference": name in REFERENCES})
    return rows


def groups(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of problems and their size; none when there is only one."""
    found = {name: group["problems"] for row in rows for name, group in row.get("by_group", {}).items()}
    return [{"name": name, "problems": n} for name, n in found.items()] if len(found) > 1 else []


def funnel(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """Rows in = kept + dropped by reason, for each stage that hands rows on."""
    folders = [folder for folder in manifests if folder.partition("/")[0] not in ("evaluate", "ablate")]
    return [_funnel_row(run, folder, manifests[folder]["counts"]) for folder in folders]


def _funnel_row(run: Path, folder: str, counts: Mapping[str, Any]) -> dict[str, Any]:
    accounted = counts["rows_kept"] + sum(counts["dropped"].values())
    row = {
        "stage": folder,
        "rows_in": counts["rows_in"],
        "rows_kept": counts["rows_kept"],
        "dropped": dict(counts["dropped"]),
        "adds_up": accounted == counts["rows_in"],
    }
    if folder == "rewrite":
        return row | {"recounted": _recounted_rewrites(run, counts), "note": _rewriting(counts["notes"])}
    if folder == "judge":
        return row | {"note": judging(counts["notes"])}
    return row | ({"recounted": _recounted(run, counts)} if folder == "select" else {})


def _rewriting(notes: Mapping[str, Any]) -> str:
    """What became of the traces that were to be rewritten, and of the replies."""
    unused = ", ".join(f"{reason} {n:,}" for reason, n in notes["replies_not_used"].items())
    left = f", {notes['left_as_they_were']:,} left as they were" if notes["left_as_they_were"] else ""
    return f"{notes['rewritten']:,} rewritten{left}; of {notes['replies']:,} replies not used: {unused or 'none'}"


def _recounted_rewrites(run: Path, counts: Mapping[str, Any]) -> bool:
    """Whether the labels in rewritten.parquet give the manifest's numbers."""
    labels = _scan(run, "rewrite/rewritten.parquet").select("drop_reason", "rewritten_from").collect()
    originals = Counter(labels.filter(pl.col("rewritten_from").is_null())["drop_reason"])
    dropped = {reason: originals[reason] for reason in counts["dropped"]}
    return labels["drop_reason"].null_count() == counts["rows_kept"] and dropped == counts["dropped"]


def _recounted(run: Path, counts: Mapping[str, Any]) -> bool:
    """Whether the labels in selected.parquet give the manifest's numbers."""
    reasons = Counter(_scan(run, "select/selected.parquet").select("drop_reason").collect()["drop_reason"])
    kept = reasons.pop(None, 0)
    return kept == counts["rows_kept"] and dict(reasons) == {k: n for k, n in counts["dropped"].items() if n}


def _scan(run: Path, file: str) -> pl.LazyFrame:
    return pl.scan_parquet(run / file, glob=False)


def solve_rates(run: Path, manifests: Manifests) -> dict[str, Any] | None:
    """How many prompts the teacher solved how often, and how its samples were judged."""
    if "verify" not in manifests or "generate" not in manifests:
        return None
    traces = _scan(run, "generate/traces.parquet").select("trace_id", "prompt_id")
    verdicts = "judge/verdicts.parquet" if "judge" in manifests else "verify/verdicts.parquet"
    judged = traces.join(_scan(run, verdicts).select("trace_id", "status"), on="trace_id").collect()
    correct = (pl.col("status") == "correct").sum().alias("correct")
    prompts = judged.group_by("prompt_id").agg(correct, pl.len().alias("samples"))
    found = Counter(judged["status"])
    return {
        "prompts": len(prompts),
        "samples": len(judged),
        "mean": (prompts["correct"] / prompts["samples"]).mean(),
        "statuses": {status: found[status] for status in (*STATUSES, *sorted(set(found) - set(STATUSES)))},
        "bins": _rate_bins(list(zip(prompts["correct"], prompts["samples"], strict=True))),
    }


def _rate_bins(prompts: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Prompts by number correct where all have the same few samples, else by share correct in tenths."""
    sizes = {samples for _, samples in prompts}
    if len(sizes) == 1 and (n := sizes.pop()) <= FEW_SAMPLES:
        counts = Counter(correct for correct, _ in prompts)
        return [{"label": f"{k}/{n}", "prompts": counts[k]} for k in range(n + 1)]
    counts = Counter(_tenth(correct, samples) for correct, samples in prompts)
    names = ["0", *(f"≤.{tenth}" for tenth in range(1, 10)), "<1", "1"]
    return [{"label": name, "prompts": counts[i]} for i, name in enumerate(names)]


def _tenth(correct: int, samples: int) -> int:
    """0: none correct, 11: all, else the tenth (1 to 10) the share lies in."""
    return 11 if correct == samples else -(-10 * correct // samples)


def tokens(run: Path, manifests: Manifests) -> dict[str, Any] | None:
    """Distribution of prompt and completion tokens of the traces; completions also by what became of them."""
    if "generate" not in manifests:
        return None
    traces = _scan(run, "generate/traces.parquet").select("trace_id", "prompt_tokens", "completion_tokens").collect()
    groups = {"prompts, every trace": traces["prompt_tokens"], "completions, every trace": traces["completion_tokens"]}
    if "select" in manifests:
        columns = ("status", "drop_reason", "completion_tokens")
        selected = _scan(run, "select/selected.parquet").select(columns).collect()
        for status in ("correct", "wrong"):
            groups[f"completions, {status}"] = selected.filter(status=status)["completion_tokens"]
        kept = selected["drop_reason"].is_null()
        groups["completions, kept"] = selected.filter(kept)["completion_tokens"]
        shown = {"kept": groups["completions, kept"], "dropped": selected.filter(~kept)["completion_tokens"]}
    else:
        shown = {"every trace": traces["completion_tokens"]}
    rows = [{"what": what, **_distribution(values)} for what, values in groups.items() if values.count()]
    return {"rows": rows, "histogram": _token_bins(shown)} if rows else None


def _distribution(values: pl.Series) -> dict[str, Any]:
    quantiles = {f"p{q}": values.quantile(q / 100, "nearest") for q in (50, 90, 99)}
    return {"rows": values.count(), "total": values.sum(), "mean": values.mean(), **quantiles, "max": values.max()}


def _token_bins(groups: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Counts in at most 40 bins of one round width; `edges` are the bins' lower ends."""
    largest = max(int(values.drop_nulls().to_numpy().max(initial=0)) for values in groups.values())  # type: ignore[call-overload]
    width = next(w for e in range(12) for w in (10**e, 2 * 10**e, 5 * 10**e) if largest < 40 * w)
    edges = list(range(0, largest + 1, width))
    found = {name: Counter((values.drop_nulls() // width).to_list()) for name, values in groups.items()}
    counts = {name: [bins[edge // width] for edge in edges] for name, bins in found.items()}
    return {"width": width, "edges": edges, "counts": counts}


def examples(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """Some kept traces and some dropped ones for each reason, drawn by hash of their ids, not chosen."""
    if "select" not in manifests:
        return []
    ids = _scan(run, "select/selected.parquet").select("trace_id", "drop_reason").collect()
    groups = Counter(ids["drop_reason"])
    reasons = sorted(groups, key=lambda reason: (reason is not None, -groups[reason], str(reason)))
    return [
        {"drop_reason": reason, "traces": groups[reason], "examples": _drawn(run, manifests, ids, reason)}
        for reason in reasons
    ]


def _drawn(run: Path, manifests: Manifests, ids: pl.DataFrame, reason: str | None) -> list[dict[str, Any]]:
    same = pl.col("drop_reason").eq_missing(pl.lit(reason, dtype=pl.String))
    drawn = sorted(ids.filter(same)["trace_id"], key=content_id)[:EXAMPLES_A_GROUP]
    rows = _scan(run, "select/selected.parquet").filter(pl.col("trace_id").is_in(drawn)).drop("token_ids").collect()
    questions = _questions(run, manifests, rows["prompt_id"])
    return [_example(row, questions.get(row["prompt_id"])) for row in rows.sort("trace_id").iter_rows(named=True)]


def _questions(run: Path, manifests: Manifests, prompt_ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """prompt_id -> (last user message, reference)."""
    if "prompts" not in manifests:
        return {}
    wanted = pl.col("prompt_id").is_in(list(prompt_ids))
    rows = _scan(run, "prompts/prompts.parquet").filter(wanted).select("prompt_id", "messages", "reference").collect()
    return {row["prompt_id"]: (row["messages"][-1]["content"], row["reference"]) for row in rows.iter_rows(named=True)}


def _example(row: Mapping[str, Any], question: tuple[str, str | None] | None) -> dict[str, Any]:
    facts = {key: row[key] for key in ("trace_id", "status", "finish_reason", "completion_tokens")}
    asked, reference = question or (None, None)
    texts = {"question": asked, "reasoning": row["reasoning"], "answer": row["answer"], "reference": reference}
    duplicate_of = row["cluster_id"] if row["cluster_id"] != row["trace_id"] else None
    said = {"verdict_reason": without_folders(row["verdict_reason"] or ""), "duplicate_of": duplicate_of}
    return {**facts, **said, **{key: _cut(text) for key, text in texts.items()}}


def without_folders(text: str) -> str:
    """`text` with absolute paths cut to their last part: an error's message may name folders of this machine."""
    return ABSOLUTE_PATH.sub("…/", text)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= EXAMPLE_CHARACTERS:
        return text
    return f"{text[:EXAMPLE_CHARACTERS]}\n[… {len(text) - EXAMPLE_CHARACTERS:,} more characters]"


def soft_targets(run: Path, recipe: Mapping[str, Any], manifests: Manifests) -> dict[str, Any] | None:
    """What the teacher's stored targets are and what they take on disk."""
    if "score" not in manifests:
        return None
    counts = manifests["score"]["counts"]
    stored = sum(path.stat().st_size for path in (run / "score").rglob("*") if path.is_file())
    per_token = stored / counts["tokens"] if counts["tokens"] else None
    facts = {key: value for key, value in (recipe.get("score") or {}).items() if not isinstance(value, Mapping)}
    notes = {key: _note(value) for key, value in counts["notes"].items() if not isinstance(value, Mapping)}
    amounts = {"rows": counts["rows_kept"], "tokens": counts["tokens"], "bytes": stored, "bytes_per_token": per_token}
    return {**amounts, "settings": facts, "notes": notes}


def _note(value: Any) -> Any:
    return without_folders(value) if isinstance(value, str) else value


def stage_rows(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """Time, tokens and bytes of each stage; an ablation's many stages as one row."""
    cells = [folder for folder in manifests if folder.startswith("ablate/")]
    rows = [_stage_row(folder, [manifests[folder]]) for folder in manifests if folder not in cells]
    if cells:
        rows.append(_stage_row(f"ablate ({len(cells)} stages)", [manifests[folder] for folder in cells]))
    return rows


def _stage_row(name: str, made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seconds = sum(manifest["seconds"] for manifest in made)
    amount = sum(manifest["counts"]["tokens"] for manifest in made)
    return {
        "stage": name,
        "started": min(manifest["started"] for manifest in made),
        "seconds": seconds,
        "tokens": amount,
        "tokens_per_second": amount / seconds if amount and seconds else None,
        "bytes": sum(output["bytes"] for manifest in made for output in manifest["outputs"].values()),
    }


def versions(manifests: Manifests) -> dict[str, list[str]]:
    """Library -> versions the stages ran with; more than one when a run was continued after an update."""
    found: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for name, version in manifest["versions"].items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(several) for name, several in found.items()}
