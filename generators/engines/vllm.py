"""Sample with vLLM's asynchronous engine (arXiv 2309.06180): large models, on GPUs or wherever vLLM runs.

Every sample is a separate request and is handed on when it finishes. vLLM receives and returns token ids: the prompt is
rendered and the completion decoded by the same code as for every other engine. A completion ends at the chat
template's end of turn, the stop tokens of the model's generation config or the tokenizer's end of text; other
suggestions of the generation config (repetition penalty, top-k) are not applied.

With `seeded` a sample's random numbers come from its own seed alone, but vLLM's arithmetic rounds differently in
batches of different sizes, so a completion may still differ between runs where two tokens are almost equally likely.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import numpy as np
from pydantic import Field

from generators.contract.chat import stop_ids
from generators.contract.engine import Outcome, SampleRequest, SamplingConfig, TemplateOptions
from generators.contract.errors import EngineDied, RecipeError
from generators.contract.models import model_path
from generators.contract.sampled_logprobs import SampledLogprobs
from generators.sampling.async_engine import AsyncEngine, OwnLoop
from generators.sampling.requests import TokenizedPrompt, refused, sampled_row, tokenize_prompts, tokens_left


class Options(TemplateOptions):
    """Execution of vLLM."""

    EXECUTION = frozenset({"vllm_args", "seeded", "sampled_logprobs"})

    vllm_args: dict[str, Any] = Field(
        default={},
        description="arguments of vllm.LLM, such as tensor_parallel_size, max_model_len, gpu_memory_utilization",
    )
    seeded: bool = Field(
        default=False, description="sample with each sample's own seed; slower, as vLLM then samples row by row"
    )
    sampled_logprobs: int | None = Field(
        default=None, ge=1, description="log-probabilities kept for each token (at T = 1), which `score` reuses"
    )

    def kept_logprobs(self) -> int:
        """Return how many log-probabilities are kept for each sampled token."""
        return self.sampled_logprobs or 0

    def less_memory(self) -> tuple[str, Any] | None:
        """Return a smaller share of the GPU's memory."""
        share = float(self.vllm_args.get("gpu_memory_utilization", 0.9))
        return ("vllm_args.gpu_memory_utilization", round(share - 0.1, 2)) if share > 0.2 else None


def build(model: str, sampling: SamplingConfig, options: Options) -> "VllmEngine":
    """Start an engine for `model`.

    RecipeError: vLLM is not installed, lacks an argument, or does not sample at the temperature of `sampling`.
    """
    try:
        from vllm import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "vllm":
            raise
        raise RecipeError("the engine vllm needs vLLM: pip install 'distill-toolkit[vllm]'") from None
    from transformers import AutoTokenizer

    check_arguments(options.vllm_args)
    check_temperature(sampling)
    path = model_path(model)
    own = OwnLoop(asyncio.new_event_loop())
    # statistics cost a tenth of the throughput; this usage context has vllm.LLM's defaults, made for throughput
    given = {"disable_log_stats": True, **logprobs_arguments(options), **options.vllm_args}
    arguments = AsyncEngineArgs(model=path, **given)

    def start() -> Any:
        asyncio.set_event_loop(own.loop)
        return AsyncLLM.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)

    # a turn of our own loop: vLLM would start its tasks on a loop that the caller's thread runs
    llm = own.run(start)
    return VllmEngine(llm, own, AutoTokenizer.from_pretrained(path), sampling, options)


def logprobs_arguments(options: Options) -> dict[str, Any]:
    """Return the vLLM arguments that log-probabilities need; raise RecipeError where `vllm_args` contradict them."""
    if not options.sampled_logprobs:
        return {}
    wanted = {"logprobs_mode": "raw_logprobs", "max_logprobs": options.sampled_logprobs}
    mode, most = (options.vllm_args.get(name, value) for name, value in wanted.items())
    if mode != "raw_logprobs" or 0 <= most < options.sampled_logprobs:
        raise RecipeError(
            f'sampled_logprobs is {options.sampled_logprobs}, which needs vllm_args.logprobs_mode = "raw_logprobs" and '
            f"vllm_args.max_logprobs of at least as many; they are {mode!r} and {most}"
        )
    return wanted


def check_arguments(vllm_args: Mapping[str, Any]) -> None:
    """Raise RecipeError for an argument that vllm.LLM does not have; the message names the nearest one."""
    from vllm import EngineArgs

    known = [argument.name for argument in fields(EngineArgs) if argument.name != "model"]
    for name in vllm_args:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f", did you mean {nearest[0]}?" if nearest else ""
            raise RecipeError(f"option vllm_args.{name}: vllm.LLM takes no such argument here{hint}")


def check_temperature(sampling: SamplingConfig) -> None:
    """Raise RecipeError for a temperature that vLLM refuses, or would silently replace by another."""
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError

    stated = f"sampling.temperature = {sampling.temperature}"
    try:
        used = SamplingParams(temperature=sampling.temperature).temperature
    except (ValueError, VLLMValidationError) as error:
        raise RecipeError(f"{stated}: the engine vllm does not take it: {error}") from None
    if used != sampling.temperature:
        raise RecipeError(f"{stated}: the engine vllm takes 0 (greedy) or at least {used}")


def batch_engine(model: str, vllm_args: Mapping[str, Any], **sampling: Any) -> tuple[Any, Any]:
    """Return (vllm.LLM, SamplingParams without detokenization), the baseline of this engine's benchmark."""
    from vllm import LLM, SamplingParams

    return LLM(model, **vllm_args), SamplingParams(detokenize=False, **sampling)


class VllmEngine(AsyncEngine):
    """vLLM's asynchronous engine, with one request for each sample."""

    def __init__(
        self,
        llm: Any,
        own: OwnLoop,
        tokenizer: Any,
        sampling: SamplingConfig,
        options: Options,
    ) -> None:
        super().__init__(own, self.ask, self.capacity)
        self.llm, self.tokenizer, self.sampling, self.seeded = llm, tokenizer, sampling, options.seeded
        self.top_k, self.known = options.sampled_logprobs, max(tokenizer.get_vocab().values()) + 1
        self.template_kwargs = options.chat_template_kwargs
        rows = llm.model_config.get_vocab_size()
        # vLLM adds the generation config's, and refuses a token beyond the model's head
        self.stop_ids = [i for i in stop_ids(tokenizer) if i < rows]
        self.context: int = llm.model_config.max_model_len
        self.numbers = itertools.count()
        self.prompts: dict[str, TokenizedPrompt] = {}  # trace_id -> prompt of a submitted sample

    def capacity(self) -> int:
        """Return twice the sequences that vLLM decodes together: samples that all end at once are replaced at once."""
        together: int = self.llm.vllm_config.scheduler_config.max_num_seqs
        return 2 * together

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Render and tokenize the prompts together, then start the requests."""
        prompts = tokenize_prompts(self.tokenizer, requests, self.template_kwargs)
        self.prompts |= {request.trace_id: prompts[request.prompt_id] for request in requests}
        super().submit(requests)

    async def ask(self, request: SampleRequest) -> Outcome:
        """Return the outcome of one sample when it is finished."""
        prompt = self.prompts.pop(request.trace_id)
        ids = [*prompt.token_ids, *request.prefix]
        room = tokens_left(request, len(ids), self.sampling, self.context)
        if room < 1 or prompt.refusal:
            return refused(request, prompt, len(ids), self.context)
        from vllm.v1.engine.exceptions import EngineDeadError

        done = None
        asked = {"type": "token", "prompt_token_ids": ids}
        # a sample may be retried after its attempt was given up, while vLLM still knows the first request
        name = f"{request.trace_id}-{next(self.numbers)}"
        try:
            async for output in self.llm.generate(asked, self.params(request, room), name):
                done = output.outputs[0]
        except EngineDeadError as error:
            raise EngineDied("vLLM's engine process has ended") from error
        if done is None or done.finish_reason not in ("stop", "length"):
            return Outcome(request, error=f"vLLM gave the sample up: {done and done.finish_reason}")
        row = sampled_row(request, prompt, self.tokenizer, list(done.token_ids), done.finish_reason)
        logprobs = self.logprobs(done, ids, len(prompt.token_ids)) if self.top_k else None
        return Outcome(request, row if self.seeded else {**row, "seed": None}, logprobs=logprobs)

    def logprobs(self, done: Any, ids: Sequence[int], prompt_tokens: int) -> SampledLogprobs | None:
        """Return the log-probabilities of a completion that follows `ids`; None: a token is not the tokenizer's.

        At each position vLLM returns the sampled token and then the most probable ones.
        """
        found, shape = done.logprobs, (len(done.token_ids), -1)
        token_ids = np.array(found.token_ids).reshape(shape)[:, 1:]
        if token_ids.max() >= self.known:  # a padding row of the output head, which soft targets cannot hold
            return None
        log_probs = np.array(found.logprobs).reshape(shape)[:, 1:]
        return SampledLogprobs.of([*ids, *done.token_ids], prompt_tokens, len(ids), token_ids, log_probs)

    def params(self, request: SampleRequest, most: int) -> Any:
        """Return vLLM's parameters of one sample; a continuation has a different seed."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=most,
            seed=request.seed + len(request.prefix) if self.seeded else None,
            detokenize=False,
            stop_token_ids=self.stop_ids,
            logprobs=self.top_k,
            flat_logprobs=bool(self.top_k),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def close(self) -> None:
        """Stop the engine's processes."""
        self.own.run(self.llm.shutdown)
        super().close()
