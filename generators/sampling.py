"""What is asked of a teacher: decoding parameters, and one request a sample with the row that answers it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from generators.chat import opened_by_template, render_prompt, split_reasoning
from generators.records import Config, canonical_json


class SamplingConfig(Config):
    """Decoding parameters. The defaults are those DeepSeek-R1 was evaluated with (arXiv 2501.12948)."""

    temperature: float = Field(default=0.6, ge=0, le=10, allow_inf_nan=False, description="0 is greedy")
    top_p: float = Field(default=0.95, gt=0, le=1, description="probability mass of the nucleus; 1 cuts nothing")
    max_new_tokens: int = Field(default=2048, ge=1, description="longer completions are cut and end with `length`")
    n: int = Field(default=4, ge=1, description="samples a prompt; more of them keep those there are")
    seed: int = Field(default=0, ge=0, description="each sample's own seed is made from it")

    def canonical(self, **more: Any) -> str:
        """JSON of all that decides what a sample is, `more` of it included, and so not `n`."""
        return canonical_json({**self.model_dump(exclude={"n"}), **more})


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample a teacher owes."""

    trace_id: str
    prompt_id: str
    messages: Sequence[dict[str, str]]
    sample_index: int
    seed: int
    prefix: tuple[int, ...] = ()  # token ids of a completion that was cut off and goes on
    room: int | None = None  # tokens that may follow the prefix; none: as many as the settings say

    def row(self, **columns: Any) -> dict[str, Any]:
        """A trace row that answers this request."""
        key = {"trace_id": self.trace_id, "prompt_id": self.prompt_id}
        return {**key, "sample_index": self.sample_index, "seed": self.seed, "error": None, **columns}

    def failed(self, error: str) -> dict[str, Any]:
        """The row of a sample that could not be made, and why."""
        return self.row(reasoning=None, answer="", finish_reason="error", error=error)


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt as the model reads it; `opened`: its template opened `<think>`."""

    token_ids: tuple[int, ...]
    opened: bool


def tokenize_prompts(tokenizer: Any, requests: Iterable[SampleRequest]) -> dict[str, TokenizedPrompt]:
    """prompt_id -> token ids of the rendered chat, each prompt once however many samples are asked of it."""
    messages = {request.prompt_id: request.messages for request in requests}
    texts = {prompt_id: render_prompt(tokenizer, chat) for prompt_id, chat in messages.items()}
    encoded = tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"] if texts else []
    return {
        prompt_id: TokenizedPrompt(tuple(ids), opened_by_template(text))
        for (prompt_id, text), ids in zip(texts.items(), encoded, strict=True)
    }


def tokens_left(request: SampleRequest, given: int, sampling: SamplingConfig, context: int | None) -> int:
    """How many tokens may follow the `given` ones, prompt and prefix; below 1 where the model's context is full."""
    limit = sampling.max_new_tokens if request.room is None else min(request.room, sampling.max_new_tokens)
    return limit if context is None else min(limit, context - given)


def sampled_row(
    request: SampleRequest,
    prompt: TokenizedPrompt,
    tokenizer: Any,
    token_ids: Sequence[int],
    finish_reason: str,
) -> dict[str, Any]:
    """The trace row of a completion: its exact token ids, and its text split into reasoning and answer.

    token_ids: what follows the request's prefix, which is put in front of them. finish_reason "stop" says that the
    last id is the stop token, which is no part of the text.
    """
    token_ids = [*request.prefix, *token_ids]
    spoken = token_ids[:-1] if finish_reason == "stop" else token_ids
    # special tokens are kept: where <think> is one, skipping them would lose the split
    text = tokenizer.decode(spoken, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    reasoning, answer = split_reasoning(text, prompt.opened)
    return request.row(
        reasoning=reasoning,
        answer=answer,
        finish_reason=finish_reason,
        prompt_tokens=len(prompt.token_ids),
        completion_tokens=len(token_ids),
        token_ids=token_ids,
    )
