"""Batches of a server: results joined with their requests by id, in the file that belongs to theirs by its name.

Ids restart in every batch, so the same id may stand in several files of requests. A result goes with the request in
the file of the same name but for words such as `requests` and `results`; where that leaves several different requests,
it goes with none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from generators.contract.intake.files import ENDINGS, Item, items_of
from generators.contract.intake.logs import asked_in, completions_of
from generators.contract.intake.values import BadRow

IDS = ("custom_id", "key")
REQUESTS, RESULTS = ("body", "params", "request"), ("response", "result", "error")
PARTS = re.compile(  # words of a file's name that say which part of a batch it holds
    r"(?:batch|requests?|req|inputs?|in|prompts?|questions?|results?|res|outputs?|out|responses?|resp|completions?|"
    r"repl(?:y|ies)|answers?|errors?|err|done|finished|completed|jsonl?|ndjson|gz|zst)"
)
Row = Mapping[str, Any]
Asked = dict[str, list[tuple[Path, Row]]]  # id -> the requests that have it, each with its file


def is_result(row: Row) -> bool:
    """Return whether a row is a result of a batch."""
    return any(key in row for key in IDS) and any(key in row for key in RESULTS) and not is_request(row)


def is_request(row: Row) -> bool:
    """Return whether a row is a request of a batch."""
    return any(key in row for key in IDS) and any(isinstance(row.get(key), Mapping) for key in REQUESTS)


def starts(file: Path, kind: Any) -> bool:
    """Return whether the first row of a file is of a kind."""
    first = next(items_of(file), None)
    return first is not None and not isinstance(first.row, BadRow) and bool(kind(first.row))


def results_of(file: Path, items: Iterator[Item], files: Sequence[Path]) -> Iterator[Item]:
    """Yield results with their requests, and a fault for each request without a result, unless its file is named."""
    named = [one for one in files if one != file and starts(one, is_request)]
    near = [] if named else [one for one in _beside(file) if starts(one, is_request)]
    asked = _asked(named or near)
    used = set[Path]()
    for item in items:
        yield item if isinstance(item.row, BadRow) else _joined(item, file, asked, used)
    results = [file, *(one for one in _beside(file) if near and starts(one, is_result))]
    for one in near:
        if one in used:
            yield from (item for item in _requested(one, results, near) if isinstance(item.row, BadRow))


def requests_of(file: Path, items: Iterator[Item], files: Sequence[Path]) -> Iterator[Item]:
    """Yield the requests of a file as rows of messages; where results are named too, only those that have none."""
    results = [one for one in files if one != file and starts(one, is_result)]
    if not results:
        yield from map(_request, items)
        return
    yield from _requested(file, results, [one for one in files if one == file or starts(one, is_request)])


def _requested(file: Path, results: Sequence[Path], requests: Sequence[Path]) -> Iterator[Item]:
    """Yield a fault for each request of a file that has no result."""
    answered = set[str]()
    for one in results:
        partners = [each for each in requests if _batch(each) == _batch(one)]
        elsewhere = set[str]() if file in partners else {name for each in partners for name in _ids(each)}
        answered |= _ids(one) - elsewhere
    for item in items_of(file):
        if isinstance(item.row, BadRow):
            yield item
        elif (name := _id(item.row)) not in answered:
            fault = BadRow("no_result", f"{item.place}: the request {name!r} has no result in {_names(results)}")
            yield Item(item.place, fault)


def _batch(file: Path) -> tuple[str, ...]:
    """Return what a file's path says of its batch: its words and numbers but those that name a part of it."""
    words = re.findall(r"[^\W\d_]+|\d+", str(file.resolve()).lower())
    return tuple(word.lstrip("0") for word in words if not PARTS.fullmatch(word))


def _ids(file: Path) -> set[str]:
    return {_id(item.row) for item in items_of(file) if not isinstance(item.row, BadRow)}


def _id(row: Row) -> str:
    return str(next((row[key] for key in IDS if row.get(key) is not None), None))


def _names(files: Sequence[Path]) -> str:
    return " and ".join(dict.fromkeys(one.name for one in files))


def _beside(file: Path) -> list[Path]:
    inside = sorted(one for one in file.parent.iterdir() if one.is_file() and one != file)
    return [one for one in inside if one.name.lower().endswith(ENDINGS)]


def _asked(files: Sequence[Path]) -> Asked:
    """Return the requests of the files by their ids."""
    found: Asked = {}
    for file in files:
        for item in map(_request, items_of(file)):
            if not isinstance(item.row, BadRow):
                found.setdefault(str(item.row["custom_id"]), []).append((file, item.row))
    return found


def _request(item: Item) -> Item:
    """Return a batch request as a row of messages, with its other columns."""
    row = item.row
    if isinstance(row, BadRow):
        return item
    body: Row = next((row[key] for key in REQUESTS if isinstance(row.get(key), Mapping)), {})
    rest = {key: value for key, value in row.items() if key not in (*REQUESTS, "method", "url")}
    return Item(item.place, {**rest, "custom_id": _id(row), **asked_in(body), "teacher": body.get("model")})


def _joined(item: Item, file: Path, asked: Asked, used: set[Path]) -> Item:
    """Return a result as a row of its request's messages and its completions; its request's file is then `used`."""
    assert not isinstance(item.row, BadRow)
    name, fault = _id(item.row), partial(_fault, item)
    found = asked.get(name, [])
    own = [one for one in found if _batch(one[0]) == _batch(file)]
    found = own or found
    used.update(path for path, _ in found)
    if not found:
        said = "no request with this custom_id is in the same folder; name both files: prompts.path"
        return fault("no_request", f"{name!r}: {said} = [requests, results]")
    if any(request != found[0][1] for _, request in found):
        said = "name the files of a batch alike, such as requests_1.jsonl and results_1.jsonl, or give each id once"
        return fault("ambiguous_request", f"{name!r}: several requests in {_names([one for one, _ in found])}; {said}")
    request = found[0][1]
    reply = _reply(item.row)
    teacher = reply.get("model") or reply.get("modelVersion") or request.get("teacher")
    return Item(
        item.place,
        {**request, "generations": completions_of(reply) or _failed(item.row), "teacher": teacher},
    )


def _fault(item: Item, kind: str, sentence: str) -> Item:
    return Item(item.place, BadRow(kind, f"{item.place}: {sentence}"))


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
