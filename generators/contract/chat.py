"""Chat text: prompts rendered by the model's template, and what a model writes after them."""

from collections.abc import Mapping, Sequence
from typing import Any

from generators.contract.completions import OPEN
from generators.contract.errors import InputError


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


def completion_text(tokenizer: Any, rendered_prompt: str, content: str) -> str:
    """Return the text that follows `rendered_prompt` when the model says `content`, with the end-of-turn token."""
    if opened_by_template(rendered_prompt) and content.startswith(OPEN):
        content = content[len(OPEN) :].removeprefix("\n") if rendered_prompt.endswith("\n") else content[len(OPEN) :]
    return content + (tokenizer.eos_token or "")
