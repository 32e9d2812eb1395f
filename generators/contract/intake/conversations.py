"""Conversations: what one row of a known shape says, its completions split into reasoning and answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from generators.contract.completions import Completion, finish_reason, read_message, read_text
from generators.contract.intake.shapes import Shape
from generators.contract.intake.values import (
    ABSENT,
    BadRow,
    encodable,
    is_chat,
    label_of,
    lookup,
    reference_text,
    shown,
    text_of,
)

SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "bing": "assistant", "bard": "assistant", "system": "system",
}  # fmt: skip
TEXT_PARTS = ("text", "input_text", "output_text")
SPEAKING = (
    "content", "text", "value", "parts", "refusal", "output", "reasoning_content", "reasoning", "thinking",
    "tool_calls",
)  # fmt: skip
NO_RESPONSE = "the row has no response"


@dataclass(frozen=True)
class Answered:
    """One completion of a row. finish_reason: stop, length or error, which has a sentence in `error`."""

    completion: Completion
    finish_reason: str
    error: str | None = None
    verdicts: Mapping[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """Return the columns of a trace."""
        return {**self.completion.columns(), "finish_reason": self.finish_reason, "error": self.error}


@dataclass(frozen=True)
class Conversation:
    """A row: the messages before the completion, its completions, and the other columns of known use."""

    messages: list[dict[str, str]]
    system: str | None = None
    reference: str | None = None
    verifier: str | None = None
    domain: str | None = None
    source: str | None = None
    license: str | None = None
    teacher: str | None = None
    answers: tuple[Answered, ...] = ()


def read_prompt(row: Mapping[str, Any], shape: Shape, place: str) -> Conversation:
    """Return the row without its completions; a BadRow says why it cannot be read."""
    chat = _chat(row, shape, place)
    messages = _asked(chat, place) if chat is not None else _question(row, shape, place)
    about = _about(chat)
    system = lookup(row, shape.system) if shape.system else None
    source = label_of(_value(row, shape.source)) or about.get("source")
    return Conversation(
        messages,
        encodable(system) if isinstance(system, str) and system.strip() else None,
        _reference(row, shape, place) or reference_text(about.get("reference_answer") or about.get("test_case")),
        label_of(_value(row, shape.verifier)),
        label_of(_value(row, shape.domain)),
        source,
        label_of(_value(row, shape.license)),
        label_of(_value(row, shape.teacher)),
    )


def read_conversation(row: Mapping[str, Any], shape: Shape, place: str) -> Conversation:
    """Return the row with its completions, one or more; a BadRow says why it cannot be read."""
    return replace(read_prompt(row, shape, place), answers=tuple(_answers(row, shape)))


def _value(row: Mapping[str, Any], name: str | None) -> Any:
    value = lookup(row, name) if name else None
    return None if value is ABSENT else value


def _chat(row: Mapping[str, Any], shape: Shape, place: str = "") -> Any:
    """Return the row's conversation; a row whose chat is null may have its question in another column."""
    if shape.messages is None:
        return None
    chat = lookup(row, shape.messages)
    if chat in (None, ABSENT) and any(row.get(name) for name in shape.questions):
        return None
    if chat in (None, ABSENT):
        raise BadRow("no_messages", f"{place}: {shape.messages!r} is null; accepted is a list of role and content")
    return chat


def _about(chat: Any) -> Mapping[str, Any]:
    """Return the `info` of AM-DeepSeek-R1-Distilled's first message."""
    about = chat[0].get("info") if is_chat(chat) else None
    return about if isinstance(about, Mapping) else {}


def _reference(row: Mapping[str, Any], shape: Shape, place: str) -> str | None:
    if isinstance(shape.reference, tuple):
        return reference_text({name: _value(row, name) for name in shape.reference})
    value = _value(row, shape.reference)
    return reference_text(value) if value != "" else None


def _question(row: Mapping[str, Any], shape: Shape, place: str) -> list[dict[str, str]]:
    if not shape.questions:
        raise BadRow("no_question", f"{place}: no column of a question or a conversation is known")
    values = [lookup(row, name) for name in shape.questions]
    if values[0] is ABSENT:
        raise BadRow("no_question", f"{place}: the row has no {shape.questions[0]!r}")
    texts = [text_of(None if value is ABSENT else value, "the question", place) or "" for value in values]
    return [{"role": "user", "content": "\n\n".join(text.strip() for text in texts if text.strip())}]


def _asked(chat: Any, place: str) -> list[dict[str, str]]:
    """Return the messages before the completion, which is the last message if it is the assistant's."""
    messages = chat_messages(chat, place, completed=True)
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages


def chat_messages(value: Any, place: str, completed: bool = False) -> list[dict[str, str]]:
    """Return messages of `role` and `content`, whatever their form; a BadRow says why they cannot be read.

    completed: the last message may hold its text in other fields, so its content is left empty if it has none.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise BadRow("no_messages", f"{place}: messages are {shown(value)}; accepted is a list of role and content")
    turns = [turn for number, item in enumerate(value, start=1) for turn in _turns(item, f"{place}, message {number}")]
    found = []
    for number, (role, content) in enumerate(turns, start=1):
        last = completed and number == len(turns) and role == "assistant"
        found.append({"role": role, "content": "" if last else _spoken(content, f"{place}, message {number}")})
    return found


def _turns(item: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield (role, content) of a message; a turn of `input` and `output` is two."""
    if not isinstance(item, Mapping):
        raise BadRow("bad_message", f"{place} is {shown(item)}; accepted is an object with role and content")
    if "role" not in item and "from" not in item and "input" in item and "output" in item:
        yield from (("user", item["input"]), ("assistant", item["output"]))
        return
    role = item.get("role") or item.get("from")
    if str(role).lower() not in SPEAKERS:
        raise BadRow("unknown_role", f"{place}: the role is {role!r}; accepted are {', '.join(SPEAKERS)}")
    keys = ("content", "value", "text", "parts")
    yield SPEAKERS[str(role).lower()], next((item[key] for key in keys if item.get(key) is not None), None)


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


def _answers(row: Mapping[str, Any], shape: Shape) -> Iterator[Answered]:
    """Yield the row's completions: of a list, of the last message, or of columns, in this order."""
    found = list(_found(row, shape))
    verdicts = [_value(row, name) for name in shape.verdicts]
    finishes, complete = _value(row, shape.finish_reason), _value(row, shape.complete)
    for place, value in enumerate(found):
        several = len(found) > 1 or isinstance(finishes, list)
        said = dict(zip(shape.verdicts, (_nth(one, place, several) for one in verdicts), strict=True))
        whole = _nth(complete, place, several or isinstance(complete, list))
        yield _answered(value, _nth(finishes, place, several), whole, shape, said)


def _found(row: Mapping[str, Any], shape: Shape) -> Iterator[Any]:
    values = [_value(row, name) for name in shape.responses]
    if any(isinstance(value, list) and not is_chat(value) for value in values) or not shape.messages:
        thoughts = _value(row, shape.reasoning)
        several = [one for value in values for one in _each(value)]
        for place, value in enumerate(several or [None]):
            yield _thought(_nth(thoughts, place, isinstance(thoughts, list)), value)
        return
    chat = _chat(row, shape)
    if is_chat(chat) and chat and _is_assistant(chat[-1]):
        yield _last(chat[-1], _value(row, shape.reasoning))
    else:
        yield from (_thought(_value(row, shape.reasoning), one) for value in values or [None] for one in _each(value))


def _each(value: Any) -> list[Any]:
    """Return the completions in a value: a list holds several, unless it is one conversation or parts of a text."""
    if is_chat(value):
        return [value[-1]] if all("finish_reason" not in one for one in value) else list(value)
    if isinstance(value, list) and not all(isinstance(one, Mapping) and "type" in one for one in value):
        return value
    return [value]


def _nth(value: Any, place: int, several: bool) -> Any:
    if several and isinstance(value, list):
        return value[place] if place < len(value) else None
    return value


def _is_assistant(message: Mapping[str, Any]) -> bool:
    if "output" in message and "role" not in message:
        return True
    return SPEAKERS.get(str(message.get("role") or message.get("from")).lower()) == "assistant"


def _last(message: Mapping[str, Any], thought: Any) -> Any:
    """Return a conversation's last message, with the reasoning that another column or its `info` holds."""
    info = message.get("info")
    if isinstance(info, Mapping) and info.get("think_content") and info.get("answer_content"):
        return {"reasoning_content": info["think_content"], "content": info["answer_content"]}
    text = message.get("value", message.get("output"))
    found = {**message, "content": message.get("content") if text is None else text}
    return {**found, "reasoning_content": thought} if thought and not found.get("reasoning_content") else found


def _thought(thought: Any, value: Any) -> Any:
    """Return a completion with the reasoning of its own column."""
    if not thought or value is None:
        return value
    said = dict(value) if isinstance(value, Mapping) else {"content": value}
    return {**said, "reasoning_content": thought}


def _answered(value: Any, stated: Any, complete: Any, shape: Shape, verdicts: Mapping[str, Any]) -> Answered:
    if isinstance(value, Mapping) and isinstance(value.get("message"), Mapping):  # a choice of a server's reply
        stated, value = value.get("finish_reason") or stated, value["message"]
    elif isinstance(value, Mapping):
        stated = value.get("finish_reason") or value.get("stop_reason") or stated
    completion = _completion(value)
    if completion is None:
        return Answered(Completion(None, ""), "error", NO_RESPONSE, verdicts)
    if completion.refusal:
        return Answered(completion, "error", f"the model refused: {completion.refusal[:80]}", verdicts)
    if shape.lone_close and completion.reasoning is None and not completion.fault:
        completion = read_text(completion.answer, opened=True)
    finish = finish_reason(stated)
    if finish is None:
        cut = (completion.reasoning is not None and not completion.answer) or complete is False
        finish = "length" if cut else "stop"
    finish, _, error = finish.partition(": ")
    return Answered(completion, finish, error or None, verdicts)


def _completion(value: Any) -> Completion | None:
    if isinstance(value, str):
        return read_text(encodable(value))
    if isinstance(value, list) and value:
        return _mended(read_message({"content": value}))
    if isinstance(value, Mapping) and any(value.get(key) is not None for key in SPEAKING):
        return _mended(read_message(value))
    return None


def _mended(found: Completion) -> Completion:
    reasoning = None if found.reasoning is None else encodable(found.reasoning)
    before, between, after = (encodable(text) for text in found.wrapping or ("", "", ""))
    wrapping = (before, between, after) if found.wrapping else None
    return replace(found, reasoning=reasoning, answer=encodable(found.answer), wrapping=wrapping)
