"""Python's plain values as JSON and back, types kept: a tuple is not a list, 1.0 is not 1, a set is a set.

Used on both sides of the sandbox, so it imports nothing of the toolkit. Only the type's own methods are called,
never the object's: what an object claims to equal or to be called counts for nothing. Sizes are linear in the
value: big integers travel in base 16, because base 10 takes minutes.
"""

import itertools
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import GeneratorType
from typing import Any

SAFE_INTEGER = 1 << 63
CONTAINERS: tuple[Any, ...] = (tuple, set, frozenset)
MOST_ITEMS = 1_000_000  # of an iterator, which might have no end
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
ITERATORS: tuple[type, ...] = (GeneratorType, map, filter, zip, enumerate, reversed, *VIEWS)
Keep = Callable[[Any], Any]  # what stands for an object that is not a plain value


def refuse(value: object) -> Any:
    """For `keep` where only plain values will do."""
    raise TypeError(f"{type(value).__name__} is not a plain value")


def encode(value: Any, keep: Keep = refuse) -> Any:
    """The value as JSON's own types; `keep` says what to put for anything else."""
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if issubclass(kind, int):
        plain = int.__int__(value)
        return plain if -SAFE_INTEGER < plain < SAFE_INTEGER else {"int": hex(plain)}
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, list):
        return [encode(item, keep) for item in list.__iter__(value)]
    if issubclass(kind, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in dict.items(value)]}
    for container in CONTAINERS:
        if issubclass(kind, container):
            return {container.__name__: [encode(item, keep) for item in container.__iter__(value)]}
    return encode_rare(value, kind, keep)


def encode_rare(value: Any, kind: type, keep: Keep) -> Any:
    """Values that few programs give back."""
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is bytes or kind is bytearray:
        return {kind.__name__: value.hex()}
    if kind is range:
        return {"range": [encode(part) for part in (value.start, value.stop, value.step)]}
    if kind is Fraction:
        return {"Fraction": [encode(value.numerator), encode(value.denominator)]}
    if kind is Decimal:
        return {"Decimal": str(value)}
    if kind in ITERATORS:
        return {"iterator": [encode(item, keep) for item in itertools.islice(value, MOST_ITEMS)]}
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), keep)
    return keep(value)


def decode(data: Any, kept: Keep = refuse) -> Any:
    """The value that `encode` was given, of builtin types alone; `kept` reads what `keep` had put."""
    if isinstance(data, list):
        return [decode(item, kept) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise ValueError(f"a value is an object of one key, not of {sorted(data)}")
    ((name, content),) = data.items()
    if name in ("tuple", "set", "frozenset", "iterator"):
        make: Any = {"tuple": tuple, "set": set, "frozenset": frozenset, "iterator": iter}[name]
        return make([decode(item, kept) for item in content])
    if name == "dict":
        return {decode(key, kept): decode(item, kept) for key, item in content}
    return decode_rare(name, content, kept)


def decode_rare(name: str, content: Any, kept: Keep) -> Any:
    """The inverse of `encode_rare` and of big integers."""
    if name == "int":
        return int(content, 16)
    if name in ("complex", "range", "Fraction"):
        make: Any = {"complex": complex, "range": range, "Fraction": Fraction}[name]
        return make(*map(decode, content))
    if name == "Decimal":
        return Decimal(content)
    if name in ("bytes", "bytearray"):
        return (bytes if name == "bytes" else bytearray).fromhex(content)
    return kept(data_of(name, content))


def data_of(name: str, content: Any) -> dict[str, Any]:
    """An object that is somebody else's to read."""
    return {name: content}
