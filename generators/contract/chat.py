"""Chat text: prompts rendered by the model's template, completions split into reasoning and answer.

The `<think>` convention lives here alone, so that sampling, corpus and training agree to the byte.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from generators.contract.errors import InputError

OPEN, CLOSE = "<think>", "</think>"


def render_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """Return the prompt's text up to where the assistant begins; InputError: the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer {tokenizer.name_or_path!r} has no chat template; set one in its tokenizer_config.json"
        )
    chat = [dict(message) for message in messages]
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return text


def prompt_ids(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return the token ids of the rendered prompt; the template already contains the special tokens."""
    ids: list[int] = tokenizer(render_prompt(tokenizer, messages), add_special_tokens=False)["input_ids"]
    return ids


def opened_by_template(rendered_prompt: str) -> bool:
    """Return whether the template itself opened `<think>`, so that completions start inside it."""
    return rendered_prompt.rstrip().endswith(OPEN)


def split_reasoning(completion: str, opened: bool = False) -> tuple[str | None, str]:
    """Split a completion's text into (reasoning, answer).

    Reasoning is None where there is none. Thinking that never ends is all reasoning, with an empty answer.
    opened: the prompt ended in `<think>`, so the completion starts inside it.
    """
    text = completion.lstrip()
    if text.startswith(OPEN):
        text, opened = text[len(OPEN) :], True
    head, close, tail = text.partition(CLOSE)
    if close:
        return head.strip("\n"), tail.strip()
    return (text.strip("\n"), "") if opened else (None, completion.strip())


def join_reasoning(reasoning: str | None, answer: str) -> str:
    """Return the assistant's message of a trace: the inverse of `split_reasoning`."""
    return answer if reasoning is None else f"{OPEN}\n{reasoning}\n{CLOSE}\n{answer}"


def completion_text(tokenizer: Any, rendered_prompt: str, content: str) -> str:
    """Return the text that follows `rendered_prompt` when the model says `content`, with the end-of-turn token."""
    if opened_by_template(rendered_prompt) and content.startswith(OPEN):
        content = content[len(OPEN) :].removeprefix("\n") if rendered_prompt.endswith("\n") else content[len(OPEN) :]
    return content + (tokenizer.eos_token or "")
