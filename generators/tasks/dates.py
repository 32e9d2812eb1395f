"""Days between two dates of a common year."""

import random

from generators.problems import Problem, Scribe

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def make(rng: random.Random, level: int) -> Problem:
    """Make dates one month apart (level 1), two or three (2), four or five (3)."""
    apart = (1, rng.randint(2, 3), rng.randint(4, 5))[level - 1]
    start = rng.randint(0, 11 - apart)
    end = start + apart
    first, last = rng.randint(1, DAYS[start]), rng.randint(1, DAYS[end])
    dates = f"{MONTHS[start]} {first}", f"{MONTHS[end]} {last}"
    asked = rng.choice(
        ("How many days is it from {} to {}?", "Count the days from {} to {}.", "How many days lie from {} until {}?")
    )
    value = sum(DAYS[start:end]) - first + last

    def solve(scribe: Scribe) -> int:
        if scribe.rng.random() < 0.5:
            scribe.say(f"The rest of {MONTHS[start]} first.", f"Rest of {MONTHS[start]}.")
            total = scribe.subtract(DAYS[start], first)
            for month in range(start + 1, end):
                scribe.say(f"{MONTHS[month]} has {DAYS[month]}.")
                total = scribe.add(total, DAYS[month])
            return scribe.add(total, last)
        scribe.say("Whole months first.", "Count whole months.")
        total = DAYS[start]
        for month in range(start + 1, end):
            scribe.say(f"{MONTHS[month]} has {DAYS[month]}.")
            total = scribe.add(total, DAYS[month])
        return scribe.subtract(scribe.add(total, last), first)

    return Problem("dates", asked.format(*dates), str(value), f"dates:{start}:{first}:{end}:{last}", level, solve)
