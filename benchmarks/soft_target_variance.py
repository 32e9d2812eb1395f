"""Compare gradients of stored targets with those of the teacher's whole distribution: bias and noise, by K and T.

    python -m benchmarks.soft_target_variance [--repeats R]

Teacher and student have V = 16,384 and width 64: a hidden state points at its label's row of the head, other logits are
normal with standard deviation 2, and common tokens have a bias by Zipf's law. The student is the teacher with noise in
hidden states and head. Gradients of the forward KL go through `score.summarize`, the store's codec and
`distillation_loss`; they are taken to each position's hidden state and to the head's weight summed over all positions.
Both figures are relative to the norm of the exact gradient: bias is the error of the mean over draws, noise the
standard deviation of one set of draws. `even_at_tokens` is the number of tokens of a step at which the noise of the
head's gradient, which falls with their square root, equals the bias of the K most probable targets. Targets of the same
K are compared: the K most probable and a tail bucket; K draws; the K / 2 most probable and K / 2 draws.

Shape suffixes: N positions, H hidden, V vocabulary, K targets.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from benchmarks.measure import record
from distill.loss.distillation_loss import OnlineTeacher, SampledTargets, StoredTargets, Teacher, distillation_loss
from distill.loss.heads import Head
from distill.score import summarize
from distill.settings import ScoreConfig
from distill.soft_targets import codec
from distill.soft_targets.sampled_targets import sampling_points
from distill.soft_targets.store import RowTargets
from pipelines.report.charts import Axis, compact, log_ticks, tag

N, H, V = 128, 64, 16_384
GRID, SIZES = (1.0, 2.0, 4.0), (8, 16, 32, 64, 128)
STEPS = (1_000, 10_000, 100_000, 1_000_000)
WIDTH, HEIGHT = 230, 240  # of a panel
PLOT = Path(__file__).resolve().parents[1] / "docs" / "soft_targets.svg"


Figures = dict[str, list[dict[str, Any]]]
Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Way:
    """A form of targets: the share of K in the fixed head, and the T at which the rest is drawn (None: the loss's)."""

    label: str
    head_share: float
    drawn: bool
    drawn_at: float | None = None


WAYS = (
    Way("most probable + tail bucket", 1.0, False),
    Way("draws", 0.0, True),
    Way("half head, half draws", 0.5, True),
    Way("half head, half draws at T = 1", 0.5, True, 1.0),
    Way("half head, half draws at T = 4", 0.5, True, 4.0),
)


@dataclass(frozen=True)
class Problem:
    """One comparison. teacher_logits: [N, V]; hidden: [N, H] of the student; head: [V, H] with its bias [V]."""

    teacher_logits: Tensor
    hidden: Tensor
    head: Tensor
    bias: Tensor

    def gradients(self, teacher: Teacher, temperature: float) -> tuple[Tensor, Tensor]:
        """Return gradients of the mean KL times T^2 to the hidden states [N, H] and the head [V, H]."""
        hidden, head = (part.clone().requires_grad_() for part in (self.hidden, self.head))
        labels = torch.zeros(N, dtype=torch.int64)
        output = distillation_loss(
            hidden, Head(head, self.bias), labels, alpha=0.0, temperature=temperature, teacher=teacher
        )
        one, other = torch.autograd.grad(output.loss, [hidden, head])
        return one, other


def make(seed: int = 0) -> tuple[Problem, OnlineTeacher]:
    """Return the student's side with the teacher's logits, and the teacher."""
    draw = torch.Generator().manual_seed(seed)
    bias = -torch.arange(1, V + 1).float().log()
    head = torch.randn(V, H, generator=draw) * (2 / H**0.5)
    labels = torch.multinomial(bias.exp(), N, replacement=True, generator=draw)
    hidden = torch.randn(N, H, generator=draw) + head[labels] * (torch.rand(N, 1, generator=draw) * 4 + 2)
    teacher = OnlineTeacher(hidden, Head(head, bias))
    student = hidden + 0.3 * torch.randn(N, H, generator=draw), head + 0.05 * torch.randn(V, H, generator=draw)
    return Problem(hidden @ head.T + bias, *student, bias), teacher


def stored(problem: Problem, way: Way, kept: int, temperature: float, seed: int) -> Teacher:
    """Return the targets that a student is trained on after a round trip through the store's codec."""
    top_k = round(kept * way.head_share)
    config = ScoreConfig(
        teacher="t",
        top_k=top_k,
        sampled=kept - top_k,
        temperatures=GRID,
        sampled_temperature=way.drawn_at or temperature,
    )
    where = torch.from_numpy(sampling_points(f"{seed:024x}", N, config.sampled))
    ids, logits, tails, draws = (part.numpy() for part in summarize(problem.teacher_logits.clone(), config, where))
    data = codec.encode(ids, logits, tails, draws if way.drawn else None)
    ids, logits, tails, counts = codec.decode(data, ids.shape, len(GRID), np.dtype("<u2"), config.sampled)
    row = RowTargets(ids, logits, tails, GRID, counts, config.sampled_temperature if way.drawn else None)
    last = row.weights() if way.drawn else row.log_tail(temperature)
    parts = [torch.from_numpy(part) for part in (ids.astype(np.int64), row.log_probs(temperature), last)]
    return SampledTargets(*parts) if way.drawn else StoredTargets(*parts)


def errors(exact: Tensor, runs: Sequence[Tensor]) -> dict[str, float]:
    """Return bias and noise of the runs against the exact gradient; the bias is corrected for the mean's own noise."""
    mean = sum(runs, torch.zeros_like(exact)) / len(runs)
    variance = sum(float((run - mean).square().sum()) for run in runs) / max(1, len(runs) - 1)
    bias = max(0.0, float((mean - exact).square().sum()) - variance / len(runs))
    norm = float(exact.norm())
    return {"bias": math.sqrt(bias) / norm, "noise": math.sqrt(variance) / norm}


def measured(problem: Problem, teacher: OnlineTeacher, way: Way, repeats: int) -> list[dict[str, Any]]:
    """Return a row of figures for each K and T."""
    rows = []
    for temperature in GRID:
        exact = problem.gradients(teacher, temperature)
        for kept in SIZES:
            times = repeats if way.drawn else 1
            runs = [problem.gradients(stored(problem, way, kept, temperature, i), temperature) for i in range(times)]
            hidden, head = (errors(exact[part], [run[part] for run in runs]) for part in (0, 1))
            rows.append({"kept": kept, "temperature": temperature, "hidden": hidden, "head": head})
    return rows


def add_break_even(figures: Figures) -> None:
    """Add `even_at_tokens` to the rows of the forms that draw."""
    biased, *others = figures.values()
    for rows in others:
        for row, reference in zip(rows, biased, strict=True):
            row["even_at_tokens"] = round(N * (row["head"]["noise"] / reference["head"]["bias"]) ** 2)


def plot(figures: Figures) -> Markup:
    """Plot, for each T, the error of one position by K and of a step's head gradient by its tokens at K = 64."""
    by_size = [
        {
            name: [(float(r["kept"]), _error(r["hidden"])) for r in rows if r["temperature"] == t]
            for name, rows in figures.items()
        }
        for t in GRID
    ]
    by_step = [
        {
            name: [
                (float(n), _error(r["head"], N / n))
                for r in rows
                for n in STEPS
                if (r["temperature"], r["kept"]) == (t, 64)
            ]
            for name, rows in figures.items()
        }
        for t in GRID
    ]
    keys = [
        tag("g", tag("line", x1=0, x2=24, y1=-4, y2=-4, class_=f"c{i}"), tag("text", name, x=30), transform=_key(i))
        for i, name in enumerate(figures)
    ]
    parts = [*_row("K targets, one position", by_size, 30), *_row("tokens of a step, K = 64", by_step, 350), *keys]
    size = {"viewBox": "0 0 860 720", "width": 860, "height": 720, "xmlns": "http://www.w3.org/2000/svg"}
    return tag("svg", tag("style", STYLE), *parts, **size, role="img", aria_label="Error of stored targets' gradients")


STYLE = Markup(
    "svg { background: #fff } text { font: 12px sans-serif; fill: #2c3642 } .grid { stroke: #e3e6ea }"
    " .c0, .c1, .c2, .c3, .c4 { fill: none; stroke-width: 2 } .c0 { stroke: #2c3642; stroke-dasharray: 7 3 }"
    " .c1 { stroke: #c8501a } .c2 { stroke: #1f65a8 } .c3 { stroke: #a2478c; stroke-dasharray: 2 3 }"
    " .c4 { stroke: #12805f; stroke-dasharray: 9 3 2 3 }"
)


def _error(parts: dict[str, float], share: float = 1.0) -> float:
    """Return noise scaled by sqrt(share) if targets are drawn, which leaves no bias; else the bias."""
    return parts["noise"] * math.sqrt(share) if parts["noise"] else parts["bias"]


def _key(place: int) -> str:
    return f"translate({50 + place % 2 * 330} {665 + place // 2 * 18})"


def _row(caption: str, panels: Sequence[Curves], top: int) -> Iterator[Markup]:
    """Yield panels side by side with the same logarithmic axes; y is the error relative to the exact gradient."""
    every = [point for curves in panels for points in curves.values() for point in points]
    marks = sorted({x for x, _ in every})
    across, up = Axis(marks, log=True), Axis(log_ticks(*(f(y for _, y in every) for f in (min, max))), log=True)
    for place, (temperature, curves) in enumerate(zip(GRID, panels, strict=True)):
        left = 50 + place * (WIDTH + 40)
        middle = left + WIDTH / 2
        yield tag("text", f"T = {temperature:g}", x=middle, y=top - 8, text_anchor="middle")
        yield tag("text", caption, x=middle, y=top + HEIGHT + 36, text_anchor="middle")
        for mark in up.marks:
            y = top + HEIGHT * (1 - up.at(mark) / 100)
            yield tag("line", x1=left, x2=left + WIDTH, y1=y, y2=y, class_="grid")
            yield tag("text", compact(mark), x=left - 6, y=y + 4, text_anchor="end")
        for mark in marks:
            yield tag(
                "text", compact(mark), x=left + WIDTH * across.at(mark) / 100, y=top + HEIGHT + 18, text_anchor="middle"
            )
        for colour, (name, points) in enumerate(curves.items()):
            at = [(left + WIDTH * across.at(x) / 100, top + HEIGHT * (1 - up.at(y) / 100)) for x, y in points]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
            yield tag("polyline", tag("title", name), points=line, class_=f"c{colour}")


def main() -> None:
    """Write results/soft_target_variance.json and docs/soft_targets.svg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=32, help="sets of draws")
    repeats = parser.parse_args().repeats
    problem, teacher = make()
    entropies = {f"{t:g}": _entropy(problem.teacher_logits / t) for t in GRID}
    figures = {way.label: measured(problem, teacher, way, repeats) for way in WAYS}
    add_break_even(figures)
    record(
        "soft_target_variance",
        {"positions": N, "hidden": H, "vocabulary": V, "repeats": repeats, "entropy": entropies, "ways": figures},
    )
    PLOT.write_text(str(plot(figures)) + "\n", encoding="utf-8")


def _entropy(logits_NV: Tensor) -> float:
    log_p_NV = torch.log_softmax(logits_NV, dim=-1)
    return float(-(log_p_NV.exp() * log_p_NV).sum(-1).mean())


if __name__ == "__main__":
    main()
