"""Settings of the generate stage, and how a teacher's name becomes its module."""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from generators.contract.config import Config
from generators.contract.engine import SamplingConfig
from generators.contract.models import model_path, model_revision
from generators.sampling.adaptive import AdaptiveConfig
from generators.sampling.prompt_styles import Style, StyleName, style_of

ENGINES = Path(__file__).resolve().parents[1] / "engines"
SHOWN, SHOTS = ("examples", "shots"), 2  # keys of the style few_shot alone; examples shown unless they say otherwise


class GenerateConfig(Config):
    """Who samples, and how."""

    teacher: str = Field(description="module name in generators/teachers, or a dotted path")
    model: str = Field("", description="model folder, embedded:teacher, or a Hugging Face name")
    sampling: SamplingConfig = SamplingConfig()
    options: dict[str, Any] = Field(default={}, description="the teacher's own settings")
    style: StyleName = Field(
        default="plain", description="how it is asked: as it is, after solved examples, or to reflect and to verify"
    )
    examples: str | None = Field(
        default=None, description="file of question, reasoning and answer for few_shot; none: built-in mathematics"
    )
    shots: int | None = Field(default=None, ge=1, description="examples that are shown; none: 2")
    truncated: Literal["keep", "continue", "drop"] = Field(
        default="keep", description="completions cut at max_new_tokens: handed on, taken up where they stopped, or not"
    )
    continue_to: int | None = Field(
        default=None, ge=1, description="tokens of a continued completion in all; none: 4 times max_new_tokens"
    )
    teachers: dict[str, dict[str, Any]] = Field(
        default={}, description="further teachers asked the same prompts: name -> keys over this section's"
    )
    adaptive: AdaptiveConfig | None = Field(
        default=None, description="a prompt stops at enough correct traces, and hard ones get what easy ones save"
    )
    attempts: int = Field(default=5, ge=1, description="tries of a sample that fails by itself")
    patience_s: float = Field(default=900, gt=0, description="a teacher from which nothing comes so long is given up")

    EXECUTION = frozenset({"attempts", "patience_s"})

    @model_validator(mode="after")
    def _check(self) -> "GenerateConfig":
        if self.continue_to is not None and self.truncated != "continue":
            raise ValueError(f'continue_to is {self.continue_to}, which needs truncated = "continue"')
        for key in SHOWN:
            if getattr(self, key) is not None and self.style != "few_shot":
                raise ValueError(f'{key} is {getattr(self, key)}, which needs style = "few_shot"')
        return self

    def each(self) -> "list[GenerateConfig]":
        """This teacher, and each of the further ones with this section's keys where it has none of its own."""
        base, others = self.model_dump(exclude_unset=True, exclude={"teachers"}), ({}, *self.teachers.values())
        unshown = {key: value for key, value in base.items() if key not in SHOWN}
        tables = ((base if keys.get("style", self.style) == self.style else unshown) | keys for keys in others)
        return [GenerateConfig.model_validate(table) for table in tables]

    def asking(self) -> Style:
        """How prompts are put to the teacher."""
        return style_of(self.style, Path(self.examples) if self.examples else None, self.shots or SHOTS)

    def most_tokens(self) -> int:
        """How long a completion may become in all."""
        longest = self.sampling.max_new_tokens
        return (self.continue_to or 4 * longest) if self.truncated == "continue" else longest

    def models(self) -> list[str]:
        """Models whose contents decide what comes out."""
        own = [self.model] if self.model and not self.is_remote() else []
        return own + [model for other in self.each()[1:] for model in other.models()]

    def files(self) -> list[Path]:
        """Files from outside the run that decide what comes out."""
        _, options = load_teacher(self.teacher, self.options)
        own = options.files() if hasattr(options, "files") else []
        own += [Path(self.examples)] if self.examples else []
        return own + [file for other in self.each()[1:] for file in other.files()]

    def identity(self) -> dict[str, Any]:
        """As for every config, with the teacher's own settings told apart by the teacher."""
        _, options = load_teacher(self.teacher, self.options)
        others = {name: other.identity() for name, other in zip(self.teachers, self.each()[1:], strict=True)}
        own = {key: value for key, value in super().identity().items() if key not in ("style", *SHOWN)}
        return own | self.asking().identity() | {"options": options.identity(), "teachers": others}

    def signature(self) -> dict[str, str]:
        """The columns of a trace that say who sampled and how; a server's model has no revision that we could see."""
        revision = "" if self.is_remote() else model_revision(model_path(self.model)) or ""
        _, options = load_teacher(self.teacher, self.options)
        more = self.asking().identity() | (options.decoding() if hasattr(options, "decoding") else {})
        return {"teacher": self.model, "revision": revision, "sampling": self.sampling.canonical(**more)}

    def check_truncated(self) -> None:
        """A teacher that cannot take up what it broke off, although it should, is a ValueError."""
        _, options = load_teacher(self.teacher, self.options)
        if self.truncated == "continue" and not getattr(options, "continues", True):
            raise ValueError(
                f'truncated = "continue" needs exact token ids, which {self.teacher} has only with options '
                f'api = "completions" and token_ids = true'
            )

    def captures(self) -> int:
        """The most tokens whose probabilities any teacher keeps while it samples; 0 where none does."""
        options = (load_teacher(each.teacher, each.options)[1] for each in self.each())
        return max(getattr(one, "capture_top_k", None) or 0 for one in options)

    def is_adaptive(self) -> bool:
        """Whether any teacher is asked as often as each prompt needs."""
        return any(teacher.adaptive for teacher in self.each())

    def check_adaptive(self) -> None:
        """A teacher that cannot be asked again cannot be asked as often as a prompt needs: a ValueError."""
        if self.adaptive and hasattr(load_teacher(self.teacher, self.options)[0], "import_traces"):
            raise ValueError(f"it asks for samples until a prompt has enough; the teacher {self.teacher} makes none")

    def is_remote(self) -> bool:
        """Whether the model is a server's, known here by its name alone."""
        return getattr(load_teacher(self.teacher, self.options)[0], "REMOTE", False)


def load_teacher(name: str, options: Mapping[str, Any]) -> tuple[ModuleType, Config]:
    """A teacher's module and its checked options; an unknown name or option is a ValueError."""
    path = name if "." in name else f"generators.engines.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        known = sorted(module.name for module in pkgutil.iter_modules([str(ENGINES)]))
        raise ValueError(f"there is no teacher {name!r}; there are {', '.join(known)}, or a dotted path") from None
    try:
        return module, module.Options.model_validate(dict(options))
    except ValidationError as error:
        raise ValueError(_option_faults(name, module.Options, error)) from None


def _option_faults(teacher: str, options: type[Config], error: ValidationError) -> str:
    known = ", ".join(options.model_fields)
    faults = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            faults.append(f"no option {key}")
        elif not key or item["loc"][0] in getattr(options, "PRIVATE", ()):  # may hold a key or a password
            faults.append(f"option {key}: {item['msg']}" if key else item["msg"])
        else:
            faults.append(f"option {key} = {item['input']!r}: {item['msg']}")
    return f"the teacher {teacher} has {'; '.join(faults)}; its options are {known}"
