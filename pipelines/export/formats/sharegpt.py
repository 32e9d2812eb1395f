"""ShareGPT conversations: `from` human, gpt or system, and `value`; with LLaMA-Factory's entry for them.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md, "Sharegpt Format".
"""

from collections.abc import Mapping

import polars as pl

from pipelines.export.request import Part, Request, Row, corpus_parts, each, json_text, turns

TAKES: frozenset[str] = frozenset()
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
SCHEMA = {"conversations": pl.List(pl.Struct({"from": pl.String, "value": pl.String}))}


def parts(asked: Request) -> list[Part]:
    """Return the conversations whose turns alternate."""
    return corpus_parts(asked, each(_row), SCHEMA)


def _row(row: Row) -> Row | str:
    if not turns(row["messages"]):
        return "not_alternating"
    return {"conversations": [{"from": SPEAKERS[m["role"]], "value": m["content"]} for m in row["messages"]]}


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return the entries of LLaMA-Factory's `dataset_info.json`."""
    tags = {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "system_tag": "system",
    }
    entry = {"formatting": "sharegpt", "columns": {"messages": "conversations"}, "tags": tags}
    return "dataset_info.json", json_text(
        {f"distilled_{part}": {"file_name": name} | entry for part, name in files.items()}
    )
