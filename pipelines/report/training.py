"""Loss curves of trained students, read from their logs: smoothed, thinned, and with a line of figures each."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CURVE_POINTS = 300  # of one curve in a chart
SMOOTHED_SHARE = 50  # the running mean covers one 50th of the steps


def training(run: Path, folders: Sequence[str], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return an entry for each training (a student, or one seed of it) whose folder has a log."""
    logs = [folder for folder in folders if (run / folder / "log.jsonl").exists()]
    return [_training(run / folder / "log.jsonl", folder.removeprefix("train/"), labels) for folder in logs]


def _training(log: Path, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    steps = [line for line in lines if "ce" in line or "loss" in line]
    validations = [line for line in lines if "val_ce" in line]
    student, _, seed = name.partition("/")
    window = max(1, len(steps) // SMOOTHED_SHARE)
    label = labels.get(student, student) + (f", {seed}" if seed else "")
    curve = {key: running_mean([step.get(key) for step in steps], window) for key in ("loss", "ce", "kl")}
    return {
        "name": name,
        "student": student,
        "label": label,
        "smoothed_over": window,
        "train": thinned([{"tokens": s["tokens"], **{k: c[i] for k, c in curve.items()}} for i, s in enumerate(steps)]),
        "validation": [{key: line.get(key) for key in ("step", "tokens", "val_ce", "val_kl")} for line in validations],
        "figures": _figures(steps, validations, curve),
    }


def _figures(
    steps: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]], curve: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    last = steps[-1] if steps else {}
    measured = [line["val_ce"] for line in validations if _is_number(line["val_ce"])]
    ended = validations[-1] if validations else {}
    return {
        "steps": last.get("step"),
        "tokens": last.get("tokens"),
        "train_ce": curve["ce"][-1] if steps else None,
        "train_kl": curve["kl"][-1] or None if steps else None,
        "val_ce": ended.get("val_ce"),
        "best_val_ce": min(measured, default=None),
        "val_kl": ended.get("val_kl"),
    }


def running_mean(values: Sequence[Any], window: int) -> list[float | None]:
    """Return the mean of the last `window` values at each place; values that are no finite numbers are left out."""
    means: list[float | None] = []
    for i in range(len(values)):
        recent = [value for value in values[max(0, i + 1 - window) : i + 1] if _is_number(value)]
        means.append(sum(recent) / len(recent) if recent else None)
    return means


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def thinned(points: Sequence[Any]) -> list[Any]:
    """Return about CURVE_POINTS of the points at most, evenly spaced, and always the last."""
    stride = max(1, math.ceil(len(points) / CURVE_POINTS))
    return [*points[:-1:stride], *points[-1:]]
