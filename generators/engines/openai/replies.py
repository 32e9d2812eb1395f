"""Parsing of an OpenAI-compatible server's replies: every known form of reasoning becomes the same record."""

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from generators.contract.completions import Completion, finish_reason, is_refusal, read_message

INT32 = 2**31
EXCERPT = 200  # characters of a server's own message in an error


@dataclass(eq=False)
class Fault(Exception):
    """The reason why an attempt at a sample failed."""

    sentence: str
    final: bool = False  # another attempt would fail the same way
    busy: bool = False  # the server is overloaded or down; the sample is not to blame
    after_s: float | None = None  # the server's Retry-After


@dataclass(frozen=True)
class Reply:
    """A completion as parsed from a server's reply."""

    completion: Completion
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    token_ids: list[int] | None

    @property
    def reasoning(self) -> str | None:
        """The completion's reasoning."""
        return self.completion.reasoning

    @property
    def answer(self) -> str:
        """The completion's answer."""
        return self.completion.answer


def read_reply(body: bytes, most: int, opened: bool | str = False) -> Reply:
    """Return the reply's only completion; raise a Fault where there is none.

    most: max_tokens of the request. opened: the prompt ended in a mark that opens thinking, which the reply does not
    repeat (see completions.read_text). A refusal is a Fault whatever tokens it cost.
    """
    reply = parse(body)
    choice = first(reply.get("choices"), reply)
    message = table(choice, "message") or choice
    usage = table(reply, "usage")
    completion = read_message(message, opened)
    ids, tokens = ids_of(choice), count_of(usage, "completion_tokens")
    if completion.refusal:
        raise Fault(f"the server refuses: {excerpt(completion.refusal)}", final=True)
    if not (completion.answer or completion.reasoning or tokens or ids):
        raise Fault("the reply is empty")
    tokens = len(ids) if ids else tokens
    finish = finish_of(choice.get("finish_reason"), tokens, most)
    return Reply(completion, finish, count_of(usage, "prompt_tokens"), tokens, ids)


def parse(body: bytes) -> dict[str, Any]:
    """Return the reply's JSON object; lone surrogates and invalid UTF-8 become U+FFFD."""
    try:
        reply = from_json(body)
    except ValueError:
        reply = _parse_leniently(body)
    if not isinstance(reply, dict):
        raise Fault(f"the reply is no JSON object: {excerpt(body)}")
    return reply


def _parse_leniently(body: bytes) -> Any:
    try:
        text = json.dumps(json.loads(body.decode("utf-8", "replace")), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise Fault(f"the reply is no JSON: {excerpt(body) or 'nothing'}") from None
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def table(of: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the JSON object under `key`; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def first(choices: Any, reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first of the reply's choices."""
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    if reply.get("error"):  # some gateways report errors with status 200
        raise Fault(f"the server failed: {excerpt(reply['error'])}")
    raise Fault("the reply has no choices")


def ids_of(choice: Mapping[str, Any]) -> list[int] | None:
    """Return the token ids, where the server gives them."""
    ids = choice.get("token_ids")
    if not ids:
        return None
    try:
        return array("i", ids).tolist()
    except (TypeError, OverflowError):
        raise Fault("the reply's token_ids are no token ids") from None


def count_of(usage: Mapping[str, Any], key: str) -> int | None:
    """Return a number of tokens, where the server gives it."""
    count = usage.get(key)
    return count if isinstance(count, int) and 0 <= count < INT32 else None


def finish_of(stated: Any, tokens: int | None, most: int) -> str:
    """Return stop or length; without a stated reason a completion of `most` tokens counts as cut."""
    finish = finish_reason(stated)
    if finish is None:
        return "length" if tokens is not None and tokens >= most else "stop"
    if is_refusal(stated):
        raise Fault(f"the server refuses: finish_reason {excerpt(stated)}", final=True)
    if finish.startswith("error"):
        raise Fault(finish.removeprefix("error: "))
    return finish


def excerpt(words: Any) -> str:
    """Return the beginning of a server's own message, on one line."""
    if isinstance(words, bytes):
        words = words[: 4 * EXCERPT].decode("utf-8", "replace")
    elif not isinstance(words, str):
        words = json.dumps(words, default=str)
    line = " ".join(words.split())
    return line if len(line) <= EXCERPT else line[:EXCERPT] + "..."


def spoken_error(body: bytes) -> str:
    """Return a server's own explanation of a refusal: the message in its JSON, or its text."""
    try:
        said: Any = from_json(body)
    except ValueError:
        return excerpt(body)
    for key in ("error", "message", "detail"):
        said = said.get(key, said) if isinstance(said, dict) else said
    return excerpt(said)


def without(secret: str | None, words: str) -> str:
    """Return the words with the secret replaced by [key]."""
    return words.replace(secret, "[key]") if secret else words
