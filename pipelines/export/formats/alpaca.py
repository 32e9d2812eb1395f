"""Alpaca's instruction, input and output, with `system` and `history`; with LLaMA-Factory's entry for them.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md, "Alpaca Format".
"""

from collections.abc import Mapping

import polars as pl

from pipelines.export.request import Part, Request, Row, corpus_parts, each, json_text, turns

TAKES: frozenset[str] = frozenset()
SCHEMA = {
    "instruction": pl.String,
    "input": pl.String,  # always empty: the instruction is the whole question
    "output": pl.String,
    "system": pl.String,
    "history": pl.List(pl.List(pl.String)),  # earlier (question, answer) pairs
}


def parts(asked: Request) -> list[Part]:
    """Return the rows whose turns alternate: the last question and its answer, and the turns before."""
    return corpus_parts(asked, each(_row), SCHEMA)


def _row(row: Row) -> Row | str:
    found = turns(row["messages"])
    if found is None:
        return "not_alternating"
    system, said = found
    texts = [message["content"] for message in said]
    history = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return {"instruction": texts[-2], "input": "", "output": texts[-1], "system": system or "", "history": history}


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return the entries of LLaMA-Factory's `dataset_info.json`; `mask_history: true` learns the last answer alone."""
    columns = {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "system": "system",
        "history": "history",
    }
    entries = {f"distilled_{part}": {"file_name": name, "columns": columns} for part, name in files.items()}
    return "dataset_info.json", json_text(entries)
