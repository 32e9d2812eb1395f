"""Helpers of engines: tokenized prompts, token limits, and the trace row that answers a request."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generators.contract.chat import render_prompt
from generators.contract.completions import ends_opened, read_text
from generators.contract.engine import Outcome, SampleRequest, SamplingConfig
from generators.contract.errors import TemplateRefuses


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt as the model reads it.

    opened: the prompt's end from the mark on with which the chat template opens thinking; empty: it opens none.
    refusal: why the template refuses the prompt.
    """

    token_ids: tuple[int, ...]
    opened: str = ""
    refusal: str = ""


def tokenize_prompts(
    tokenizer: Any, requests: Iterable[SampleRequest], kwargs: Mapping[str, Any] | None = None
) -> dict[str, TokenizedPrompt]:
    """Render and tokenize each prompt once, however many samples it has; return them by prompt_id.

    kwargs: variables of the chat template. A prompt that the template refuses has its words as `refusal`.
    """
    messages = {request.prompt_id: request.messages for request in requests}
    texts: dict[str, str] = {}
    refusals: dict[str, TokenizedPrompt] = {}
    for prompt_id, chat in messages.items():
        try:
            texts[prompt_id] = render_prompt(tokenizer, chat, kwargs)
        except TemplateRefuses as error:
            refusals[prompt_id] = TokenizedPrompt((), refusal=str(error))
    encoded = tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"] if texts else []
    return refusals | {
        prompt_id: TokenizedPrompt(tuple(ids), ends_opened(text))
        for (prompt_id, text), ids in zip(texts.items(), encoded, strict=True)
    }


def tokens_left(request: SampleRequest, given: int, sampling: SamplingConfig, context: int | None) -> int:
    """Return how many tokens may follow the `given` ones (prompt and prefix); below 1: the context is full."""
    limit = sampling.max_new_tokens if request.room is None else min(request.room, sampling.max_new_tokens)
    return limit if context is None else min(limit, context - given)


def sampled_row(
    request: SampleRequest,
    prompt: TokenizedPrompt,
    tokenizer: Any,
    token_ids: Sequence[int],
    finish_reason: str,
) -> dict[str, Any]:
    """Return the trace row of a completion: its exact token ids, and its text split into reasoning and answer.

    token_ids: the tokens after the request's prefix, which this function prepends. With finish_reason "stop" the last
    id is the stop token, which is not part of the text.
    """
    token_ids = [*request.prefix, *token_ids]
    spoken = token_ids[:-1] if finish_reason == "stop" else token_ids
    # keep special tokens: where <think> is one, skipping it would lose the split
    text = tokenizer.decode(spoken, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return request.row(
        **read_text(text, prompt.opened).columns(),
        finish_reason=finish_reason,
        prompt_tokens=len(prompt.token_ids),
        completion_tokens=len(token_ids),
        token_ids=token_ids,
    )


def refused(request: SampleRequest, prompt: TokenizedPrompt, tokens: int, context: int | None) -> Outcome:
    """Return the final failure of a sample: its template refuses it, or prompt and prefix fill the model's context."""
    if prompt.refusal:
        return Outcome(request, error=prompt.refusal, final=True)
    error = f"the prompt has {tokens} tokens, the model takes {context} in all"
    return Outcome(request, error=error, final=True)
