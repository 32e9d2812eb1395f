"""Conversations that a chat template has rendered to text, taken apart again at the marks of their turns.

Sources: the chat templates of the models. A text in another form, or with a turn of a tool, is left as it is.
"""
# ruff: noqa: RUF001  (marks of DeepSeek's models are spelled with full-width characters)

import re
from dataclasses import dataclass

from generators.contract.completions.marks import ENDS_OPENED

ROLES = {"human": "user", "user": "user", "model": "assistant", "assistant": "assistant", "system": "system"}
_ROLE = r"(?P<role>[A-Za-z_]+)"
# (what begins a text, a header with its role, the end of a turn)
FORMS = tuple(
    (re.compile(rf"\s*(?:<\|begin_of_text\|>|<bos>|<s>)?\s*(?:{header})"), re.compile(header), re.compile(end))
    for header, end in (
        (rf"<\|im_start\|>{_ROLE}\n", r"<\|im_end\|>\s*(?:<\|endoftext\|>)?\s*\Z"),
        (rf"<\|start_header_id\|>{_ROLE}<\|end_header_id\|>\n*", r"<\|(?:eot_id|end_of_text)\|>\s*\Z"),
        (rf"<start_of_turn>{_ROLE}\n", r"<end_of_turn>\s*(?:<eos>)?\s*\Z"),
        (rf"<\|start_of_role\|>{_ROLE}<\|end_of_role\|>", r"<\|end_of_text\|>\s*\Z"),
        (r"<\|(?P<role>system|user|assistant)\|>\n?", r"(?:<\|(?:end|endoftext)\|>|</s>)\s*\Z"),
        (r"\n\n(?P<role>Human|Assistant): ?", r"\s*\Z"),
    )
)
DEEPSEEK = re.compile(r"\s*<｜begin▁of▁sentence｜>|\s*<｜User｜>")
DEEPSEEK_HEADER = re.compile(r"<｜(?P<role>User|Assistant)｜>")
DEEPSEEK_END = re.compile(r"<｜end▁of▁sentence｜>\s*\Z")
INSTRUCTED = re.compile(r"\s*(?:<s>)?\s*\[INST\](?:\s*<<SYS>>\n?(?P<system>.*?)\n?<</SYS>>\n*)?", re.DOTALL)
INSTRUCTION = re.compile(r"(?:<s>)?\s*\[INST\]\s?(?P<asked>.*?)\s?\[/INST\]\s?", re.DOTALL)
LIKELY = ("<|", "<start_of_turn>", "[INST]", "<｜", "\n\nHuman:")


@dataclass(frozen=True)
class Rendered:
    """A conversation. opened: what the template wrote of the answer, such as `<think>`; it may be empty."""

    messages: list[dict[str, str]]
    opened: str = ""


def read_rendered(text: str) -> Rendered | None:
    """Return the conversation in a rendered text; None: it is no rendered text."""
    if not any(mark in text[:200] for mark in LIKELY):
        return None
    if INSTRUCTED.match(text):
        return _instructed(text)
    if DEEPSEEK.match(text):
        begun = text.replace("<｜begin▁of▁sentence｜>", "", 1)
        return _turns(begun, DEEPSEEK_HEADER, DEEPSEEK_END, begun.partition("<｜")[0])
    for begins, header, end in FORMS:
        if begins.match(text):
            return _turns(text, header, end, "")
    return None


def _turns(text: str, header: re.Pattern[str], end: re.Pattern[str], system: str) -> Rendered | None:
    """Return the turns between the headers."""
    found = list(header.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    messages = [{"role": "system", "content": system.strip()}] if system.strip() else []
    for each, stop in zip(found, ends, strict=True):
        role = ROLES.get(each["role"].lower())
        if role is None:
            return None
        messages.append({"role": role, "content": end.sub("", text[each.end() : stop])})
    return _settled(messages)


def _instructed(text: str) -> Rendered | None:
    """Return the turns of a text with `[INST]`."""
    start = INSTRUCTED.match(text)
    system = start["system"] if start else None
    messages = [{"role": "system", "content": system.strip()}] if system and system.strip() else []
    found = list(INSTRUCTION.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    for each, stop in zip(found, ends, strict=True):
        asked = re.sub(r"\A\s*<<SYS>>.*?<</SYS>>\s*", "", each["asked"], flags=re.DOTALL)
        messages.append({"role": "user", "content": asked.strip()})
        messages.append({"role": "assistant", "content": re.sub(r"\s*</s>\s*\Z", "", text[each.end() : stop])})
    return _settled(messages)


def _settled(messages: list[dict[str, str]]) -> Rendered | None:
    """Return the conversation without an answer that is only begun."""
    if not messages or not any(message["role"] == "user" for message in messages):
        return None
    last = messages[-1]
    if last["role"] == "assistant" and (not last["content"].strip() or ENDS_OPENED.fullmatch(last["content"])):
        return Rendered(messages[:-1], last["content"].lstrip() if last["content"].strip() else "")
    return Rendered(messages)
