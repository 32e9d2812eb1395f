"""The input and output of verifiers. Every worker process loads this module, so it imports nothing heavy.

A verifier is a module with a function `verify(item: Item) -> Judgement`. A prompt's `verifier` column names it:
`math_answer` is `filters/verifiers/math_answer.py`, a dotted path or a .py file is a user's module. A verifier needs no
time-outs of its own: the pool gives each item one deadline and one memory limit. A verifier with options finds them in
`item.options` and has a second function, `check_options(options)`, which raises ValueError if they are wrong.
A verifier that limits the CPU time of what it judges sets PATIENCE: the pool's deadline is so many times as long for
its items, as a busy machine may delay them that much.
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
    reference: str | None = None  # reference answer, tests or constraints (JSON if structured)
    reasoning: str | None = None  # inside <think>; None: the sample has none
    messages: Sequence[Mapping[str, str]] = ()  # the prompt
    finish_reason: str = "stop"  # stop, length, error
    bare: bool = False  # True: the answer is the final answer itself, with no text around it
    options: Mapping[str, Any] = field(default_factory=dict)  # the verifier's options


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verifier's judgement on one item: status, score in [0, 1] and a clause that a person understands."""

    status: Status
    score: float
    reason: str

    def __post_init__(self) -> None:
        assert self.status in get_args(Status), f"status {self.status!r} is not one of {get_args(Status)}"


@dataclass(frozen=True, slots=True)
class Verdict(Judgement):
    """A judgement with the wall-clock seconds that it took."""

    seconds: float = 0.0


Verifier = Callable[[Item], Judgement]


def correct(reason: str) -> Judgement:
    """Return a judgement with score 1."""
    return Judgement("correct", 1.0, reason)


def wrong(reason: str) -> Judgement:
    """Return a judgement with score 0: an answer was read, and it differs from the reference."""
    return Judgement("wrong", 0.0, reason)


def unparseable(reason: str) -> Judgement:
    """Return a judgement with score 0: no answer could be read."""
    return Judgement("unparseable", 0.0, reason)


def broken(reason: str) -> Judgement:
    """Return a judgement with score 0 and status `error`: the verifier or the reference failed, not the sample."""
    return Judgement("error", 0.0, reason)


def load_verifier(name: str) -> Verifier:
    """Return the `verify` function of the verifier `name`; PluginError names the cause if it cannot be loaded."""
    return cast(Verifier, load_plugin(VERIFIER, name).verify)


def patience_of(name: str) -> float:
    """Return the factor by which the deadline of the verifier's items is longer than that of others."""
    return float(getattr(load_plugin(VERIFIER, name), "PATIENCE", 1.0))


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise a RecipeError if the verifier `name` has no such options or does not accept their values."""
    check = verifier_hook(name, "check_options")
    if check is not None:
        try:
            check(options)
        except ValueError as error:
            raise RecipeError(str(error)) from None
    elif options:
        raise RecipeError(f"the verifier {name!r} has no options; it was given {', '.join(map(repr, options))}")


def verifier_hook(name: str, function: str) -> Callable[..., Any] | None:
    """Return an optional function of a verifier's module, such as `reference_answer`; None if it is not defined."""
    found: Callable[..., Any] | None = getattr(load_plugin(VERIFIER, name), function, None)
    return found
