"""Which programs may share a process with their tests, and which tests need it."""

import gzip
import json
from pathlib import Path

import pytest

from filters.code.one_process import act_on_process
from filters.code.ways_out import reaches_out

ADMITTED = [
    "import math, re\nfrom collections import Counter, deque\ndef f(s): return re.compile('a').findall(s), math.pi",
    "import sys\nsys.setrecursionlimit(10**6)\nprint(sys.maxsize, file=sys.stderr)\nsys.exit(0)",
    "import os, json, subprocess\ndef f(p): return os.path.exists(p), os.environ.get('HOME'), subprocess.run(['ls'])",
    "import string\ndef f(string, time): return string + time",
    "import operator\nfrom operator import attrgetter\nk = attrgetter('a.b'); m = operator.methodcaller('x', 1)",
    "class A:\n _n = 0\n def __init__(self): self.x = type(self).__name__; self.__dict__.update(y=1)\n"
    " def __eq__(self, o): return isinstance(o, type(self))\n def __repr__(self): return f'{self.x!r}'",
    "class Meta(type):\n def __call__(cls, *a): return super().__call__(*a)\nclass B(metaclass=Meta): pass",
    "class I:\n def __iter__(self): return self\n def __next__(self): raise StopIteration",
    "def f(o, n): return getattr(o, n), setattr(o, n, 1), hasattr(o, n)",
    "from typing import Optional\ndef f(x: 'Optional[int]', y: list[int] | None = None) -> dict[str, int]: ...",
    "import functools\ndef d(f):\n @functools.wraps(f)\n def w(*a): return f(*a)\n w.__name__ = 'x'\n return w",
    "import traceback\ntry: pass\nexcept Exception: print(traceback.format_exc())",
    "if __name__ == '__main__':\n print('{}'.format(1))",
    "import numpy as np\nimport pandas as pd\ndef f(x): return np.array(x).dtype, pd.DataFrame(x)",
    "this is no Python",
    "class A:\n type: str\n def __init__(self, type): self.type = type; self.modules = []",
    "def f(x):\n match x:\n  case A._y: return 1",
]
REFUSED = {
    "eval('1')": "eval",
    "f = exec": "exec",
    "__import__('os')": "__import__",
    "from builtins import eval": "import builtins",
    "import gc": "import gc",
    "import sys as s\ns.modules": "sys.modules",
    "from os import sys": "sys",
    "def f(): return os\nimport os": "os",
    "import logging\nx = logging.os": "os",
    "from statistics import math\nx = math": "math",
    "from abc import ABCMeta\nABCMeta('E', (), {})": "ABCMeta",
    "class M(type): pass\nM('E', (), {})": "M",
    "type.mro(int)": "mro",
    "isinstance(1, (t := type))": "type",
    "from glob import *\nsys.modules": "sys",
    "from sys import modules": "sys.modules",
    "import sys\nx = [m for sys in [sys] for m in [sys]]": "sys",
    "def f(type=type): return type('E', (), {})": "type",
    "def f():\n [0 for eval in [1]]\n return eval('1')": "eval",
    "import sys\ns = sys": "sys",
    "import sys\ndef f(): return sys._getframe()": "sys._getframe",
    "from sys import settrace": "settrace",
    "import os\nos.sys": "sys",
    "import random\nrandom._inspect": "_inspect",
    "import os\nm = [os]": "os",
    "import os\np = os.path\np.exists = 1": "path",
    "try: pass\nexcept Exception as e: e.__traceback__": "__traceback__",
    "(x for x in []).gi_frame": "gi_frame",
    "x = 'gi_frame'": "gi_frame",
    "object.__subclasses__()": "__subclasses__",
    "x = '__globals__'": "__globals__",
    "print.__self__": "__self__",
    "type('E', (), {})": "type",
    "t = type": "type",
    "class E: pass\nE.__eq__ = lambda s, o: True": "__eq__",
    "class E:\n def __reduce__(self): ...": "__reduce__",
    "class E:\n def __getattribute__(self, n): ...": "__getattribute__",
    "from unittest.mock import ANY": "import unittest.mock",
    "import pytest": "import pytest",
    "import importlib": "import importlib",
    "import tests": "import tests",
    "from . import tests": "import .",
    "import operator\ng = operator.attrgetter": "attrgetter",
    "from operator import attrgetter\nattrgetter('__class__')": "attrgetter",
    "from operator import attrgetter as a": "attrgetter",
    "import types\ntypes.FunctionType": "FunctionType",
    "import logging\nlogging.info('x', stack_info=True)": "stack_info=",
    "import traceback\ntraceback.format_stack()": "format_stack",
    "import timeit\ntimeit.timeit('1')": "timeit.timeit",
    "def f(): raise StopIteration": "raise StopIteration",
    "def f(x: 'a' + 'b'): ...": "an annotation that is computed",
    "def getattr(o, n): ...": "getattr",
    "import functools\nfunctools.update_wrapper(a, b, ['x'])": "update_wrapper",
}  # fmt: skip


@pytest.mark.parametrize("program", ADMITTED)
def test_ordinary_programs_are_admitted(program: str) -> None:
    assert reaches_out(program) is None


@pytest.mark.parametrize("program", REFUSED)
def test_the_ways_out_are_named(program: str) -> None:
    assert reaches_out(program) == f"`{REFUSED[program]}`"


def test_solutions_of_benchmarks_are_admitted(shared_data: Path) -> None:
    with gzip.open(shared_data / "HumanEval.jsonl.gz", "rt") as lines:
        programs = [row["prompt"] + row["canonical_solution"] for row in map(json.loads, lines)]
    programs += [row["code"] for row in json.loads((shared_data / "sanitized-mbpp.json").read_text())]
    refused = [found for program in programs if (found := reaches_out(program))]
    assert refused == ["`eval`"]


@pytest.mark.parametrize(
    ("tests", "act"),
    [
        ("assert f(2) == 4", None),
        ("import math\nfrom solution import f\ndef test_f():\n    assert math.isclose(f(2), 4)", None),
        ("for x in range(3):\n    assert f(x) == x", None),
        ("def check(candidate):\n    assert candidate(2) == 4", None),
        ("from unittest.mock import patch", "`from unittest.mock import`"),
        ("import os", "`import os`"),
        ("def test_f(capsys): f()", "the fixture `capsys`"),
        ("async def test_f(): await f()", "`async`"),
        ("assert open('x').read() == f()", "`open`"),
        ("with f() as x: pass", "`with`"),
        ("class S(f): pass", "`f` as a value or a class"),
        ("assert map(f, [1])", "`f` as a value or a class"),
        ("assert Stack().pop() == 1", "`Stack` as a value or a class"),
        ("import solution\nsolution.STATE.clear()", "`solution.STATE`"),
        ("import itertools\nitertools.islice(f(), 2)", "`islice`"),
        ("no Python", None),
    ],
)
def test_what_tests_do_to_their_process(tests: str, act: str | None) -> None:
    assert act_on_process(tests, frozenset({"f", "Stack"})) == act
