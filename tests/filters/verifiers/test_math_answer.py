import json
from fractions import Fraction
from pathlib import Path

import pytest

from filters.verification.pool import Pool
from filters.verification.verdicts import Item
from filters.verifiers.math_answer import exact_number, too_large, verify


@pytest.mark.parametrize(
    ("answer", "reference", "status", "reason"),
    [
        ("so \\boxed{12}", "12", "correct", "12 equals the reference 12"),
        ("so \\boxed{13}", "12", "wrong", "got 13, reference 12"),
        ("the eggs are 12.", "She has 3*4 = <<3*4=12>>12\n#### 12", "correct", "12 equals the reference 12"),
        ("\\boxed{0.5}", "$\\frac{1}{2}$", "correct", "0.5 equals the reference \\frac{1}{2}"),
        ("\\boxed{1,000}", "1000", "correct", "1,000 equals the reference 1000"),
        ("\\boxed{2.45 \\times 10^6}", "2.45e6", "correct", None),
        ("\\boxed{x(x+1)}", "\\boxed{x^2+x}", "correct", None),
        ("\\boxed{1} and \\boxed{2}", "1, 2", "correct", None),
        ("\\boxed{k < -5}", "(-\\infty,-5)", "correct", None),
        ("<answer>49/216</answer>", "\\frac{49}{216}", "correct", None),
        ("<answer>5 dollars</answer>", "5", "correct", None),
        ("<answer>5 or 6</answer>", "5", "wrong", None),
        ("<answer>5 million</answer>", "5", "wrong", None),
        ("\\boxed{\\$18.90}", "18.9", "correct", None),
        ("\\boxed{18.9}", "\\$18.90", "correct", None),
        ("\\boxed{2, -2}", "$x=2$ or $x=-2$", "correct", None),
        ("\\boxed{2}", "$x=2$ or $x=-2$", "wrong", None),
        ("\\boxed{12 $ and $13 }", "12, 13", "correct", None),
        ("\\boxed{2516_7}", "2516_8", "wrong", "got 2516_7, reference 2516_8"),
        ("\\boxed{2516_{8}}", "2516_8", "correct", None),
        ("\\boxed{10\\text{ m}}", "10\\text{ cm}", "wrong", None),
        ("\\boxed{10 \\mathrm{~cm}}", "10\\text{ centimeters}", "correct", None),
        ("\\boxed{5 \\text{ am}}", "5 pm", "wrong", None),
        ("\\boxed{\\textbf{(B) } 12}", "\\text{(B)}", "correct", "B is the reference"),
        ("\\boxed{(A) 12}", "B", "wrong", "got A, reference B"),
        ("\\boxed{(A) and (B)}", "A", "wrong", None),
        ("\\boxed{\\|u\\| = 5.}", "$\\|u\\|=5$", "correct", "\\|u\\| = 5. is the reference"),
        ("\uff15\u200b", "5", "correct", None),
        ("first \\boxed{12}, but in the end \\boxed{13}", "12", "wrong", None),
        ("thinking of 12</think>it is 13", "12", "wrong", None),
        ("I cannot say", "12", "unparseable", "no answer found"),
        ("", "12", "unparseable", "the answer is empty"),
        ("9^{9^{9^9}}", "12", "unparseable", "the answer raises to a power of 10000 or more"),
        ("12", "", "error", "the prompt has no reference answer"),
    ],
)
def test_verdicts_and_reasons(answer: str, reference: str, status: str, reason: str | None) -> None:
    judgement = verify(Item(answer, reference))
    assert judgement.status == status, judgement
    assert reason is None or judgement.reason == reason
    assert judgement.score == float(status == "correct")


def test_a_cut_off_completion_counts_only_if_it_has_an_answer() -> None:
    assert verify(Item("\\boxed{12} as", "12", finish_reason="length")).status == "correct"
    assert verify(Item("so it is 12", "12", finish_reason="length")).reason == "cut off before the final answer"
    assert verify(Item("", "12", reasoning="hm", finish_reason="length")).reason == "thinking never ended"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1,234.50", Fraction("-1234.5")),
        ("$.5$", Fraction(1, 2)),
        ("\\dfrac{3}{4}", Fraction(3, 4)),
        ("-3/4", Fraction(-3, 4)),
        ("1e-3", Fraction(1, 1000)),
        ("3 \\times 10^{8}", Fraction(3 * 10**8)),
        ("7.", Fraction(7)),
        ("1,22", None),
        ("1/0", None),
        ("12%", None),
        ("", None),
        (".", None),
        ("e3", None),
        ("2x", None),
    ],
)
def test_plain_numbers_are_read_exactly(text: str, value: Fraction | None) -> None:
    assert exact_number(text) == value


@pytest.mark.parametrize(
    "text", ["2^{100}", "2^{3^2}", "e^{x^2}", "10^{10}", "2^{2019} + 3^{2^{3}}", "x^{2^{2}}", "1" * 150]
)
def test_ordinary_powers_are_evaluated(text: str) -> None:
    assert too_large(text) is None


@pytest.mark.parametrize("text", ["9^{9^{9^9}}", "9^{99999999}", "\\sqrt{2^{10^{8}}+1}", "2**(10**8)", "1" * 200])
def test_huge_powers_are_not_evaluated(text: str) -> None:
    assert too_large(text)


def test_pairs_of_the_math_verify_tests(shared_data: Path) -> None:
    pairs = [json.loads(line) for line in (shared_data / "verifier_pairs_dev.jsonl").read_text().splitlines()]
    with Pool(1) as pool:
        verdicts = pool.run([("math_answer", Item(pair["prediction"], pair["gold"])) for pair in pairs])
    differing = {
        (pair["gold"], pair["prediction"])
        for verdict, pair in zip(verdicts, pairs, strict=True)
        if (verdict.status == "correct") != pair["expected"]
    }
    assert differing == {
        ("1,22", "1.22"),  # match_types expr alone: a decimal comma. To us it is the list 1, 22
        ("$9$", "Answer \\( \n 9 \n \\)"),  # match_types latex alone: what looks for formulas must not see the number
        ("$f(x)$", "$f(y)$"),  # strict=False: one unknown stands for any other. To us f(y) is another answer
        ("$1 - \\frac{1}{\\mathrm{e}}$", "$1 + \\frac{1}{\\mathrm{e}}$"),  # they expect equal: 0.63 and 1.37 are not
        ("$x = 11$", "$x = 5+5+1 = 7 =11$"),  # to us a false equation is no answer: 11 is not 7
        ("$z = 1 + 1 = 2$", "$z = 3+3 = 2$"),  # likewise: 6 is not 2
    }


def test_two_leniencies_judge_129_of_the_134_pairs_as_expected(shared_data: Path) -> None:
    pairs = [json.loads(line) for line in (shared_data / "verifier_pairs_dev.jsonl").read_text().splitlines()]
    options = {"leniencies": ["decimal_comma", "renamed"]}
    with Pool(1) as pool:
        tasks = [("math_answer", Item(pair["prediction"], pair["gold"], options=options)) for pair in pairs]
        verdicts = pool.run(tasks)
    agree = [(verdict.status == "correct") == pair["expected"] for verdict, pair in zip(verdicts, pairs, strict=True)]
    assert sum(agree) == 129  # three state false equations


def test_adversarial_answers_neither_hang_nor_crash(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "verifier_adversarial_dev.jsonl").read_text().splitlines()]
    forms = ("{}", "\\boxed{{{}}}")
    tasks = [("math_answer", Item(form.format(row["prediction"]), row["gold"])) for row in rows for form in forms]
    with Pool(1, timeout_s=1.0, memory_mib=512) as pool:
        verdicts = pool.run(tasks)
    for row, verdict in zip([row for row in rows for _ in forms], verdicts, strict=True):
        assert verdict.status != "error", (row, verdict)
        assert row["expected"] is None or (verdict.status == "correct") == row["expected"], (row, verdict)
