"""Settings: the base of every recipe section, and the marks that say which values name models, files and devices."""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict


class Mark(Enum):
    """A kind of thing outside the recipe that a value can name."""

    MODEL = "model"  # a folder, embedded:NAME or a hub name
    FILE = "file"  # a file or folder that must exist
    DEVICE = "device"  # auto, cpu, cuda, cuda:N
    VERIFIER = "verifier"  # a verifier plug-in


def _device(text: str) -> str:
    kind, colon, number = text.partition(":")
    if text in ("auto", "cpu", "cuda") or (kind == "cuda" and colon and number.isdecimal()):
        return text
    raise ValueError("a device is auto, cpu, cuda or cuda:N, such as cuda:1")


ModelName = Annotated[str, Mark.MODEL]
FileName = Annotated[str, Mark.FILE]
VerifierName = Annotated[str, Mark.VERIFIER]
Device = Annotated[str, Mark.DEVICE, AfterValidator(_device)]


@dataclass(frozen=True, slots=True)
class Named:
    """A value that names something outside the recipe, and the dotted key that holds it."""

    key: str
    mark: Mark
    value: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Models and files outside a recipe whose contents decide a stage's result."""

    models: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


class Config(BaseModel):
    """Base of every recipe section; it refuses unknown keys, and its values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    # Keys that change how the work is done but not its result: a change of one reruns nothing.
    EXECUTION: ClassVar[frozenset[str]] = frozenset()

    def identity(self) -> dict[str, Any]:
        """Return the JSON values that decide the result; a stage runs again when they change."""
        values = self.model_dump(mode="json", exclude=set(self.EXECUTION))
        nested = {key: getattr(self, key) for key in values}
        return {k: v.identity() if isinstance(v, Config) else values[k] for k, v in nested.items()}

    def less_memory(self) -> tuple[str, Any] | None:
        """Return (key, value) of a setting that needs less GPU memory; None if there is none."""
        return None

    def named(self, prefix: str = "") -> Iterator[Named]:
        """Yield every value that names a model, a file, a device or a verifier, in nested sections too."""
        for key, field in type(self).model_fields.items():
            marks = [mark for mark in (*field.metadata, *_marks_in(field.annotation)) if isinstance(mark, Mark)]
            yield from _named(getattr(self, key), prefix + key, marks)

    def sources(self) -> Sources:
        """Return the models and files whose contents, besides the settings, decide the result."""
        found = [one for one in self.named() if one.key.partition(".")[0] not in self.EXECUTION]
        models = (one.value for one in found if one.mark is Mark.MODEL)
        files = (Path(one.value) for one in found if one.mark is Mark.FILE)
        return Sources(tuple(models), tuple(files))


def _marks_in(annotation: Any) -> Iterator[Any]:
    """Yield the marks inside an annotation such as `ModelName | None` or `tuple[FileName, ...]`."""
    if typing.get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated, tuple, list):
        for argument in typing.get_args(annotation):
            yield from _marks_in(argument)


def _named(value: Any, key: str, marks: list[Mark]) -> Iterator[Named]:
    if isinstance(value, Config):
        yield from value.named(f"{key}.")
    elif isinstance(value, str):
        yield from (Named(key, mark, value) for mark in marks if value)
    elif isinstance(value, tuple | list):
        for place, item in enumerate(value):
            yield from _named(item, f"{key}.{place}", marks)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _named(item, f"{key}.{name}", marks)


ACCEPTED = {  # pydantic's error types that name Python's types -> what a recipe may say instead
    "model_type": "a table of keys",
    "model_attributes_type": "a table of keys",
    "dict_type": "a table of keys",
    "mapping_type": "a table of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def accepted(item: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors says, in the words of a recipe."""
    if wanted := ACCEPTED.get(item["type"]):
        return f"accepted is {wanted}"
    said: str = item["msg"].removeprefix("Value error, ")
    return said.replace("Input should be ", "it must be ", 1) if said.startswith("Input should be ") else said
