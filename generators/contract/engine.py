"""The contract of an engine plug-in: samples go in one by one, and come out in any order as each is finished.

A plug-in is a module with a class `Options(EngineOptions)` and a function `build(model, sampling, options)` that
returns an `Engine`. The engine is built where it will live: in this process, or in an actor on another machine. There
is no batch: whoever drives an engine tops it up when something comes out. docs/extending.md has a 20-line example.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Protocol

from pydantic import Field, ValidationError, field_validator

from generators.contract.chat import check_template_kwargs
from generators.contract.config import Config, accepted
from generators.contract.errors import EngineDied, EngineFailed, PluginError, RecipeError
from generators.contract.ids import canonical_json
from generators.contract.plugins import ENGINE, blaming, load_plugin
from generators.contract.sampled_logprobs import SampledLogprobs

DEATHS = 5  # of an engine in a row, without a finished sample, after which the run fails

log = logging.getLogger(__name__)


class SamplingConfig(Config):
    """Decoding parameters. The defaults are those DeepSeek-R1 was evaluated with (arXiv 2501.12948)."""

    temperature: float = Field(default=0.6, ge=0, le=10, allow_inf_nan=False, description="0 is greedy")
    top_p: float = Field(default=0.95, gt=0, le=1, description="probability mass of the nucleus; 1 cuts nothing")
    max_new_tokens: int = Field(default=2048, ge=1, description="longer completions are cut: finish_reason `length`")
    n: int = Field(default=4, ge=1, description="samples of each prompt; raising it keeps those there are")
    seed: int = Field(default=0, ge=0, description="base from which each sample's own seed is derived")

    def canonical(self, **more: Any) -> str:
        """Return canonical JSON of all settings that decide a sample: with `more`, without `n`."""
        return canonical_json({**self.model_dump(exclude={"n"}), **more})


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample requested from an engine."""

    trace_id: str
    prompt_id: str
    messages: Sequence[dict[str, str]]
    sample_index: int
    seed: int
    prefix: tuple[int, ...] = ()  # token ids of the truncated completion to continue
    room: int | None = None  # tokens that may follow the prefix; None: the settings' limit

    def row(self, **columns: Any) -> dict[str, Any]:
        """Return the trace row that answers this request."""
        key = {"trace_id": self.trace_id, "prompt_id": self.prompt_id}
        return {**key, "sample_index": self.sample_index, "seed": self.seed, "error": None, **columns}

    def failed(self, error: str) -> dict[str, Any]:
        """Return the trace row of a failed sample; `error` is the reason."""
        return self.row(reasoning=None, answer="", finish_reason="error", error=error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt at a sample: `row`, the trace row that answers it, or the error that prevented it."""

    request: SampleRequest
    row: Mapping[str, Any] | None = None
    error: str = ""
    final: bool = False  # another attempt would fail the same way
    blameless: bool = False  # the whole engine is unavailable: not counted as an attempt
    after_s: float = 0.0  # earliest time of a new attempt, from now
    logprobs: SampledLogprobs | None = None  # where the options ask for them


class Engine(Protocol):
    """A running model. One thread calls `submit` and `collect`; sampling goes on in the background."""

    def slots(self) -> int:
        """Return how many samples the engine can have in flight at this moment."""

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Accept samples; those beyond `slots` wait in a queue."""

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Return what has finished since the last call; wait at most `timeout_s` for the first."""

    def close(self) -> None:
        """Drop the samples in flight and release the model."""


class EngineOptions(Config):
    """Base of an engine's options, and the place of everything that an engine declares about itself.

    Keys in EXECUTION change how the work is done and not what is sampled. Models and files that decide what is sampled
    are marked as such (`ModelName`, `FileName` of generators.contract.config).
    """

    REMOTE: ClassVar[bool] = False
    """True if a server runs the model, known here by name alone; the engine then runs in the driver's process."""
    PRIVATE: ClassVar[frozenset[str]] = frozenset()
    """Keys whose values no error message may show."""

    def decoding(self) -> dict[str, Any]:
        """Return what shapes samples besides the sampling settings; it becomes part of a sample's identity."""
        return {}

    def continues(self) -> bool:
        """Return whether a truncated sample can be continued from its own tokens."""
        return True

    def kept_logprobs(self) -> int:
        """Return how many log-probabilities the engine keeps for each sampled token; 0: none."""
        return 0


class TemplateOptions(EngineOptions):
    """Base of the options of an engine that renders prompts with the model's chat template."""

    chat_template_kwargs: dict[str, Any] = Field(
        default={}, description="variables of the chat template, such as enable_thinking = false"
    )

    @field_validator("chat_template_kwargs")
    @classmethod
    def _variables(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        return check_template_kwargs(kwargs)

    def decoding(self) -> dict[str, Any]:
        """Return the template's variables, which decide what the model reads."""
        given = {"chat_template_kwargs": self.chat_template_kwargs} if self.chat_template_kwargs else {}
        return super().decoding() | given

    def identity(self) -> dict[str, Any]:
        """Return the values that decide the result, without variables of a template where there are none."""
        own = super().identity()
        return own if self.chat_template_kwargs else {k: v for k, v in own.items() if k != "chat_template_kwargs"}


class EnginePlugin(Protocol):
    """An engine plug-in, as a module."""

    Options: type[EngineOptions]

    def build(self, model: str, sampling: SamplingConfig, options: Any) -> Engine:
        """Start the engine of `model`: a folder or a hub name, or the name by which a server knows it."""


@dataclass(frozen=True)
class LoadedEngine:
    """An engine plug-in with checked options."""

    name: str
    module: ModuleType
    options: EngineOptions

    @property
    def imports_traces(self) -> bool:
        """True if the engine imports existing completions (`import_traces`) instead of sampling."""
        return hasattr(self.module, "import_traces")

    @property
    def remote(self) -> bool:
        """True if a server runs the model."""
        return self.options.REMOTE

    def build(self, model: str, sampling: SamplingConfig) -> Engine:
        """Start the engine; a note on any exception from the plug-in names it."""
        with blaming(ENGINE, self.name):
            engine: Engine = self.module.build(model, sampling, self.options)
            return engine


def load_engine(name: str, options: Mapping[str, Any]) -> LoadedEngine:
    """Return the engine `name` with checked options; raise PluginError for the name, RecipeError for the options."""
    module = load_plugin(ENGINE, name)
    kind = module.Options
    if not (isinstance(kind, type) and issubclass(kind, EngineOptions)):
        raise PluginError(
            f"the engine {name!r}: its Options must be a class that inherits from "
            f"generators.contract.engine.EngineOptions; it is {kind!r}"
        )
    try:
        return LoadedEngine(name, module, kind.model_validate(dict(options)))
    except ValidationError as error:
        raise RecipeError(_option_faults(name, kind, error)) from None


def build_engine(name: str, options: Mapping[str, Any], model: str, sampling: SamplingConfig) -> Engine:
    """Load the engine `name` in this process and start it; picklable, for actors on other machines."""
    return load_engine(name, options).build(model, sampling)


def _option_faults(engine: str, options: type[EngineOptions], error: ValidationError) -> str:
    known = ", ".join(options.model_fields)
    faults = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        said = accepted(item)
        if item["type"] == "extra_forbidden":
            renamed = RENAMED_OPTIONS.get(key)
            faults.append(
                f"no option {key}" + (f" (it is now called {renamed})" if renamed in options.model_fields else "")
            )
        elif not key or item["loc"][0] in options.PRIVATE:  # may hold a key or a password
            faults.append(f"option {key}: {said}" if key else said)
        else:
            faults.append(f"option {key} = {item['input']!r}: {said}")
    return f"the engine {engine}: {'; '.join(faults)}; its options are {known}"


RENAMED_OPTIONS = {"engine": "vllm_args", "capture_top_k": "sampled_logprobs"}

# Starts one or several engines and drives them as one.
Fleet = Callable[[Callable[[], Engine]], AbstractContextManager[Engine]]


@contextmanager
def local_fleet(build: Callable[[], Engine]) -> Iterator[Engine]:
    """Drive one engine in this process; one that dies is started again."""
    with closing(Restarted(build)) as engine:
        yield engine


class Restarted:
    """An engine that is restarted when it dies; its samples in flight fail and are retried by the scheduler."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self.build = build
        self.engine = build()
        self.deaths = 0  # since the last finished sample
        self.in_flight: dict[str, SampleRequest] = {}

    def slots(self) -> int:
        """Return the engine's slots."""
        return self.engine.slots()

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Hand samples to the engine."""
        self.in_flight |= {request.trace_id: request for request in requests}
        self.engine.submit(requests)

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Return what has finished; EngineFailed after DEATHS deaths without a sample between them."""
        try:
            outcomes = self.engine.collect(timeout_s)
        except EngineDied as error:
            return self._replace(error)
        self.deaths = 0 if outcomes else self.deaths
        for outcome in outcomes:
            self.in_flight.pop(outcome.request.trace_id, None)
        return outcomes

    def _replace(self, error: EngineDied) -> list[Outcome]:
        self.deaths += 1
        if self.deaths >= DEATHS:
            raise EngineFailed(f"an engine died {DEATHS} times without finishing a sample; the last time: {error}")
        log.warning("an engine died and is started again (%d samples): %s", len(self.in_flight), error)
        self.close()
        self.engine = self.build()
        lost, self.in_flight = self.in_flight, {}
        return [Outcome(request, error=f"its engine died: {error}") for request in lost.values()]

    def close(self) -> None:
        """Close the current engine."""
        self.engine.close()
