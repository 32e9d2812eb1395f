"""The next term, or a later one, of a sequence whose steps grow evenly."""

import random

from generators.problems import Problem, Scribe


def make(rng: random.Random, level: int) -> Problem:
    """Show four terms whose steps grow by a fixed amount; the level is how many terms ahead the question asks."""
    first, step, growth = rng.randint(1, 40), rng.randint(-9, 25), rng.randint(-4, 9)
    terms = [first]
    for i in range(6):
        terms.append(terms[-1] + step + growth * i)
    shown = ", ".join(map(str, terms[:4]))
    which = ("next number", "second next number", "third next number")[level - 1]
    asked = rng.choice(("What is the {} in {}?", "Find the {} of the sequence {}.", "Give the {}: {}"))

    def solve(scribe: Scribe) -> int:
        scribe.say("Look at the steps.", "Take differences.")
        start = scribe.rng.choice((0, 1))
        steps = [scribe.subtract(terms[i + 1], terms[i]) for i in range(start, 3)]
        grows = scribe.subtract(steps[-1], steps[-2])
        value, last = terms[3], steps[-1]
        for _ in range(level):
            last = scribe.add(last, grows)
            value = scribe.add(value, last)
        return value

    key = f"sequences:{level}:{first}:{step}:{growth}"
    return Problem("sequences", asked.format(which, shown), str(terms[3 + level]), key, level, solve)
