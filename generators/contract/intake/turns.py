"""Turns of a conversation: roles and texts in any form, those before the completion without reasoning and marks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from generators.contract.completions import asked_text, join_reasoning, read_message
from generators.contract.intake.values import BadRow, encodable, shown

SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "bing": "assistant", "bard": "assistant", "system": "system",
}  # fmt: skip
THINKERS = ("reasoning", "thinking", "thought", "analysis")  # turns of their own, before the answer
TEXT_PARTS = ("text", "input_text", "output_text")
CONTENTS = ("content", "value", "text", "parts")
Messages = list[dict[str, str]]


def chat_messages(value: Any, place: str, completed: bool = False, lone_marks: bool = True) -> Messages:
    """Return messages of `role` and `content`, whatever their form; a BadRow says why they cannot be read.

    Earlier answers are without their reasoning, as chat templates show them, and turns without special tokens at their
    ends. completed: the last message may hold its text in other fields, so its content is left empty if it is the
    assistant's. lone_marks: a closing mark without an opening one ends thinking; else it is a fault.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise BadRow("no_messages", f"{place}: messages are {shown(value)}; accepted is a list of role and content")
    value = alternating(value)
    turns = [turn for number, item in enumerate(value, start=1) for turn in _turns(item, f"{place}, message {number}")]
    found = []
    for number, (role, message) in enumerate(turns, start=1):
        where = f"{place}, message {number}"
        if completed and number == len(turns) and role == "assistant":
            text = ""
        elif role == "assistant":
            text = earlier_answer(message, where, lone_marks)
        else:
            text = asked(_spoken(content_of(message), where), where)
        found.append({"role": role, "content": text})
    return found


def alternating(value: Any) -> Any:
    """Return texts of user and assistant in turn as messages; any other value as it is."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, str) for item in value):
        return value
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(value)]


def merged_thinking(turns: Any) -> Any:
    """Return a conversation with each turn of thinking as the reasoning of the answer after it; others as they are."""
    if not isinstance(turns, list) or not any(_is_thinking(turn) for turn in turns):
        return turns
    found: list[Any] = []
    for turn in turns:
        last: Any = found[-1] if found else None
        if _is_thinking(last) and isinstance(turn, Mapping) and role_of(turn) == "assistant" and not _is_thinking(turn):
            found[-1] = {**turn, "reasoning_content": content_of(last)}
        else:
            found.append(turn)
    return found


def _is_thinking(turn: Any) -> bool:
    """Return whether a turn is thinking by its role, or by the channel of harmony."""
    if not isinstance(turn, Mapping):
        return False
    return turn.get("channel") == "analysis" or str(turn.get("role") or turn.get("from")).lower() in THINKERS


def role_of(message: Mapping[str, Any]) -> str | None:
    """Return user, assistant or system; None for a turn of another speaker."""
    if "role" not in message and "from" not in message and "output" in message:
        return "assistant"
    return SPEAKERS.get(str(message.get("role") or message.get("from")).lower())


def content_of(message: Mapping[str, Any]) -> Any:
    """Return a message's content: of several keys the first one with a text, so that all turns read the same keys."""
    values = [message[key] for key in CONTENTS if message.get(key) is not None]
    said = (value for value in values if not isinstance(value, str) or value.strip())
    return next(said, values[0] if values else None)


def asked(text: str, place: str) -> str:
    """Return the text of a turn that is no completion; a BadRow for a special token inside it."""
    if "<" not in text and "[" not in text:
        return text
    text, left = asked_text(text)
    if left:
        raise BadRow("special_tokens", f"{place}: the text has the special token {left[:40]!r} inside it")
    return text


def earlier_answer(message: Mapping[str, Any], place: str, lone_marks: bool = True) -> str:
    """Return the text of an answer that is not the last one, as written if there is nothing to leave out."""
    content = content_of(message)
    if content is None or not isinstance(content, str | list) or content == []:
        raise BadRow("no_content", f"{place}: the content is {shown(content)}; accepted is text")
    found = read_message({**message, "content": _mended(content)})
    if found.fault and found.fault.startswith("a part of type"):
        raise BadRow("parts", f"{place}: the content has {found.fault}; accepted is text")
    if found.lone and not lone_marks:
        raise BadRow("special_tokens", f"{place}: the text has a closing mark of thinking inside it")
    if found.fault:
        raise BadRow("special_tokens", f"{place}: an earlier answer has {found.fault}")
    if found.reasoning is not None and not found.answer:
        raise BadRow("no_content", f"{place}: an earlier answer is thinking that never ends")
    whole = isinstance(content, str) and join_reasoning(found.reasoning, found.answer, found.wrapping) == content
    return encodable(str(content)) if whole and found.reasoning is None else encodable(found.answer)


def _mended(content: Any) -> Any:
    return encodable(content) if isinstance(content, str) else content


def _turns(item: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (role, message); a turn of `input` and `output` is two."""
    if not isinstance(item, Mapping):
        raise BadRow("bad_message", f"{place} is {shown(item)}; accepted is an object with role and content")
    if "role" not in item and "from" not in item and "input" in item and "output" in item:
        yield from (("user", {"content": item["input"]}), ("assistant", {"content": item["output"]}))
        return
    role = role_of(item)
    if role == "system" and content_of(item) is None:
        return
    if role is None:
        named = item.get("role") or item.get("from")
        raise BadRow("unknown_role", f"{place}: the role is {named!r}; accepted are {', '.join(SPEAKERS)}")
    yield role, item


def _spoken(content: Any, place: str) -> str:
    """Return a content's text; parts that are all text are joined."""
    if isinstance(content, str):
        return encodable(content)
    if isinstance(content, list) and content:
        texts = [_part(part) for part in content]
        if all(text is not None for text in texts):
            return encodable("".join(text for text in texts if text is not None))
        raise BadRow("parts", f"{place}: the content has parts that are no text; accepted is text")
    raise BadRow("no_content", f"{place}: the content is {shown(content)}; accepted is text")


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") in TEXT_PARTS:
        found: str = part["text"]
        return found
    return None
