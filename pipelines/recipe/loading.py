"""Loading of recipes: a TOML file with `key.path=value` overrides, resolved and checked before any work.

Strings become settings in this module only.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generators.contract.errors import MissingFile, RecipeError
from pipelines.recipe.keys import nearest
from pipelines.recipe.schema import Recipe, parse_config

SHIPPED = Path(__file__).resolve().parents[1] / "recipes"
EXTENDS = "extends"


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe `name` (shipped, or a path ending in .toml) with `key.path=value` overrides, fully checked."""
    from pipelines.recipe.checks import check

    recipe = parse_config(Recipe, replay_from_prompts(with_overrides(read_toml(recipe_path(name)), overrides)))
    check(recipe)
    return recipe


def recipe_path(name: str) -> Path:
    """Return the file of a recipe."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise MissingFile(f"there is no recipe file {name}{nearest_file(Path(name))}")
        return Path(name)
    path = SHIPPED / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(
            f"there is no recipe {name!r}{nearest(name, shipped())}; shipped: {', '.join(shipped())}, "
            "or a path to a .toml file"
        )
    return path


def nearest_file(path: Path) -> str:
    """Return `; did you mean X?` with the recipe file of the same folder whose name is nearest, or an empty text."""
    there = [file.name for file in path.parent.glob("*.toml")]
    return nearest(path.name, there)


def shipped() -> list[str]:
    """Return the names of the recipes that come with the toolkit."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read_toml(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the tables of a recipe file, merged over those of the recipe that it `extends`.

    A syntax error, a missing base and a cycle of bases raise errors that name the file.
    """
    if path.resolve() in below:
        raise RecipeError(f"{path} extends itself, by way of {' and '.join(map(str, below))}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 text: {error}") from None
    base = tables.pop(EXTENDS, None)
    if base is None:
        return tables
    if not isinstance(base, str):
        raise RecipeError(f'{path}: extends = {base!r}: write one recipe, such as extends = "base.toml"')
    file = path.parent / base if base.endswith(".toml") else recipe_path(base)
    if not file.is_file():
        raise MissingFile(f'{path}: extends = "{base}": there is no file {file}{nearest_file(file)}')
    return merged(read_toml(file, (*below, path.resolve())), tables)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `over`: tables are merged key by key, any other value is replaced."""
    both = {key: merged(base[key], over[key]) for key in over if _tables(base.get(key), over[key])}
    return {**base, **over, **both}


def _tables(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def with_overrides(tables: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `tables` with each `key.path=value` set; values are TOML, or text if they are not valid TOML."""
    changed: dict[str, Any] = dict(tables)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise RecipeError(f"{override!r} is not an override; write key.path=value, for example train.alpha=0.5")
        _set(changed, path.split("."), parse_value(text), override)
    return changed


def replay_from_prompts(tables: dict[str, Any]) -> dict[str, Any]:
    """Return `tables`; a replay engine without `rows` gets the rows of [prompts], which need to be named only once."""
    generate = tables.get("generate")
    if not isinstance(generate, dict) or generate.get("engine") != "replay" or "prompts" not in tables:
        return tables
    options = {"rows": tables["prompts"], **generate.get("options", {})}
    return {**tables, "generate": {**generate, "options": options}}


def _set(tables: dict[str, Any], keys: Sequence[str], value: Any, override: str) -> None:
    *parents, last = keys
    for key in parents:
        below = tables.get(key, {})
        if not isinstance(below, dict):
            raise RecipeError(f"{override!r}: {key} is a value ({below!r}), not a table")
        tables[key] = tables = dict(below)
    tables[last] = value


def parse_value(text: str) -> Any:
    """Return a TOML value (0.5, true, [1, 2], "x"), None for `null`, or the text itself."""
    if text == "null":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
