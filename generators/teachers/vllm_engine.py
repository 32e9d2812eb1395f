"""Samples with vLLM's engine in this process (arXiv 2309.06180): large models, on GPUs or wherever vLLM runs.

Every sample is a request of its own with its own seed, and is handed on as it finishes. Token ids go in and come
out: the prompt is rendered and the completion decoded by the same code as for every other teacher. A completion
ends at the stop tokens of the model's generation config or the tokenizer's end of text; what else the generation
config suggests (repetition penalty, top-k) is not applied.

The draws come from the sample's seed alone, but vLLM's arithmetic rounds differently in batches of different sizes,
so a completion may differ from run to run where two tokens are nearly as likely.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from pydantic import Field

from generators.models import model_path
from generators.records import Config
from generators.sampling import SampleRequest, SamplingConfig, TokenizedPrompt, sampled_row, tokenize_prompts


class Options(Config):
    """How the engine is run."""

    EXECUTION = frozenset({"engine"})

    engine: dict[str, Any] = Field(
        default={},
        description="arguments of vllm.LLM, such as tensor_parallel_size, max_model_len, gpu_memory_utilization",
    )


def build(model: str, sampling: SamplingConfig, options: Options) -> "VllmTeacher":
    """The worker that samples with `model`.

    ValueError: vLLM is not installed, has no such argument, or does not sample as `sampling` says.
    """
    try:
        from vllm import LLM
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise ValueError("the teacher vllm_engine needs vLLM: pip install 'distill-toolkit[vllm]'") from None
    from transformers import AutoTokenizer

    check_arguments(options.engine)
    check_temperature(sampling)
    path = model_path(model)
    return VllmTeacher(LLM(model=path, **options.engine), AutoTokenizer.from_pretrained(path), sampling)


def check_arguments(engine: Mapping[str, Any]) -> None:
    """An argument that vllm.LLM does not have is a ValueError with the nearest one."""
    from vllm import EngineArgs

    known = [argument.name for argument in fields(EngineArgs) if argument.name != "model"]
    for name in engine:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f", did you mean {nearest[0]}?" if nearest else ""
            raise ValueError(f"option engine.{name}: vllm.LLM takes no such argument here{hint}")


def check_temperature(sampling: SamplingConfig) -> None:
    """A temperature that vLLM refuses, or would quietly replace by another, is a ValueError."""
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError

    stated = f"sampling.temperature = {sampling.temperature}"
    try:
        used = SamplingParams(temperature=sampling.temperature).temperature
    except (ValueError, VLLMValidationError) as error:
        raise ValueError(f"{stated}: the teacher vllm_engine does not take it: {error}") from None
    if used != sampling.temperature:
        raise ValueError(f"{stated}: the teacher vllm_engine takes 0 (greedy) or at least {used}")


class VllmTeacher:
    """Turns sample requests into trace rows as each is finished."""

    def __init__(self, llm: Any, tokenizer: Any, sampling: SamplingConfig) -> None:
        self.engine, self.tokenizer, self.sampling = llm.llm_engine, tokenizer, sampling
        self.context: int = llm.model_config.max_model_len

    def __call__(self, shard: Sequence[SampleRequest]) -> Iterator[dict[str, Any]]:
        """A trace row for each request, in the order in which they finish."""
        prompts = tokenize_prompts(self.tokenizer, shard)
        waiting: dict[str, SampleRequest] = {}
        try:
            for request in shard:
                ids = prompts[request.prompt_id].token_ids
                if len(ids) >= self.context:
                    yield request.failed(f"the prompt has {len(ids)} tokens, the model takes {self.context} in all")
                else:
                    params = self.params(request, len(ids))
                    prompt = {"type": "token", "prompt_token_ids": list(ids)}
                    self.engine.add_request(request.trace_id, prompt, params)
                    waiting[request.trace_id] = request
            while waiting:
                for output in self.engine.step():
                    request = waiting.pop(output.request_id)
                    yield self.row(request, prompts[request.prompt_id], output.outputs[0])
        finally:  # a reader that stops early leaves nothing to the next shard
            self.engine.abort_request(list(waiting))

    def row(self, request: SampleRequest, prompt: TokenizedPrompt, done: Any) -> dict[str, Any]:
        """The trace row of a finished request; token_ids holds the stop token, as elsewhere."""
        if done.finish_reason not in ("stop", "length"):
            return request.failed(f"vLLM gave the sample up: {done.finish_reason}")
        return sampled_row(request, prompt, self.tokenizer, list(done.token_ids), done.finish_reason)

    def params(self, request: SampleRequest, prompt_tokens: int) -> Any:
        """vLLM's parameters of one sample, which is given out once, when it is finished."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=min(self.sampling.max_new_tokens, self.context - prompt_tokens),
            seed=request.seed,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
