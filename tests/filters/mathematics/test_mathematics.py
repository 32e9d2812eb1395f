"""Tests of the exact comparison: what it calls equal is equal, what it calls different is different."""

import random
import subprocess
import sys

import pytest
import sympy

from filters.mathematics.compare import LENIENCIES, Comparer, Comparison, leniencies_needed
from filters.mathematics.expressions import Name, Number, Sum, Words
from filters.mathematics.quantities import DEFAULT_LENIENCIES
from filters.mathematics.reading.parser import read_answer
from filters.mathematics.reading.tokens import Unreadable


def compared(reference: str, said: str, *leniencies: str) -> Comparison:
    return Comparer((*DEFAULT_LENIENCIES, *leniencies)).compare(read_answer(reference), read_answer(said))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("1234567", "1,234,567"),
        ("10{,}000", "10 000"),
        ("0.5", "\\frac12"),
        ("50\\%", "\\frac{1}{2}"),
        ("12\\frac{3}{5}", "12.6"),
        ("2 1/2", "5/2"),
        ("-3\\frac{1}{2}", "-3.5"),
        ("2.45e6", "2.45 \\times 10^{6}"),
        ("3:2", "3/2"),
        ("\\$18.90", "18.9"),
        ("5", "5 \\text{ apples}"),
        ("10\\text{ cm}", "0.1 \\mathrm{~m}"),
        ("90^\\circ", "90"),
        ("90^{\\circ}", "\\frac{\\pi}{2}"),
        ("5 million", "5 \\times 10^6"),
        ("2516_8", "2516_{8}"),
    ],
)
def test_numbers_in_all_spellings(reference: str, said: str) -> None:
    assert compared(reference, said) is Comparison.EQUAL


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt2}{2}"),
        ("\\sqrt{50} + \\sqrt{8}", "7\\sqrt{2}"),
        ("\\sqrt[3]{54}", "3\\sqrt[3]{2}"),
        ("\\sqrt{3 + 2\\sqrt{2}}", "1 + \\sqrt{2}"),
        ("\\frac{1}{1 + \\sqrt{2} + \\sqrt{3}}", "\\frac{2 + \\sqrt{2} - \\sqrt{6}}{4}"),
        ("(1 + i)^2", "2i"),
        ("\\sqrt{-12}", "2i\\sqrt3"),
        ("x^2 - 1", "(x - 1)(x + 1)"),
        ("\\frac{x^2 - 1}{x - 1}", "x + 1"),
        ("\\frac{e}{4}x + \\frac{e}{4}", "y = \\frac{e(x + 1)}{4}"),
        ("100p^{\\frac{1}{2}}", "100 \\sqrt{p}"),
        ("2^{n+1}", "2 \\cdot 2^n"),
        ("e^{-t}e^{-s}", "e^{-(s+t)}"),
        ("\\ln 4", "2 \\ln 2"),
        ("\\log_2 8", "3"),
        ("\\binom{2n}{n}", "\\frac{(2n)!}{(n!)^2}"),
        ("\\sum_{k=0}^{n} k a_k", "\\sum_{k=0}^{n} a_k k"),
        ("2x + 4y - 3 = 0", "y = -\\frac{1}{2}x + \\frac{3}{4}"),
        ("4\\pi G\\rho", "4\\piG\\rho"),
        ("f(x) = 2x", "f(x) = x + x"),
        ("1/12", "0.0833333333"),
    ],
)
def test_equal_expressions(reference: str, said: str) -> None:
    assert compared(reference, said) is Comparison.EQUAL
    assert compared(said, reference) is Comparison.EQUAL


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("12", "13"),
        ("\\frac{1}{3}", "0.333"),
        ("\\pi", "3.14"),
        ("\\sqrt{2}", "-\\sqrt{2}"),
        ("\\sqrt{2}", "\\sqrt{2} + 10^{-30}"),
        ("18", "18 + 175882964180789249309025333576872706239"),
        ("x^2 - 1", "x^2 + 1"),
        ("2n - 1", "2k - 1"),
        ("cx^2", "Cx^2"),
        ("1 - \\frac{1}{\\mathrm{e}}", "1 + \\frac{1}{\\mathrm{e}}"),
        ("y = 2x + 1", "y = 2x + 2"),
        ("\\sin x", "\\cos x"),
        ("\\log 100", "3"),
        ("12 \\text{ min}", "12 \\text{ s}"),
        ("10\\text{ cm}", "10\\text{ m}"),
        ("5 am", "5 pm"),
        ("2516_7", "2516_8"),
        ("\\text{odd}", "\\text{even}"),
    ],
)
def test_different_answers(reference: str, said: str) -> None:
    assert compared(reference, said) is Comparison.DIFFERENT


@pytest.mark.parametrize(
    ("reference", "said", "expected"),
    [
        ("1, 2, 3", "3, 1, 2", True),
        ("1, 2", "1 \\text{ and } 2", True),
        ("x = 2 or x = -2", "\\pm 2", True),
        ("\\{1, 2\\}", "2, 1", True),
        ("1, 2", "1, 2, 3", False),
        ("1, 2", "1", False),
        ("1", "1, 2", False),
        ("(1, 2)", "(2, 1)", False),
        ("(1, 2)", "\\{1, 2\\}", False),
        ("(p, q, r) = (3, 2, 7)", "(3, 2, 7)", True),
        ("(1, 2), (3, 4)", "(3, 4), (1, 2)", True),
        ("(1, 2), (3, 4)", "(4, 3), (1, 2)", False),
        ("[0, 1)", "[0, 1)", True),
        ("[0, 1)", "(0, 1)", False),
        ("[0, 1]", "0, 1", False),
        ("[-2, 7]", "-2 \\le x \\le 7", True),
        ("(-2, 7)", "-2 \\le x \\le 7", False),
        ("x < 2", "2 > x", True),
        ("x < 2", "x \\le 2", False),
        ("x \\ne 3", "(-\\infty, 3) \\cup (3, \\infty)", True),
        ("x < 1 \\text{ or } x > 3", "(3, \\infty) \\cup (-\\infty, 1)", True),
        ("[1, +\\infty)", "[1, \\infty]", True),
        ("3", "x > 3", False),
        ("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\begin{bmatrix}1&2\\\\3&\\frac82\\end{bmatrix}", True),
        ("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 5 \\end{pmatrix}", False),
        ("\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", False),
    ],
)
def test_several_answers_must_match_in_order_only_for_a_tuple(reference: str, said: str, expected: bool) -> None:
    assert compared(reference, said) is (Comparison.EQUAL if expected else Comparison.DIFFERENT)


@pytest.mark.parametrize(
    ("reference", "said", "expected"),
    [
        ("2^{100000}", "4^{50000}", Comparison.EQUAL),
        ("9^{9^9}", "9^{9^{9}}", Comparison.EQUAL),
        ("9^{99999999}", "5", Comparison.DIFFERENT),
        ("2019! / 2018!", "2019", Comparison.EQUAL),
        ("2021!", "2021 \\cdot 2020!", Comparison.EQUAL),
        ("n!", "n \\cdot (n-1)!", Comparison.UNDECIDED),
        ("9^{9^{9^9}}", "9^{9^{9^{9}}}", Comparison.EQUAL),
        ("9^{9^{9^9}}", "5", Comparison.UNDECIDED),
        ("\\log 100", "\\ln 100", Comparison.UNDECIDED),
    ],
)
def test_powers_and_factorials_are_compared_without_being_expanded(
    reference: str, said: str, expected: Comparison
) -> None:
    assert compared(reference, said) is expected


@pytest.mark.parametrize(
    ("reference", "said", "needed"),
    [
        ("50", "0.5", ("percent",)),
        ("0.28", "28", ("percent",)),
        ("3.1416", "\\pi", ("tolerance",)),
        ("10 \\text{ cm}", "10", ("units",)),
        ("1,22", "1.22", ("decimal_comma",)),
        ("f(x)", "f(y)", ("renamed",)),
        ("2t + 1", "2x + 1", ("renamed",)),
        ("50 \\text{ cm}", "0.5", ("percent", "units")),
        ("(50 \\text{ cm}, 0.28, 3.1416, 2x)", "(50, 28, \\pi, 2t)", ("percent", "tolerance", "units", "renamed")),
        ("50", "51", None),
    ],
)
def test_leniencies_are_off_by_default_and_the_needed_ones_are_named(
    reference: str, said: str, needed: tuple[str, ...] | None
) -> None:
    assert compared(reference, said) is Comparison.DIFFERENT
    assert leniencies_needed(read_answer(reference), read_answer(said)) == needed
    if needed:
        assert compared(reference, said, *needed) is Comparison.EQUAL
        assert compared(reference, said, *(name for name in LENIENCIES if name not in needed)) is Comparison.DIFFERENT


def test_two_leniencies_each_accept_a_percentage_without_its_sign() -> None:
    assert compared("28\\%", "28") is Comparison.DIFFERENT
    assert {compared("28\\%", "28", name) for name in ("percent", "units")} == {Comparison.EQUAL}


def test_words_are_distinguished_from_formulas() -> None:
    assert read_answer("\\text{Two lines}") == Words("two lines")
    assert read_answer("x + 1") == Sum((Name("x"), Number(1)))  # type: ignore[arg-type]
    for text in ("", "1 +", "\\frac{1}{", "(1, 2", "\\unknown{x}", "1 2 3", "x y 5"):
        with pytest.raises(Unreadable):
            read_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900,
        "\\sqrt" * 900 + "2",
        "x^" * 400 + "2",
        "2^{" * 300 + "}" * 300,
        "1+" * 5000,
        "|" * 999,
        "\\frac" * 900,
    ],
)
def test_nesting_and_length_are_limited(text: str) -> None:
    with pytest.raises(Unreadable):
        read_answer(text)


def random_expression(rng: random.Random, depth: int, leaves: list[sympy.Expr]) -> sympy.Expr:
    if depth == 0:
        return rng.choice(
            [*leaves, sympy.Rational(rng.randint(1, 9), rng.randint(1, 9)), sympy.sqrt(rng.randint(2, 30))]
        )
    one, other = (random_expression(rng, depth - 1, leaves) for _ in range(2))
    return rng.choice([one + other, one - other, one * other, one / other if other else one, one ** rng.randint(2, 3)])


@pytest.mark.parametrize("leaves", [list(sympy.symbols("x y")), [sympy.pi, sympy.I], [sympy.E, sympy.cbrt(5)]], ids=str)
def test_sympy_rewrites_stay_equal_and_changed_expressions_differ(leaves: list[sympy.Expr]) -> None:
    rng, decided = random.Random(5), 0
    for _ in range(60):
        expression = random_expression(rng, rng.randint(1, 3), leaves)
        if expression.has(sympy.zoo, sympy.nan):
            continue
        same = rng.choice([sympy.expand, sympy.factor, sympy.together])(expression)
        found = compared(sympy.latex(expression), sympy.latex(same))
        assert found is not Comparison.DIFFERENT, (expression, same)
        decided += found is Comparison.EQUAL
        changed = same + rng.choice([sympy.Rational(1, 10**9), sympy.sqrt(2) / 1000])
        assert compared(sympy.latex(expression), sympy.latex(changed)) is Comparison.DIFFERENT, (expression, changed)
    assert decided >= 50


def test_the_exact_comparison_loads_no_sympy() -> None:
    code = (
        "import sys\nfrom filters.verification.verdicts import Item\nfrom filters.verifiers.math_answer import verify\n"
        "assert verify(Item('\\\\boxed{(x-1)(x+1)}', 'x^2-1')).status == 'correct'\n"
        "print(sorted({'sympy', 'math_verify', 'mpmath'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
