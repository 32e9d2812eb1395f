"""Conversations: what one row of a known shape says, its completions split into reasoning and answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from generators.contract.intake.answers import Answered, answers_of
from generators.contract.intake.no_answers import why_none
from generators.contract.intake.shapes import Shape
from generators.contract.intake.shapes.names import CHATS
from generators.contract.intake.turns import (
    Messages,
    alternating,
    asked,
    chat_messages,
    earlier_answer,
    merged_thinking,
    role_of,
)
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
    value_at,
    verifier_of,
)

KNOWN = ("reference_answer", "ground_truth", "test_case")  # references in the `info` of a first message


@dataclass(frozen=True)
class Conversation:
    """A row: the messages before the completion, its completions, and the other columns of known use."""

    messages: Messages
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
    messages = _before_answer(chat, shape, place) if chat is not None else _question(row, shape, place)
    messages = _with_turns(messages, chat, row, shape, place)
    about = _about(chat)
    system = lookup(row, shape.system) if shape.system else None
    source = label_of(value_at(row, shape.source)) or about.get("source")
    return Conversation(
        messages,
        encodable(system) if isinstance(system, str) and system.strip() else None,
        _reference(row, shape, place) or reference_text(next((about[key] for key in KNOWN if about.get(key)), None)),
        verifier_of(value_at(row, shape.verifier)),
        label_of(value_at(row, shape.domain)),
        source,
        label_of(value_at(row, shape.license)),
        label_of(value_at(row, shape.teacher)),
    )


def read_conversation(row: Mapping[str, Any], shape: Shape, place: str) -> Conversation:
    """Return the row with its completions, one or more; a BadRow says why it cannot be read."""
    found = read_prompt(row, shape, place)
    return replace(found, answers=tuple(answers_of(row, shape, _chat(row, shape, place))))


def without_non_answers(found: Conversation) -> Conversation:
    """Return a conversation to learn from, where refusals and errors in place of an answer are errors.

    A conversation with a reference is returned as it is: its verifier judges what is no answer.
    """
    return found if found.reference else replace(found, answers=tuple(map(_judged, found.answers)))


def _judged(one: Answered) -> Answered:
    said = one.completion
    if one.finish_reason != "stop" or said.fault or not (why := why_none(said.answer)):
        return one
    return replace(one, finish_reason="error", error=f"{why}: {said.answer[:80]!r}")


def _chat(row: Mapping[str, Any], shape: Shape, place: str) -> Any:
    """Return the row's conversation; a row whose chat is null may have its question in another column."""
    if shape.messages is None:
        return None
    chat = lookup(row, shape.messages)
    if chat in (None, ABSENT):
        chat = next((row[name] for name in CHATS if is_chat(row.get(name))), chat)
    if chat in (None, ABSENT) and any(row.get(name) for name in shape.questions):
        return None
    if chat in (None, ABSENT):
        raise BadRow("no_messages", f"{place}: {shape.messages!r} is null; accepted is a list of role and content")
    return merged_thinking(alternating(chat))


def _about(chat: Any) -> Mapping[str, Any]:
    """Return the `info` of AM-DeepSeek-R1-Distilled's first message."""
    about = chat[0].get("info") if is_chat(chat) else None
    return about if isinstance(about, Mapping) else {}


def _reference(row: Mapping[str, Any], shape: Shape, place: str) -> str | None:
    if isinstance(shape.reference, tuple):
        return reference_text({name: value_at(row, name) for name in shape.reference})
    value = value_at(row, shape.reference)
    return None if value in ([], {}) or (isinstance(value, str) and not value.strip()) else reference_text(value)


def _question(row: Mapping[str, Any], shape: Shape, place: str) -> Messages:
    if not shape.questions:
        raise BadRow("no_question", f"{place}: no column of a question or a conversation is known")
    values = [lookup(row, name) for name in shape.questions]
    if values[0] is ABSENT:
        raise BadRow("no_question", f"{place}: the row has no {shape.questions[0]!r}")
    texts = [text_of(None if value is ABSENT else value, "the question", place) or "" for value in values]
    text = "\n\n".join(text.strip() for text in texts if text.strip())
    return [*_history(value_at(row, shape.history), place), {"role": "user", "content": asked(text, place)}]


def _history(turns: Any, place: str) -> Messages:
    """Return the turns before an Alpaca question: pairs of question and answer, or messages."""
    if not turns:
        return []
    if is_chat(turns):
        return chat_messages(turns, f"{place}, history")
    found: Messages = []
    for number, pair in enumerate(turns if isinstance(turns, list) else [turns], start=1):
        where = f"{place}, turn {number} of the history"
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise BadRow("bad_history", f"{where} is {shown(pair)}; accepted is a pair of question and answer")
        found.append({"role": "user", "content": asked(encodable(pair[0]), where)})
        found.append({"role": "assistant", "content": earlier_answer({"content": pair[1]}, where)})
    return found


def _before_answer(chat: Any, shape: Shape, place: str) -> Messages:
    """Return the messages before the completion, which is the last message if it is the assistant's."""
    messages = chat_messages(chat, place, completed=True, lone_marks=shape.lone_marks)
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages


def _with_turns(messages: Messages, chat: Any, row: Mapping[str, Any], shape: Shape, place: str) -> Messages:
    """Return the prompt with the turns that a completion of several messages has before its last one.

    Such a completion may repeat the prompt, as preference pairs do.
    """
    said: Any = value_at(row, shape.responses[0]) if len(shape.responses) == 1 else None
    if not is_chat(said) or len(said) < 2 or any("finish_reason" in one for one in said):
        return messages
    if is_chat(chat) and role_of(chat[-1]) == "assistant":  # the conversation is complete
        return messages
    turns = _before_answer(merged_thinking(said), shape, f"{place}, {shape.responses[0]}")
    return turns if turns[: len(messages)] == messages else [*messages, *turns]
