import subprocess
import sys
from typing import get_args

import pytest

from filters.verification.verdicts import Item, Status, load_verifier
from filters.verifiers import choice, exact
from generators.contract.records import STATUSES


def test_the_statuses_are_those_of_the_records() -> None:
    assert get_args(Status) == STATUSES


def test_names_and_dotted_paths_become_functions(awkward: str) -> None:
    assert load_verifier("exact") is exact.verify
    assert load_verifier(awkward)(Item("fine")).reason == "fine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exakt", "there is no verifier 'exakt': did you mean 'exact'. shipped are choice, .*math_answer"),
        ("no_package.module", "there is no verifier 'no_package.module': .*no module 'no_package' was found"),
        ("awkward_verifiers.commandz", "the package 'awkward_verifiers' has no module 'commandz'"),
        ("os.path", r"the verifier 'os.path': .* has no function verify\(item\)"),
    ],
)
def test_wrong_names_are_refused(name: str, message: str, awkward: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_verifier(name)


def test_the_modules_load_neither_torch_nor_ray() -> None:
    code = (
        "import sys, filters.verify, filters.select, filters.grade, filters.stats\n"
        "import filters.verification.pool, filters.verification.worker\n"
        "sys.exit(str({'torch', 'ray', 'vllm', 'transformers', 'sympy', 'datasketch'} & set(sys.modules) or ''))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == ""


@pytest.mark.parametrize(
    ("answer", "reference", "status"),
    [
        ("\\boxed{B}", "B", "correct"),
        ("\\boxed{\\text{(c)}}", "(C)", "correct"),
        ("I first thought A. The answer is **D**.", "D", "correct"),
        ("Answer: (B) because", "A", "wrong"),
        ("So:\n\n**C**", "C", "correct"),
        ("A man has a plan", "A", "unparseable"),
        ("\\boxed{B}", "42", "error"),
    ],
)
def test_choice(answer: str, reference: str, status: str) -> None:
    assert choice.verify(Item(answer, reference)).status == status


CAPITAL = "What is the capital of France?\nA. A village\n(B) Lyon\nC) Paris\n**D.** Nice"


@pytest.mark.parametrize(
    ("answer", "reference", "status"),
    [
        ("\\boxed{C}", "paris", "correct"),
        ("\\boxed{\\text{Paris}}", "C", "correct"),
        ("\\boxed{A village}", "Paris", "wrong"),
        ("It is by the Seine.\n**Paris.**", "C", "correct"),
        ("So the capital is: Lyon", "C", "wrong"),
        ("\\boxed{Rome}", "C", "unparseable"),
        ("\\boxed{Paris}", '{"answer": "Paris", "options": ["Paris", "Lyon"]}', "correct"),
        ("\\boxed{A}", '{"answer": "Paris", "options": ["Paris", "Lyon"]}', "correct"),
        ("\\boxed{C}", '{"answer": "A", "options": ["Paris", "Lyon"]}', "wrong"),
        ("\\boxed{C}", '{"options": ["Paris"]}', "error"),
        ("\\boxed{C}", "Rome", "error"),
    ],
)
def test_choice_by_value_however_the_options_are_shuffled(answer: str, reference: str, status: str) -> None:
    judgement = choice.verify(Item(answer, reference, messages=[{"role": "user", "content": CAPITAL}]))
    assert judgement.status == status, judgement


@pytest.mark.parametrize(
    ("answer", "reference", "status"),
    [
        ("\\boxed{New  York}", "new york", "correct"),
        ("the city is <answer>\uff2e\uff39</answer>", "NY", "correct"),
        ("New York", "Newark", "wrong"),
        (" ", "x", "unparseable"),
        ("x", None, "error"),
    ],
)
def test_exact(answer: str, reference: str | None, status: str) -> None:
    assert exact.verify(Item(answer, reference)).status == status
