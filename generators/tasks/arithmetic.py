"""Expressions of several operations, evaluated in any order that precedence allows."""

import random

from generators.problems import Problem, Scribe


def make(rng: random.Random, level: int) -> Problem:
    """Make (a + b) * c - d * e + ..., with more terms at higher levels."""
    size = (20, 50, 99)[level - 1]
    a, b, c = rng.randint(2, size), rng.randint(2, size), rng.randint(2, 9)
    d, e = rng.randint(2, size), rng.randint(2, 9)
    f = rng.randint(2, 10 * size)
    text = (f"({a} + {b}) * {c}", f"({a} + {b}) * {c} - {d} * {e}", f"({a} + {b}) * {c} - {d} * {e} + {f}")[level - 1]
    value = ((a + b) * c, (a + b) * c - d * e, (a + b) * c - d * e + f)[level - 1]
    asked = rng.choice(("Calculate {}.", "What is {}?", "Evaluate {}.", "Find the value of {}."))

    def solve(scribe: Scribe) -> int:
        if level == 1:
            return _product(scribe, a, b, c)
        if scribe.rng.random() < 0.5:
            left, right = _product(scribe, a, b, c), scribe.multiply(d, e)
        else:
            right = scribe.multiply(d, e)
            left = _product(scribe, a, b, c)
        if level == 2:
            return scribe.subtract(left, right)
        if scribe.rng.random() < 0.5:
            return scribe.add(scribe.subtract(left, right), f)
        return scribe.subtract(scribe.add(left, f), right)

    return Problem("arithmetic", asked.format(text), str(value), f"arithmetic:{text}", level, solve)


def _product(scribe: Scribe, a: int, b: int, c: int) -> int:
    """Solve (a + b) * c, brackets first or multiplied out."""
    if scribe.rng.random() < 0.6:
        scribe.say("Brackets first.", "Start with the brackets.")
        return scribe.multiply(scribe.add(a, b), c)
    scribe.say("Multiply out.", "Distribute.")
    return scribe.add(scribe.multiply(a, c), scribe.multiply(b, c))
