"""The tests' side of a sandbox: what runs, what counts as reaching the program, and whose fault an exception is."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from filters.sandbox.local import LocalSandbox
from filters.sandbox.program import Limits, Program

CASE = "import unittest\nclass T(unittest.TestCase):\n    "
RIGHT = "LIMIT = 4\ndef f(x):\n    if x < 0: raise ValueError('negative')\n    return x * x\n"
WRONG = "LIMIT = 5\ndef f(x): return 'nonsense'\n"


@pytest.fixture(scope="module")
def any_sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as sandbox:
        yield sandbox


def verdict(sandbox: LocalSandbox, source: str, tests: str, **fields: Any) -> str:
    """Return passed, failure or invalid."""
    result = sandbox.run(Program(source, tests=tests, **fields), Limits())
    ((kind, _),) = json.loads(result.replies).items()
    return str(kind)


@pytest.mark.parametrize(
    "tests",
    [
        "def check(candidate):\n    assert candidate(2) == 4",
        "def test_f():\n    assert f(2) == 4",
        "from solution import f\ndef test_f():\n    assert f(2) == 4",
        "import solution\nclass TestF:\n    def setup_method(self): self.x = 2\n"
        "    def test_it(self):\n        assert solution.f(self.x) == 4",
        "from solution import *\nasync def test_f():\n    assert f(2) == 4",
        f"{CASE}def setUp(self): self.x = 2\n    def test_a(self):\n        self.assertEqual(f(self.x), 4)",
        f"{CASE}def test_a(self):\n        with self.subTest(x=2):\n            self.assertEqual(f(2), 4)",
        f"{CASE}def test_a(self):\n        self.assertEqual(f(2), 4)\nunittest.main()",
        f"{CASE}def test_a(self):\n        self.assertEqual(f(2), 4)\n"
        "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T))",
        "import pytest\ndef test_f():\n    assert f(2) == pytest.approx(4)\n"
        "    with pytest.raises(ValueError, match='neg'):\n        f(-1)",
        "import pytest\n@pytest.mark.parametrize('x, y', [(2, 4), (3, 9)])\ndef test_f(x, y):\n    assert f(x) == y",
        "import pytest\n@pytest.fixture\ndef x(): return 2\ndef test_f(x):\n    assert f(x) == 4",
        "import pytest\n@pytest.mark.slow\ndef test_f():\n    if f(2) != 4: pytest.fail('no')",
        "def test_f():\n    if f(2) != 4: raise ValueError('no')",
        "def test_f():\n    assert LIMIT == 4",
        "def test_f():\n    assert sorted([f(2), 1])[1] + 0 == 4",
        "import math\ndef test_f():\n    assert math.sqrt(f(2)) == 2",
    ],
)  # fmt: skip
def test_modules_of_tests_are_run(any_sandbox: LocalSandbox, tests: str) -> None:
    entry_point = "f" if "candidate" in tests else None
    assert verdict(any_sandbox, RIGHT, tests, entry_point=entry_point, discover=True) == "passed"
    assert verdict(any_sandbox, WRONG, tests, entry_point=entry_point, discover=True) == "failure"


@pytest.mark.parametrize("discover", [False, True])
@pytest.mark.parametrize(
    "tests",
    [
        "assert True",
        "x = 1\nassert x == 1",
        "print('fine')",
        "if __name__ == '__main__':\n    assert f(2) == 4",
        "def helper():\n    assert f(2) == 4",
        "import unittest\nunittest.main()",
        "f",
        "assert f",
        f"{CASE}def check_a(self):\n        self.assertEqual(f(2), 4)",
    ],
)
def test_tests_that_never_reach_the_program_are_invalid(any_sandbox: LocalSandbox, tests: str, discover: bool) -> None:
    for source in (RIGHT, WRONG):
        assert verdict(any_sandbox, source, tests, discover=discover) == "invalid"


def test_statements_are_run_as_they_are(any_sandbox: LocalSandbox) -> None:
    assert verdict(any_sandbox, RIGHT, "def test_f():\n    assert f(2) == 4") == "invalid"
    assert verdict(any_sandbox, RIGHT, "def test_f():\n    assert f(2) == 4\ntest_f()") == "passed"


@pytest.mark.parametrize(
    ("tests", "kind"),
    [
        ("assert f(1/0) == 2", "invalid"),
        ("assert f(2)\nassert f(1/0) == 2", "invalid"),
        ("import no_such_module\nassert f(2)", "invalid"),
        ("def helper(): return {}['x']\nassert f(helper())", "invalid"),
        ("def helper(): return f(2)['x']\nassert helper()", "failure"),
        ("assert open('/no/such/file').read() == f(2)", "invalid"),
        ("assert f(int('x'))", "invalid"),
        ("assert int(f(2))", "failure"),
        ("r = f(2)\nassert r['key']", "failure"),
        ("assert g(2) == 4", "failure"),
        ("from solution import g\nassert g(2) == 4", "failure"),
        ("import solution\nassert solution.g(2) == 4", "failure"),
        ("assert f(2).attribute", "failure"),
        ("assert 1 / (len(f(2)) - 8)", "failure"),
        ("for x in [1, 2]:\n    assert x / f(2) == 1", "failure"),
        ("raise ValueError('the tests say so')", "invalid"),
        ("def check(x): raise ValueError('x')\ncheck(f)", "invalid"),
        ("assert 1 == 2", "invalid"),
        ("if f(2) != 4: raise ValueError('the tests say so')", "failure"),
        ("def check(x):\n    assert x(2)\n    raise ValueError('x')\ncheck(f)", "invalid"),
        ("r = f(2)\nraise ValueError(r)", "invalid"),
        ("def check(x):\n    if x(2) == 4: return\n    raise ValueError('x')\ncheck(f)", "failure"),
        ("def fail(x): raise ValueError(x)\nif f(2) != 4: fail('x')", "failure"),
        ("def fail(x): raise ValueError(x)\nfor x in [1]:\n    f(x) == x or fail('x')", "failure"),
        ("def fail(x): raise ValueError(x)\n[fail(x) for x in [1] if f(x) != x]", "failure"),
        ("try:\n    assert f(2) == 4\nexcept AssertionError:\n    raise ValueError('x')", "failure"),
        ("assert f(lambda: 2)", "invalid"),
        ("assert f(", "invalid"),
    ],
)
def test_whose_fault_an_exception_is(any_sandbox: LocalSandbox, tests: str, kind: str) -> None:
    assert verdict(any_sandbox, WRONG, tests) == kind


@pytest.mark.parametrize(
    "use", ["len(f(2)) == 4", "f(2)[0] == 4", "list(f(2)) == [4]", "4 in f(2)", "str(f(2)) == '4'"]
)
def test_an_object_stands_in_for_a_builtin_one_only_if_the_tests_name_its_class(
    any_sandbox: LocalSandbox, use: str
) -> None:
    program = """
class E:
    def __len__(self): return 4
    def __getitem__(self, i): return 4
    def __iter__(self): return iter([4])
    def __contains__(self, x): return True
    def __str__(self): return "4"
def f(x): return E()
"""
    assert verdict(any_sandbox, program, f"assert {use}") == "failure"
    assert verdict(any_sandbox, program, f"assert E\nassert {use}") == "passed"


def test_objects_of_the_library_are_what_they_are(any_sandbox: LocalSandbox) -> None:
    program = "from collections import deque\ndef f(x): return deque([4])"
    assert verdict(any_sandbox, program, "assert len(f(2)) == 1 and f(2)[0] == 4") == "passed"


def test_the_program_replaces_no_module_and_ends_no_loop(any_sandbox: LocalSandbox) -> None:
    lie = "class math:\n isclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0"
    assert verdict(any_sandbox, lie, "assert math.isclose(f(2), 4.0)") == "failure"
    assert verdict(any_sandbox, "import math\ndef f(x): return 4", "assert math.isclose(f(2), 4.0)") == "passed"
    assert verdict(any_sandbox, "def bisect(a, x): return 1", "assert bisect([1], 2) == 1") == "passed"
    stop = "def f(x): raise StopIteration"
    assert (
        verdict(any_sandbox, stop, "for got, want in zip(map(f, [2, 3]), [4, 9]):\n    assert got == want") == "failure"
    )
