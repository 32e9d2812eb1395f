"""What a verifier is handed and what it says; loaded by every worker process, so it imports nothing heavy.

A verifier is a module with a function `verify(item: Item) -> Judgement`. It is named in a prompt's `verifier`
column: `math_answer` is `filters/verifiers/math_answer.py`, a dotted path is anybody's module. A verifier
needs no time-outs of its own: the pool gives each item one deadline and one memory cap. One with settings has a
second function, `check_options(options)`, a ValueError where they are wrong; it finds them in `item.options`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from generators.contract.errors import RecipeError
from generators.contract.plugins import VERIFIER, load_plugin

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


def load_verifier(name: str) -> Verifier:
    """Return the `verify` function of the verifier `name`; PluginError says in a sentence why there is none."""
    return cast(Verifier, load_plugin(VERIFIER, name).verify)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise a RecipeError where the verifier `name` has no such options, or does not accept their values."""
    check = verifier_hook(name, "check_options")
    if check is not None:
        try:
            check(options)
        except ValueError as error:
            raise RecipeError(str(error)) from None
    elif options:
        raise RecipeError(f"the verifier {name!r} has no options; it was given {', '.join(map(repr, options))}")


def verifier_hook(name: str, function: str) -> Callable[..., Any] | None:
    """Return an optional function of a verifier's module, such as `reference_answer`; None where it has none."""
    found: Callable[..., Any] | None = getattr(load_plugin(VERIFIER, name), function, None)
    return found
