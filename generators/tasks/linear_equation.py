"""Linear equations in one unknown with a whole solution."""

import random

from generators.problems import Problem, Scribe


def make(rng: random.Random, level: int) -> Problem:
    """Make ax + b = c (level 1), or ax + b = cx + d (2, and 3 with larger numbers)."""
    size = (12, 20, 60)[level - 1]
    x, a, b = rng.randint(-size, size), rng.randint(3, 9), rng.randint(-3 * size, 3 * size) or 1
    c = 0 if level == 1 else rng.randint(1, a - 1)
    d = (a - c) * x + b
    text = f"{a}x {_signed(b)} = {f'{c}x {_signed(d)}' if c else d}"
    asked = rng.choice(("Solve {} for x.", "Find x if {}.", "What is x when {}?", "Solve the equation {}."))

    def solve(scribe: Scribe) -> int:
        if c and scribe.rng.random() < 0.5:
            scribe.say("Collect x first.", "Bring x to the left.")
            factor, right = scribe.subtract(a, c), scribe.subtract(d, b)
        else:
            scribe.say("Collect the numbers first.", "Bring the numbers to the right.")
            right = scribe.subtract(d, b)
            factor = scribe.subtract(a, c) if c else a
        scribe.lines.append(f"{factor}x = {right}")
        return scribe.divide(right, factor) if factor else right

    return Problem("linear_equation", asked.format(text), str(x), f"linear_equation:{text}", level, solve)


def _signed(value: int) -> str:
    return f"+ {value}" if value >= 0 else f"- {-value}"
