"""Judging by test code: programs under tests that act on their process, cheats, and tests that are none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from filters.sandbox.local import LocalSandbox
from filters.verification.verdicts import Item, Judgement
from filters.verifiers import code_tests

PATCH = "import unittest\nfrom unittest.mock import patch, mock_open, MagicMock\nclass T(unittest.TestCase):\n "
SELF = "def test_a(self, *m):\n  self.assertEqual(task_func"
CASE = "import unittest\nclass T(unittest.TestCase):\n def test_a(self): "
POINT = "from dataclasses import dataclass\n@dataclass\nclass P:\n x: int\n y: int\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as sandbox:
        yield sandbox


def judge(sandbox: LocalSandbox, program: str, tests: str | dict[str, Any], **fields: Any) -> Judgement:
    reference = {"test": tests} if isinstance(tests, str) else tests
    item = Item(f"```python\n{program}\n```", json.dumps(reference), **fields)
    return code_tests.verify_in(sandbox, item)


# (name, test module, right program, wrong program)
ROWS = [
    (
        "patched plain function",
        "from unittest.mock import patch\n@patch('random.randint', return_value=4)\ndef test_roll(m):\n"
        " assert roll() == 8",
        "import random\ndef roll(): return random.randint(1, 6) + random.randint(1, 6)",
        "import random\ndef roll(): return random.randint(1, 6)",
    ),
    (
        "two patches, a fixture and parameters",
        "import pytest\nfrom unittest.mock import patch\n@pytest.fixture\ndef two(): return 2\n"
        "@pytest.mark.parametrize('n', [3, 4])\n@patch('random.random', return_value=0)\n"
        "@patch('random.choice', new=max)\n"
        "@patch('random.randint', return_value=5)\ndef test_roll(a, b, two, n):\n assert roll(n) == 5 + two - 2 + n",
        "import random\ndef roll(n): return random.randint(1, 6) + random.choice([n, 1]) + random.random()",
        "import random\ndef roll(n): return n",
    ),
    (
        "a method of a class of pytest with a patch of several",
        "from unittest.mock import patch, DEFAULT\nclass TestRoll:\n"
        " @patch.multiple('random', randint=DEFAULT, random=DEFAULT)\n"
        " def test_roll(self, randint, random):\n  randint.return_value = 5\n  assert roll() == 5\n"
        "  randint.assert_called_once()",
        "import random\ndef roll(): return random.randint(1, 6)",
        "import random\ndef roll(): return 5",
    ),
    (
        "patched function",
        PATCH + "@patch('random.choice', return_value='x')\n " + SELF + "(), 'x')",
        "import random\ndef task_func(): return random.choice('abc')",
        "import random\ndef task_func(): return random.sample('abc', 1)[0]",
    ),
    (
        "patched open",
        PATCH + "@patch('builtins.open', new_callable=mock_open, read_data='1\\n2')\n " + SELF + "('f'), 3)",
        "def task_func(p):\n with open(p) as f: return sum(map(int, f))",
        "def task_func(p):\n with open(p) as f: return len(f.read()) + 1",
    ),
    (
        "patched module of the program",
        PATCH + "@patch('__main__.helper', return_value=9)\n " + SELF + "(), 9)",
        "def helper(): return 1\ndef task_func(): return helper()",
        "def helper(): return 1\ndef task_func(): return 1",
    ),
    (
        "patched output",
        PATCH + "@patch('builtins.print')\n def test_a(self, shown):\n  task_func()\n  shown.assert_called_with('hi')",
        "def task_func(): print('hi')",
        "def task_func(): print('ho')",
    ),
    (
        "files in setUp",
        PATCH + "def setUp(self):\n  open('a.txt', 'w').write('hi')\n " + SELF + "('a.txt'), 'hi')",
        "def task_func(p): return open(p).read()",
        "def task_func(p): return ''",
    ),
    (
        "a seed of the tests",
        "import random\ndef test_f():\n random.seed(42)\n assert f() == random.Random(42).randint(0, 10**6)",
        "import random\ndef f(): return random.randint(0, 10**6)",
        "import random\ndef f(): return random.randint(0, 10**5)",
    ),
    (
        "fixtures",
        "from solution import f\ndef test_f(capsys, tmp_path, monkeypatch):\n monkeypatch.setenv('A', 'b')\n"
        " monkeypatch.setattr('builtins.input', lambda _='': 'c')\n f(tmp_path / 'x')\n"
        " assert capsys.readouterr().out == 'b\\n' and (tmp_path / 'x').read_text() == 'c'",
        "import os\ndef f(p):\n print(os.environ['A'])\n p.write_text(input())",
        "import os\ndef f(p):\n print(os.environ['A'])\n p.write_text('')",
    ),
    (
        "fixtures of the tests",
        "import pytest\nfrom solution import S\nclass TestS:\n @pytest.fixture(params=[1, 2])\n def n(self, request):\n"
        "  yield request.param\n @pytest.fixture(autouse=True)\n def prepare(self): self.s = S()\n"
        " def test_s(self, n):\n  for i in range(n): self.s.push(i)\n"
        "  assert self.s.pop() == n - 1 and len(self.s) == n - 1",
        "class S(list):\n push = list.append",
        "class S(list):\n def push(self, x): self.insert(0, x)",
    ),
    (
        "an exception of the program's",
        "import pytest\nfrom solution import f, E\ndef test_f():\n with pytest.raises(E, match='bad'):\n  f()",
        "class E(Exception): pass\ndef f(): raise E('bad')",
        "class E(Exception): pass\ndef f(): raise ValueError('bad')",
    ),
    (
        "a class derived from the program's",
        "from solution import B\nclass S(B):\n def area(self): return 5\ndef test_f(): assert S().double() == 10",
        "class B:\n def double(self): return 2 * self.area()",
        "class B:\n def double(self): return self.area()",
    ),
    (
        "objects with operators",
        "from solution import V\ndef test_f():\n assert V(1) + V(2) == V(3) != V(4)\n assert 2 * V(2) == V(4) > V(1)\n"
        " assert repr(V(1)) == 'V(1)' and len({V(1), V(1)}) == 1",
        "class V:\n def __init__(s, x): s.x = x\n def __add__(s, o): return V(s.x + o.x)\n"
        " def __rmul__(s, k): return V(k * s.x)\n def __eq__(s, o): return s.x == o.x\n"
        " def __hash__(s): return s.x\n def __gt__(s, o): return s.x > o.x\n"
        " def __repr__(s): return 'V({})'.format(s.x)",
        "class V:\n def __init__(s, x): s.x = x\n def __add__(s, o): return s\n def __rmul__(s, k): return s\n"
        " def __eq__(s, o): return True\n def __ne__(s, o): return True\n def __hash__(s): return 1\n"
        " def __gt__(s, o): return True\n def __repr__(s): return 'V(1)'",
    ),
    (
        "objects that equal plain values",
        "from solution import L\ndef test_f():\n assert L([1, 2]) == [1, 2] and L([1]) != [2]\n assert L('a') == 'a'",
        "class L:\n def __init__(s, x): s.x = x\n def __eq__(s, o): return s.x == (o.x if isinstance(o, L) else o)",
        "class L:\n def __init__(s, x): s.x = x\n def __eq__(s, o): return True\n def __ne__(s, o): return True",
    ),
    (
        "classes of tests in classes, and inherited tests",
        "import os\nfrom solution import f\nclass Base:\n def test_f(self): assert f(self.x) == self.x ** 2\n"
        "class TestF(Base):\n x = 2\n class TestInner(Base):\n  x = 3",
        "def f(x): return x * x",
        "def f(x): return 2 * x",
    ),
    (
        "an exit",
        "import pytest\nfrom solution import f\ndef test_f():\n with pytest.raises(SystemExit) as e: f()\n"
        " assert e.value.code == 2",
        "import sys\ndef f(): sys.exit(2)",
        "import sys\ndef f(): sys.exit(0)",
    ),
    (
        "the program's own tests",
        "import os\nfrom solution import f\ndef test_f(): assert f(2) == 4",
        "def f(x): return x * x\nif __name__ == '__main__':\n import unittest\n unittest.main()",
        "def f(x): return x\nif __name__ == '__main__':\n import unittest\n unittest.main()",
    ),
    ("dataclasses", "def test_f(): assert f(1) == P(1, 2) != P(2, 1)", POINT + "def f(x): return P(x, 2)",
     POINT + "def f(x): return P(x, x)"),
    (
        "a context manager",
        "from solution import c\ndef test_f():\n with c() as x: assert x == 1",
        "from contextlib import contextmanager\n@contextmanager\ndef c(): yield 1",
        "from contextlib import contextmanager\n@contextmanager\ndef c(): yield 2",
    ),
    ("a coroutine", "import asyncio\ndef test_f(): assert asyncio.run(f(1)) == 2", "async def f(x): return x + 1",
     "async def f(x): return x"),
    ("an asynchronous test", "from solution import f\nasync def test_f(): assert await f(1) == 2",
     "async def f(x): return x + 1", "async def f(x): return x"),
    (
        "a decorator",
        "from solution import twice\ndef test_f():\n @twice\n def g(x): return x + 1\n assert g(1) == 3",
        "import functools\ndef twice(f):\n @functools.wraps(f)\n def g(x): return f(f(x))\n return g",
        "def twice(f): return f",
    ),
    ("a callback", "def test_f(): assert f(lambda x: x + 1, [1, 2]) == [2, 3]",
     "def f(g, xs): return [g(x) for x in xs]", "def f(g, xs): return xs"),
    ("an endless generator", "import itertools\ndef test_f(): assert list(itertools.islice(f(), 2)) == [0, 1]",
     "import itertools\ndef f(): yield from itertools.count()", "import itertools\n"
     "def f(): yield from itertools.repeat(0)"),
    ("hooks", "import solution\ndef setup_function(): solution.S.clear()\ndef test_a():\n"
     " solution.f(1); assert solution.S == [1]\n"
     "def test_b():\n solution.f(2); assert solution.S == [2]", "S = []\ndef f(x): S.append(x)", "S = []\n"
     "def f(x): S.append(1)"),
    ("a log", "import logging\nfrom solution import f\ndef test_f(caplog):\n with caplog.at_level(logging.INFO): f()\n"
     " assert 'on' in caplog.text", "import logging\ndef f(): logging.info('on')", "import logging\n"
     "def f(): logging.debug('off')"),
]  # fmt: skip


@pytest.mark.parametrize(("tests", "right", "wrong"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_tests_that_act_on_their_process_judge_programs(
    sandbox: LocalSandbox, tests: str, right: str, wrong: str
) -> None:
    judgement = judge(sandbox, right, tests)
    assert (judgement.status, "in the program's process" in judgement.reason) == ("correct", True), judgement
    assert judge(sandbox, wrong, tests).status == "wrong"


ACTING = (
    "from solution import f\nimport os\ndef test_f(capsys):\n assert f(1, 2) == 3\n assert abs(f(5, 6) - 11) < 1e-9"
)
EQUAL = "def __eq__(s, o): return True\n def __sub__(s, o): return 0\n __hash__ = None"
CHEATS = [
    f"class E:\n {EQUAL}\ndef f(a, b): return E()",
    f"class E(int):\n {EQUAL}\ndef f(a, b): return E(7)",
    f"class M(type):\n {EQUAL}\nclass E(metaclass=M): pass\ndef f(a, b): return E",
    "class E: pass\nsetattr(E, '_' * 2 + 'eq' + '_' * 2, lambda s, o: True)\ndef f(a, b): return E()",
    "E = type('E', (), {'_' '_eq__': lambda s, o: True})\ndef f(a, b): return E()",
    "class M(type):\n def __new__(m, n, b, d):\n  d['_' + '_eq__'] = lambda s, o: True\n"
    "  return super().__new__(m, n, b, d)\nclass E(metaclass=M): pass\ndef f(a, b): return E()",
    "from unittest.mock import ANY\ndef f(a, b): return ANY",
    "from enum import Enum\nE = Enum('E', {'A': 1, '__eq__': lambda s, o: True})\ndef f(a, b): return E.A",
    "from enum import Enum\nclass B(Enum): pass\nE = B('E', {'A': 1, '_' + '_eq__': lambda s, o: True})\n"
    "def f(a, b): return E.A",
    "class A: pass\nE = type(A)('E', (), {'_' + '_eq__': lambda s, o: True})\ndef f(a, b): return E()",
    "class A: pass\nE = A.__class__('E', (), {'_' + '_eq__': lambda s, o: True})\ndef f(a, b): return E()",
    "class M(type): pass\nE = M('E', (), {'_' + '_eq__': lambda s, o: True})\ndef f(a, b): return E()",
    "class M(type):\n made = []\n def __new__(m, *a):\n"
    "  M.made.append(super().__new__(m, 'E', (), {'_' + '_eq__': lambda s, o: True}))\n"
    "  return super().__new__(m, *a)\nclass A(metaclass=M): pass\ndef f(a, b): return M.made[0]()",
    "class M(type):\n __dict__ = {}\nclass E(metaclass=M):\n def __eq__(s, o): return True\ndef f(a, b): return E()",
    "import logging, argparse\np = argparse.ArgumentParser()\np.add_argument('--exists')\n"
    "p.parse_args(['--exists', '1'], logging.os)\ndef f(a, b): return 0",
    "import asyncio\ndef f(a, b):\n s = getattr(asyncio, 's' + 'ys')\n"
    " return getattr(s, 'mod' + 'ules')['unittest.mock'].ANY",
    "import sys\ndef f(a, b): sys.exit(0)",
    "import sys\nf = lambda a, b: sys.exit()",
    "def f(a, b): quit()",
    "import os\ndef f(a, b): os._exit(0)",
    "import os\ndef f(a, b): os.kill(os.getpid(), 9)",
    "import os\ndef f(a, b):\n os.write(4, b'\\n{\"passed\": true}\\n')\n os.abort()",
    "import threading, os\ndef w():\n while True: os.pwrite(4, b'{\"passed\": true, \"secret\": \"\"}', 0)\n"
    "threading.Thread(target=w, daemon=True).start()\ndef f(a, b): return 0",
    "import os\nguess = 0\nfor i in range(1, 13):\n if os.fork() == 0:\n  guess = i\n  break\n"
    "def f(a, b): return guess",
    "import unittest\ndef f(a, b): raise unittest.SkipTest('x')",
    "def f(a, b):\n for c in getattr(object, '__sub' + 'classes__')():\n  if c.__name__ == '_ANY': return c()",
    "import math\ntry: math.isclose = lambda *a: True\nexcept BaseException: pass\ndef f(a, b): return 0",
    "import threading\ndef f(a, b): return ('{0.run._' + '_globals__}').format(threading.Thread)",
    "import sys\nsys.settrace(lambda *a: None)\ndef f(a, b): return 0",
    "import atexit, os\natexit.register(os._exit, 0)\ndef f(a, b): return 0",
    "import sys\ndef f(a, b): return sys._getframe(1).f_code.co_consts[-1]",
    "class A:\n def __call__(s, *a): return s\n def __getattr__(s, n): return s\n"
    " def __eq__(s, o): return True\nf = A()",
    "def f(a, b): raise StopIteration",
    "def f(a, b): raise KeyboardInterrupt",
]  # fmt: skip


@pytest.mark.parametrize("program", CHEATS)
def test_no_cheat_passes_in_the_programs_process(sandbox: LocalSandbox, program: str) -> None:
    assert judge(sandbox, program, ACTING).status in ("wrong", "error")


def test_an_expected_failure_says_nothing(sandbox: LocalSandbox) -> None:
    tests = CASE.replace("test_a", "test_b") + "self.assertEqual(f(2), 3)\n @unittest.expectedFailure\n"
    tests += " def test_a(self): self.assertEqual(f(1), 2)"
    assert judge(sandbox, "def f(x): return x + 1", tests).status == "correct"
    assert judge(sandbox, "def f(x): return 3", tests).status == "correct"
    assert judge(sandbox, "def f(x): return 2", tests).status == "wrong"


COUNTED = (
    "from unittest.mock import patch\ndef test_f():\n with patch('random.randint', return_value=7) as m:\n"
    "  assert f() == 14\n  assert m.call_count == 2"
)
ON_MOCKS = [
    "m = random.randint\n m.call_count = 2",
    "m = random.randint\n m.__dict__['_mock_' + 'call_count'] = 2",
    "m = random.randint\n m.configure_mock(call_count=2)",
    "m = random.randint\n m._mock_call_count = 2",
    "for random.randint.call_count in [2]: pass",
    "with open('x', 'w') as random.randint.call_count: pass",
    "object.__setattr__(random.randint, 'call_count', 2)",
    "setattr(random.randint, 'call_count', 2)",
    "vars(random.randint).update({'_mock_call_count': 2})",
]


@pytest.mark.parametrize("act", ON_MOCKS)
def test_a_program_may_not_change_what_the_tests_mocks_note(sandbox: LocalSandbox, act: str) -> None:
    assert judge(sandbox, f"import random\ndef f():\n {act}\n return 14", COUNTED).status in ("wrong", "error")
    right = "import random\ndef f(): return random.randint(1, 6) + random.randint(1, 6)"
    assert judge(sandbox, right, COUNTED).status == "correct"


def test_a_program_that_could_reach_the_tests_is_named(sandbox: LocalSandbox) -> None:
    judgement = judge(sandbox, "import gc\ndef f(a, b): return a + b", ACTING)
    assert judgement.status == "error"
    assert "the tests act on the program's process (by `import os`)" in judgement.reason
    assert "could reach them (by `import gc`)" in judgement.reason


def test_thousands_of_calls_are_no_timeout(sandbox: LocalSandbox) -> None:
    tests = "def test_f(): assert all(f(i) == i for i in range(25_000))"
    assert judge(sandbox, "def f(x): return x", tests).status == "correct"
    assert judge(sandbox, "def f(x): return x % 24_999", tests).status == "wrong"


VACUOUS = [
    "try:\n assert f(1) == 3\nexcept AssertionError:\n pass",
    "try:\n assert f(1) == 3\nexcept Exception:\n print('no')",
    "import contextlib\nwith contextlib.suppress(AssertionError):\n assert f(1) == 3",
    "def check():\n return f(1)\n assert f(1) == 3\ncheck()",
    "assert f(1) or True",
    "assert isinstance(f(1), object)",
    "r = f(1)\nassert r == r",
    "assert f(1) == f(1)",
    "assert [f(1) == 3]",
    "assert {f(1)}",
    "assert str(f(1))",
    "assert f'{f(1)}'",
    "assert len(str(f(1))) > 0",
    "assert (f(1) == 3) is not None",
    "assert f(1) is not None",
    "assert f(1) != None",
    "assert f",
    "import unittest\nclass T(unittest.TestCase):\n @unittest.expectedFailure\n"
    " def test_a(self): self.assertEqual(f(1), 3)",
    "import unittest\nclass T(unittest.TestCase):\n @unittest.skip('x')\n def test_a(self): self.assertEqual(f(1), 3)",
    "import pytest\n@pytest.mark.skip\ndef test_f(): assert f(1) == 3",
    "import pytest\n@pytest.mark.skip(reason='x')\nclass TestF:\n def test_f(self): assert f(1) == 3",
    "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_f(): assert f(1) == 3",
    "import pytest\n@pytest.mark.xfail\ndef test_f(): assert f(1) == 3",
    "import pytest\ndef test_f():\n pytest.skip('x')\n assert f(1) == 3",
]  # fmt: skip


@pytest.mark.parametrize("tests", VACUOUS)
def test_tests_that_a_program_cannot_fail_are_an_error(sandbox: LocalSandbox, tests: str) -> None:
    assert judge(sandbox, "def f(x): return 'nonsense'", tests).status == "error"


HARDLY = {  # tests that programs of the right kind pass, whatever they compute
    "7": [
        CASE + "self.assertTrue(f(1), 3)",
        CASE + "r = f(1); self.assertTrue(r, [3])",
        CASE + "self.assertTrue(f(1), f(2) + 1)",
        CASE + "self.assertIsInstance(f(1), int)",
        "assert f(1), 3",
        "assert f(1), [3]",
        "assert isinstance(f(1), int)",
        "assert type(f(1)) is int",
        "assert type(f(1)) == type(3)",
        "assert f(1) * 0 == 0",
        "assert f(1) in range(-100, 100)",
        "assert f(1) >= -10**9",
        "assert -100 <= f(1) <= 100",
        "assert f(1) == int(f(1))",
        "assert not f(1) == 99",
    ],
    "7.5": ["assert isinstance(f(1), float)", "assert type(f(1)) is float"],
    "'seven'": ["assert isinstance(f(1), str)", "assert len(f(1)) >= 0", "assert len(f(1)) > 0"],
    "[7]": ["assert isinstance(f(1), list)", "assert type(f(1)) == type([])", "assert len(f(1)) > 0"],
    "(7,)": ["assert isinstance(f(1), tuple)"],
    "{7: 7}": ["assert isinstance(f(1), dict)"],
    "{7}": ["assert isinstance(f(1), set)"],
    "x > 0": ["assert isinstance(f(1), bool)", "assert f(1) in (True, False)"],
}


@pytest.mark.parametrize(("value", "tests"), [(value, tests) for value, some in HARDLY.items() for tests in some])
def test_tests_that_ask_for_the_kind_of_a_value_alone_are_an_error(
    sandbox: LocalSandbox, value: str, tests: str
) -> None:
    judgement = judge(sandbox, f"def f(x): return {value}", tests)
    assert judgement.status == "error" and "computes nothing" in judgement.reason, judgement


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        ("def f(x): return x > 0", CASE + "self.assertTrue(f(1), True)"),
        ("def f(x): return x > 0", CASE + "self.assertTrue(f(1), 'positive')"),
        ("def f(x): return x + 1", CASE + "self.assertTrue(f(1) == 2, 2)"),
        ("def f(x): return x + 1", CASE + "self.assertTrue(f(1), 2); self.assertEqual(f(2), 3)"),
        ("def f(x): return x + 1", CASE + "self.assertIsInstance(f(1), int); self.assertEqual(f(2), 3)"),
        ("def f(x): return x > 0", "assert f(1), 'positive'"),
        ("def f(x): return 1", "assert f(1) == 1"),
        ("def f(x): return -1", "assert f(1) == -1"),
        ("def f(x): return ''", "assert f(1) == ''"),
        ("def f(x): return []", "assert f(1) == []"),
        ("def f(x): return []", "assert isinstance(f(1), list) and not f(1)"),
        ("def f(x): return True", "assert f(1) is True"),
        ("def f(x): pass", "def test_f(): assert f(1) is None"),
        ("def f(x): return True", "def test_f(): assert f(1)"),
        ("def f(x): return False", "def test_f(): assert not f(1)"),
        ("def f(x): return 0", "def test_f(): assert f(1) == 0"),
        ("def f(x): x.sort()", "def test_f():\n x = [2, 1]\n f(x)\n assert x == [1, 2]"),
        ("def f(x): raise ValueError", "import pytest\ndef test_f():\n with pytest.raises(ValueError): f(1)"),
        ("def f(x): print(x)", "def test_f(capsys):\n f(1)\n assert capsys.readouterr().out == '1\\n'"),
        ("def f(x): return x", "import sys\nimport pytest\n@pytest.mark.skipif(sys.version_info < (3,), reason='x')\n"
         "def test_f(): assert f(1) == 1"),
    ],
)  # fmt: skip
def test_tests_that_some_returning_program_fails_are_tests(sandbox: LocalSandbox, program: str, tests: str) -> None:
    assert judge(sandbox, program, tests).status == "correct"


TWO = {"test_list": ["assert f(1) == 2", "assert g(1) == 3"]}


@pytest.mark.parametrize(
    ("reference", "prompt", "status"),
    [
        (TWO, "", "error"),
        (TWO, "Write f.", "error"),
        (TWO, "Write f and g.", "wrong"),
        (TWO | {"code": "def f(x): return x + 1\ndef g(x): return x + 2"}, "", "wrong"),
        ({"test_list": ["assert g(1) == 3"]}, "", "wrong"),
        ({"test": "def check(candidate):\n assert candidate(1) == 2\n"
         " assert g(1) == 3", "entry_point": "f"}, "", "error"),
        ({"test": "def check(candidate):\n raise ValueError('x')", "entry_point": "f"}, "", "error"),
    ],
)  # fmt: skip
def test_names_that_no_one_asked_for_are_the_tests_fault(
    sandbox: LocalSandbox, reference: dict[str, Any], prompt: str, status: str
) -> None:
    messages = [{"role": "user", "content": prompt}] if prompt else []
    assert judge(sandbox, "def f(x): return x + 1", reference, messages=messages).status == status
