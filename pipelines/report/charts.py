"""Charts as HTML and inline SVG: text keeps its size at every width, colors come from the page's style sheet.

Horizontal positions are percentages, so that a chart fits any screen; the classes c0 to c7 are the palette.
Everything goes through `tag`, which escapes text and attributes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

COLORS = 8
OTHER = COLORS - 1  # grey: for all that has no color of its own
DASHES = ("none", "7 3", "2 3", "9 3 2 3")
PLOT_HEIGHT = 240
ROW_HEIGHT = 20


def tag(name: str, *children: str, **attributes: Any) -> Markup:
    """Return one element; `class_` is class, stroke_width is stroke-width, None leaves an attribute out."""
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    inside = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in given)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), inside, Markup("").join(children))


def compact(value: float) -> str:
    """Return a number in few characters, for axes: 0.25, 1,500, 12k, 1.2M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers that span `low` to `high`."""
    high = high if high > low else low + (abs(low) or 1.0)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 times powers of ten that span positive `low` to `high`; powers of ten alone over four decades."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1,) if high / low > 1e4 else (1, 2, 5)
    every = [digit * 10.0**exponent for exponent in exponents for digit in digits]
    first = max((i for i, value in enumerate(every) if value <= low * 1.001), default=0)
    last = min((i for i, value in enumerate(every) if value >= high * 0.999), default=len(every) - 1)
    return every[first : last + 1]


@dataclass(frozen=True)
class Axis:
    """A scale that maps values to percent of the axis, between its first and its last mark."""

    marks: Sequence[float]
    log: bool = False

    def at(self, value: float) -> float:
        """Return 0 to 100; values beyond an end are put at that end."""
        low, high, value = (math.log(v) if self.log else v for v in (self.marks[0], self.marks[-1], value))
        return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 2)

    def percent(self, value: float) -> str:
        return f"{self.at(value)}%"


def legend(items: Sequence[tuple[str, int]]) -> Markup:
    """Return a legend: a square of color and a name for each item."""
    squares = [tag("rect", width=12, height=12, class_=f"fill c{color % COLORS}") for _, color in items]
    return _legend([tag("svg", square, width=12, height=12) for square in squares], [name for name, _ in items])


def line_legend(series: Sequence["Line"]) -> Markup:
    """Return a legend: a piece of each curve, as it is drawn, and its name."""
    strokes = [
        tag("line", x2=26, y1=6, y2=6, class_=f"curve c{line.color % COLORS}", stroke_dasharray=_dash(i))
        for i, line in enumerate(series)
    ]
    return _legend([tag("svg", stroke, width=26, height=12) for stroke in strokes], [line.label for line in series])


def _legend(swatches: Sequence[Markup], names: Sequence[str]) -> Markup:
    keys = [tag("span", swatch, name, class_="key") for swatch, name in zip(swatches, names, strict=True)]
    return tag("div", *keys, class_="legend")


def _dash(place: int) -> str:
    return DASHES[place % len(DASHES)]


def _row(label: str, value: str, chart: Markup) -> Markup:
    head = tag("div", tag("span", label, class_="label"), tag("span", value, class_="value"), class_="row-head")
    return tag("div", head, chart, class_="row")


def _axis_below(axis: Axis, text: Mapping[float, str]) -> Markup:
    last = len(axis.marks) - 1
    anchors = ["start" if i == 0 else "end" if i == last else "middle" for i in range(last + 1)]
    labels = [
        tag("text", text[mark], x=axis.percent(mark), y=13, text_anchor=anchor)
        for mark, anchor in zip(axis.marks, anchors, strict=True)
    ]
    return tag("svg", *labels, class_="axis", width="100%", height=18, aria_hidden="true")


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; `seeds` are the single runs that it averages."""

    label: str
    mean: float
    low: float
    high: float
    color: int = 0
    reference: bool = False
    seeds: Sequence[float] = ()


def intervals(rows: Sequence[Interval], name: str) -> Markup:
    """Draw a dot with whiskers for each row, over one axis of percent; references have a hollow dot."""
    found = [value for row in rows for value in (row.low, row.high, row.mean, *row.seeds)]
    axis = Axis(ticks(max(0.0, min(found)), min(1.0, max(found))))
    drawn = [_row(row.label, percent_interval(row.mean, row.low, row.high), _whisker(row, axis)) for row in rows]
    text = {mark: f"{100 * mark:.4g}%" for mark in axis.marks}
    return tag("div", *drawn, _axis_below(axis, text), class_="rows", role="img", aria_label=name)


def percent_interval(mean: float, low: float, high: float) -> str:
    """Return a mean and its interval, such as 53.0% [50.1, 56.0]."""
    return f"{100 * mean:.1f}% [{100 * low:.1f}, {100 * high:.1f}]"


def _whisker(row: Interval, axis: Axis) -> Markup:
    color, middle = f"c{row.color % COLORS}", ROW_HEIGHT / 2
    grid = [tag("line", x1=axis.percent(m), x2=axis.percent(m), y1=0, y2="100%", class_="grid") for m in axis.marks]
    grid.append(tag("line", x1=0, x2="100%", y1=middle, y2=middle, class_="grid"))
    ends = [(row.low, row.high, middle, middle), *((v, v, middle - 4, middle + 4) for v in (row.low, row.high))]
    ends += [(seed, seed, middle + 3, middle + 9) for seed in row.seeds]
    lines = [
        tag("line", x1=axis.percent(a), x2=axis.percent(b), y1=y1, y2=y2, class_=f"stroke {color}", stroke_width=2)
        for a, b, y1, y2 in ends
    ]
    dot = tag(
        "circle", cx=axis.percent(row.mean), cy=middle, r=5, class_=f"{'hollow' if row.reference else 'fill'} {color}"
    )
    return tag("svg", *grid, *lines, dot, width="100%", height=ROW_HEIGHT)


@dataclass(frozen=True)
class Bar:
    """A bar of parts: (name, amount, color)."""

    label: str
    value: str
    parts: Sequence[tuple[str, float, int]]


def bars(rows: Sequence[Bar], name: str) -> Markup:
    """Draw stacked bars, all to the scale of the longest."""
    longest = max((sum(amount for _, amount, _ in row.parts) for row in rows), default=0) or 1
    drawn = [_row(row.label, row.value, _stack(row.parts, longest)) for row in rows]
    return tag("div", *drawn, class_="rows bars", role="img", aria_label=name)


def _stack(parts: Sequence[tuple[str, float, int]], longest: float) -> Markup:
    drawn, start = [tag("rect", width="100%", height="100%", class_="track")], 0.0
    for name, amount, color in parts:
        title = tag("title", f"{name}: {amount:,.10g}")
        place = {"x": f"{100 * start / longest:.3f}%", "width": f"{100 * amount / longest:.3f}%", "height": "100%"}
        drawn.append(tag("rect", title, class_=f"fill part c{color % COLORS}", **place))
        start += amount
    return tag("svg", *drawn, width="100%", height=16)


def histogram(
    labels: Sequence[str], series: Mapping[str, tuple[Sequence[float], int]], name: str, *, edges: bool = False
) -> Markup:
    """Draw stacked columns; series: name -> (amounts, color).

    edges: the labels are the bins' lower ends, and some of them are written there; otherwise each column has its label
    below it and its amount above it.
    """
    totals = [sum(column) for column in zip(*(amounts for amounts, _ in series.values()), strict=True)]
    axis = Axis(ticks(0, max(totals, default=1) or 1, about=4))
    drawn = [*_grid_rows(axis, [compact(mark) for mark in axis.marks])]
    width = 100 / max(1, len(labels))
    for i, total in enumerate(totals):
        stack = [(key, amounts[i], color) for key, (amounts, color) in series.items()]
        drawn += _column(stack, i * width, width, axis, labels[i])
        if total and not edges:
            drawn.append(_text(compact(total), (i + 0.5) * width, 100 - axis.at(total), dy=-5))
    every, inset = (math.ceil(len(labels) / 7), 0.0) if edges else (1, 0.5)
    drawn += [_text(label, (i + inset) * width, 100, dy=16) for i, label in enumerate(labels) if i % every == 0]
    return tag("svg", *drawn, class_="plot", height=PLOT_HEIGHT * 3 // 4, role="img", aria_label=name)


def _column(stack: Sequence[tuple[str, float, int]], x: float, width: float, axis: Axis, label: str) -> list[Markup]:
    drawn, below = [], 0.0
    for name, amount, color in stack:
        top, height = 100 - axis.at(below + amount), axis.at(below + amount) - axis.at(below)
        place = {
            "x": f"{x + 0.06 * width:.3f}%",
            "width": f"{0.88 * width:.3f}%",
            "y": f"{top:.2f}%",
            "height": f"{height:.2f}%",
        }
        title = tag("title", f"{label}, {name}: {amount:,.10g}")
        drawn.append(tag("rect", title, class_=f"fill c{color % COLORS}", **place))
        below += amount
    return drawn


def _text(text: str, x: float, y: float, dx: float = 0, dy: float = 0, anchor: str = "middle") -> Markup:
    return tag("text", text, x=f"{x:.2f}%", y=f"{y:.2f}%", dx=dx, dy=dy, text_anchor=anchor)


def _grid_rows(axis: Axis, text: Sequence[str]) -> list[Markup]:
    heights = [100 - axis.at(mark) for mark in axis.marks]
    lines = [tag("line", x1=0, x2="100%", y1=f"{y:.2f}%", y2=f"{y:.2f}%", class_="grid") for y in heights]
    return lines + [_text(label, 0, y, -8, 4, "end") for label, y in zip(text, heights, strict=True)]


@dataclass(frozen=True)
class Line:
    """A curve (None breaks it) and single points along with it, such as validation losses."""

    label: str
    color: int
    points: Sequence[tuple[float, float | None]]
    dots: Sequence[tuple[float, float | None]] = field(default=())


def lines(series: Sequence[Line], name: str) -> Markup:
    """Draw curves over one pair of axes; the vertical one is logarithmic where values spread over a factor of eight."""
    every = [(x, y) for line in series for x, y in (*line.points, *line.dots) if y is not None]
    across = Axis(ticks(0, max(x for x, _ in every)))
    lowest, highest = min(y for _, y in every), max(y for _, y in every)
    log = lowest > 0 and highest / lowest > 8
    up = Axis(log_ticks(lowest, highest) if log else ticks(lowest, highest), log)
    drawn = [*_grid_rows(up, [compact(mark) for mark in up.marks])]
    drawn += [_text(compact(mark), across.at(mark), 100, dy=17) for mark in across.marks]
    curves = [_curve(line, i, across, up) for i, line in enumerate(series)]
    inner = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "width": "100%", "height": "100%"}
    drawn.append(tag("svg", *curves, **inner))
    drawn += [dot for line in series for dot in _dots(line, across, up)]
    return tag("svg", *drawn, class_="plot", height=PLOT_HEIGHT, role="img", aria_label=name)


def _curve(line: Line, place: int, across: Axis, up: Axis) -> Markup:
    path, pen = [], "M"
    for x, y in line.points:
        if y is None or (up.log and y <= 0):
            pen = "M"
            continue
        path.append(f"{pen}{across.at(x)} {100 - up.at(y):.2f}")
        pen = "L"
    look = {"class_": f"curve c{line.color % COLORS}", "stroke_dasharray": _dash(place)}
    return tag("path", tag("title", line.label), d="".join(path), vector_effect="non-scaling-stroke", **look)


def _dots(line: Line, across: Axis, up: Axis) -> list[Markup]:
    return [
        tag(
            "circle",
            tag("title", f"{line.label}: {y:.4g} at {x:,.10g}"),
            cx=across.percent(x),
            cy=f"{100 - up.at(y):.2f}%",
            r=4,
            class_=f"fill dot c{line.color % COLORS}",
        )
        for x, y in line.dots
        if y is not None and not (up.log and y <= 0)
    ]
