"""Procedurally generated problems with exact answers, and the scribe that writes how one is solved.

A family is a module with `make(rng, level) -> Problem`. A problem solves itself with a `Scribe`, which writes down
every calculation in varying words and may slip: unnoticed (the wrong value leads to a wrong answer), or noticed and
corrected. The traces that train the embedded models are made this way.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal

from generators.contract.errors import PluginError, RecipeError
from generators.contract.plugins import TASK_FAMILY, blaming, load_plugin

Split = Literal["teacher", "demo", "eval"]
SHARES: dict[Split, tuple[int, int]] = {"teacher": (0, 60), "demo": (60, 85), "eval": (85, 100)}  # percent of keys
MAX_DRAWS = 200  # without a new problem, after which a family counts as exhausted


@dataclass(frozen=True)
class Problem:
    """A question and its exact answer. key: family and numbers, independent of the wording."""

    family: str
    question: str
    answer: str
    key: str
    level: int
    solve: Callable[["Scribe"], int] = field(compare=False, repr=False)


def split_of(key: str) -> Split:
    """Return the split of a problem, decided by its numbers alone: other wordings stay in the same split."""
    point = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % 100
    return next(split for split, (low, high) in SHARES.items() if low <= point < high)


def family_names() -> list[str]:
    """Return the names of the shipped families."""
    return TASK_FAMILY.shipped()


def load_family(name: str) -> ModuleType:
    """Return the module of a family; PluginError says in a sentence why there is none."""
    return load_plugin(TASK_FAMILY, name)


def draw(
    families: Sequence[str], count: int, split: Split, seed: int, levels: Sequence[int] | None = None
) -> list[Problem]:
    """Return `count` different problems of `split`, families in turn; equal arguments give equal problems.

    families: names of plug-ins; none: all shipped ones. levels: difficulties to draw from; None: 1, 2, 3.
    RecipeError: an unknown split, or a family without enough problems. PluginError: an unknown family.
    """
    if split not in SHARES:
        raise RecipeError(f"split {split!r} is not one of {', '.join(SHARES)}")
    names = list(families) or family_names()
    modules = [load_family(name) for name in names]
    rng = random.Random(f"{split}:{seed}")
    seen: set[str] = set()
    problems = []
    for i in range(count):
        problems.append(
            _new_problem(names[i % len(names)], modules[i % len(names)], split, levels or (1, 2, 3), rng, seen)
        )
    return problems


def _new_problem(
    name: str, module: ModuleType, split: Split, levels: Sequence[int], rng: random.Random, seen: set[str]
) -> Problem:
    for _ in range(MAX_DRAWS):
        with blaming(TASK_FAMILY, name):
            problem = module.make(rng, rng.choice(levels))
        if not isinstance(problem, Problem):
            raise PluginError(f"the task family {name!r}: make() returned {type(problem).__name__}, not a Problem")
        if problem.key not in seen and split_of(problem.key) == split:
            seen.add(problem.key)
            return problem
    raise RecipeError(f"task family {name!r} has no further problem in the split {split!r} at levels {tuple(levels)}")


@dataclass
class Scribe:
    """A writer of calculations. Chances are per calculation: a `slip` stays, a `noticed` error is corrected."""

    rng: random.Random
    slip: float = 0.0
    noticed: float = 0.0
    check: float = 0.0
    lines: list[str] = field(default_factory=list)

    def say(self, *wordings: str) -> None:
        """Write one of several wordings."""
        self.lines.append(self.rng.choice(wordings))

    def add(self, a: int, b: int) -> int:
        """Write and return a + b, or a - (-b)."""
        return self.calculate(f"{a} + {b}" if b >= 0 else f"{a} - {-b}", a + b)

    def subtract(self, a: int, b: int) -> int:
        """Write and return a - b, or a + (-b)."""
        return self.calculate(f"{a} - {b}" if b >= 0 else f"{a} + {-b}", a - b)

    def multiply(self, a: int, b: int) -> int:
        """Write and return a * b."""
        return self.calculate(f"{a} * {b}", a * b)

    def divide(self, a: int, b: int) -> int:
        """Write and return a / b for a multiple of b; after a slip, the nearest whole number."""
        return self.calculate(f"{a} / {b}", round(a / b))

    def calculate(self, left: str, value: int) -> int:
        """Write `left = value`, perhaps with a slip; return the value to continue with."""
        chance = self.rng.random()
        if chance < self.slip:
            value = self._wrong(value)
            self.lines.append(f"{left} = {value}")
            return value
        if chance < self.slip + self.noticed:
            self.lines.append(f"{left} = {self._wrong(value)}")
            self.say(f"Wait, {left} = {value}", f"No, that is off: {left} = {value}", f"Hmm, again: {left} = {value}")
            return value
        self.lines.append(f"{left} = {value}")
        if self.rng.random() < self.check:
            self.say("Check: right.", "That looks right.", "OK.")
        return value

    def _wrong(self, value: int) -> int:
        off = self.rng.choice((1, -1, 2, -2, 10, -10, 10, -10))
        return value + off


def trace(problem: Problem, scribe: Scribe) -> tuple[str, int]:
    """Solve `problem` with a scribe; return (the completion's text, its answer)."""
    value = problem.solve(scribe)
    thought = "\n".join(scribe.lines)
    said = scribe.rng.choice(("The answer is", "So the answer is", "Answer:", "The result is"))
    return f"<think>\n{thought}\n</think>\n{said} \\boxed{{{value}}}", value
