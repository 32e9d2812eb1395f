import base64
import json
import os
import pickle
import zlib
from typing import Any

import pytest

from filters.code.reference import Case, read_reference

TESTS = [{"input": "3\n", "output": "6\n", "testtype": "stdin"}]
CALLS = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}]
STDIN = (Case("3\n", "6\n"),)
CALLED = (Case([[1, 2], 3], 6),)
IN_OUT = {"inputs": ["3\n"], "outputs": ["6\n"]}


def compressed(tests: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


@pytest.mark.parametrize(
    ("row", "cases", "function"),
    [
        ({"public_test_cases": json.dumps(TESTS), "private_test_cases": "[]", "metadata": "{}"}, STDIN, None),
        ({"public_test_cases": "[]", "private_test_cases": compressed(TESTS), "platform": "atcoder"}, STDIN, None),
        (
            {"public_test_cases": json.dumps(CALLS), "private_test_cases": compressed(CALLS),
             "metadata": '{"func_name": "f"}', "question_title": "t", "starter_code": "class Solution:\n"},
            CALLED * 2, "f",
        ),
        ({"tests": CALLS, "metadata": {"func_name": "f"}}, CALLED, "f"),
        ({"tests": CALLS, "starter_code": "class Solution:\n    def f(self, a, k) -> int:\n        "}, CALLED, "f"),
        ({"input_output": json.dumps(IN_OUT), "problem_id": 1, "difficulty": "x", "solutions": "[]"}, STDIN, None),
        ({"input_output": IN_OUT | {"fn_name": None}}, STDIN, None),
        ({"input_output": '{"fn_name": "f", "inputs": [[3]], "outputs": [[6]]}'}, (Case([3], [6]),), "f"),
        ({"inputs": [["3", "1 2 3"]], "outputs": [["6"]]}, (Case("3\n1 2 3", "6"),), None),
        ({"inputs": ["3\n"], "outputs": [["6", 7]]}, (Case("3\n", "6\n7"),), None),
        (
            {"data_source": "codecontests", "ability": "code", "prompt": [], "extra_info": {},
             "reward_model": {"ground_truth": json.dumps(IN_OUT)}},
            STDIN, None,
        ),
        (
            {"verification_info": {"language": "python", "test_cases": [
                {"type": "stdin_stdout", "input": "3\n", "output": "6\n", "fn_name": None}]}},
            STDIN, None,
        ),
        ({"test_cases": [{"type": "function_call", "fn_name": "f", "input": [3], "output": 6}]}, (Case([3], 6),), "f"),
    ],
)  # fmt: skip
def test_rows_of_data_sets_as_they_are(row: dict[str, Any], cases: tuple[Case, ...], function: str | None) -> None:
    reference = read_reference(json.dumps(row))
    assert (reference.cases, reference.function) == (cases, function)


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tests": CALLS}, "must name it"),
        ({"input_output": ""}, "must be an object, or JSON text"),
        ({"input_output": "[]"}, "must be an object, or JSON text"),
        ({"public_test_cases": "nonsense"}, "neither JSON nor"),
        ({"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(Command()))).decode()}, "posix.system"),
        ({"inputs": [[{"a": 1}]], "outputs": [["1"]]}, "not text or lines of text"),
        ({"inputs": ["1"], "outputs": [""]}, "every expected output of the reference is empty"),
        ({"test_list": []}, "no tests"),
        ({"test_list": ["# assert f(2) == 4"]}, "no tests"),
        ({"test": ""}, "no tests"),
        ({"test_list": ["f(2) == 4", "print(f(3))"]}, "asserts nothing"),
        ({"test": "def check(candidate):\n    pass", "entry_point": "f"}, "asserts nothing"),
        ({"test_list": ["assert (f(2) == 4, 'message')"]}, "always true: it asserts a tuple"),
        ({"test": "def test_f():\n    assert (f(2), 4)", "entry_point": "f"}, "always true: it asserts a tuple"),
    ],
)
def test_references_without_a_test_are_refused(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_reference(json.dumps(row))


@pytest.mark.parametrize(
    ("reference", "asked"),
    [
        ({"test_list": ["import math\nassert math.isclose(f(2), g(3)) and len([x for x in h])"]}, {"f", "g", "h"}),
        ({"test": "from solution import add\ndef test_add():\n    assert add(1, 2) == 3"}, {"add"}),
        ({"test": "def check(candidate):\n    assert candidate(2)", "entry_point": "f"}, {"f"}),
        ({"test_list": ["s = Stack()\nassert s.pop() == 1"]}, {"Stack"}),
        ({"test_list": ["assert near(f(2), 4)"], "setup": "def near(a, b): return a == b"}, {"f"}),
        ({"test_list": ["assert f("]}, set()),
        (IN_OUT, set()),
    ],
)
def test_the_names_that_tests_ask_for(reference: dict[str, Any], asked: set[str]) -> None:
    assert read_reference(json.dumps(reference)).asked == asked


def test_an_option_sets_the_tolerance_of_references_without_one() -> None:
    assert read_reference(json.dumps(IN_OUT), tolerance=1e-6).tolerance == 1e-6
    assert read_reference(json.dumps(IN_OUT | {"tolerance": 0.1}), tolerance=1e-6).tolerance == 0.1
