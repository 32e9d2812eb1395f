"""What a verifier is handed and what it says; loaded by every worker process, so it imports nothing heavy.

A verifier is a module with a function `verify(item: Item) -> Judgement`. It is named in a prompt's `verifier`
column: `math_answer` is `filters/verifiers/math_answer.py`, a dotted path is anybody's module. A verifier
needs no time-outs of its own: the pool gives each item one deadline and one memory cap. One with settings has a
second function, `check_options(options)`, a ValueError where they are wrong; it finds them in `item.options`.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, cast, get_args

Status = Literal["correct", "wrong", "unparseable", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class Item:
    """One sample to judge."""

    answer: str  # after </think>
    reference: str | None = None  # gold answer, tests or constraints (JSON where structured)
    reasoning: str | None = None  # inside <think>; None = there was none
    messages: Sequence[Mapping[str, str]] = ()  # the prompt
    finish_reason: str = "stop"  # stop, length, error
    bare: bool = False  # the answer is the final answer itself, with no text around it
    options: Mapping[str, Any] = field(default_factory=dict)  # the verifier's settings


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verifier's word on one item: status, score in [0, 1] and one clause a person understands."""

    status: Status
    score: float
    reason: str

    def __post_init__(self) -> None:
        assert self.status in get_args(Status), f"status {self.status!r} is not one of {get_args(Status)}"


@dataclass(frozen=True, slots=True)
class Verdict(Judgement):
    """A judgement and the wall-clock seconds it took."""

    seconds: float = 0.0


Verifier = Callable[[Item], Judgement]


def correct(reason: str) -> Judgement:
    """Score 1."""
    return Judgement("correct", 1.0, reason)


def wrong(reason: str) -> Judgement:
    """Score 0: an answer was read, and it is not the reference."""
    return Judgement("wrong", 0.0, reason)


def unparseable(reason: str) -> Judgement:
    """Score 0: no answer could be read."""
    return Judgement("unparseable", 0.0, reason)


def broken(reason: str) -> Judgement:
    """Score 0, status `error`: nothing can be said of the sample, because the verifier or its reference failed."""
    return Judgement("error", 0.0, reason)


def available_verifiers() -> list[str]:
    """Names of the verifiers that come with the toolkit."""
    from filters import verifiers

    return sorted(module.name for module in pkgutil.iter_modules(verifiers.__path__))


def load_verifier(name: str) -> Verifier:
    """The `verify` function of the module `name`; an unknown name is a ValueError that says the nearest one."""
    if "." not in name and name not in available_verifiers():
        known = available_verifiers()
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"verifier {name!r} is not one of {', '.join(known)} nor a dotted module path{hint}")
    module = load_module(name)
    verify = getattr(module, "verify", None)
    if not callable(verify):
        raise ValueError(f"verifier {name!r}: the module {module.__file__} has no function `verify(item)`")
    return cast(Verifier, verify)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """A ValueError where the verifier `name` has no such settings, or does not accept their values."""
    load_verifier(name)
    check = getattr(load_module(name), "check_options", None)
    if check is not None:
        check(options)
    elif options:
        raise ValueError(f"verifier {name!r} has no options; it was given {', '.join(map(repr, options))}")


def load_module(name: str) -> ModuleType:
    """The module of the verifier `name`."""
    path = name if "." in name else f"filters.verifiers.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise ValueError(f"verifier {name!r}: there is no module {error.name!r} on the import path") from error
