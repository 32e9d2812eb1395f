"""Task families: exact answers, and three splits that share no problem."""

import random

import pytest

from generators.problems import Problem, Scribe, Split, draw, family_names

# (split, how many, seed): more than the shipped recipes draw, and a sample of what trained the embedded teacher
DRAWN: tuple[tuple[Split, int, int], ...] = (("teacher", 6000, 3), ("demo", 4000, 1), ("eval", 1600, 2))


@pytest.fixture(scope="module")
def parts() -> dict[Split, list[Problem]]:
    return {split: draw((), count, split, seed) for split, count, seed in DRAWN}


@pytest.mark.parametrize("pair", [("teacher", "demo"), ("teacher", "eval"), ("demo", "eval")], ids="-".join)
def test_the_parts_share_no_problem_in_any_wording(
    parts: dict[Split, list[Problem]], pair: tuple[Split, Split]
) -> None:
    one, other = (parts[split] for split in pair)
    assert not {problem.key for problem in one} & {problem.key for problem in other}
    assert not {asked(problem) for problem in one} & {asked(problem) for problem in other}


def asked(problem: Problem) -> str:
    return " ".join(problem.question.casefold().split())


@pytest.mark.parametrize("family", family_names())
def test_a_scribe_that_never_slips_reaches_the_answer(family: str) -> None:
    for problem in draw((family,), 200, "teacher", 0):
        scribe = Scribe(random.Random(problem.key), noticed=0.2, check=0.2)
        assert str(problem.solve(scribe)) == problem.answer, problem.question
