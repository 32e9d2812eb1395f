"""Samples with a transformers model in this process: small models, on a CPU or one GPU.

Only temperature and top-p shape the distribution: what a model's generation_config suggests beside its
stop tokens (repetition penalty, top-k) is not applied.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from generators.models import model_path
from generators.records import Config
from generators.sampling import SampleRequest, SamplingConfig, sampled_row, tokenize_prompts

# torch and transformers are imported where a model is run, not where a recipe's options are checked


class Options(Config):
    """How the model is run; none of these changes what is sampled, beyond rounding of the arithmetic."""

    EXECUTION = frozenset({"slots", "device", "dtype"})

    slots: int = Field(default=256, ge=1, description="sequences decoded side by side")
    device: str = Field(default="auto", description="auto (cuda where there is one), cpu, cuda, cuda:1")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: float32 on a CPU, as stored on a GPU"
    )


def build(model: str, sampling: SamplingConfig, options: Options) -> "LocalTeacher":
    """The worker that samples with `model`: a folder, an embedded model or a hub name."""
    return LocalTeacher(*load(model, options.device, options.dtype), sampling, options.slots)


def load(model: str, device: str = "auto", dtype: str = "auto") -> tuple[Any, Any]:
    """(model in eval mode on its device, tokenizer)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = model_path(model)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    loaded: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    return loaded.to(device).eval(), AutoTokenizer.from_pretrained(path)


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a completion: the generation config's, else the tokenizer's end of text."""
    stated = model.generation_config.eos_token_id if model.generation_config else None
    if stated is None:
        stated = tokenizer.eos_token_id
    if stated is None:
        return []
    return [stated] if isinstance(stated, int) else list(stated)


class LocalTeacher:
    """Turns sample requests into trace rows as each is finished."""

    def __init__(self, model: Any, tokenizer: Any, sampling: SamplingConfig, slots: int) -> None:
        from generators.decoding import SlotDecoder

        self.tokenizer, self.sampling = tokenizer, sampling
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.decoder = SlotDecoder(
            model,
            slots=slots,
            stop_ids=stop_ids(model, tokenizer),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )

    def __call__(self, shard: Sequence[SampleRequest]) -> Iterator[dict[str, Any]]:
        """A trace row for each request, in the order in which they finish."""
        from generators.decoding import Job

        prompts = tokenize_prompts(self.tokenizer, shard)
        jobs = []
        for request in shard:
            ids = prompts[request.prompt_id].token_ids
            room = self.room(len(ids))
            if room < 1:
                yield request.failed(f"the prompt has {len(ids)} tokens, the model takes {self.context} in all")
            else:
                jobs.append(Job(request, ids, request.seed, room))
        for done in self.decoder.run(jobs):
            prompt = prompts[done.key.prompt_id]
            yield sampled_row(done.key, prompt, self.tokenizer, done.token_ids, done.finish_reason)

    def room(self, prompt_tokens: int) -> int:
        """How many tokens may follow a prompt."""
        limit = self.sampling.max_new_tokens
        return limit if self.context is None else min(limit, self.context - prompt_tokens)
