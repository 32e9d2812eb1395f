"""The data of report.html: a run folder as tables of plain values, also written as report.json.

Only finished stages are read (those with a manifest); a missing stage gives None or an empty list.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.errors import InputError
from generators.contract.ids import content_id
from generators.contract.records import STATUSES
from pipelines.hardware import hardware
from pipelines.judge.summary import judge_note
from pipelines.report.ablation import ablation
from pipelines.report.adaptive import adaptive
from pipelines.report.training import training
from pipelines.stages.table import EVALUATE, STAGES, TRAIN

ABLATE = "ablate"  # trainings and evaluations of its own: no stage of the table
FLOW = tuple(name for stage in STAGES for name in ((stage, ABLATE) if stage == TRAIN.name else (stage,)))
OPTIONAL = {ABLATE, *(stage.name for stage in STAGES.values() if stage.optional)}  # their absence is no gap
REFERENCES = {"teacher": "teacher", "start": "student before"}  # evaluated models that are not trained here -> label
FEW_SAMPLES = 12  # up to so many samples a prompt, each count correct has a bar of its own
EXAMPLES_A_GROUP = 3
EXAMPLE_CHARACTERS = 8000  # shown of one text; the rest is only counted

ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")

Manifests = dict[str, dict[str, Any]]  # stage folder, relative to the run -> its manifest


def collect(run: Path) -> dict[str, Any]:
    """Return everything that the report shows, as JSON values; InputError where `run` holds no finished stage."""
    manifests = read_manifests(run)
    if not manifests:
        raise InputError(f"{run} holds no finished stage: there is no manifest.json in it or below it")
    recipe = read_recipe(run, manifests)
    scores = results(run, recipe, manifests)
    data = {
        "overview": overview(recipe, manifests),
        "results": scores,
        "groups": groups(scores),
        "funnel": funnel(run, manifests),
        "solve_rates": solve_rates(run, manifests),
        "adaptive": adaptive(run, manifests["generate"]["counts"]["notes"]) if "generate" in manifests else [],
        "tokens": tokens(run, manifests),
        "examples": examples(run, manifests),
        "training": training(run, [name for name in manifests if name.startswith(f"{TRAIN.name}/")], labels(recipe)),
        "soft_targets": soft_targets(run, recipe, manifests),
        "ablation": ablation(run, {folder: manifest["counts"]["tokens"] for folder, manifest in manifests.items()}),
        "stages": stage_rows(run, manifests),
        "versions": versions(manifests),
        "recipe": recipe,
    }
    found: dict[str, Any] = finite(data)
    return found


def finite(value: Any) -> Any:
    """Return `value` with None for every NaN and infinity, for which JSON has no number."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_manifests(run: Path) -> Manifests:
    """Return the manifests of all finished stages, in the order of the pipeline and of the recipe's students."""
    found: Manifests = {}
    for path in sorted(run.rglob("manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if "counts" in manifest and manifest.get("stage") != "report":
            found[path.parent.relative_to(run).as_posix()] = manifest
    order = student_names(read_recipe(run, found))
    return dict(sorted(found.items(), key=lambda item: _place(item[0], order)))


def _place(folder: str, students: Sequence[str]) -> tuple[int, int, list[str | int]]:
    """Sort key of a stage folder; numbers count as numbers, so that seed-10 comes after seed-9."""
    stage, _, rest = folder.partition("/")
    name = rest.partition("/")[0]
    models = [*REFERENCES, *students]
    return (
        FLOW.index(stage) if stage in FLOW else len(FLOW),
        models.index(name) if name in models else len(models),
        [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", folder)],
    )


def read_recipe(run: Path, manifests: Manifests) -> dict[str, Any]:
    """Return the resolved recipe: recipe.json, or the copy of it in a manifest."""
    path = run / "recipe.json"
    if path.exists():
        recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return recipe
    return next((manifest["recipe"] for manifest in manifests.values() if "recipe" in manifest), {})


def student_names(recipe: Mapping[str, Any]) -> list[str]:
    """Return the students in the recipe's order; a recipe without [students] trains one, named student."""
    return list(recipe.get("students") or {}) or ["student"]


def labels(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the name that tables show for each model: the students' labels, which [train] may set for all."""
    students, shared = recipe.get("students") or {}, (recipe.get("train") or {}).get("label")
    trained = {name: (students.get(name) or {}).get("label", shared) or name for name in student_names(recipe)}
    return {**REFERENCES, **trained}


def overview(recipe: Mapping[str, Any], manifests: Manifests) -> dict[str, Any]:
    """Return what ran, when, on which hardware, from which commit, and what is missing or out of date."""
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
    """Return the stages that were made from an upstream run that is no longer the one in the folder."""
    return [
        {"stage": folder, "made_from": upstream}
        for folder, manifest in manifests.items()
        for upstream, made_from in manifest.get("upstream", {}).items()
        if upstream in manifests and made_from not in _identities(manifests[upstream])
    ]


def _identities(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    return manifest.get("run_id"), manifest["fingerprint"]


def results(run: Path, recipe: Mapping[str, Any], manifests: Manifests) -> list[dict[str, Any]]:
    """Return a row for each model: the teacher, the student before training, then students in the recipe's order.

    Figures come from scores.json, labels from the recipe, and training tokens from the manifests below train/.
    """
    folders = [folder for folder in manifests if folder.startswith(f"{EVALUATE.name}/") and folder.count("/") == 1]
    shown, rows = labels(recipe), []
    for folder in folders:
        scores = json.loads((run / folder / "scores.json").read_text(encoding="utf-8"))
        name = folder.removeprefix("evaluate/")
        facts = {"name": name, "label": shown.get(name, name), "reference": name in REFERENCES}
        rows.append({**scores, **facts, "train_tokens": trained_tokens(manifests, name)})
    return rows


def trained_tokens(manifests: Manifests, student: str) -> int | None:
    """Return how many tokens a student was trained on, by its last seed; None for a model that was not trained here."""
    folder = f"{TRAIN.name}/{student}"
    trainings = [made for name, made in manifests.items() if name == folder or name.startswith(f"{folder}/")]
    return trainings[-1]["counts"]["tokens"] if trainings else None


def groups(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups of problems with their sizes; an empty list where there is only one group."""
    found = {name: group["problems"] for row in rows for name, group in row.get("by_group", {}).items()}
    return [{"name": name, "problems": n} for name, n in found.items()] if len(found) > 1 else []


def funnel(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """Return the counts of each stage that hands rows on: rows in = kept + dropped by reason."""
    folders = [folder for folder in manifests if folder.partition("/")[0] not in (EVALUATE.name, ABLATE)]
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
        return row | {"note": judge_note(counts["notes"])}
    return row | ({"recounted": _recounted(run, counts)} if folder == "select" else {})


def _rewriting(notes: Mapping[str, Any]) -> str:
    """Return a sentence on the traces that were to be rewritten and on the replies."""
    unused = ", ".join(f"{reason} {n:,}" for reason, n in notes["replies_not_used"].items())
    left = f", {notes['left_as_they_were']:,} left as they were" if notes["left_as_they_were"] else ""
    return f"{notes['rewritten']:,} rewritten{left}; of {notes['replies']:,} replies not used: {unused or 'none'}"


def _recounted_rewrites(run: Path, counts: Mapping[str, Any]) -> bool:
    """Return whether the labels in rewritten.parquet give the manifest's numbers."""
    labels = _scan(run, "rewrite/rewritten.parquet").select("drop_reason", "rewritten_from").collect()
    originals = Counter(labels.filter(pl.col("rewritten_from").is_null())["drop_reason"])
    dropped = {reason: originals[reason] for reason in counts["dropped"]}
    kept = labels["drop_reason"].null_count()
    return bool(kept == counts["rows_kept"] and dropped == counts["dropped"])


def _recounted(run: Path, counts: Mapping[str, Any]) -> bool:
    """Return whether the labels in selected.parquet give the manifest's numbers."""
    reasons = Counter(_scan(run, "select/selected.parquet").select("drop_reason").collect()["drop_reason"])
    kept = reasons.pop(None, 0)
    return bool(kept == counts["rows_kept"] and reasons == {k: n for k, n in counts["dropped"].items() if n})


def _scan(run: Path, file: str) -> pl.LazyFrame:
    return pl.scan_parquet(run / file, glob=False)


def solve_rates(run: Path, manifests: Manifests) -> dict[str, Any] | None:
    """Return the numbers of prompts by solve rate, and of samples by verdict."""
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
    """Count prompts by number correct where all have the same few samples, else by share correct in tenths."""
    sizes = {samples for _, samples in prompts}
    if len(sizes) == 1 and (n := sizes.pop()) <= FEW_SAMPLES:
        counts = Counter(correct for correct, _ in prompts)
        return [{"label": f"{k}/{n}", "prompts": counts[k]} for k in range(n + 1)]
    counts = Counter(_tenth(correct, samples) for correct, samples in prompts)
    names = ["0", *(f"≤.{tenth}" for tenth in range(1, 10)), "<1", "1"]
    return [{"label": name, "prompts": counts[i]} for i, name in enumerate(names)]


def _tenth(correct: int, samples: int) -> int:
    """Return 0 for none correct, 11 for all, else the tenth (1 to 10) in which the share lies."""
    return 11 if correct == samples else -(-10 * correct // samples)


def tokens(run: Path, manifests: Manifests) -> dict[str, Any] | None:
    """Return the distributions of prompt and completion tokens of the traces, and of completions by verdict."""
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
    """Count in at most 40 bins of one round width; `edges` are the bins' lower ends."""
    largest = max(int(values.drop_nulls().to_numpy().max(initial=0)) for values in groups.values())
    width = next(w for e in range(12) for w in (10**e, 2 * 10**e, 5 * 10**e) if largest < 40 * w)
    edges = list(range(0, largest + 1, width))
    found = {name: Counter((values.drop_nulls() // width).to_list()) for name, values in groups.items()}
    counts = {name: [bins[edge // width] for edge in edges] for name, bins in found.items()}
    return {"width": width, "edges": edges, "counts": counts}


def examples(run: Path, manifests: Manifests) -> list[dict[str, Any]]:
    """Return a few kept traces, and a few dropped ones for each reason, drawn by a hash of their ids."""
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
    """Return prompt_id -> (last user message, reference)."""
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
    """Return `text` with absolute paths cut to their last part: an error message may name folders of this machine."""
    return ABSOLUTE_PATH.sub("…/", text)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= EXAMPLE_CHARACTERS:
        return text
    return f"{text[:EXAMPLE_CHARACTERS]}\n[… {len(text) - EXAMPLE_CHARACTERS:,} more characters]"


def soft_targets(run: Path, recipe: Mapping[str, Any], manifests: Manifests) -> dict[str, Any] | None:
    """Return the settings and notes of the stored soft targets, and their size on disk."""
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
    """Return time, tokens and bytes written of each stage; an ablation's many stages are one row."""
    cells = [folder for folder in manifests if folder.startswith(f"{ABLATE}/")]
    rows = [_stage_row(folder, [manifests[folder]]) for folder in manifests if folder not in cells]
    if cells:
        rows.append(_stage_row(f"{ABLATE} ({len(cells)} stages)", [manifests[folder] for folder in cells]))
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
    """Return library -> versions that the stages ran with: several where a run was continued after an update."""
    found: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for name, version in manifest["versions"].items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(several) for name, several in found.items()}
