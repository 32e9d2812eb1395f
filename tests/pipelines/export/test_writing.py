"""Files appear whole or not at all, in memory that does not grow, and readable from the first row on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import Dataset, load_dataset
from hypothesis import given
from hypothesis import strategies as st

from generators.contract.records import MESSAGES
from pipelines.export import writing

SCHEMA = {
    "text": pl.String,
    "reference": pl.String,
    "reward": pl.Float64,
    "history": pl.List(pl.List(pl.String)),
    "switches": pl.Struct({"thinking": pl.Boolean, "effort": pl.String}),
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String, "weight": pl.Int8})),
}


def row(i: int, full: set[str]) -> dict[str, Any]:
    message = {"role": "user", "content": str(i), **({"weight": 0} if "weight" in full else {})}
    return {
        "text": f"{i} " + "x" * 2000,
        "reference": "7" if "reference" in full else None,
        "reward": 0.5 if "reward" in full else None,
        "history": [["a", "b"]] if "history" in full else [],
        "switches": {"thinking": False if "thinking" in full else None, "effort": "low" if "effort" in full else None},
        "messages": [message],
    }


LATE = {6000: {"reference"}, 6500: {"reward", "history"}, 7000: {"thinking"}, 7500: {"effort", "weight", "reward"}}


def test_datasets_reads_a_column_that_is_filled_late(tmp_path: Path) -> None:
    """Its JSON reader takes the types of a column from the first rows, and fails where they change."""
    file = tmp_path / "rows.jsonl"
    rows = [row(i, LATE.get(i, set())) for i in range(8000)]
    with writing.json_lines(file, SCHEMA) as add:
        for one in rows:
            add(one)
    loaded = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded, Dataset) and len(loaded) == len(rows)
    order = [int(json.loads(line)["text"].split()[0]) for line in file.read_text().splitlines()]
    assert order == [*LATE, *(i for i in range(8000) if i not in LATE)]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.sets(st.integers(0, 39)))
def test_moving_lines_to_the_front_loses_none(sizes: list[int], moved: set[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a"
        lines = [f"{i}".encode() + b"." * size + b"\n" for i, size in enumerate(sizes)]
        file.write_bytes(b"".join(lines))
        taken = sorted(i for i in moved if i < len(lines))
        places = [(sum(map(len, lines[:i])), len(lines[i])) for i in taken]
        writing._to_front(file, places)
        rest = [line for i, line in enumerate(lines) if i not in taken]
        assert file.read_bytes() == b"".join([*(lines[i] for i in taken), *rest])
        assert list(Path(folder).iterdir()) == [file]


@pytest.mark.parametrize("how", [writing.json_lines, writing.parquet, writing.sessions])
def test_a_failure_leaves_nothing_and_the_old_file_stays(how: Any, tmp_path: Path) -> None:
    place = tmp_path / "out"
    one = {"file": "ab", "lines": [{"a": 1}]}
    schema = {"file": pl.String, "lines": pl.List(pl.Struct({"a": pl.Int64}))}
    with how(place, schema) as add:
        add(one)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt), how(place, schema) as add:
        add({"file": "cd", "lines": []})
        raise KeyboardInterrupt
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept
    assert len(list(tmp_path.iterdir())) == 1


def test_parquet_holds_groups_of_rows(tmp_path: Path) -> None:
    with writing.parquet(tmp_path / "a.parquet", {"n": pl.Int64, "m": MESSAGES}) as add:
        for i in range(2500):
            add({"n": i, "m": [{"role": "user", "content": "é"}]})
    assert pl.read_parquet(tmp_path / "a.parquet")["n"].to_list() == list(range(2500))


MEASURE = """
import sys
from pathlib import Path
from pipelines.export.export import export
export(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), replace=True)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("form", ["trl", "preference"])
def test_memory_does_not_grow_with_the_rows(form: str, run: Path, tmp_path: Path) -> None:
    """A corpus of 160 MB of text takes hardly more memory than one of 16 MB."""
    peaks = []
    for times in (800, 8000):
        rows = pl.read_parquet(run / "corpus/unfiltered.parquet").head(2).drop("token_ids")
        text = pl.concat_list(
            pl.struct(role=pl.lit("user"), content=pl.lit("q")),
            pl.struct(
                role=pl.lit("assistant"), content=pl.lit("Because so it is. " * 555) + pl.col("n").cast(pl.String)
            ),
        )
        many = pl.concat([rows] * times).with_row_index("n")
        many = many.with_columns(prompt_id=(pl.col("n") // 2).cast(pl.String), messages=text).drop("n")
        verdict = pl.Series(["correct", "wrong"] * times)
        many.with_columns(verdict=verdict).write_parquet(tmp_path / "rows.parquet", row_group_size=100_000)
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "rows.parquet"), form, str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 60, f"MiB at 1,600 and 16,000 rows: {peaks}"
