"""Messages for LLaMA-Factory, with the `dataset_info.json` that describes them.

The "OpenAI format" of https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md. LLaMA-Factory renders them
with a template of its own, which its setting `template` names; its reasoning templates keep the reasoning of the last
turn.
"""

from collections.abc import Mapping

from generators.contract.records import MESSAGES
from pipelines.export.request import Part, Request, Row, corpus_parts, each, json_text, turns

TAKES: frozenset[str] = frozenset()
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def parts(asked: Request) -> list[Part]:
    """Return the messages of every row whose turns alternate, which LLaMA-Factory demands."""
    return corpus_parts(asked, each(_row), {"messages": MESSAGES})


def _row(row: Row) -> Row | str:
    return {"messages": row["messages"]} if turns(row["messages"]) else "not_alternating"


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return the entries of `dataset_info.json`: `dataset_dir: OUT`, `dataset: distilled_train`."""
    entry = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": TAGS}
    return "dataset_info.json", json_text(
        {f"distilled_{part}": {"file_name": name} | entry for part, name in files.items()}
    )
