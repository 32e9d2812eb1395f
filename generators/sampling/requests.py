"""What is asked of a teacher: decoding parameters, and one request a sample with the row that answers it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from generators.contract.chat import opened_by_template, render_prompt, split_reasoning
from generators.contract.engine import Outcome, SampleRequest, SamplingConfig


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


def refused(request: SampleRequest, tokens: int, context: int | None) -> Outcome:
    """A sample whose prompt (and what it continues) leaves no room in the model's context."""
    error = f"the prompt has {tokens} tokens, the model takes {context} in all"
    return Outcome(request, error=error, final=True)
