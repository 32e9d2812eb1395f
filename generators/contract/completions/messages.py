"""Assistant messages of any server or file: reasoning in a field, in parts of the content, or in the text itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from generators.contract.completions.marks import CLOSE, OPEN
from generators.contract.completions.texts import Completion, read_text

FIELDS = (
    "reasoning_content", "reasoning", "thinking", "thought", "thoughts", "reasoning_text", "reasoning_details",
    "thinking_blocks", "reasoningContent",
)  # fmt: skip
CONTENTS = ("content", "text", "parts", "output", "response", "output_text")
THINKING = ("thinking", "reasoning", "thought", "reasoning.text", "reasoning.summary", "reasoning_text", "summary_text")
USUAL = "\n\n"  # between thinking and answer, where a server has cut it off: as most models write
HIDDEN = ("redacted_thinking", "reasoning.encrypted", "encrypted")
SPOKEN = ("text", "output_text", "input_text", "message", "")


@dataclass
class _Read:
    """The texts of a message by kind."""

    thoughts: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # types of parts that are no text
    thought_after_text: bool = False
    parted: bool = False  # texts stand on both sides of a part of thinking: each is an answer of its own

    def spoken(self, text: str) -> None:
        """Add a text of the answer."""
        self.parted = self.parted or (bool(text.strip()) and self.thought_after_text)
        self.texts.append(text)

    def thought(self, thoughts: Iterable[str]) -> None:
        """Add thinking."""
        self.thought_after_text = any(text.strip() for text in self.texts)
        self.thoughts.extend(thoughts)


def read_message(message: Mapping[str, Any], opened: bool | str = False) -> Completion:
    """Return the completion that a message holds, in any known form.

    Forms: `reasoning_content`, `reasoning`, `thinking` and `thought` as text or parts; `reasoning_details` of
    OpenRouter; content as text or as parts (Mistral, Anthropic, Gemini, items of OpenAI's Responses); marks in the
    text, also next to a field. opened: see `read_text`; a field of its own outdoes it.
    """
    read = _Read()
    thought = next((text for key in FIELDS if (text := _joined(message.get(key)))), "")
    for key in CONTENTS:
        if message.get(key):
            _content(message[key], read)
            break
    thought = thought if thought.strip() else "\n".join(read.thoughts)
    text = "".join(read.texts)
    found = _merged(thought, text) if thought.strip() else read_text(text, opened)
    if isinstance(refusal := message.get("refusal"), str) and refusal.strip():
        read.refusals.append(refusal)
    if message.get("tool_calls") or message.get("function_call"):
        read.others.append("tool_call")
    fault = found.fault or (f"a part of type {read.others[0]}" if read.others else None)
    fault = fault or ("thinking between two texts" if read.parted else None)
    return replace(found, fault=fault, refusal="\n".join(read.refusals) or None)


def _joined(value: Any) -> str:
    """Return the thinking in a field: text, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    return "\n".join(_thoughts(value))


def _thoughts(value: Any) -> Iterable[str]:
    """Yield the texts of thinking parts; encrypted ones have none."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _thoughts(part)
    elif isinstance(value, Mapping) and value.get("type") not in HIDDEN:
        keys = ("thinking", "reasoning", "text", "content", "summary")
        yield from next((texts for key in keys if (texts := list(_thoughts(value.get(key))))), [])


def _content(content: Any, read: _Read) -> None:
    """Sort the content of a message into its kinds of text."""
    if isinstance(content, str):
        read.spoken(content)
    elif isinstance(content, list | tuple):
        for part in content:
            _content(part, read)
    elif isinstance(content, Mapping):
        _part(content, read)


def _part(part: Mapping[str, Any], read: _Read) -> None:
    kind = str(part.get("type") or "")
    if kind in HIDDEN:
        return
    if kind in THINKING or part.get("thought") is True or (not kind and part.get("thinking")):
        read.thought(_thoughts(part))
    elif kind == "refusal" or (kind in SPOKEN and part.get("refusal")):
        read.refusals.append(str(part.get("refusal") or part.get("text")))
    elif kind in SPOKEN:
        _content(next((part[key] for key in ("text", *CONTENTS) if part.get(key) is not None), ""), read)
        if not kind and (part.get("functionCall") or part.get("function_call")):
            read.others.append("function_call")
    else:
        read.others.append(kind)


def _merged(thought: str, text: str) -> Completion:
    """Return a completion whose reasoning stands in a field, next to a text that may repeat or close it."""
    field_ = read_text(thought, opened=True)
    spoken = read_text(text)
    reasoning = field_.reasoning or ""
    answer, fault = spoken.answer, field_.fault or spoken.fault
    if spoken.reasoning is not None and _squashed(spoken.reasoning) not in _squashed(reasoning):
        answer, fault = text.strip(), "two different reasonings, in the text and in a field"
    if field_.answer:  # the field holds the whole completion
        answer = answer or field_.answer
        fault = fault or (None if answer == field_.answer else "two different answers, in the text and in a field")
    lead = thought[: len(thought) - len(thought.lstrip("\n"))] or "\n"
    if not answer:
        return Completion(reasoning, "", (OPEN + lead, "", ""), fault)
    trail = thought[len(thought.rstrip("\n")) :] or "\n"
    blanks, after = _blanks(text if spoken.reasoning is None else spoken.wrapping[1].rpartition(CLOSE)[2] + answer)  # type: ignore[index]
    return Completion(reasoning, answer, (OPEN + lead, f"{trail}{CLOSE}{blanks or USUAL}", after), fault)


def _blanks(text: str) -> tuple[str, str]:
    """Return the blanks before and after a text."""
    said = text.strip()
    lead = text[: len(text) - len(text.lstrip())] if said else ""
    return lead, text[len(lead) + len(said) :] if said else ""


def _squashed(text: str) -> str:
    return " ".join(text.split())
