"""Settings of everything that samples a model, and of the generate stage."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from generators.contract.config import Config, FileName, Mark, ModelName, Named
from generators.contract.engine import LoadedEngine, SamplingConfig, load_engine
from generators.contract.errors import RecipeError
from generators.contract.models import model_path, model_revision
from generators.contract.plugins import ENGINE, plugin_file
from generators.sampling.adaptive import AdaptiveConfig
from generators.sampling.prompt_styles import Style, StyleName, style_of

SHOWN, SHOTS = ("examples", "shots"), 2  # keys of few_shot alone; default number of examples shown


class SamplerConfig(Config):
    """Base of every section that samples a model: generate, judge, rewrite, evaluate."""

    engine: str = Field(description="plug-in that runs the model: vllm, openai, transformers, or your own")
    sampling: SamplingConfig = Field(SamplingConfig(), description="decoding parameters")
    options: dict[str, Any] = Field({}, description="the engine's own settings: `distill settings ENGINE` lists them")
    max_attempts: int = Field(5, ge=1, description="attempts at a sample that fails by itself")
    give_up_after_s: float = Field(900, gt=0, description="an engine that returns nothing for so long is given up")

    EXECUTION = frozenset({"max_attempts", "give_up_after_s"})

    @field_validator("sampling", mode="before")
    @classmethod
    def _over_the_section_s_own(cls, given: Any) -> Any:
        """Lay a recipe's table over the section's defaults: naming one key must not reset the others."""
        if not isinstance(given, Mapping):
            return given
        return {**cls.model_fields["sampling"].default.model_dump(exclude_unset=True), **given}

    def loaded(self) -> LoadedEngine:
        """Return the engine with checked options; raise PluginError for the name, RecipeError for the options."""
        return load_engine(self.engine, self.options)

    def check_samples(self, role: str) -> None:
        """Raise a RecipeError where the engine only imports traces; role: the model's task in the message."""
        if self.loaded().imports_traces:
            raise RecipeError(f"{role} answers questions, and the engine {self.engine} makes no samples")

    def less_memory(self) -> tuple[str, Any] | None:
        """Return the engine's option that needs less GPU memory."""
        lower = self.loaded().options.less_memory()
        return lower and (f"options.{lower[0]}", lower[1])

    def identity(self) -> dict[str, Any]:
        """Return the values that decide the result; of the options only those that change what is sampled."""
        return super().identity() | {"options": self.loaded().options.identity()}

    def named(self, prefix: str = "") -> Iterator[Named]:
        """Yield what the section and the engine's options name, and the file of an engine that is not shipped.

        A server's model is not known here.
        """
        engine = self.loaded()
        own = plugin_file(ENGINE, self.engine)
        if own is not None:
            yield Named(f"{prefix}engine", Mark.FILE, str(own))
        for one in super().named(prefix):
            if one.key != f"{prefix}model" or not (engine.remote or engine.imports_traces):
                yield one
        yield from engine.options.named(f"{prefix}options.")


class GenerateConfig(SamplerConfig):
    """The model that samples traces, and the form of its prompts."""

    model: ModelName = Field("", description="model folder, embedded:teacher, a Hugging Face name or a server's name")
    style: StyleName = Field(
        "plain",
        description="prompt: the plain question, after solved examples, or with a request to reflect and verify",
    )
    examples: FileName | None = Field(
        None, description="file of question, reasoning and answer, for few_shot; none: built-in mathematics"
    )
    shots: int | None = Field(None, ge=1, description="number of examples shown by few_shot; none: 2")
    truncated: Literal["keep", "continue", "drop"] = Field(
        "keep", description="completions cut at max_new_tokens: keep them, continue them, or drop them"
    )
    continue_to: int | None = Field(
        None, ge=1, description="most tokens of a continued completion; none: 4 times max_new_tokens"
    )
    models: dict[str, dict[str, Any]] = Field(
        {}, description="further models for the same prompts: name -> keys that replace this section's"
    )
    adaptive: AdaptiveConfig | None = Field(
        None, description="stop a prompt at enough correct traces, and spend what easy prompts save on hard ones"
    )

    @model_validator(mode="after")
    def _check(self) -> "GenerateConfig":
        if self.continue_to is not None and self.truncated != "continue":
            raise ValueError(f'continue_to is {self.continue_to}, which needs truncated = "continue"')
        for key in SHOWN:
            if getattr(self, key) is not None and self.style != "few_shot":
                raise ValueError(f'{key} is {getattr(self, key)}, which needs style = "few_shot"')
        return self

    def each(self) -> "list[GenerateConfig]":
        """Return the settings of each model: this section's, then the further models' with their keys over it."""
        return [GenerateConfig.model_validate(table) for table in self.tables()]

    def tables(self) -> list[dict[str, Any]]:
        """Return the keys of each model, unchecked: this section's, then those of the further models over it."""
        base, others = self.model_dump(exclude_unset=True, exclude={"models"}), ({}, *self.models.values())
        unshown = {key: value for key, value in base.items() if key not in SHOWN}
        return [(base if keys.get("style", self.style) == self.style else unshown) | keys for keys in others]

    def asking(self) -> Style:
        """Return the prompt style."""
        return style_of(self.style, Path(self.examples) if self.examples else None, self.shots or SHOTS)

    def most_tokens(self) -> int:
        """Return how many tokens a completion may reach, continuations included."""
        longest = self.sampling.max_new_tokens
        return (self.continue_to or 4 * longest) if self.truncated == "continue" else longest

    def named(self, prefix: str = "") -> Iterator[Named]:
        """Yield the names in every model's settings."""
        yield from super().named(prefix)
        for name, other in zip(self.models, self.each()[1:], strict=True):
            yield from other.named(f"{prefix}models.{name}.")

    def model_names(self) -> list[str]:
        """Return the models that are loaded here; a server's model is not."""
        models = (one.value for one in self.named() if one.mark is Mark.MODEL and one.key.endswith("model"))
        return list(dict.fromkeys(models))

    def identity(self) -> dict[str, Any]:
        """Return the values that decide the result; the style's content hash replaces its settings."""
        others = {name: other.identity() for name, other in zip(self.models, self.each()[1:], strict=True)}
        own = {key: value for key, value in super().identity().items() if key not in ("style", *SHOWN)}
        return own | self.asking().identity() | {"models": others}

    def signature(self) -> dict[str, str]:
        """Return the trace columns teacher, revision and sampling; a server's model has no visible revision."""
        engine = self.loaded()
        revision = "" if engine.remote else model_revision(model_path(self.model)) or ""
        more = self.asking().identity() | engine.options.decoding()
        return {"teacher": self.model, "revision": revision, "sampling": self.sampling.canonical(**more)}

    def check_truncated(self) -> None:
        """Raise a RecipeError where truncated samples should be continued and the engine cannot do so."""
        if self.truncated == "continue" and not self.loaded().options.continues():
            raise RecipeError(
                f'truncated = "continue" needs exact token ids, which {self.engine} has only with options '
                f'api = "completions" and token_ids = true'
            )

    def sampled_logprobs(self) -> int:
        """Return the most log-probabilities per token that any of the models keeps; 0: none."""
        return max(each.loaded().options.kept_logprobs() for each in self.each())

    def is_adaptive(self) -> bool:
        """Return whether any model samples adaptively."""
        return any(each.adaptive for each in self.each())

    def check_adaptive(self) -> None:
        """Raise a RecipeError where an engine that imports traces should sample adaptively."""
        if self.adaptive and self.loaded().imports_traces:
            raise RecipeError(f"adaptive sampling asks for more samples; the engine {self.engine} makes none")
