"""The command `distill settings`: every key of a recipe with type, default and meaning, read from the settings."""

import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from generators.contract.config import Config
from generators.contract.errors import RecipeError
from generators.contract.plugins import ENGINE, load_plugin
from pipelines.recipe.keys import models_in, nearest
from pipelines.recipe.schema import Sections


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of a recipe with its type, default and meaning."""

    key: str
    kind: str
    default: str
    about: str


def settings_text(section: str | None) -> str:
    """Return the keys of a section or an engine, or of all of them, as text for a terminal."""
    return "\n\n".join(f"{heading}\n{_lines(rows)}" for heading, rows in tables(section))


def settings_markdown() -> str:
    """Return the keys of all sections and engines as the page docs/configuration.md."""
    parts = ["# Configuration\n\nEvery key of a recipe, as `distill settings` prints it."]
    for heading, rows in tables(None):
        lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{row.key}` | {_cell(row.kind)} | {_code(row.default)} | {_cell(row.about)} |" for row in rows]
        parts.append(f"## {heading}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def tables(section: str | None) -> list[tuple[str, list[Setting]]]:
    """Return (heading, keys) of a section or an engine, or of all; raise RecipeError for an unknown name."""
    sections = [name for name, field in Sections.model_fields.items() if list(models_in(field.annotation))]
    engines = ENGINE.shipped()
    if section is None:
        return [("top level", list(top_level()))] + [part for name in (*sections, *engines) for part in tables(name)]
    if section in sections:
        return list(of_section(section))
    if section in engines or "." in section:
        options = load_plugin(ENGINE, section).Options
        return [(f"engine {section}: keys of `options`", list(settings_of(options, "options.")))]
    known = [*sections, *engines]
    raise RecipeError(f"there is no section or engine {section!r}{nearest(section, known)}; known: {', '.join(known)}")


def top_level() -> Iterator[Setting]:
    """Yield the keys outside all sections."""
    yield Setting("extends", "text", "", "another recipe, by name or path, whose keys this one overrides")
    for name, field in Sections.model_fields.items():
        if not list(models_in(field.annotation)):
            yield setting(name, field, default_of(field))


def of_section(name: str) -> Iterator[tuple[str, list[Setting]]]:
    """Yield the tables of one section: one for each member of a union, such as [prompts]."""
    forms = list(models_in(Sections.model_fields[name].annotation))
    for form in forms:
        which = f", source = {_literal(form)}" if len(forms) > 1 else ""
        yield f"[{name}]{which}", list(settings_of(form, f"{name}."))


def _literal(form: type[BaseModel]) -> str:
    return " or ".join(f'"{value}"' for value in typing.get_args(form.model_fields["source"].annotation))


def settings_of(config: type[BaseModel], prefix: str = "", own: BaseModel | None = None) -> Iterator[Setting]:
    """Yield every key of a config; nested keys follow their table. own: a section's own defaults for the config."""
    for name, field in config.model_fields.items():
        forms, value = list(models_in(field.annotation)), default_of(field) if own is None else getattr(own, name)
        yield setting(prefix + name, field, value)
        if len(forms) == 1:
            yield from settings_of(forms[0], f"{prefix}{name}.", value if isinstance(value, BaseModel) else None)


def default_of(field: FieldInfo) -> Any:
    """Return the default of a key; None where it has none."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def setting(key: str, field: FieldInfo, value: Any) -> Setting:
    """Return the row of one key. value: its default."""
    forms = list(models_in(field.annotation))
    default = ("below" if value is not None else "") if forms else _written(value)
    return Setting(key, "table" if forms else kind_of(field.annotation), default, field.description or "")


def kind_of(annotation: Any) -> str:
    """Return a type in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind_of(one) for one in arguments if one is not type(None)))
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin in (tuple, list):
        return f"list of {kind_of(arguments[0])}"
    if origin is dict or annotation is dict:
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return "table"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "nothing"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _written(value: Any) -> str:
    from pipelines.recipe.toml import as_toml_value

    return "" if value is None or value is PydanticUndefined else as_toml_value(value)


def _lines(rows: Sequence[Setting]) -> str:
    width = max(len(row.key) for row in rows)
    return "\n".join(
        f"  {row.key:<{width}}  {row.kind}{f' = {row.default}' if row.default else ''}\n  {'':<{width}}    {row.about}"
        for row in rows
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text and text != "below" else text
