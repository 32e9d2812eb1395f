"""Completions of a row: of a list, of the last message, or of columns, each with its end and the file's verdicts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from generators.contract.completions import CLOSE, Completion, ends_opened, finish_reason, read_message, read_text
from generators.contract.intake.logs import PREFIX
from generators.contract.intake.no_answers import runs_on
from generators.contract.intake.shapes import Shape
from generators.contract.intake.turns import content_of, merged_thinking, role_of
from generators.contract.intake.values import encodable, flag_of, is_chat, shown, value_at

SPEAKING = (
    "content", "text", "value", "parts", "refusal", "output", "response", "reasoning_content", "reasoning", "thinking",
    "tool_calls", "function_call",
)  # fmt: skip
RIGHT = frozenset({"yes", "true", "correct", "right", "pass", "passed", "1", "1.0"})
WRONG = frozenset({"no", "false", "incorrect", "wrong", "fail", "failed", "0", "0.0", "-1", "-1.0"})
CALLS = tuple(f"a part of type {kind}" for kind in ("tool_call", "tool_use", "function_call", "functionCall"))
NO_RESPONSE = "the row has no response"
EMPTY = "the answer is empty"
NOT_LEARNED = {"weight": (0,), "train": (False,), "loss": (False, 0), "train_on_turn": (False,)}
UNFINISHED = {  # of a message itself
    "done": False, "complete": False, "completed": False, "is_complete": False, "finished": False, "truncated": True,
    "is_truncated": True,
}  # fmt: skip
FINISHES = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "doneReason")


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


def file_says(verdicts: Mapping[str, Any]) -> bool | None:
    """Return whether a file calls its completion right: one of several verdicts is enough; None: it does not say."""
    each = [one for value in verdicts.values() for one in (value if isinstance(value, list) else [value])]
    said = {str(one).strip().lower() for one in each if one is not None}
    return True if said & RIGHT else False if said & WRONG else None


def answers_of(row: Mapping[str, Any], shape: Shape, chat: Any) -> Iterator[Answered]:
    """Yield the row's completions. chat: its conversation, whose last message may be one; None: it has none."""
    found = list(_found(row, shape, chat))
    verdicts = [value_at(row, name) for name in shape.verdicts]
    finishes, complete = value_at(row, shape.finish_reason), value_at(row, shape.complete)
    cut = value_at(row, shape.truncated)
    for place, value in enumerate(found):
        several = len(found) > 1 or isinstance(finishes, list)
        own = (_nth(one, place, several or isinstance(one, list)) for one in verdicts)
        said = dict(zip(shape.verdicts, own, strict=True))
        whole = flag_of(_nth(complete, place, several or isinstance(complete, list)))
        part = flag_of(_nth(cut, place, several or isinstance(cut, list)))
        ends = _Ends(whole is False, part is True, shape, str(value_at(row, PREFIX) or ""))
        told = next((len(one) for one in (finishes, complete, cut) if isinstance(one, list) and one), None)
        if several and told is not None and told <= place and not _stated(value):
            error = f"the row has {len(found)} completions, but only {told} say how they end"
            yield Answered(Completion(None, ""), "error", error, said)
            continue
        yield _answered(value, _nth(finishes, place, several), ends, said)


@dataclass(frozen=True)
class _Ends:
    """Columns that tell whether a completion was cut: incomplete counts where no reason is stated, truncated always.

    opened: the beginning of the answer that the prompt had, such as `<think>`.
    """

    incomplete: bool
    truncated: bool
    shape: Shape
    opened: str = ""


def _found(row: Mapping[str, Any], shape: Shape, chat: Any) -> Iterator[Any]:
    values = [value_at(row, name) for name in shape.responses]
    thoughts = value_at(row, shape.reasoning)
    if any(isinstance(value, list) and not is_chat(value) for value in values) or not shape.messages:
        several = [one for value in values for one in _each(value)]
        for place, value in enumerate(several or [None]):
            yield _thought(_nth(thoughts, place, isinstance(thoughts, list)), value)
    elif is_chat(chat) and chat and role_of(chat[-1]) == "assistant":
        yield _last(chat[-1], thoughts)
    else:
        yield from (_thought(thoughts, one) for value in values or [None] for one in _each(value))


def _each(value: Any) -> list[Any]:
    """Return the completions in a value: a list holds several, unless it is one conversation or parts of a text."""
    if is_chat(value):
        value = merged_thinking(value)
        return [value[-1]] if all("finish_reason" not in one for one in value) else list(value)
    if isinstance(value, list) and not all(isinstance(one, Mapping) and "type" in one for one in value):
        return value
    return [value]


def _nth(value: Any, place: int, several: bool) -> Any:
    if several and isinstance(value, list):
        return value[place] if place < len(value) else None
    return value


def _last(message: Mapping[str, Any], thought: Any) -> Any:
    """Return a conversation's last message, with the reasoning that another column or its `info` holds."""
    text = message["output"] if "output" in message and "role" not in message else content_of(message)
    info = message.get("info")
    if isinstance(info, Mapping) and info.get("think_content") and info.get("answer_content"):
        cut = isinstance(text, str) and read_text(text).cut
        said = {"reasoning_content": info["think_content"], "content": info["answer_content"]}
        return {**said, **({"done": False} if cut else {})}
    found = {**message, "content": text}
    return {**found, "reasoning_content": thought} if thought and not found.get("reasoning_content") else found


def _thought(thought: Any, value: Any) -> Any:
    """Return a completion with the reasoning of its own column."""
    if not thought or value is None:
        return value
    said = dict(value) if isinstance(value, Mapping) else {"content": value}
    return {**said, "reasoning_content": thought}


def _answered(value: Any, stated: Any, ends: _Ends, verdicts: Mapping[str, Any]) -> Answered:
    if isinstance(value, Mapping) and isinstance(value.get("message"), Mapping):  # a choice of a server's reply
        stated, value = _stated(value) or stated, value["message"]
    elif isinstance(value, Mapping):
        stated = _stated(value) or stated
    completion = _completion(value, ends_opened(ends.opened))
    if isinstance(completion, str):
        return Answered(Completion(None, ""), "error", completion, verdicts)
    if completion.refusal:
        return Answered(completion, "error", f"the model refused: {completion.refusal[:80]}", verdicts)
    if completion.fault in CALLS:
        return Answered(completion, "error", "the model called a tool instead of answering", verdicts)
    completion = _with_lone_marks(completion, ends.shape)
    finish, _, error = _finish(completion, stated, value, ends).partition(": ")
    if finish == "stop" and not said_in(completion.answer) and completion.fault is None:
        completion = replace(completion, fault=EMPTY)
    if completion.fault is None and (turn := runs_on(completion.answer)):
        completion = replace(completion, fault=f"the answer runs on into a turn of {turn}")
    return Answered(completion, finish, error or None, verdicts)


def _stated(value: Any) -> Any:
    """Return the finish reason that a message or choice itself states."""
    return next((value[key] for key in FINISHES if value.get(key)), None) if isinstance(value, Mapping) else None


def said_in(text: str) -> bool:
    """Return whether a text says anything: characters that show, outside the marks of an answer."""
    if "<answer>" in text:
        text = text.replace("<answer>", "").replace("</answer>", "")
    return text[:1].isalnum() or any(sign.isprintable() and not sign.isspace() for sign in text)


def _with_lone_marks(completion: Completion, shape: Shape) -> Completion:
    """Return a completion by what the file's other rows say of closing marks without an opening one."""
    if completion.lone and not shape.lone_marks:
        _, between, after = completion.wrapping or ("", CLOSE, "")
        text = f"{completion.reasoning}{between}{completion.answer}{after}".strip()
        return Completion(None, text, fault=f"a thinking mark inside the answer: {CLOSE}")
    if shape.lone_close and completion.reasoning is None and not completion.fault and completion.answer:
        return read_text(completion.answer, opened=True)
    return completion


def _finish(completion: Completion, stated: Any, value: Any, ends: _Ends) -> str:
    """Return stop, length, or `error: ` and a sentence."""
    finish = finish_reason(stated)
    said = value if isinstance(value, Mapping) else {}
    unfinished = any(said.get(key) is cut for key, cut in UNFINISHED.items())
    if finish is None:
        return "length" if completion.cut or ends.incomplete or ends.truncated or unfinished else "stop"
    return "length" if finish == "stop" and (ends.truncated or unfinished) else finish


def _completion(value: Any, opened: str = "") -> Completion | str:
    """Return the completion in a value, or a sentence on why there is none."""
    if value is None or value == []:
        return NO_RESPONSE
    if isinstance(value, str):
        return read_text(encodable(value), opened)
    if isinstance(value, list):
        return _mended(read_message({"content": value}, opened))
    if not isinstance(value, Mapping):
        return f"the response is {shown(value)}; accepted is text"
    if any(said in unlearned for key, unlearned in NOT_LEARNED.items() if (said := value.get(key)) is not None):
        return "the file says that this answer is not to be learned"
    there = [value[key] for key in SPEAKING if value.get(key) is not None]
    if not there and value.get("error"):
        return f"the server gave no answer: {_sentence(value['error'])}"
    if not there:
        return NO_RESPONSE if {"role", "from", "content", "finish_reason"} & {*value} else _no_text(value)
    content = value.get("content")
    part = isinstance(content, Mapping) and isinstance(content.get("text"), str)
    if content is not None and not part and not isinstance(content, str | list):
        return _no_text(content)
    return _mended(read_message(value, opened))


def _no_text(value: Any) -> str:
    return f"the response is {shown(value)}; accepted is text"


def _sentence(error: Any) -> str:
    """Return a server's error as text: its message, else all of it."""
    inner = error.get("error") if isinstance(error, Mapping) else None
    if isinstance(inner, Mapping | str):
        return _sentence(inner)
    if isinstance(error, Mapping):
        said = error.get("message") or error.get("detail") or error.get("code") or error.get("type")
        return str(said or dict(error))[:200]
    return str(error)[:200]


def _mended(found: Completion) -> Completion:
    reasoning = None if found.reasoning is None else encodable(found.reasoning)
    before, between, after = (encodable(text) for text in found.wrapping or ("", "", ""))
    wrapping = (before, between, after) if found.wrapping else None
    return replace(found, reasoning=reasoning, answer=encodable(found.answer), wrapping=wrapping)
