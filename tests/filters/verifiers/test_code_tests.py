import gzip
import json
import os
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from filters.code.asserts import plain_asserts
from filters.code.reference import read_reference
from filters.sandbox.local import LocalSandbox
from filters.sandbox.program import Limits, Program, ProgramResult
from filters.sandbox.zygote_process import tree
from filters.verification.pool import Pool
from filters.verification.verdicts import Item, Judgement
from filters.verifiers import code_tests

HUGE = str(Decimal(2**20000))  # `str` of an integer stops at 4300 digits
SQUARES: dict[str, Any] = {"fn_name": "f", "inputs": [[2], [3], [10]], "outputs": [4, 9, 100]}
SQUARE_ASSERTS: dict[str, Any] = {"test_list": ["assert f(2) == 4", "assert f(3) == 9", "assert f(10) == 100"]}
COUNTING = {"inputs": ["3\n", "5\n"], "outputs": ["1\n2\n3\n", "1\n2\n3\n4\n5\n"]}
SQUARE = "def f(x):\n    return x * x\n"
RAY_SOCKET = Path("/tmp/ray/s/sockets/x")


@pytest.fixture(scope="module")
def any_sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as sandbox:
        yield sandbox


def judge(sandbox: LocalSandbox, answer: str, reference: Any, **fields: Any) -> Judgement:
    return code_tests.verify_in(sandbox, Item(answer, json.dumps(reference), **({"bare": True} | fields)))


def sandbox_mounts() -> list[str]:
    """Return the sandbox mounts visible from this process."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if line.startswith(("box ", "root "))]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def attack_references(task: str) -> list[dict[str, Any]]:
    """Return the tests for the row's task; a function gets tests in both forms."""
    if task.startswith(("f(x)=x*x", "return value")):
        return [SQUARES, SQUARE_ASSERTS]
    by_start = {
        "read n": COUNTING,
        "print 2,000,000": {"inputs": [""], "outputs": ["x" * 2_000_000]},
        "ignore 5 MB": {"inputs": ["7" * 5_000_000], "outputs": ["1\n"]},
        "recursion": {"inputs": [""], "outputs": ["50000\n"]},
        "expected output begins": {"inputs": [""], "outputs": ["\n1\n"]},
    }
    return [next(reference for start, reference in by_start.items() if task.startswith(start))]


@pytest.fixture
def ray_socket() -> Iterator[None]:
    """Listen on the socket path that Ray uses, unless something already does."""
    if RAY_SOCKET.exists():
        yield
        return
    made = [folder for folder in reversed(RAY_SOCKET.parents) if not folder.exists()]
    RAY_SOCKET.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(RAY_SOCKET))
        listener.listen()
        yield
    RAY_SOCKET.unlink()
    for folder in reversed(made):
        folder.rmdir()


def test_every_attack_ends_as_expected_and_leaves_nothing_behind(
    sandbox: LocalSandbox, shared_data: Path, ray_socket: None
) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    descriptors += len(sandbox._zygotes) == 1  # the zygote of the tests starts with the first assert block
    for row in rows(shared_data / "sandbox_attacks_dev.jsonl"):
        for reference in attack_references(row["task"]):
            judgement = judge(sandbox, row["code"], reference | {"time_limit_s": 1, "memory_mib": 512})
            said = f"{row['id']}: {judgement.status}, {judgement.reason}"
            if row["expect"].startswith("pass"):
                assert judgement.status == "correct", said
            else:
                assert judgement.status in ("wrong", "timeout"), said
            assert "limit" not in row["expect"] or "limit" in judgement.reason, said
            assert judgement.reason.endswith(f"(isolation: {sandbox.isolation})"), said
            for zygote in sandbox._zygotes.values():
                assert set(tree(zygote.process.pid)) == zygote.own, f"{row['id']} left a process"
                assert not zygote.boxes or not os.listdir(zygote.boxes), f"{row['id']} left a file"
    assert not sandbox_mounts()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_reference_solutions_pass(any_sandbox: LocalSandbox, shared_data: Path) -> None:
    for row in rows(shared_data / "HumanEval.jsonl.gz"):
        for answer in (row["canonical_solution"], f"```python\n{row['prompt']}{row['canonical_solution']}```\nDone."):
            judgement = judge(any_sandbox, answer, row | {"time_limit_s": 30})
            assert judgement.status == "correct", f"{row['task_id']}: {judgement.reason}"
    for row in json.loads((shared_data / "sanitized-mbpp.json").read_text()):
        judgement = judge(
            any_sandbox, f"Here it is:\n```python\n{row['code']}\n```", row | {"time_limit_s": 30}, bare=False
        )
        assert judgement.status == "correct", f"{row['task_id']}: {judgement.reason}"


def test_real_completions_get_the_labelled_verdict(any_sandbox: LocalSandbox, shared_data: Path) -> None:
    problems = {row["task_id"]: row for row in rows(shared_data / "HumanEval.jsonl.gz")}
    for row in rows(shared_data / "humaneval_codegen_dev.jsonl.gz"):
        judgement = judge(any_sandbox, row["completion"], problems[row["task_id"]] | {"time_limit_s": 10})
        assert (judgement.status == "correct") == row["passed"], f"{row['task_id']} {row['sample']}: {judgement.reason}"


@pytest.mark.parametrize(
    ("answer", "reference", "status", "reason"),
    [
        (SQUARE, SQUARES, "correct", "3 of 3 tests passed"),
        ("class Solution:\n    def f(self, x):\n        return x * x", SQUARES, "correct", "3 of 3"),
        (SQUARE, {"fn_name": "f", "inputs": [[2]], "outputs": [[4]]}, "correct", "1 of 1"),
        ("def f(x): return [x * x]", {"fn_name": "f", "inputs": [[2]], "outputs": [[4]]}, "correct", "1 of 1"),
        (SQUARE, {"fn_name": "f", "tests": [{"input": "2", "output": "4"}]}, "correct", "1 of 1"),
        ("def f(a, b): return a, b", {"fn_name": "f", "inputs": ['[1]\n2'], "outputs": ["[[1], 2]"]}, "correct", ""),
        ("def f(): return {1: 2}", {"fn_name": "f", "inputs": [[]], "outputs": [{"1": 2}]}, "correct", ""),
        ("def f(a): return a", {"fn_name": "f", "inputs": ["a"], "outputs": ["a"]}, "error", "text and must be JSON"),
        ("def f(): return 'x'", {"fn_name": "f", "inputs": [[]], "outputs": [None]}, "wrong", "test 1 of 1: got"),
        ("def f(x): return x / 3", {"fn_name": "f", "inputs": [[1]], "outputs": [0.3333]}, "wrong", "got 0.33"),
        ("def f(): return 1 / 3", {"fn_name": "f", "inputs": [[]], "outputs": [0.33], "tolerance": 0.1}, "correct", ""),
        ("def f(x): return 1 / 0", SQUARES, "wrong", "test 1 of 3: ZeroDivisionError"),
        ("def g(x): return 1", SQUARES, "wrong", "NameError: name 'f' is not defined"),
        ("def f(x:", SQUARES, "wrong", "SyntaxError"),
        ("print(3.14159)", {"inputs": [""], "outputs": ["3.1416"], "tolerance": 1e-3}, "correct", ""),
        ("print(1)\nprint(2)", {"inputs": [""], "outputs": ["1  \n2\n\n"]}, "correct", ""),
        ("print(1, 2)", {"inputs": [""], "outputs": ["1\n2"]}, "wrong", "got 1 2"),
        ("print(1)\nraise SystemExit(2)", {"inputs": [""], "outputs": ["1"]}, "wrong", "exit code 2"),
        ("print(1)\nexec('1/0')", {"inputs": [""], "outputs": ["1"]}, "wrong", "ZeroDivisionError"),
        ("while True: pass", COUNTING | {"time_limit_s": 0.3}, "timeout", "test 1 of 2: time limit of 0.3 s"),
        ("def f(x): return 1", {"fn_name": "f", "inputs": [[2]], "outputs": [True]}, "wrong", "got 1, expected true"),
        ("def f(x): return [x]", {"fn_name": "f", "inputs": [[True]], "outputs": [[1]]}, "wrong", "got [true]"),
        ("def f(x): return 5", {"fn_name": "f", "inputs": [[2]], "outputs": [1e999], "tolerance": 1e-6}, "wrong", ""),
        ("def f(n): return 2**n", {"fn_name": "f", "tests": [{"input": "20000", "output": HUGE}]}, "correct", ""),
        ("def f(n): return 3**n", {"fn_name": "f", "tests": [{"input": "20000", "output": HUGE}]}, "wrong", "4300"),
        ("class Solution:\n def gcd(self, *a): return 0", {"fn_name": "gcd", "inputs": [[6]], "outputs": [6]},
         "wrong", "got 0"),
        ("def g(a): return 0", {"fn_name": "gcd", "inputs": [[6, 4]], "outputs": [2]}, "wrong", "NameError"),
        ("from __future__ import annotations\ndef f(a: List): return gcd(a, 4)",
         {"fn_name": "f", "inputs": [[6]], "outputs": [2]}, "correct", ""),
        ("def f(a): return pow(a, 2, 5)", {"fn_name": "f", "inputs": [[3]], "outputs": [4]}, "correct", ""),
        ("print(gcd(4, 6))", {"inputs": [""], "outputs": ["2"]}, "wrong", "NameError"),
        ("pass", {"inputs": ["1", "2"], "outputs": ["", " \n"]}, "error", "every expected output"),
        (SQUARE, {"fn_name": "f", "inputs": [[2]]}, "error", "two lists of one length"),
        (SQUARE, {"fn_name": "f", "input": [[2]]}, "error", "unknown key 'input'; is it 'inputs'?"),
        (SQUARE, {"fn_name": "f"}, "error", "exactly one of inputs, tests, test_list, test"),
        (SQUARE, SQUARES | {"time_limit_s": 0}, "error", "must be above 0"),
        (SQUARE, {"test_list": ["assert f(2) ="]}, "error", "cannot judge the program: SyntaxError"),
        (SQUARE, {"test_list": ["assert f(lambda: 2) == 4"]}, "wrong", "unsupported operand"),
    ],
)  # fmt: skip
def test_forms(any_sandbox: LocalSandbox, answer: str, reference: Any, status: str, reason: str) -> None:
    judgement = judge(any_sandbox, answer, reference)
    assert judgement.status == status and reason in judgement.reason, judgement


@pytest.mark.parametrize(
    ("program", "tests", "status"),
    [
        ("def f(a): a.append(1)", "x = [0]\nf(x)\nassert x == [0, 1]", "correct"),
        ("class S:\n a = [2]\n __iter__ = lambda s: iter(s.a)", "s = S()\nassert list(s) == [2] and s", "correct"),
        ("class P:\n def __init__(self): self.v = (1, 2)", "assert P().v == (1, 2) and P().v != [1, 2]", "correct"),
        ("def f():\n yield 1", "assert list(f()) == [1]\nassert f() != [1]", "correct"),
        ("def f(): raise ValueError('x')", "try:\n f()\n assert False\nexcept ValueError as e:\n assert str(e) == 'x'",
         "correct"),
        ("LIMIT = {3: {1}}\ndef f(): return {1}", "assert f() == LIMIT[3] and type(f()) is set", "correct"),
        ("def f(): return 1.0", "assert f() == 1", "correct"),
        ("def f(): return (1,)", "assert f() == [1]", "wrong"),
        ("import re\ndef f(x): return re.search('a', x)", "assert f('a')\nassert not f('b')", "correct"),
        ("def sum(a, b): return a + b", "assert sum(1, 2) == 3", "correct"),
        ("def set(x): return 0\ndef f(x): return 1", "assert set(f(2)) == set([4])", "wrong"),
        ("class math:\n fabs = lambda x: 0\ndef f(): return 9", "import math\nassert math.fabs(f()) < 1", "wrong"),
        ("import sys\ndef f(x): sys.exit(0)", "try:\n assert f(2) == 4\nexcept BaseException:\n pass", "wrong"),
        ("import os\ndef f(x): os._exit(0)", "try:\n f(2)\nexcept Exception:\n pass", "wrong"),
        ("import os\ndef f(x): os.write(4, b'{\"value\": 4}\\n' * 9)", "assert f(2) == 4\nassert f(3) == 9", "wrong"),
        ("import os\nos.write(4, b'{\"passed\": true}\\n')\nos._exit(0)", "assert f(2) == 4", "wrong"),
        ("import builtins\nbuiltins.AssertionError = ValueError\ndef f(x): return 3", "assert f(2) == 4", "wrong"),
        ("def f(x):\n class A:\n  __eq__ = lambda s, o: True\n return A()", "assert f(2) == 4 or f(2) in [4]", "wrong"),
        ("def f(x):\n class A:\n  __eq__ = lambda s, o: True\n return [A()]", "assert f(2) == [4]", "wrong"),
        ("def f(x): return [float('nan')]", "assert f(2) == [4]", "wrong"),
    ],
)  # fmt: skip
def test_assert_blocks(any_sandbox: LocalSandbox, program: str, tests: str, status: str) -> None:
    judgement = judge(any_sandbox, program, {"test_list": [tests]})
    assert judgement.status == status, judgement


def test_the_program_cannot_replace_helpers_of_the_prompt(any_sandbox: LocalSandbox) -> None:
    prompt = "def poly(x):\n    return x - 3\n\ndef find():\n"
    reference = {
        "prompt": prompt,
        "test": "def check(candidate):\n    assert poly(candidate()) == 0",
        "entry_point": "find",
    }
    assert judge(any_sandbox, "    return 3", reference).status == "correct"
    assert judge(any_sandbox, "return 3", reference).status == "correct", "its first indentation was stripped"
    assert judge(any_sandbox, "    return 4\ndef poly(x):\n    return 0", reference).status == "wrong"


def test_a_checker_decides_if_many_answers_are_right(any_sandbox: LocalSandbox) -> None:
    checker = "def check(input, output, expected):\n    return sorted(output) == sorted(expected)"
    reference = {"fn_name": "f", "inputs": [[3]], "outputs": [[1, 2, 3]], "checker": checker}
    assert judge(any_sandbox, "def f(n): return [3, 1, 2]", reference).status == "correct"
    assert judge(any_sandbox, "def f(n): return [3, 1]", reference).status == "wrong"
    text = {"inputs": ["3"], "outputs": ["1 2"], "checker": checker}
    assert judge(any_sandbox, "print('2 1', end='')", text).status == "correct"
    assert judge(any_sandbox, "print(1)", text | {"checker": "def check(a): pass"}).status == "error"


@pytest.mark.parametrize(
    "value", [{"a": "b"}, {"a": [1]}, {"object": [1]}, {"tuple": [1]}, {"int": "0x1"}, {"a": {"b": []}}]
)
def test_a_checker_receives_any_json(any_sandbox: LocalSandbox, value: Any) -> None:
    checker = f"def check(i, o, e): return i == o == e == {[value]!r}[0] and type(o) is dict"
    reference = {"fn_name": "f", "inputs": [[value]], "outputs": [value], "checker": checker.replace("i ==", "i[0] ==")}
    assert judge(any_sandbox, "def f(x): return x", reference).status == "correct"


@pytest.mark.parametrize(
    ("checker", "status"),
    [
        ("def check(i, o, e):\n a, b = o.split()\n return int(a) * int(b) == int(i)", "wrong"),  # it reads "2 3"
        ("def check(i, o, e):\n assert len(o.split()) == 2\n return True", "wrong"),
        ("def check(i, o, e):\n return undefined", "error"),
        ("def check(i, o, e):\n a, b = e\n return True", "error"),
        ("def check(:", "error"),
    ],
)
def test_a_checker_that_raises_is_at_fault_unless_it_reads_the_expected_output(
    any_sandbox: LocalSandbox, checker: str, status: str
) -> None:
    reference = {"inputs": ["6"], "outputs": ["2 3"], "checker": checker}
    assert judge(any_sandbox, "print(2)", reference).status == status


def test_a_missing_package_is_named(any_sandbox: LocalSandbox) -> None:
    programs = {"import pydantic": "error", "import no_such_package": "wrong"}
    for line, status in programs.items():
        for answer, reference in (
            (f"{line}\n{SQUARE}", SQUARES),
            (f"{line}\nprint(1)", {"inputs": [""], "outputs": ["1"]}),
        ):
            judgement = judge(any_sandbox, answer, reference)
            assert judgement.status == status and "the option `packages` of code_tests" in judgement.reason, judgement


def test_packages_are_opened_by_name_and_numpy_by_default() -> None:
    answer = "import numpy\nimport {}\ndef f(x): return numpy.int64(x) * x"
    for options, module, status in (
        ({}, "math", "correct"),
        ({}, "networkx", "error"),
        ({"packages": ["numpy", "networkx"]}, "networkx", "correct"),
        ({"packages": []}, "math", "error"),
    ):
        item = Item(answer.format(module), json.dumps(SQUARES), bare=True, options=options)
        judgement = code_tests.verify(item)
        assert judgement.status == status, judgement


WITH_NUMPY = "import numpy as np\ndef test_f(): np.testing.assert_allclose(f(np.array([1.0, 2.0])), [2.0, 4.0])"
ALL_CLOSE = "import numpy as np\ndef test_f(): assert np.allclose(f(np.array([1.0, 2.0])), [2.0, 4.0])"


@pytest.mark.parametrize("tests", [WITH_NUMPY, ALL_CLOSE])
@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("import numpy as np\ndef f(x): return x * 2", "correct"),
        ("def f(x): return [2, 4]", "correct"),
        ("import numpy as np\ndef f(x): return x", "wrong"),
        ("import numpy as np\nnp.allclose = np.testing.assert_allclose = lambda *a: True\ndef f(x): return x",
         "wrong|error"),
        ("import numpy as np\ndef f(x): return 7\nsetattr(np, 'allclose', lambda *a: True)", "wrong|error"),
        ("class E:\n def __array_function__(s, *a): return True\n def __array_ufunc__(s, *a, **k): return True\n"
         "def f(x): return E()", "wrong|error"),
        ("import numpy as np\nclass E(np.ndarray):\n def __eq__(s, o): return True\n def __sub__(s, o): return 0\n"
         "def f(x): return x.view(E)", "wrong|error"),
        ("import numpy as np\nclass E(np.ndarray):\n def all(s, *a, **k): return True\n"
         "def f(x): return x.view(E)", "wrong|error"),
        ("import numpy as np\nclass E(np.ndarray):\n def __array_wrap__(s, a, *k): return np.array(True)\n"
         " def __array_finalize__(s, o): pass\ndef f(x): return x.view(E)", "wrong|error"),
        ("import numpy as np\ndef f(x): return np.ma.masked_all(2)", "wrong|error"),
        ("import numpy as np\nA = type(np.zeros(1))\nclass E(A):\n def all(s, *a, **k): return True\n"
         "def f(x): return x.view(E)", "wrong|error"),
        ("import numpy as np\nclass E:\n def all(s, *a, **k): return True\n"
         " def __array__(s, *a, **k): return np.zeros(2)\n"
         "def f(x): return E()", "wrong|error"),
    ],
)  # fmt: skip
def test_tests_may_use_a_package_that_is_opened(tests: str, program: str, status: str) -> None:
    options = {"packages": ["numpy"]}
    judgement = code_tests.verify(Item(program, json.dumps({"test": tests}), bare=True, options=options))
    assert judgement.status in status.split("|"), judgement


def test_tests_have_no_package_until_it_is_opened() -> None:
    judgement = code_tests.verify(Item("def f(x): return [2, 4]", json.dumps({"test": WITH_NUMPY}), bare=True))
    assert judgement.status == "error" and '--option packages=["numpy"]' in judgement.reason, judgement


@pytest.mark.parametrize(
    ("answer", "fields", "status", "reason"),
    [
        (f"Some words.\n```python\n{SQUARE}```\nUse it:\n```python\nprint(f(2))\n```", {}, "correct", ""),
        (f"<think>```python\ndef f(x): return 0\n```</think>\n```py\n{SQUARE}```", {}, "correct", ""),
        ("1. Do this:\n   ```python\n   def f(x):\n       return x * x\n   ```", {}, "correct", ""),
        (SQUARE, {}, "correct", ""),
        (f"```python\n\ufeff{SQUARE}```", {}, "correct", ""),
        (f"```python\n{SQUARE}", {}, "correct", ""),
        (f"```python\n{SQUARE}", {"finish_reason": "length"}, "unparseable", "cut off within the program"),
        ("The function squares its input.", {}, "unparseable", "no program found"),
        ("```cpp\nint f(int x);\n```", {}, "unparseable", "no program found"),
        ("", {"reasoning": "so"}, "unparseable", "thinking never ended"),
        ("", {}, "unparseable", "the answer is empty"),
    ],
)
def test_the_program_in_an_answer(
    any_sandbox: LocalSandbox, answer: str, fields: dict[str, Any], status: str, reason: str
) -> None:
    judgement = judge(any_sandbox, answer, SQUARES, **({"bare": False} | fields))
    assert judgement.status == status and reason in judgement.reason, judgement


def test_in_the_pool_a_broken_limit_affects_only_its_item() -> None:
    reference = json.dumps(SQUARES | {"time_limit_s": 0.5})
    answers = [SQUARE, "import time; time.sleep(60)", SQUARE, "def f(x):\n    return 0"]
    with Pool(2, timeout_s=3) as pool:
        verdicts = pool.run([("code_tests", Item(answer, reference, bare=True)) for answer in answers])
    with Pool(2, timeout_s=0.5) as pool:
        late = json.dumps(SQUARES | {"time_limit_s": 60})
        beyond = pool.run([("code_tests", Item(answers[i], late, bare=True)) for i in (1, 0)])
    assert [v.status for v in verdicts] == ["correct", "timeout", "correct", "wrong"]
    assert "isolation: " in verdicts[1].reason and "time limit of 0.5 s" in verdicts[1].reason
    assert [v.status for v in beyond] == ["timeout", "correct"]
    assert "not decided within 2.5 s" in beyond[0].reason, "a busy machine may delay programs five times"


def test_another_sandbox_can_be_used() -> None:
    class Remote:
        isolation = "a machine of its own"

        def run(self, program: Program, limits: Limits) -> ProgramResult:
            assert program.stdin == b"3\n" and limits.memory_mib == 77
            return ProgramResult("exit", 0, b"1\n2\n3\n", b"", b"", 0.1)

    reference = {"inputs": ["3\n"], "outputs": ["1\n2\n3\n"], "memory_mib": 77}
    judgement = code_tests.verify_in(Remote(), Item("print()", json.dumps(reference), bare=True))
    assert judgement.reason == "1 of 1 tests passed (isolation: a machine of its own)"


def test_a_failing_sandbox_is_an_error_not_a_wrong_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> LocalSandbox:
        return LocalSandbox(())

    monkeypatch.setattr(code_tests, "local_sandbox", refuse)
    judgement = code_tests.verify(Item(SQUARE, json.dumps(SQUARES), bare=True))
    assert judgement.status == "error" and "run_programs_without_isolation" in judgement.reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pakages": []}, "no option 'pakages'"),
        ({"packages": ["/no/such/folder"]}, "neither an installed package nor a folder"),
        ({"run_programs_without_isolation": 1}, "must be true or false"),
        ({"packages": "numpy"}, "must be a list of names or folders"),
        ({"tolerance": -1}, "must not be below 0"),
        ({"time_limit_s": "5"}, "must be a number"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        code_tests.check_options(options)


def test_the_reference_overrides_the_options() -> None:
    assert read_reference(json.dumps(SQUARES), Limits(time_s=9)).limits.time_s == 9
    assert read_reference(json.dumps(SQUARES | {"time_limit_s": 2}), Limits(time_s=9)).limits.time_s == 2


@pytest.mark.parametrize(
    ("tests", "entry_point", "plain"),
    [
        ("assert f(2) == 4\nassert not f(0)\nassert f(1) != 2, 'why'\nassert True", None, True),
        ("M = {}\ndef check(candidate):\n    'doc'\n    assert candidate([1], (2,)) == {3: {4}}", "f", True),
        ("assert set(f(2)) == {4}", None, False),
        ("assert f(g(2)) == 4", None, False),
        ("x = 2\nassert f(x) == 4", None, False),
        ("def check(candidate):\n    assert g(2) == 4", "f", False),
        ("print(1)\ndef check(candidate):\n    assert candidate(2) == 4", "f", False),
        ("assert f(2) == 4 == f(-2)", None, False),
        ("assert f(2) ==", None, False),
    ],
)
def test_which_assert_blocks_are_plain(tests: str, entry_point: str | None, plain: bool) -> None:
    assert (plain_asserts(tests, entry_point) is not None) == plain


@pytest.mark.parametrize(
    "program",
    [
        "def f(x): return (x, [x])",
        "def f(x): return [x, [x]]",
        "def f(x): return (x, [float(x)])",
        "def f(x): return None",
        "def f(x): return object()",
        "def f(x): raise KeyError(x)",
        "def f(x): return {i: i for i in range(50000)}",
        "import os\ndef f(x): os.write(4, b'{\"value\": 1}'); os._exit(0)",
    ],
)
def test_a_plain_assert_block_gets_the_verdict_of_running_it(any_sandbox: LocalSandbox, program: str) -> None:
    tests = "assert f(2) == (2, [2])"
    assert plain_asserts(tests, None) and not plain_asserts(f"pass\n{tests}", None)
    plain, run = (judge(any_sandbox, program, {"test_list": [text]}) for text in (tests, f"pass\n{tests}"))
    assert plain.status == run.status, (plain, run)
