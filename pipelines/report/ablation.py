"""Results of an ablation as a table and, for two varied settings, as a grid."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Cell = Mapping[str, Any]


def ablation(run: Path, tokens: Mapping[str, int]) -> dict[str, Any] | None:
    """Return the cells of ablate/cells.json, the settings that vary, the best cell, and a grid of pass@1.

    tokens: stage folder -> tokens of its manifest, which say how many each cell was trained on.
    """
    path = run / "ablate" / "cells.json"
    if not path.exists():
        return None
    cells = json.loads(path.read_text(encoding="utf-8"))
    if not cells:
        return None
    cells = [{**cell, "train_tokens": tokens.get(f"ablate/{cell['cell']}/train")} for cell in cells]
    keys = varied(cells)
    highest = max(map(_score, cells))
    top = [cell["cell"] for cell in cells if _score(cell) == highest]
    best = top[0] if len(top) == 1 else None  # on a tie no cell is the best
    return {"varied": keys, "cells": cells, "best": best, "grid": grid(cells, keys) if len(keys) > 1 else None}


def varied(cells: Sequence[Cell]) -> list[str]:
    """Return the settings with more than one value among the cells; all settings where there is one cell."""
    keys = list(dict.fromkeys(key for cell in cells for key in cell["values"]))
    return [key for key in keys if len(values_of(cells, key)) > 1] or keys


def values_of(cells: Sequence[Cell], key: str) -> list[Any]:
    """Return the values of `key`: numbers in order of size, anything else in order of appearance."""
    found = list({repr(cell["values"].get(key)): cell["values"].get(key) for cell in cells}.values())
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
    return sorted(found) if numbers else found


def grid(cells: Sequence[Cell], keys: Sequence[str]) -> dict[str, Any]:
    """Return pass@1 over the first two settings; the best cell stands for all values of the other settings."""
    down, across, *over = keys
    rows, columns = values_of(cells, down), values_of(cells, across)
    places = [[_best(cells, {down: row, across: column}) for column in columns] for row in rows]
    scores = [_score(cell) for row in places for cell in row if cell]
    ends = {"lowest": min(scores), "highest": max(scores)}
    return {"down": down, "across": across, "over": over, "rows": rows, "columns": columns, "cells": places, **ends}


def _best(cells: Sequence[Cell], values: Mapping[str, Any]) -> Cell | None:
    """Return the best cell with these values; None where the ablation has none yet."""
    there = [cell for cell in cells if all(cell["values"].get(key) == value for key, value in values.items())]
    return max(there, key=_score, default=None)


def _score(cell: Cell) -> float:
    return float(cell["scores"]["pass@1"])
