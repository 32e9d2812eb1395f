"""Text of a conversation: prompts as the model's template wants them, completions split into reasoning and answer.

One place for the `<think>` convention, so that sampling, corpus and training agree to the byte.
"""

from collections.abc import Mapping, Sequence
from typing import Any

OPEN, CLOSE = "<think>", "</think>"


def render_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt's text up to where the assistant begins; a tokenizer without a template is a ValueError."""
    if not tokenizer.chat_template:
        raise ValueError(
            f"the tokenizer {tokenizer.name_or_path!r} has no chat template; set one in its tokenizer_config.json"
        )
    return tokenizer.apply_chat_template([dict(m) for m in messages], tokenize=False, add_generation_prompt=True)


def prompt_ids(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Token ids of `render_prompt`; the template already holds the special tokens."""
    return tokenizer(render_prompt(tokenizer, messages), add_special_tokens=False)["input_ids"]


def opened_by_template(rendered_prompt: str) -> bool:
    """Whether the template itself opened `<think>`, so that completions start inside it."""
    return rendered_prompt.rstrip().endswith(OPEN)


def split_reasoning(completion: str, opened: bool = False) -> tuple[str | None, str]:
    """(reasoning, answer) of a completion's text.

    Reasoning is None when there is none. Thinking that never ends is all reasoning, with an empty answer.
    `opened`: the prompt ended in `<think>`, so the completion starts inside it.
    """
    text = completion.lstrip()
    if text.startswith(OPEN):
        text, opened = text[len(OPEN) :], True
    head, close, tail = text.partition(CLOSE)
    if close:
        return head.strip("\n"), tail.strip()
    return (text.strip("\n"), "") if opened else (None, completion.strip())


def join_reasoning(reasoning: str | None, answer: str) -> str:
    """The assistant's message of a trace: the inverse of `split_reasoning`."""
    return answer if reasoning is None else f"{OPEN}\n{reasoning}\n{CLOSE}\n{answer}"


def completion_text(tokenizer: Any, rendered_prompt: str, content: str) -> str:
    """What a model must write after `rendered_prompt` to say `content`, its end-of-turn token included."""
    if opened_by_template(rendered_prompt) and content.startswith(OPEN):
        content = content[len(OPEN) :].removeprefix("\n") if rendered_prompt.endswith("\n") else content[len(OPEN) :]
    return content + (tokenizer.eos_token or "")
