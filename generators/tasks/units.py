"""Sums and differences of mixed units."""

import random

from generators.problems import Problem, Scribe

UNITS = (
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("dozens", "eggs", 12),
)


def make(rng: random.Random, level: int) -> Problem:
    """Make one conversion (level 1), a sum or difference (2), or a multiple of one (3)."""
    large, small, factor = rng.choice(UNITS)
    size = (15, 20, 30)[level - 1]
    a, b, c, d = rng.randint(4, size), rng.randint(1, factor - 1), rng.randint(1, 3), rng.randint(1, factor - 1)
    times, plus = rng.randint(2, 6), rng.random() < 0.5
    question = f"How many {small} are {a} {large} and {b} {small}"
    total = a * factor + b
    if level > 1:
        question += f" {'plus' if plus else 'minus'} {c} {large} and {d} {small}"
        total += (c * factor + d) * (1 if plus else -1)
    if level > 2:
        question += f", all of it {times} times"
        total *= times

    def solve(scribe: Scribe) -> int:
        return _solve(scribe, level, factor, (a, b), (c, d), plus, times)

    key = f"units:{level}:{large}:{a}:{b}:{f'{plus}:{c}:{d}' if level > 1 else ''}:{times if level > 2 else ''}"
    return Problem("units", question + "?", str(total), key, level, solve)


def _solve(
    scribe: Scribe, level: int, factor: int, first: tuple[int, int], second: tuple[int, int], plus: bool, times: int
) -> int:
    combine = scribe.add if plus else scribe.subtract
    if level > 1 and scribe.rng.random() < 0.5:
        scribe.say("Unit by unit.", "Large units first.")
        large = combine(first[0], second[0])
        total = scribe.add(scribe.multiply(large, factor), combine(first[1], second[1]))
    else:
        scribe.say("Convert each.", "Convert first.")
        total = scribe.add(scribe.multiply(first[0], factor), first[1])
        if level > 1:
            total = combine(total, scribe.add(scribe.multiply(second[0], factor), second[1]))
    return scribe.multiply(total, times) if level > 2 else total
