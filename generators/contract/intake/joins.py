"""Rows whose parts are apart: results of a batch and its requests, traces and their prompts, lines of a session."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from generators.contract.intake.files import ENDINGS, Item, items_of
from generators.contract.intake.logs import asked_in, completions_of, logged
from generators.contract.intake.values import BadRow

IDS = ("custom_id", "key")
REQUESTS, RESULTS = ("body", "params", "request"), ("response", "result", "error")
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
    elif _is_result(row):
        yield from _with_requests(items, _requests(file, files))
    elif _is_request(row):
        yield from () if any(_starts(one, _is_result) for one in files if one != file) else map(_request, items)
    elif _is_prompt(row) and any(_starts(one, _is_trace) for one in files if one != file):
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


def _is_result(row: Row) -> bool:
    return any(key in row for key in IDS) and any(key in row for key in RESULTS) and not _is_request(row)


def _is_request(row: Row) -> bool:
    return any(key in row for key in IDS) and any(isinstance(row.get(key), Mapping) for key in REQUESTS)


def _is_trace(row: Row) -> bool:
    return {"prompt_id", "answer"} <= {*row} and "messages" not in row and "question" not in row


def _starts(file: Path, kind: Any) -> bool:
    first = next(items_of(file), None)
    return first is not None and not isinstance(first.row, BadRow) and bool(kind(first.row))


def _id(row: Row) -> str:
    return str(next((row[key] for key in IDS if row.get(key) is not None), None))


def _beside(file: Path) -> list[Path]:
    inside = sorted(one for one in file.parent.iterdir() if one.is_file() and one != file)
    return [one for one in inside if one.name.lower().endswith(ENDINGS)]


def _requests(file: Path, files: Sequence[Path]) -> dict[str, Row]:
    """Return custom_id -> request, from the files that are named, else from those in the same folder."""
    for place in (files, _beside(file)):
        found = {
            _id(item.row): _request(item).row
            for one in place
            if one != file and _starts(one, _is_request)
            for item in items_of(one)
            if not isinstance(item.row, BadRow)
        }
        if found:
            return {key: row for key, row in found.items() if not isinstance(row, BadRow)}
    return {}


def _request(item: Item) -> Item:
    """Return a batch request as a row of messages, with its other columns."""
    row = item.row
    if isinstance(row, BadRow):
        return item
    body: Row = next((row[key] for key in REQUESTS if isinstance(row.get(key), Mapping)), {})
    rest = {key: value for key, value in row.items() if key not in (*REQUESTS, "method", "url")}
    return Item(item.place, {**rest, "custom_id": _id(row), **asked_in(body), "teacher": body.get("model")})


def _with_requests(items: Iterator[Item], requests: Mapping[str, Row]) -> Iterator[Item]:
    for item in items:
        if isinstance(item.row, BadRow):
            yield item
            continue
        request = requests.get(_id(item.row))
        if request is None:
            said = "no request with this custom_id is in the same folder; name both files: prompts.path"
            fault = BadRow("no_request", f"{item.place}: {_id(item.row)!r}: {said} = [requests, results]")
            yield Item(item.place, fault)
        else:
            reply = _reply(item.row)
            teacher = reply.get("model") or reply.get("modelVersion") or request.get("teacher")
            found = completions_of(reply) or _failed(item.row)
            yield Item(item.place, {**request, "generations": found, "teacher": teacher})


def _reply(row: Row) -> Row:
    """Return a server's reply of a result, which names the model that answered; empty for an error."""
    reply = row.get("response") or row.get("result") or {}
    if isinstance(reply, Mapping):
        reply = reply.get("body") or reply.get("message") or reply
    return reply if isinstance(reply, Mapping) else {}


def _failed(row: Row) -> list[Any]:
    """Return the error of a result without a reply, as a completion that has none."""
    places = [row.get("error"), row.get("result"), row.get("response")]
    body = places[2].get("body") if isinstance(places[2], Mapping) else None
    errors = [one.get("error") for one in (*places, body) if isinstance(one, Mapping)]
    said = next((error for error in (*errors, row.get("error")) if error), None)
    if said is None and isinstance(places[1], Mapping):
        said = places[1].get("type")  # canceled, expired
    if said is None and isinstance(places[2], Mapping) and places[2].get("status_code") not in (None, 200):
        said = f"status {places[2]['status_code']}"
    return [{"error": said}] if said else []


def _prompts(file: Path, files: Sequence[Path]) -> dict[str, Row]:
    """Return prompt_id -> prompt columns, of the prompts that are named, lie beside or belong to the run."""
    places = [one for one in files if one != file and _starts(one, _is_prompt)]
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
