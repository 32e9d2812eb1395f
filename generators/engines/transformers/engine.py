"""Sample with a transformers model in this process: small models, on a CPU or one GPU.

Only temperature and top-p shape the distribution. A completion ends at the chat template's end of turn, the
tokenizer's end of text and the stop tokens of the model's generation_config, of which nothing else is used: not the
suggested repetition penalty or top-k.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from generators.contract.chat import stop_ids
from generators.contract.config import Device
from generators.contract.engine import Outcome, SampleRequest, SamplingConfig, TemplateOptions
from generators.contract.models import model_path
from generators.sampling.requests import refused, sampled_row, tokenize_prompts, tokens_left

if TYPE_CHECKING:
    from generators.engines.transformers.decoding import Completion

# torch and transformers are imported where a model runs: checking a recipe's options must not take seconds


class Options(TemplateOptions):
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
    loaded = load(model, options.device, options.dtype)
    return TransformersEngine(*loaded, sampling, options.slots, options.chat_template_kwargs)


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


class TransformersEngine:
    """An engine that decodes inside `collect`."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        sampling: SamplingConfig,
        slots: int,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        from generators.engines.transformers.decoding import SlotDecoder

        self.tokenizer, self.sampling, self.template_kwargs = tokenizer, sampling, template_kwargs
        self.embedded: int = model.get_input_embeddings().weight.shape[0]
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.refused: list[Outcome] = []
        self.decoder = SlotDecoder(
            model,
            slots=slots,
            stop_ids=stop_ids(tokenizer, model.generation_config),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )

    def slots(self) -> int:
        """Return twice the decoder's slots: waiting samples are sorted, and equal prompts share their prefill."""
        return 2 * self.decoder.slots

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Queue samples; refuse one whose prompt leaves no room in the model's context."""
        from generators.engines.transformers.decoding import Job

        prompts = tokenize_prompts(self.tokenizer, requests, self.template_kwargs)
        jobs = []
        for request in requests:
            prompt = prompts[request.prompt_id]
            ids = (*prompt.token_ids, *request.prefix)
            room = tokens_left(request, len(ids), self.sampling, self.context)
            if room < 1 or prompt.refusal:
                self.refused.append(refused(request, prompt, len(ids), self.context))
            elif (largest := max(ids)) >= self.embedded:
                self.refused.append(self.unknown(request, largest))
            else:
                jobs.append(Job((request, prompt), ids, request.seed, room, len(request.prefix)))
        self.decoder.add(jobs)

    def unknown(self, request: SampleRequest, token: int) -> Outcome:
        """Return the final failure of a sample whose prompt has a token without a row in the model's embedding."""
        text = self.tokenizer.convert_ids_to_tokens(token)
        error = f"the prompt has token {token} ({text!r}), but the model's embedding has {self.embedded} rows"
        return Outcome(request, error=error, final=True)

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
