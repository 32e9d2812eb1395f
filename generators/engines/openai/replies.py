"""What an OpenAI-compatible server replied, as a trace row: every known form of reasoning ends as the same record."""

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from generators.contract.chat import split_reasoning

STOPPED = ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call")
CUT = ("length", "max_tokens", "model_length")
REFUSED = ("content_filter", "safety", "refusal")
REASONING = ("reasoning_content", "reasoning")
INT32 = 2**31
EXCERPT = 200  # characters of a server's own words in an error


@dataclass(eq=False)
class Fault(Exception):
    """Why an attempt at a sample came to nothing."""

    sentence: str
    final: bool = False  # it would fail the same way again
    busy: bool = False  # the server has too much to do, or is not there: no fault of the sample
    after_s: float | None = None  # when to ask it again, in its own words


@dataclass(frozen=True)
class Reply:
    """A completion in a server's words."""

    reasoning: str | None
    answer: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    token_ids: list[int] | None


def read_reply(body: bytes, most: int, opened: bool | None = None) -> Reply:
    """The reply's only completion; one that is not what was asked for is a Fault.

    most: tokens that were asked for. opened: the prompt ended in `<think>`, which the reply does not repeat.
    """
    reply = parse(body)
    choice = first(reply.get("choices"), reply)
    message = table(choice, "message") or choice
    usage = table(reply, "usage")
    text = text_of(message.get("content", message.get("text")))
    thought = next((message[key] for key in REASONING if isinstance(message.get(key), str) and message[key]), None)
    ids, tokens = ids_of(choice), count_of(usage, "completion_tokens")
    if not (text.strip() or thought or tokens or ids):
        refusal = message.get("refusal")
        raise Fault(f"the server refuses: {excerpt(refusal)}", final=True) if refusal else Fault("the reply is empty")
    if thought is None:
        thought, answer = split_reasoning(text, bool(opened))
    else:
        thought, answer = thought.strip("\n"), text.strip()
    tokens = len(ids) if ids else tokens
    finish = finish_of(choice.get("finish_reason"), tokens, most)
    return Reply(thought, answer, finish, count_of(usage, "prompt_tokens"), tokens, ids)


def parse(body: bytes) -> dict[str, Any]:
    """The reply's JSON object; half surrogates and broken UTF-8 in it become U+FFFD."""
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
    """A JSON object within another; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def first(choices: Any, reply: Mapping[str, Any]) -> dict[str, Any]:
    """The completion among the reply's choices."""
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    if reply.get("error"):  # some gateways say so with status 200
        raise Fault(f"the server failed: {excerpt(reply['error'])}")
    raise Fault("the reply has no choices")


def text_of(content: Any) -> str:
    """A message's text, also where it comes in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def ids_of(choice: Mapping[str, Any]) -> list[int] | None:
    """Token ids, where the server gives them."""
    ids = choice.get("token_ids")
    if not ids:
        return None
    try:
        return array("i", ids).tolist()
    except (TypeError, OverflowError):
        raise Fault("the reply's token_ids are no token ids") from None


def count_of(usage: Mapping[str, Any], key: str) -> int | None:
    """A number of tokens, where the server gives it."""
    count = usage.get(key)
    return count if isinstance(count, int) and 0 <= count < INT32 else None


def finish_of(stated: Any, tokens: int | None, most: int) -> str:
    """stop or length; a server that does not say is taken to have cut what has as many tokens as it may."""
    if stated is None:
        return "length" if tokens is not None and tokens >= most else "stop"
    if stated in REFUSED:
        raise Fault(f"the server refuses: finish_reason {stated}", final=True)
    if stated not in (*STOPPED, *CUT):
        raise Fault(f"the server gave the sample up: finish_reason {excerpt(stated)}")
    return "stop" if stated in STOPPED else "length"


def excerpt(words: Any) -> str:
    """The beginning of a server's own words, in one line."""
    if isinstance(words, bytes):
        words = words[: 4 * EXCERPT].decode("utf-8", "replace")
    elif not isinstance(words, str):
        words = json.dumps(words, default=str)
    line = " ".join(words.split())
    return line if len(line) <= EXCERPT else line[:EXCERPT] + "..."


def spoken_error(body: bytes) -> str:
    """What a server says about a request that it refuses: the message of its JSON, or its text."""
    try:
        said: Any = from_json(body)
    except ValueError:
        return excerpt(body)
    for key in ("error", "message", "detail"):
        said = said.get(key, said) if isinstance(said, dict) else said
    return excerpt(said)


def without(secret: str | None, words: str) -> str:
    """The words with the secret struck out."""
    return words.replace(secret, "[key]") if secret else words
