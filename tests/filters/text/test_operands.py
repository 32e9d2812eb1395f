"""Words next to a box that make it a bound or an operand of another value, in many languages."""

# ruff: noqa: RUF001  (words of other scripts)

import pytest

from filters.text.assertion.operands import equated, limited, signed_outside
from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

BOUNDS = [
    "The total is at least {}.",
    "There are at most {} such integers.",
    "There are over {} of them.",
    "Up to {} can be chosen.",
    "An upper bound is {}.",
    "There are more than {}.",
    "Al menos {}.",
    "como máximo {}",
    "Son más de {}.",
    "Au moins {}.",
    "La réponse est au plus {}.",
    "plus de {}",
    "Die Antwort ist mindestens {}.",
    "höchstens {}",
    "minstens {}",
    "minst {}",
    "vähintään {}",
    "legalább {}",
    "co najmniej {}",
    "alespoň {}",
    "cel puțin {}",
    "en az {}",
    "ít nhất {}",
    "lớn hơn {}",
    "paling sedikit {}",
    "Ответ не менее {}.",
    "не більше {}",
    "поне {}",
    "najmanje {}",
    "τουλάχιστον {}",
    "pelo menos {}",
    "almeno {}",
    "على الأقل {}",
    "أكبر من {}",
    "حداقل {}",
    "לפחות {}",
    "कम से कम {}",
    "কমপক্ষে {}",
    "적어도 {}",
    "답은 {}보다 크다.",
    "{} 이상",
    "少なくとも{}",
    "答えは{}以上です。",
    "答えは{}未満です。",
    "答えは{}より大きい。",
    "最多{}个。",
    "至少是{}",
    "答案不少于{}。",
    "答案大于或等于{}。",
    "不超过{}",
    "多于{}",
    "不足{}",
    "{}以上",
    "答案接近{}。",
]
OPERANDS = [
    "The answer is twice {}.",
    "Half of {} is the answer.",
    "The answer is half of {}.",
    "The answer is the square root of {}.",
    "The answer is the cube of {}.",
    "The answer is the reciprocal of {}.",
    "The answer is minus {}.",
    "The answer is negative {}.",
    "The answer is {} squared.",
    "The answer is {} factorial.",
    "The answer is {} times 4.",
    "The answer is {} plus 4.",
    "The answer is 4 plus {}.",
    "The answer is {} divided by 4.",
    "The answer is {}:4.",
    "The answer is 1 out of {}.",
    "The probability is 1 in {}.",
    "The answer is {} in base 8.",
    "The answer is {} more than Bob's age.",
    "The answer is divisible by {}.",
    "The remainder when divided by {} is what we want.",
    "The answer is −{}.",
    "$x = -$ {}",
    "I retract {}.",
    "Without {}, the rest are solutions.",
    "La respuesta es el doble de {}.",
    "La respuesta es la mitad de {}.",
    "La respuesta es menos {}.",
    "La réponse est le double de {}.",
    "La réponse est moins {}.",
    "Die Antwort ist das Doppelte von {}.",
    "Die Antwort ist minus {}.",
    "Ответ: минус {}.",
    "Ответ: удвоенное {}.",
    "answer: {} al cuadrado",
    "答案是{}的两倍。",
    "答案是{}的平方。",
    "答案是{}的一半。",
    "答案是负{}。",
    "排除{}。",
    "答えは{}の2倍です。",
    "答えはマイナス{}です。",
    "정답은 {}의 2배입니다.",
    "정답은 마이너스 {}입니다.",
]
STATED = [
    "You need at least {} socks.",
    "At least {} moves are needed.",
    "She must sell at least {} boxes.",
    "We can choose at most {} of them.",
    "Se necesitan al menos {} pasos.",
    "Man braucht mindestens {} Züge.",
    "Нужно не менее {} ходов.",
    "至少需要{}个。",
    "最多可以取{}个。",
    "Il faut au moins {} coups.",
    "The upper bound is {}.",
    "All terms cancel except {}.",
    "Ann has {} more apples than Bob.",
    "He did it {} times.",
    "The answer is as follows below:\n\n{}",
    "See above\n\n{}",
    "The only triple is {}.",
    "The area is {} squared units.",
    "- {}",
    "* {}",
    "Thus, the total - {}",
    "He ran {} miles over 3 days.",
    "The number is in base {}.",
    "It has a root of {}.",
    "La réponse n'est pas 7 mais {}.",
    "答案是{}。",
    "总共有{}个。",
    "Tổng cộng {}",
    "Ответ: {}.",
    "답은 {}입니다.",
    "答えは{}です。",
    "The minimum is at least 4, in fact {}.",
    "It weighs {} kg.",
    "{}!",
    "The count is {}, and at most 9 were asked.",
]


def status(response: str) -> str:
    return verify(Item(response, "8")).status


@pytest.mark.parametrize("mark", ["\\boxed{8}", "$\\boxed{8}$", "**\\boxed{8}**", "\\(\\boxed{8}\\)"])
def test_bounds_and_operands_are_no_answers(mark: str) -> None:
    assert [one for one in BOUNDS + OPERANDS if status(one.replace("{}", mark)) == "correct"] == []


@pytest.mark.parametrize("mark", ["\\boxed{8}", "$\\boxed{8}$", "\\(\\boxed{8}\\)"])
def test_values_that_a_sentence_states_are_answers(mark: str) -> None:
    assert [one for one in STATED if status(one.replace("{}", mark)) != "correct"] == []


@pytest.mark.parametrize(
    "text",
    [
        "-$\\boxed{8}$",
        "–$\\boxed{8}$",
        "$-$\\boxed{8}",
        "$\\sqrt{}$\\boxed{8}",
        "$\\pi\\boxed{8}$",
        "\\boxed{8}0",
        "$\\binom{\\boxed{8}}{2}$",
        "$\\boxed{8} = 9$",
        "$\\boxed{8}$:4",
    ],
)
def test_signs_outside_the_dollars(text: str) -> None:
    assert status(text) != "correct"


@pytest.mark.parametrize("text", ["$\\boxed{8} = 8$", "$2 + 6 = \\boxed{8}$", "$\\boxed{8} = 2^3$", "- $\\boxed{8}$"])
def test_equations_around_a_box(text: str) -> None:
    assert status(text) == "correct"


def test_the_parts() -> None:
    assert limited("there are at most $", "$ of them") and not limited("", "") and not limited("is ", ".")
    assert signed_outside("it is -$") and not signed_outside("it is - $") and not signed_outside("x-$")
    assert equated("8", " = 9$") and not equated("8", " = 8$") and not equated("x", " = 9$")


@pytest.mark.parametrize(
    "said",
    [
        "\\text{half of } 8",
        "\\text{twice } 8",
        "\\text{square root of } 8",
        "8\\text{ squared}",
        "8\\text{ tenths}",
        "8\\text{万}",
        "8的平方",
        "\\text{Case }8",
        "\\text{Equation }(8)",
        "8\\ \\text{excluded}",
        "8\\text{ millones}",
        "8\\text{ тысячи}",
        "8 \\mod 5",
        "8_{9}",
        "\\text{a quarter of } 8",
        "\\text{about half of } 8",
        "8万元",
        "8\\text{ factorial}",
        "8의 2배",
    ],
)
def test_words_inside_a_box_that_make_another_value(said: str) -> None:
    assert status(f"\\boxed{{{said}}}") != "correct"


@pytest.mark.parametrize(
    ("said", "reference"),
    [
        ("17万", "170000"),
        ("17\\text{ millones}", "17000000"),
        ("3\\text{万}", "30000"),
        ("4\\text{ tenths}", "0.4"),
        ("3万元", "30000元"),
        ("8\\text{ m squared}", "8 m^2"),
        ("\\text{Area} = 8", "8"),
        ("8_{10}", "8"),
        ("3 \\mod 7", "3"),
        ("23\\text{ тысячи}", "23000"),
        ("14_{8}", "14_8"),
        ("14", "14_8"),
        ("8千米", "8"),
        ("2\\text{ quarters}", "2"),
    ],
)
def test_number_words_inside_a_box_are_read(said: str, reference: str) -> None:
    assert verify(Item(f"\\boxed{{{said}}}", reference)).status == "correct"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("答案是\\boxed{17}万。", "170000"),
        ("Ответ: \\boxed{17} тысяч.", "17000"),
        ("Son \\boxed{2} millones.", "2000000"),
    ],
)
def test_a_number_word_behind_a_box_belongs_to_it(text: str, reference: str) -> None:
    assert verify(Item(text, reference)).status == "correct"
    assert verify(Item(text, "17")).status != "correct" != verify(Item(text, "2")).status


PARTS = """The answer is less than or equal to {}.
The answer is 2 to the power of {}.
The answer is the {}th prime.
{} and a half
{} hundred and five
{} point 5
{}²
{}½
∛{}
{}e5
{} x 10^3
≥ {}
≤{}
{}–10
{}..10
{}~10
{}至10
{}分之一
3分之{}
{}个百分点
the sum of 3 and {}
the ratio of 3 to {}
It is between 3 and {}.
The odds: it is 3 to {}.
The ratio is 3:{}""".splitlines()
WHOLES = """> {}
It rose from 3 to {}.
It is on the {}th day.
Alice and {}
Step 2: {}
so the answers to 3 and 4 give {}""".splitlines()


def test_signs_and_words_that_make_a_box_a_part() -> None:
    assert [one for one in PARTS if status(one.replace("{}", "\\boxed{8}")) == "correct"] == []


def test_signs_and_words_that_do_not() -> None:
    assert [one for one in WHOLES if status(one.replace("{}", "\\boxed{8}")) != "correct"] == []


RETRACTED = """The answer is {}.¶Hmm, but the problem says positive integers, so we must exclude zero, giving 30.
The answer is {} (or 9, depending on interpretation).
{} Hmm.... not confident at all.
We have {} for the first part; the second part's answer is 44.
{} is for part (a) only; I could not do the part asked.
{} would be the answer if the dice were fair, which they are not.
Unless I am mistaken, but I very likely am, {}.
Wait, that leaves 9, so {}.¶Hold on, zero was counted too, so we get 9.""".splitlines()
KEPT = """{}¶Wait, let me check: 2 + 6 = 8, so we get 8.
{}¶Hmm, that uses 3 steps, but it gives 8.
The answer is {} for part (b).
The answer for the first part was 3, and for the second part {}.
It would be the largest if x > 2, so {}.""".splitlines()


def test_answers_that_a_later_clause_takes_back_or_gives_to_another_part() -> None:
    filled = [one.replace("{}", "\\boxed{8}").replace("¶", "\n\n") for one in RETRACTED]
    assert [one for one in filled if status(one) == "correct"] == []


def test_answers_that_a_later_clause_keeps() -> None:
    filled = [one.replace("{}", "\\boxed{8}").replace("¶", "\n\n") for one in KEPT]
    assert [one for one in filled if status(one) != "correct"] == []


@pytest.mark.parametrize(
    "text", ["at least <answer>8</answer>", "twice <answer>8</answer>", "<answer>8</answer>的两倍"]
)
def test_tags(text: str) -> None:
    assert status(text) != "correct"
