"""Word problems in plain English."""

import random

from generators.problems import Problem, Scribe

NAMES = ("Mia", "Tom", "Ana", "Ben", "Lea", "Sam", "Zoe", "Max", "Ida", "Leo")
THINGS = (("box", "boxes", "pens"), ("bag", "bags", "apples"), ("pack", "packs", "cards"), ("jar", "jars", "coins"))


def make(rng: random.Random, level: int) -> Problem:
    """Make groups of equal size, of which some are given away, then more are bought, then all are sold."""
    groups, each = rng.randint(3, (9, 15, 30)[level - 1]), rng.randint(4, (9, 15, 25)[level - 1])
    given = rng.randint(2, groups * each - 1)
    more, price = rng.randint(2, 9), rng.randint(2, 12)
    name, (one, many, things) = rng.choice(NAMES), rng.choice(THINGS)
    question = f"{name} has {groups} {many} with {each} {things} in each {one} and gives away {given} {things}."
    if level > 1:
        question += f" Then {name} buys {more} more {many} of the same size."
    if level == 3:
        question += f" Each of the {things} is sold for {price} dollars. How much money is that?"
    else:
        question += rng.choice((f" How many {things} are left?", f" How many {things} does {name} have now?"))
    left = groups * each - given + (more * each if level > 1 else 0)
    value = left * price if level == 3 else left

    def solve(scribe: Scribe) -> int:
        return _solve(scribe, level, groups, each, given, more, price)

    key = f"word_problem:{level}:{groups}:{each}:{given}:{more if level > 1 else 0}:{price if level == 3 else 0}"
    return Problem("word_problem", question, str(value), key, level, solve)


def _solve(scribe: Scribe, level: int, groups: int, each: int, given: int, more: int, price: int) -> int:
    if level > 1 and scribe.rng.random() < 0.5:
        scribe.say("Count the groups first.", "All groups together.")
        left = scribe.subtract(scribe.multiply(scribe.add(groups, more), each), given)
    else:
        scribe.say("At the start.", "First the start.")
        left = scribe.subtract(scribe.multiply(groups, each), given)
        if level > 1:
            scribe.say("Then the new ones.", "Now what is bought.")
            left = scribe.add(left, scribe.multiply(more, each))
    return scribe.multiply(left, price) if level == 3 else left
