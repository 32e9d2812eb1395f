"""Sessions for the trace viewer of the Hugging Face Hub: one JSONL file a row, in the Session Trace Simple Format.

https://huggingface.co/docs/hub/session-traces-format: a header line (`type`, `harness`, `id`, further keys are allowed)
and a line for each message, whose `reasoningContent` is shown as a block of its own.
"""

from collections.abc import Mapping
from typing import Any

from generators.contract.completions import split_reasoning
from generators.contract.errors import RecipeError
from generators.contract.ids import content_id
from pipelines.export.request import Part, Request, Row, corpus_parts, each

TAKES: frozenset[str] = frozenset()
HARNESS = "distill-toolkit"
NAME_CHARS = 80


def parts(asked: Request) -> list[Part]:
    """Return one session for each row."""
    if asked.ending != "jsonl":
        raise RecipeError(f"--format {asked.ending} does not apply to --to sts, which is jsonl alone")
    return [
        Part(part.name, part.total, part.rows, part.schema, sessions=True)
        for part in corpus_parts(asked, each(lambda row: _session(row, asked)), {}, about=False)
    ]


def _session(row: Row, asked: Request) -> Row:
    question = next((m["content"] for m in row["messages"] if m["role"] == "user"), "")
    about = {name: value for name, value in asked.corpus.about_row(row).items() if value is not None}
    name = " ".join(question.split())[:NAME_CHARS]
    header = {"type": "session", "harness": HARNESS, "id": row["trace_id"], "name": name, **about}
    *asking, answer = row["messages"]
    lines = [header, *map(_line, asking), _line(answer, row.get("teacher"))]
    trace_id: str = row["trace_id"]
    return {"file": trace_id if trace_id.isalnum() else content_id(trace_id), "lines": lines}


def _line(message: Row, model: str | None = None) -> dict[str, Any]:
    reasoning, content = (
        split_reasoning(message["content"]) if message["role"] == "assistant" else (None, message["content"])
    )
    more = {"reasoningContent": reasoning} if reasoning is not None else {}
    return {
        "type": "message",
        "message": {"role": message["role"], "content": content, **more, **({"model": model} if model else {})},
    }


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return the card of a dataset of sessions."""
    return (
        "README.md",
        "---\ntags: [agent-traces]\n---\n\n# Sessions\n\nOne session a file, in the Session Trace Simple Format; the "
        "Hub shows them in its trace viewer.\n\n```\nhf upload USER/NAME . --repo-type dataset\n```\n",
    )
