"""Encoding of Python's plain values as JSON and back, types kept: a tuple is not a list, 1.0 is not 1, a set is a set.

Both sides of the sandbox use it, so it imports nothing else from the toolkit. Only methods of the builtin types are
called, never the object's own: what an object claims to equal or to be named is ignored. The encoding is linear in
the size of the value; big integers travel in base 16, because base 10 takes minutes.
"""

import itertools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import GeneratorType
from typing import Any

SAFE_INTEGER = 1 << 63
CONTAINERS: tuple[Any, ...] = (tuple, set, frozenset)
MOST_ITEMS = 1_000_000  # most items taken from an iterator, which may be infinite
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
ITERATORS: tuple[type, ...] = (GeneratorType, map, filter, zip, enumerate, reversed, *VIEWS)
DICTS: dict[Any, str] = {dict: "dict", Counter: "Counter", OrderedDict: "OrderedDict", defaultdict: "defaultdict"}
FACTORIES: tuple[Any, ...] = (None, list, dict, set, int, str, float, bool, tuple)  # of a defaultdict
KINDS: dict[str, Any] = {name: kind for kind, name in DICTS.items()}
CLOCK = ("hour", "minute", "second", "microsecond", "fold")
DAY = ("year", "month", "day")
PARTS: dict[Any, tuple[str, ...]] = {date: DAY, time: CLOCK, datetime: (*DAY, *CLOCK)}
Keep = Callable[[Any], Any]  # encodes an object that is not a plain value


def refuse(value: object) -> Any:
    """Raise TypeError; the `keep` for places where only plain values are allowed."""
    raise TypeError(f"{type(value).__name__} is not a plain value")


def encode(value: Any, keep: Keep = refuse) -> Any:
    """Return the value in JSON's own types; `keep` encodes anything that is not a plain value."""
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
        return encode_dict(value, kind, keep)
    for container in CONTAINERS:
        if issubclass(kind, container):
            return {container.__name__: [encode(item, keep) for item in container.__iter__(value)]}
    return encode_rare(value, kind, keep)


def encode_dict(value: Any, kind: type, keep: Keep) -> Any:
    """Encode a dict; one of another kind, or with a factory that is no builtin type, becomes a plain one."""
    items: list[Any] = [[encode(key, keep), encode(item, keep)] for key, item in dict.items(value)]
    name = DICTS.get(kind, "dict")
    if name != "defaultdict":
        return {name: items}
    factory = value.default_factory
    known = [place for place, each in enumerate(FACTORIES) if each is factory]
    return {name: [*known, items]} if known else {"dict": items}


def encode_time(value: Any, kind: type) -> Any:
    """Encode a date or a time in its own zone's offset, None if it has none; a zone with rules is not kept."""
    parts = [getattr(value, name) for name in PARTS[kind]]
    zone = None if kind is date else value.tzinfo
    return {kind.__name__: parts if zone is None else [*parts, encode(zone.utcoffset(None))]}


def encode_rare(value: Any, kind: type, keep: Keep) -> Any:
    """Encode the values that few programs return."""
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
    if kind is timedelta:
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if kind in PARTS and (kind is date or value.tzinfo is None or type(value.tzinfo) is timezone):
        return encode_time(value, kind)
    if kind is deque:
        return {"deque": [[encode(item, keep) for item in value], value.maxlen]}
    if kind in ITERATORS:
        return {"iterator": [encode(item, keep) for item in itertools.islice(value, MOST_ITEMS)]}
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), keep)
    return keep(value)


def decode(data: Any, kept: Keep = refuse) -> Any:
    """Return the encoded value, made of builtin types alone; `kept` decodes what `keep` encoded."""
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
    if name in DICTS.values():
        factory = [FACTORIES[content[0]]] if name == "defaultdict" else []
        items = content[1] if factory else content
        plain = {decode(key, kept): decode(item, kept) for key, item in items}
        return plain if name == "dict" else KINDS[name](*factory, plain)
    return decode_rare(name, content, kept)


def decode_rare(name: str, content: Any, kept: Keep) -> Any:
    """Decode what `encode_rare` encodes, and big integers."""
    if name == "int":
        return int(content, 16)
    if name in ("complex", "range", "Fraction"):
        make: Any = {"complex": complex, "range": range, "Fraction": Fraction}[name]
        return make(*map(decode, content))
    if name == "Decimal":
        return Decimal(content)
    if name == "timedelta":
        return timedelta(*content)
    if name in ("date", "datetime", "time"):
        return decode_time(name, content)
    if name == "deque":
        return deque([decode(item, kept) for item in content[0]], content[1])
    if name in ("bytes", "bytearray"):
        return (bytes if name == "bytes" else bytearray).fromhex(content)
    return kept(data_of(name, content))


def decode_time(name: str, content: list[Any]) -> Any:
    """Decode what `encode_time` encodes."""
    kind: Any = {"date": date, "datetime": datetime, "time": time}[name]
    parts, offset = content[: len(PARTS[kind])], content[len(PARTS[kind]) :]
    zone = {"tzinfo": timezone(decode(offset[0]))} if offset else {}
    fold = {} if kind is date else {"fold": parts.pop()}
    return kind(*parts, **zone, **fold)


def data_of(name: str, content: Any) -> dict[str, Any]:
    """Return the encoded object that `kept` is to decode."""
    return {name: content}
