"""The keys of a recipe: the known ones, the renamed ones, and error messages for the wrong ones."""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from generators.contract.config import accepted

# Old key -> new key, matched by the last parts. The error for an old key names the new one.
RENAMED = {
    "generate.teacher": "generate.engine",
    "generate.teachers": "generate.models",
    "judge.teacher": "judge.engine",
    "rewrite.teacher": "rewrite.engine",
    "attempts": "max_attempts",
    "patience_s": "give_up_after_s",
    "rewrite.tries": "rewrite.max_rewrites",
    "score.options.engine": "score.options.vllm_args",
    "prompts.fields.gold": "prompts.fields.reference",
}


def sentences(
    items: Sequence[Mapping[str, Any]], model: type[BaseModel], known: Sequence[str], prefix: str
) -> Iterator[str]:
    """Yield a sentence for each validation error; a key that only goes by its old name is not missing as well."""
    places = [prefix + ".".join(map(str, item["loc"])) for item in items]
    answered = {renamed(place) for place in places}
    for item, place in zip(items, places, strict=True):
        if not (item["type"] == "missing" and place in answered):
            yield sentence(item, model, known, prefix)


def sentence(item: Mapping[str, Any], model: type[BaseModel], known: Sequence[str], prefix: str) -> str:
    """Return one validation error as a sentence that names the key, the value and what is accepted."""
    key = _without_tags([str(part) for part in item["loc"]], known)
    if item["type"] == "extra_forbidden":
        new = renamed(prefix + key)
        if new:
            return f"unknown key {prefix}{key}: it is now called {new}"
        if key in known:  # of another member of a union
            *parents, last = key.split(".")
            there = " or ".join(_sources_with(model, parents, last))
            return f"{prefix}{key} is no key of this source; {'.'.join([*parents, 'source'])} = {there} has it"
        siblings = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]] or known
        hint = nearest(key, siblings) or nearest(key, known)
        return f"unknown key {prefix}{key}" + (f"{hint}" if hint else f"; known here: {', '.join(siblings)}")
    if item["type"] == "missing":
        return f"the key {prefix}{key} is missing: {_description(model, key)}"
    if item["type"] == "union_tag_not_found":
        return f'the key {prefix}{key}.source is missing: "file" for a file of any form, else "dataset" or "tasks"'
    said = accepted(item)
    whole = isinstance(item["input"], Mapping | BaseModel)  # a section whose keys do not fit each other
    return f"{(prefix + key).rstrip('.')}: {said}" if whole else f"{prefix}{key} = {item['input']!r}: {said}"


def renamed(key: str) -> str | None:
    """Return the new name of a renamed key; None for any other key."""
    inner = re.fullmatch(r"generate\.models\.([^.]+)\.(.+)", key)
    if inner:
        new = renamed(f"generate.{inner[2]}")
        return new and f"generate.models.{inner[1]}.{new.removeprefix('generate.')}"
    for old, new in RENAMED.items():
        if key == old or key.endswith(f".{old}"):
            return key.removesuffix(old) + new
    return None


def _without_tags(loc: list[str], known: Sequence[str]) -> str:
    """Return a pydantic location without the discriminator tags of unions, which are not keys of the recipe."""
    key = ""
    prefixes = {".".join(k.split(".")[: i + 1]) for k in known for i in range(len(k.split(".")))}
    for i, part in enumerate(loc):
        longer = f"{key}.{part}" if key else part
        last = i == len(loc) - 1
        if longer in prefixes or last or key not in prefixes:
            key = longer
    return key


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every dotted key that a config accepts."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in models_in(field.annotation):
            yield from known_keys(inner, f"{prefix}{name}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the config classes inside an annotation, for a union those of all its members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            yield from models_in(argument)


def _sources_with(model: type[BaseModel], parents: Sequence[str], key: str) -> Iterator[str]:
    """Yield the values of `source`, in quotes, whose member of a union has the key."""
    members = [model]
    for part in parents:
        fields = [one.model_fields[part] for one in members if part in one.model_fields]
        members = [inner for field in fields for inner in models_in(field.annotation)]
    for member in members:
        if key in member.model_fields and "source" in member.model_fields:
            yield from (f'"{value}"' for value in typing.get_args(member.model_fields["source"].annotation))


def _description(model: type[BaseModel], key: str) -> str:
    for part in key.split("."):
        field = model.model_fields.get(part)
        inner = next(models_in(field.annotation), None) if field else None
        if field and inner is None:
            return field.description or "it has no default"
        model = inner or model
    return "it has no default"


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?`, or an empty text if no known word is similar."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
