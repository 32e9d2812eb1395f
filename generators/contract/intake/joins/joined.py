"""Rows whose parts are apart: results of a batch and its requests, traces and their prompts, lines of a session."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from generators.contract.intake.files import Item, items_of
from generators.contract.intake.joins.batches import is_request, is_result, requests_of, results_of, starts
from generators.contract.intake.logs import logged
from generators.contract.intake.values import BadRow

PROMPT_COLUMNS = ("messages", "reference", "verifier", "domain", "source", "license")
Row = Mapping[str, Any]


def joined(file: Path, files: Sequence[Path]) -> Iterator[Item]:
    """Yield the rows of a file: results with their requests, traces with their prompts, other rows as they are.

    The other part is looked for among `files`, then in the file's folder; traces find the prompts of their run.
    """
    items = items_of(file)
    first = next((item for item in islice(items, 1)), None)
    if first is None:
        return
    items = chain([first], items)
    row = first.row
    if isinstance(row, BadRow):
        yield from items
    elif row.get("type") == "session":
        yield from _sessions(items)
    elif is_result(row):
        yield from results_of(file, items, files)
    elif is_request(row):
        yield from requests_of(file, items, files)
    elif _is_prompt(row) and any(starts(one, _is_trace) for one in files if one != file):
        return
    elif _is_trace(row):
        yield from _with_prompts(items, _prompts(file, files))
    else:
        yield from (item if isinstance(item.row, BadRow) else Item(item.place, logged(item.row)) for item in items)


def _sessions(items: Iterator[Item]) -> Iterator[Item]:
    """Yield sessions of the Session Trace Simple Format: a header line, then a line for each message."""
    place, header, messages = "", dict[str, Any](), list[Any]()
    for item in chain(items, [Item("", {"type": "session"})]):
        if isinstance(item.row, BadRow):
            yield item
        elif item.row.get("type") == "session":
            if header:
                models = [one.get("model") for one in messages if isinstance(one, Mapping) and one.get("model")]
                yield Item(place, {"teacher": models[-1] if models else None, **header, "messages": messages})
            place, messages = item.place, []
            header = {key: value for key, value in item.row.items() if key not in ("type", "name")}
        elif item.row.get("type") == "message":
            messages.append(item.row.get("message"))


def _is_trace(row: Row) -> bool:
    return {"prompt_id", "answer"} <= {*row} and "messages" not in row and "question" not in row


def _prompts(file: Path, files: Sequence[Path]) -> dict[str, Row]:
    """Return prompt_id -> prompt columns, of the prompts that are named, lie beside or belong to the run."""
    places = [one for one in files if one != file and starts(one, _is_prompt)]
    folder = file.resolve().parent
    for path in (folder / "prompts.parquet", folder.parent / "prompts" / "prompts.parquet"):
        places += [path] if path.exists() and not places else []
    found: dict[str, Row] = {}
    for one in places:
        for item in items_of(one):
            if not isinstance(item.row, BadRow) and item.row.get("drop_reason") is None:
                found[item.row["prompt_id"]] = {key: item.row.get(key) for key in PROMPT_COLUMNS}
    return found


def _is_prompt(row: Row) -> bool:
    return "prompt_id" in row and "messages" in row and "trace_id" not in row


def _with_prompts(items: Iterator[Item], prompts: Mapping[str, Row]) -> Iterator[Item]:
    for item in items:
        row = item.row
        if isinstance(row, BadRow):
            yield item
        elif (asked := prompts.get(row["prompt_id"])) is None:
            said = "its prompt is not known; put prompts.parquet next to the traces, or name both in prompts.path"
            yield Item(item.place, BadRow("no_prompt", f"{item.place}: {row['prompt_id']!r}: {said}"))
        else:
            yield Item(item.place, {**row, **asked})
