"""Sample with a transformers model in this process: small models, on a CPU or one GPU.

Only temperature and top-p shape the distribution. Of a model's generation_config the stop tokens alone are used, not
the suggested repetition penalty or top-k.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from generators.contract.config import Device
from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig
from generators.contract.models import model_path
from generators.sampling.requests import refused, sampled_row, tokenize_prompts, tokens_left

if TYPE_CHECKING:
    from generators.engines.transformers.decoding import Completion

# torch and transformers are imported where a model runs: checking a recipe's options must not take seconds


class Options(EngineOptions):
    """Execution of the model. No option changes what is sampled, apart from rounding."""

    EXECUTION = frozenset({"slots", "device", "dtype"})

    slots: int = Field(default=256, ge=1, description="sequences decoded together; lower it when GPU memory runs out")
    device: Device = Field(default="auto", description="auto (cuda where there is one), cpu, cuda, cuda:1")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: float32 on a CPU, as stored on a GPU"
    )

    def less_memory(self) -> tuple[str, Any] | None:
        """Return half as many slots."""
        return ("slots", self.slots // 2) if self.slots > 1 else None


def build(model: str, sampling: SamplingConfig, options: Options) -> "TransformersEngine":
    """Start an engine for `model`: a folder, an embedded model or a hub name."""
    return TransformersEngine(*load(model, options.device, options.dtype), sampling, options.slots)


def load(model: str, device: str = "auto", dtype: str = "auto") -> tuple[Any, Any]:
    """Return (model in eval mode on its device, tokenizer)."""
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
    """Return the tokens that end a completion: the generation config's, else the tokenizer's end of text."""
    stated = model.generation_config.eos_token_id if model.generation_config else None
    if stated is None:
        stated = tokenizer.eos_token_id
    if stated is None:
        return []
    return [stated] if isinstance(stated, int) else list(stated)


class TransformersEngine:
    """An engine that decodes inside `collect`."""

    def __init__(self, model: Any, tokenizer: Any, sampling: SamplingConfig, slots: int) -> None:
        from generators.engines.transformers.decoding import SlotDecoder

        self.tokenizer, self.sampling = tokenizer, sampling
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.refused: list[Outcome] = []
        self.decoder = SlotDecoder(
            model,
            slots=slots,
            stop_ids=stop_ids(model, tokenizer),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )

    def slots(self) -> int:
        """Return twice the decoder's slots: waiting samples are sorted, and equal prompts share their prefill."""
        return 2 * self.decoder.slots

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Queue samples; refuse one whose prompt leaves no room in the model's context."""
        from generators.engines.transformers.decoding import Job

        prompts = tokenize_prompts(self.tokenizer, requests)
        jobs = []
        for request in requests:
            prompt = prompts[request.prompt_id]
            ids = (*prompt.token_ids, *request.prefix)
            room = tokens_left(request, len(ids), self.sampling, self.context)
            if room < 1:
                self.refused.append(refused(request, len(ids), self.context))
            else:
                jobs.append(Job((request, prompt), ids, request.seed, room, len(request.prefix)))
        self.decoder.add(jobs)

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Decode until a sample finishes or the time is over."""
        done, self.refused = self.refused, []
        until = time.monotonic() + timeout_s
        while not done and self.decoder.busy():
            done += [self.outcome(completion) for completion in self.decoder.step()]
            if time.monotonic() > until:
                break
        return done

    def outcome(self, done: "Completion") -> Outcome:
        """Return a finished completion as the outcome of its request."""
        request, prompt = done.key
        return Outcome(request, sampled_row(request, prompt, self.tokenizer, done.token_ids, done.finish_reason))

    def close(self) -> None:
        """Release the model."""
        del self.decoder
