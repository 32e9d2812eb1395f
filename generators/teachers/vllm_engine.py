"""Samples with vLLM's engine in this process (arXiv 2309.06180): large models, on GPUs or wherever vLLM runs.

Every sample is a request of its own with its own seed, and is handed on as it finishes. Token ids go in and come
out: the prompt is rendered and the completion decoded by the same code as for every other teacher.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from generators.models import model_path
from generators.records import Config
from generators.sampling import SampleRequest, SamplingConfig, sampled_row, tokenize_prompts


class Options(Config):
    """How the engine is run."""

    EXECUTION = frozenset({"engine"})

    engine: dict[str, Any] = Field(
        default={},
        description="arguments of vllm.LLM, such as tensor_parallel_size, max_model_len, gpu_memory_utilization",
    )


def build(model: str, sampling: SamplingConfig, options: Options) -> "VllmTeacher":
    """The worker that samples with `model`; without vLLM installed, a ValueError that says how to install it."""
    try:
        from vllm import LLM
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise ValueError("the teacher vllm_engine needs vLLM: pip install 'distill-toolkit[vllm]'") from None
    from transformers import AutoTokenizer

    path = model_path(model)
    return VllmTeacher(LLM(model=path, **options.engine), AutoTokenizer.from_pretrained(path), sampling)


class VllmTeacher:
    """Turns sample requests into trace rows as each is finished."""

    def __init__(self, llm: Any, tokenizer: Any, sampling: SamplingConfig) -> None:
        self.engine, self.tokenizer, self.sampling = llm.llm_engine, tokenizer, sampling
        self.context: int = llm.model_config.max_model_len

    def __call__(self, shard: Sequence[SampleRequest]) -> Iterator[dict[str, Any]]:
        """A trace row for each request, in the order in which they finish."""
        prompts = tokenize_prompts(self.tokenizer, shard)
        requests = {request.trace_id: request for request in shard}
        for request in shard:
            ids = prompts[request.prompt_id].token_ids
            if len(ids) >= self.context:
                yield requests.pop(request.trace_id).failed(
                    f"the prompt has {len(ids)} tokens, the model takes {self.context} in all"
                )
            else:
                self.engine.add_request(
                    request.trace_id, {"prompt_token_ids": list(ids)}, self.params(request, len(ids))
                )
        while requests:
            for output in self.engine.step():
                if output.finished:
                    request, done = requests.pop(output.request_id), output.outputs[0]
                    yield sampled_row(
                        request, prompts[request.prompt_id], self.tokenizer, list(done.token_ids), done.finish_reason
                    )

    def params(self, request: SampleRequest, prompt_tokens: int) -> Any:
        """vLLM's parameters of one sample. The stop tokens are those of the model's generation config."""
        from vllm import SamplingParams

        return SamplingParams(
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=min(self.sampling.max_new_tokens, self.context - prompt_tokens),
            seed=request.seed,
            detokenize=False,
        )
