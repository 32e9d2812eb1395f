"""Prompt and completion as text, as the student's chat template renders them and as our own trainer learns them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generators.contract.completions import split_reasoning
from generators.contract.errors import InputError

DIFFER = "prompts_differ"  # the template begins the turn in another way, with reasoning and without


class Renderer:
    """A student's chat template.

    It counts the rows whose reasoning the template drops when it renders them as messages, which is how most trainers
    read them: `dropped` of `rendered`.
    """

    def __init__(self, name: str) -> None:
        """Load the tokenizer of a model folder, an embedded model or a hub name; InputError without a template."""
        self.name, self.tokenizer = name, open_tokenizer(name)
        self.model = str(self.tokenizer.name_or_path)
        if not self.tokenizer.chat_template:
            raise InputError(f"the tokenizer {name!r} has no chat template to render the rows with")
        ids = self.tokenizer("a")["input_ids"]
        self.adds_bos = bool(ids) and ids[0] == self.tokenizer.bos_token_id
        self.rendered = self.dropped = 0

    def texts(self, row: Mapping[str, Any], *others: str) -> tuple[str, ...] | str:
        """Return the prompt, the row's completion and the `others` for the same prompt, each with its end.

        Or the reason why the row cannot be learned with this template, as `distill.training.examples.encode` has it.
        """
        from distill.training.examples import rendered_row

        *before, last = row["messages"]
        found = [rendered_row(row, self.tokenizer)]
        self._count(row)
        found += [
            rendered_row({**row, "messages": [*before, {**last, "content": said}]}, self.tokenizer) for said in others
        ]
        pairs = []
        for one in found:
            if isinstance(one, str):
                return str(one)
            pairs.append(one)
        prompt = pairs[0][0]
        return DIFFER if any(other != prompt for other, _ in pairs) else (prompt, *(text for _, text in pairs))

    def token_ids(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[list[int], int] | str]:
        """Return the token ids of each row and where its completion begins, or why the row cannot be learned."""
        from distill.training.examples import encode

        examples = encode(rows, self.tokenizer, 1 << 30)
        return [str(one) if isinstance(one, str) else (one.token_ids.tolist(), one.target_start) for one in examples]

    def without_bos(self, prompt: str) -> str:
        """Return the prompt without the token that a trainer's tokenizer puts before any text by itself."""
        return prompt.removeprefix(self.tokenizer.bos_token) if self.adds_bos else prompt

    def _count(self, row: Mapping[str, Any]) -> None:
        from jinja2 import TemplateError

        reasoning, _ = split_reasoning(row["messages"][-1]["content"])
        if not (reasoning or "").strip():
            return
        messages = [dict(message) for message in row["messages"]]
        try:
            whole = self.tokenizer.apply_chat_template(messages, tokenize=False, **switches_of(row))
        except TemplateError:
            return
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


def open_tokenizer(name: str) -> Any:
    """Load the tokenizer of a model, or of a folder that holds a tokenizer alone."""
    from distill.models.loading import load_tokenizer

    folder = Path(name).expanduser()
    if (folder / "tokenizer_config.json").is_file() and not (folder / "config.json").exists():
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder)
    return load_tokenizer(name)


def switches_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat template's switches of a corpus row."""
    switches: dict[str, Any] = json.loads(row.get("chat_template_kwargs") or "{}")
    return switches
