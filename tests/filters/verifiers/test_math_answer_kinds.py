"""Tables of forms: for each kind of answer, what is accepted and what never is, and what stands around an answer."""

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

# kind -> (reference, accepted, not accepted)
FORMS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "labels": (
        "x=2, y=3",
        ("y=3, x=2", "(x,y)=(2,3)", "(2,3)", "(y,x)=(3,2)"),
        ("x=3, y=2", "(x,y)=(3,2)", "3, 2", "x=2"),
    ),
    "labels of events": ("P(A)=0.3", ("0.3", "P(A)=\\frac{3}{10}"), ("P(B)=0.3", "P(A)=0.7")),
    "named values": ("Tom 3, Ann 4", ("Ann 4, Tom 3", "\\text{Tom}: 3, \\text{Ann}: 4"), ("Ann 3, Tom 4", "4")),
    "solutions": ("x=1, y=2 \\text{ or } x=2, y=1", ("(2,1), (1,2)",), ("x=1, y=2", "(1,1), (2,2)", "(1,2)")),
    "blanks": ("37", ("37.", "$37$"), ("3 7", "3, 7", "3. 7", "73")),
    "thousands": ("1234", ("1,234", "1{,}234", "1\\,234"), ("12 34", "1, 234.5", "1.234")),
    "mixed numbers": ("7/2", ("3 1/2", "3\\frac12", "3½"), ("31/2", "3\\cdot\\frac12", "3, 1/2")),
    "repeats": ("2, 3, 3, 7", ("3, 7, 2, 3",), ("2, 3, 7", "2, 2, 3, 7", "2, 3, 3, 7, 7")),
    "speeds": (
        "36 \\text{ km/h}",
        ("36 km/h", "10 \\text{ m/s}"),
        ("36 \\text{ m/s}", "36 \\text{ mph}", "36", "36 \\text{ km}"),
    ),
    "energies": (
        "5 \\text{ J}",
        ("5 J", "5 \\text{ joules}"),
        ("5 \\text{ kJ}", "5 kJ", "5 \\text{ W}", "5 \\text{ eV}"),
    ),
    "counted things": ("7 \\text{ boys}", ("7 \\text{ boy}",), ("7 \\text{ girls}", "8 \\text{ boys}")),
    "money": (
        "\\$5",
        ("5", "5 \\text{ dollars}", "500 \\text{ cents}"),
        ("€5", "5 \\text{ cents}", "\\text{£}5", "5\\text{元}"),
    ),
    "compound units": (
        "3 \\text{ feet } 4 \\text{ inches}",
        ("40 \\text{ inches}",),
        ("4 \\text{ feet } 3 \\text{ inches}",),
    ),
    "times of day": (
        "3:15 \\text{ PM}",
        ("3:15 p.m.", "15:15"),
        ("3:15 \\text{ AM}", "1:05 \\text{ PM}", "3:51 \\text{ PM}"),
    ),
    "ratios": ("2:3:4", ("4:6:8",), ("2:3:5", "2:3", "4:3:2")),
    "codes": ("BDAC", ("\\text{BDAC}", "**BDAC**"), ("ABCD", "CADB", "BDA")),
    "formulas of chemistry": ("H_2O", ("\\text{H}_2\\text{O}", "H₂O"), ("OH_2", "HO_2", "H_2O_2")),
    "words": (
        "\\text{odd}",
        ("odd", "Odd.", "\\textbf{odd}", "**odd**"),
        ("even", "\\text{not odd}", "ddo", "\\text{oddd}"),
    ),
    "tiny decimals": ("\\frac{1}{13983816}", ("1/13983816",), ("0.000000", "0.0000001", "0")),
    "ellipses": ("1, 4, 9, \\ldots", ("1,4,9,\\dots",), ("1, 4, 8, \\ldots", "1, 4, 9", "4, 1, 9, \\ldots")),
    "unions": ("x<1 \\text{ or } x>3", ("(-\\infty,1) \\cup (3,\\infty)",), ("x<1 \\text{ and } x>3", "1<x<3", "x<1")),
    "intersections": ("(1,2)", ("(1,5) \\cap (0,2)", "x>1 \\text{ and } x<2"), ("(1,5) \\cup (0,2)", "[1,2)")),
    "calculations": ("5", ("2+3=5", "x = 5", "m+n = 2+3 = 5"), ("2+2=5", "5=6", "x^2=5=2", "> 5", "\\neq 5")),
    "repeating decimals": (
        "\\frac16",
        ("0.1\\overline{6}", "0.1\\dot{6}", "0.1(6)"),
        ("0.16", "0.\\overline{16}", "0.1666"),
    ),
    "degrees in a part": ("180^\\circ - 2x", ("180 - 2x",), ("180 + 2x", "\\pi - 2")),
    "odd roots": ("\\sqrt[3]{-8}", ("-2", "(-8)^{1/3}"), ("2", "-3", "2i")),
    "vectors": (
        "\\begin{pmatrix}1\\\\2\\end{pmatrix}",
        ("(1,2)", "[1, 2]"),
        ("(2,1)", "\\begin{pmatrix}1&2\\end{pmatrix}"),
    ),
    "qualifiers": ("3k", ("n=3k \\text{ for every positive integer } k",), ("3k \\text{ if } k \\text{ is even}", "3")),
    "families": (
        "\\frac{\\pi}{4}+k\\pi, k\\in\\mathbb{Z}",
        ("\\frac{\\pi}{4}+n\\pi, n\\in\\mathbb{Z}",),
        ("\\frac{\\pi}{4}+2k\\pi, k\\in\\mathbb{Z}",),
    ),
    "ordinals": ("6", ("6th", "6^{\\text{th}}"), ("5th", "6st")),
    "Chinese": ("3, -2", ("x=3或x=-2", "3和-2", "-2、3"), ("3", "x=3或x=2")),
    "layout": (
        "5",
        ("\\color{red}{5}", "\\begin{aligned}x&=5\\end{aligned}", "`5`", "5 \\quad \\checkmark"),
        ("5\\ldots", "5?", "5+"),
    ),
}
# text around the right value 5 -> whether it is the answer
AROUND = {
    "\\boxed5": True,
    "$\\boxed 5$": True,
    "\\fbox{5}": True,
    "\\\\boxed{5}": True,
    "\\boxed{\\text{The answer is } 5}": True,
    "<answer>**5**</answer>": True,
    "So \\boxed{5}. (The format \\boxed{} was asked for.)": True,
    "The length is \\boxed{12} and the area is \\boxed{5}.": True,
    "Answer: **5** (see step 3)": True,
    "答案\uff1a5": True,
    "There are 5 ways in 3 cases.": True,
    "The answer is not 5.": False,
    "The answer is between 5 and 7": False,
    "I ran out of time at step 5.": False,
    "It is either 5 or 6, I am not sure.": False,
    "I cannot determine the answer. 5 is a guess.": False,
    "We can rule out 5.": False,
    "Is the answer 5?": False,
    "We still have to compute 5 * 12": False,
    "It is not \\boxed{5}.": False,
    "\\boxed{5} is wrong.": False,
    "\\boxed{5}, but I am not sure.": False,
    "$n > \\boxed{5}$": False,
    "\\boxed{5} or 6": False,
    "\\boxed{5} \\boxed{6}": False,
    "The area is \\boxed{5} and the length is \\boxed{12}.": False,
    "<|begin_of_thought|>maybe \\boxed{5}<|end_of_thought|> I do not know.": False,
    "<think>It is \\boxed{5}": False,
}
# reference, response with several boxes or a unit beside the box, whether it is right
BESIDE = [
    ("1, 2, 3", "- \\boxed{1}\n- \\boxed{2}\n- \\boxed{3}", True),
    ("1, 2", "Part (a): $\\boxed{1}$\n\nPart (b): $\\boxed{2}$", True),
    ("1, 2", "The maximum is $\\boxed{2}$ and the minimum is $\\boxed{1}$.", False),
    ("x=3, y=4", "$x=\\boxed{3}, y=\\boxed{4}$", True),
    ("x=3, y=4", "$y=\\boxed{3}, x=\\boxed{4}$", False),
    ("\\frac{1}{3}", "\\boxed{\\frac{1}{3}} \\approx \\boxed{0.333}", True),
    ("6", "\\boxed{6}, \\boxed{6}", True),
    ("5 \\text{ cm}", "The side is $\\boxed{5}$ cm.", True),
    ("5 \\text{ cm}", "The side is $\\boxed{5}$ m.", False),
    ("36 \\text{ square feet}", "\\boxed{36} square feet", True),
    ("0.12", "\\boxed{12}\\%", True),
    ("12", "\\boxed{12}\\%", False),
]


def is_correct(response: str, reference: str, **options: object) -> bool:
    return verify(Item(response, reference, options=options)).status == "correct"


@pytest.mark.parametrize("kind", FORMS)
def test_forms_of_one_kind(kind: str) -> None:
    reference, accepted, others = FORMS[kind]
    verdicts = {answer: is_correct(f"So \\boxed{{{answer}}}.", reference) for answer in (reference, *accepted, *others)}
    assert verdicts == dict.fromkeys((reference, *accepted), True) | dict.fromkeys(others, False)


@pytest.mark.parametrize("response", AROUND)
def test_what_stands_around_the_right_value(response: str) -> None:
    assert is_correct(response, "5") is AROUND[response]


@pytest.mark.parametrize(("reference", "response", "expected"), BESIDE)
def test_several_boxes_and_units_beside_a_box(reference: str, response: str, expected: bool) -> None:
    assert is_correct(response, reference) is expected


def test_a_conversion_is_a_leniency_that_is_on_by_default() -> None:
    response, reference = "\\boxed{10 \\text{ m/s}}", "36 \\text{ km/h}"
    assert is_correct(response, reference)
    assert is_correct(response, reference, leniencies=["conversion"])
    assert not is_correct(response, reference, leniencies=[])
    hint = verify(Item(response, reference, options={"leniencies": []})).reason
    assert hint.endswith("equal with leniency conversion")


def test_math_verify_gets_only_what_was_read_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("filters.verifiers.math_answer.equal_by_math_verify", lambda *trees: asked.append(trees))
    for answer in ("5 \\unknown{3}", "5 ? 6", "x \\mapsto 5", "5 \\text{ if } x", "5 \\leftrightarrow 6"):
        assert verify(Item(f"\\boxed{{{answer}}}", "5")).status != "correct"
    assert not asked
    verify(Item("\\boxed{2\\sin x\\cos x}", "\\sin 2x"))
    assert len(asked) == 1
