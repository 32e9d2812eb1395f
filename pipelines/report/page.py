"""The report of a run: report.html, one self-contained file, and the same tables as report.json.

report.html is drawn from the data of report.json alone. It needs no script, and its content security policy allows
none: traces are the output of a model.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from generators.contract.files import write_text
from generators.contract.stage_protocol import StageCounts
from pipelines.recipe.toml import as_toml
from pipelines.report import charts
from pipelines.report.data import collect, read_manifests, read_recipe, results

if TYPE_CHECKING:
    from rich.table import Table

Data = Mapping[str, Any]
DASH = "\u2013"  # where there is no value


def report(run: Path, out: Path) -> StageCounts:
    """Write out/report.html and out/report.json on everything in the run folder; the counted rows are manifests."""
    data = collect(run)
    write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False), out / "report.json")
    write_text(render(data), out / "report.html")
    return StageCounts(len(read_manifests(run)), len(read_manifests(run)))


def render(data: Data) -> str:
    """Return the page that shows a report's data."""
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    page.filters |= {"count": count, "percent": percent, "decimal": decimal, "duration": duration, "size": size}
    page.filters |= {"moment": moment, "setting": setting, "interval": interval}
    drawn = {name: draw(data) for name, draw in CHARTS.items()}
    toml = as_toml(data["recipe"])
    return page.get_template("report.html.j2").render(data=data, charts=drawn, summary=summary(data), toml=toml)


def terminal_table(run: Path) -> "Table":
    """Return the results of a run as a table for a terminal, in the report's order."""
    from rich.table import Table
    from rich.text import Text

    headers = ("model", "pass@1 [95% interval]", "cons@k", "problems x samples", "mean tokens", "train tokens")
    manifests = read_manifests(run)
    rows = [_cells(row) for row in results(run, read_recipe(run, manifests), manifests)]
    table = Table(header_style="bold", pad_edge=False, box=None)
    table.add_column(headers[0], overflow="fold")
    for header, cells in zip(headers[1:], list(zip(*rows, strict=True))[1:], strict=True):
        # In 80 columns a model's name and the headings may wrap; a number may not.
        table.add_column(header, justify="right", width=max(map(len, [*header.split(), *cells])))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _cells(row: Data) -> tuple[str, ...]:
    return (
        row["label"],
        interval(row),
        majority(row),
        f"{count(row['problems'])} x {count(row['samples'])}",
        decimal(row["mean_completion_tokens"]),
        count(row["train_tokens"]),
    )


def majority(row: Data) -> str:
    """Return cons@k with its k, such as 61.0% (k=4)."""
    return DASH if row["cons@k"] is None else f"{100 * row['cons@k']:.1f}% (k={row['k']})"


# Values as text


def count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None, digits: int = 1) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"


def interval(row: Data) -> str:
    """Return pass@1 with its 95% interval."""
    return charts.percent_interval(row["pass@1"], *row["ci95"])


def duration(seconds: float) -> str:
    """Return a time such as 42.3 s, 3 min 05 s or 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(amount: float | None) -> str:
    """Return a number of bytes in binary units."""
    if amount is None:
        return DASH
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} TiB"


def moment(text: str) -> str:
    """Return an ISO time to the minute, with its time zone."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()


def setting(value: Any) -> str:
    """Return a setting or a note as one line of text."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# Findings as sentences


def summary(data: Data) -> list[str]:
    """Return the main findings, one sentence each."""
    students = [row for row in data["results"] if not row["reference"]]
    sentences = [_best_sentence(students, data["results"])] if students else []
    steps = {row["stage"]: row for row in data["funnel"]}
    if "select" in steps:
        row = steps["select"]
        share = row["rows_kept"] / max(1, row["rows_in"])
        sentences.append(f"{count(row['rows_kept'])} of {count(row['rows_in'])} traces were kept ({percent(share)}).")
    return sentences


def _best_sentence(students: Sequence[Data], rows: Sequence[Data]) -> str:
    best = max(students, key=lambda row: row["pass@1"])
    others = {row["name"]: row for row in rows if row["reference"]}
    compared = [
        f"{words} {percent(others[name]['pass@1'])}"
        for name, words in (("teacher", "its teacher"), ("start", "the student before training"))
        if name in others
    ]
    which = _rank(best, students)
    return f"{best['label']}{which}, reaches {interval(best)} pass@1 on {count(best['problems'])} problems" + (
        f"; {', '.join(compared)}." if compared else "."
    )


def _rank(best: Data, students: Sequence[Data]) -> str:
    """Return the place of the best student; on a tie or inside the noise no student is the best."""
    rivals = [row for row in students if row is not best]
    if not rivals:
        return ""
    near = [row["label"] for row in rivals if row["ci95"][1] >= best["ci95"][0]]
    if not near:
        return f", the best of {len(students)} students"
    return f", the highest of {len(students)} students but not beyond the noise ({', '.join(near)})"


# Charts


def reason_colors(data: Data) -> dict[str, int]:
    """Return drop reason -> color, the commonest first; the rare ones share grey."""
    totals: dict[str, int] = {}
    for row in data["funnel"]:
        for reason, n in row["dropped"].items():
            totals[reason] = totals.get(reason, 0) + n
    ranked = sorted(totals, key=lambda reason: -totals[reason])
    return {reason: min(i + 1, charts.OTHER) for i, reason in enumerate(ranked)}


def model_colors(data: Data) -> dict[str, int]:
    """Return student -> color, the same in every chart; models that were not trained here are grey."""
    names = [row["name"] for row in data["results"] if not row["reference"]]
    names += [entry["student"] for entry in data["training"]]
    return {name: i % charts.OTHER for i, name in enumerate(dict.fromkeys(names))}


def draw_results(data: Data) -> Markup | None:
    """Draw pass@1 of every model."""
    colors = model_colors(data)
    rows = [_interval_of(row, row["label"], colors.get(row["name"], charts.OTHER)) for row in data["results"]]
    return charts.intervals(rows, "pass@1 of each model with its 95% interval") if rows else None


def _interval_of(row: Data, label: str, color: int) -> charts.Interval:
    low, high = row["ci95"]
    seeds = row.get("pass@1_by_seed") or []
    reference = row.get("reference", False)
    return charts.Interval(label, row["pass@1"], low, high, color, reference, seeds if len(seeds) > 1 else ())


def draw_funnel(data: Data) -> Markup | None:
    """Draw the rows of each stage, kept and dropped by reason."""
    colors = reason_colors(data)
    rows = [_funnel_bar(row, colors) for row in data["funnel"]]
    if not rows:
        return None
    named = [("kept", 0), *((reason, color) for reason, color in colors.items() if color < charts.OTHER)]
    rest = [reason for reason, color in colors.items() if color == charts.OTHER]
    named += [(rest[0] if len(rest) == 1 else f"{len(rest)} rarer reasons", charts.OTHER)] if rest else []
    return charts.legend(named) + charts.bars(rows, "rows kept and dropped at each stage")


def _funnel_bar(row: Data, colors: Mapping[str, int]) -> charts.Bar:
    reasons = sorted(row["dropped"], key=lambda reason: -row["dropped"][reason])
    parts = [("kept", row["rows_kept"], 0), *((r, row["dropped"][r], colors[r]) for r in reasons)]
    return charts.Bar(row["stage"], f"{count(row['rows_kept'])} of {count(row['rows_in'])}", parts)


def draw_solve_rates(data: Data) -> Markup | None:
    """Draw the number of prompts by solve rate."""
    if not data["solve_rates"]:
        return None
    bins = data["solve_rates"]["bins"]
    amounts = {"prompts": ([b["prompts"] for b in bins], 0)}
    return charts.histogram([b["label"] for b in bins], amounts, "number of prompts by solve rate")


def draw_adaptive(data: Data) -> Markup | None:
    """Draw the number of prompts by difficulty band and by the reason why their sampling ended."""
    bands = [band["band"] for entry in data["adaptive"][:1] for band in entry["by_band"]]
    if not bands:
        return None
    outcomes = {name: i for i, name in enumerate(data["adaptive"][0]["outcomes"])}
    amounts = {
        name: ([band["outcomes"][name] for band in data["adaptive"][0]["by_band"]], color)
        for name, color in outcomes.items()
    }
    return charts.legend(list(outcomes.items())) + charts.histogram(bands, amounts, "prompts by estimated pass rate")


def draw_tokens(data: Data) -> Markup | None:
    """Draw the number of completions by length."""
    if not data["tokens"]:
        return None
    bins = data["tokens"]["histogram"]
    colors = {"kept": 0, "dropped": charts.OTHER}
    series = {name: (amounts, colors.get(name, 0)) for name, amounts in bins["counts"].items()}
    edges = [charts.compact(edge) for edge in bins["edges"]]
    chart = charts.histogram(edges, series, "completions by number of tokens", edges=True)
    return charts.legend([(name, color) for name, (_, color) in series.items()]) + chart


def draw_cross_entropy(data: Data) -> Markup | None:
    """Draw the training and validation cross-entropy of every student."""
    return _draw_losses(data, "ce", "val_ce", "cross-entropy by trained tokens")


def draw_divergence(data: Data) -> Markup | None:
    """Draw the training and validation divergence from the teacher, for the students that have one."""
    return _draw_losses(data, "kl", "val_kl", "divergence from the teacher by trained tokens")


def _draw_losses(data: Data, train: str, validation: str, name: str) -> Markup | None:
    colors = model_colors(data)
    series = [
        charts.Line(
            entry["label"],
            colors[entry["student"]],
            [(point["tokens"], point[train]) for point in entry["train"]],
            [(point["tokens"], point[validation]) for point in entry["validation"]],
        )
        for entry in data["training"]
        if any(point[train] for point in entry["train"]) or any(point[validation] for point in entry["validation"])
    ]
    return charts.line_legend(series) + charts.lines(series, name) if series else None


def draw_ablation(data: Data) -> Markup | None:
    """Draw pass@1 over the one setting that varies; with two or more the page has a grid instead."""
    if not data["ablation"] or data["ablation"]["grid"]:
        return None
    rows = [_interval_of(cell["scores"], cell["cell"], 0) for cell in data["ablation"]["cells"]]
    return charts.intervals(rows, "pass@1 of each cell with its 95% interval")


CHARTS = {
    "results": draw_results,
    "funnel": draw_funnel,
    "solve_rates": draw_solve_rates,
    "adaptive": draw_adaptive,
    "tokens": draw_tokens,
    "cross_entropy": draw_cross_entropy,
    "divergence": draw_divergence,
    "ablation": draw_ablation,
}
