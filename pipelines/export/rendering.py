"""Prompt and completion as text, as the student's chat template renders them and as our own trainer learns them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from generators.contract.chat import completion_text, render_prompt
from generators.contract.completions import split_reasoning
from generators.contract.errors import InputError
from generators.contract.models import model_path

REFUSED = "template_refuses"


class Renderer:
    """A student's chat template.

    It counts the rows whose reasoning the template drops when it renders them as messages, which is how most trainers
    read them: `dropped` of `rendered`.
    """

    def __init__(self, name: str) -> None:
        """Load the tokenizer of a model folder, an embedded model or a hub name; InputError without a template."""
        from distill.models.loading import load_tokenizer

        self.name, self.model = name, str(model_path(name))
        self.tokenizer = load_tokenizer(name)
        if not self.tokenizer.chat_template:
            raise InputError(f"the tokenizer {name!r} has no chat template to render the rows with")
        ids = self.tokenizer("a")["input_ids"]
        self.adds_bos = bool(ids) and ids[0] == self.tokenizer.bos_token_id
        self.rendered = self.dropped = 0

    def texts(self, row: Mapping[str, Any], completions: Sequence[str]) -> tuple[str, list[str]] | str:
        """Return the prompt and its completions with their ends, or REFUSED if the template does not accept the row."""
        from jinja2 import TemplateError

        messages, switches = row["messages"], switches_of(row)
        try:
            prompt = render_prompt(self.tokenizer, messages[:-1], *([switches] if switches else []))
            self._count(messages, switches)
        except TemplateError:
            return REFUSED
        return prompt, [completion_text(self.tokenizer, prompt, content) for content in completions]

    def without_bos(self, prompt: str) -> str:
        """Return the prompt without the token that a trainer's tokenizer puts before any text by itself."""
        return prompt.removeprefix(self.tokenizer.bos_token) if self.adds_bos else prompt

    def _count(self, messages: Sequence[Mapping[str, str]], switches: Mapping[str, Any]) -> None:
        reasoning, _ = split_reasoning(messages[-1]["content"])
        if not (reasoning or "").strip():
            return
        whole = self.tokenizer.apply_chat_template([dict(m) for m in messages], tokenize=False, **switches)
        self.rendered += 1
        self.dropped += (reasoning or "").strip() not in whole

    def finding(self) -> str | None:
        """Return the sentence that the template drops reasoning from messages; None where it does not."""
        if not self.dropped:
            return None
        return (
            f"the chat template of {self.name} drops the reasoning of {self.dropped:,} of {self.rendered:,} rows from "
            "messages: a trainer that is given `messages` would learn none of it. These rows are rendered prompts and "
            "completions, which keep it; train on them as they are"
        )


def switches_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat template's switches of a corpus row."""
    switches: dict[str, Any] = json.loads(row.get("chat_template_kwargs") or "{}")
    return switches
