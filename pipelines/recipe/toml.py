"""Recipes and their values as TOML text."""

from collections.abc import Mapping
from typing import Any

import tomlkit


def as_toml(recipe: Mapping[str, Any]) -> str:
    """Return a resolved recipe as TOML text that loads as the same recipe; None, which TOML lacks, is left out."""
    return tomlkit.dumps(without_none(recipe)).strip() + "\n"


def as_toml_value(value: Any) -> str:
    """Return one value as TOML text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {as_toml_value(item)}" for key, item in value.items()) + "}"
    return str(tomlkit.item(without_none(value)).as_string())


def without_none(value: Any) -> Any:
    """Return `value` without the None values inside it."""
    if isinstance(value, Mapping):
        return {str(key): without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value if item is not None]
    return value
