"""Parsing of the tests of a coding problem from a prompt's reference: JSON in the forms of the public data sets.

    {"inputs": ["3\\n"], "outputs": ["1\\n2\\n3\\n"]}                 stdin and stdout
    {"inputs": [["3", "1 2 3"]], "outputs": [["6"]]}               the same as lists of lines
    {"fn_name": "f", "inputs": [[2]], "outputs": [4]}              calls of a function, or of a method of `Solution`
    {"tests": [{"input": "3\\n", "output": "1\\n"}]}                 either, one object per test
    [{"input": "3\\n", "output": "1\\n"}]                            the same without the key
    {"prompt": CODE, "test": CODE, "entry_point": "f"}             a module of tests: check(candidate), as in HumanEval,
                                                                   test functions, or classes of unittest
    {"test_list": ["assert f(2) == 4"], "test_imports": [], "test_setup_code": ""}     statements, run as they are: MBPP

If a function's inputs and outputs are text, as in LiveCodeBench, the text is JSON, one argument per line. A row of
such a data set can be used unchanged (`filters.code.rows`). In addition to the tests there may be:

    "time_limit_s"   limit on the CPU time of all tests together, 4 by default
    "memory_mib"     1024 by default
    "tolerance"      allowed difference between numbers: absolute, relative for numbers above 1
    "checker"        source of `check(input, output, expected)`, which must return True, for problems with many answers
    "setup"          source that is placed before the program
"""

import ast
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from filters.code.names import missing, parsed, top_level
from filters.code.rows import IGNORED, read_json, tests_of
from filters.sandbox.program import Limits

DEFAULT = Limits()
SOLUTION = "solution"  # the module of the program, as tests may import it
CHECKS = ("assert", "fail", "raises", "exit", "check")  # names that begin so
LEAST_MEMORY_MIB = 64  # the interpreter alone takes half of this
FORMS = ("inputs", "tests", "test_list", "test")
SETTINGS = ("time_limit_s", "memory_mib", "tolerance", "checker", "setup")
TELLING: tuple[str, ...] = (
    "prompt",
    "text",
    "question",
    "problem",
    "instruct_prompt",
    "starter_code",
    "code",
    "solution",
    "solutions",
)
TELLING += ("canonical_solution", "gold_standard_solution")
FORM_KEYS = (*FORMS, "outputs", "fn_name", "entry_point", "test_imports", "test_setup_code", "prompt")


@dataclass(frozen=True, slots=True)
class Case:
    """One input and the output expected for it."""

    given: Any  # text for stdin, or a list of arguments
    expected: Any  # text of stdout, or a JSON value


@dataclass(frozen=True, slots=True)
class Reference:
    """The tests of one problem: an assert block in `tests`, else `cases` for `function`, else for the whole program."""

    limits: Limits
    cases: tuple[Case, ...] = ()
    function: str | None = None
    tests: str | None = None
    discover: bool = False  # `tests` is a module whose test functions and classes are run
    prelude: str = ""  # source before the program, and before the tests
    entry_point: str | None = None
    tolerance: float = 0.0
    checker: str | None = None
    packages_opened: bool = False  # the tests may import packages too
    told: str = ""  # the problem and its solution, if the row has them

    @property
    def asked(self) -> frozenset[str]:
        """The names of the program that the tests use; none if they run it as a whole."""
        if name := self.entry_point or self.function:
            return frozenset({name})
        return names_asked(self.tests or "") - names_bound(self.prelude)


def read_reference(text: str, default: Limits = DEFAULT, tolerance: float = 0.0) -> Reference:
    """Return the tests; raise ValueError naming the key and what is accepted."""
    data = read_json(text)
    if isinstance(data, list):
        data = {"tests": data}
    if not isinstance(data, dict):
        raise ValueError(f"the reference is a {type(data).__name__}; it must be an object or a list of tests")
    data = tests_of(data)
    check_keys(data)
    settings = {"limits": limits_of(data, default), "tolerance": number(data, "tolerance", tolerance)}
    settings |= {"checker": source(data, "checker") or None, "prelude": source(data, "setup")}
    settings["told"] = "\n".join(str(data[key]) for key in TELLING if key in data)
    if "test_list" in data:
        return mbpp(data, settings)
    if "test" in data:
        return human_eval(data, settings)
    return cases_of(data, settings)


def check_keys(data: Mapping[str, Any]) -> None:
    """Raise ValueError unless the reference has exactly one form and only known keys."""
    for key in data:
        if key not in (*FORM_KEYS, *SETTINGS, *IGNORED):
            near = difflib.get_close_matches(key, (*FORM_KEYS, *SETTINGS), 1)
            raise ValueError(f"the reference has the unknown key {key!r}" + (f"; is it {near[0]!r}?" if near else ""))
    forms = [key for key in FORMS if key in data]
    if len(forms) != 1:
        raise ValueError(f"the reference has {forms or 'no tests'}; it must have exactly one of {', '.join(FORMS)}")


def limits_of(data: Mapping[str, Any], default: Limits = DEFAULT) -> Limits:
    """Return the limits set here, on top of the default ones."""
    time_s = number(data, "time_limit_s", default.time_s)
    memory = number(data, "memory_mib", default.memory_mib)
    if time_s <= 0 or memory < LEAST_MEMORY_MIB:
        least = f"above 0 and at least {LEAST_MEMORY_MIB}"
        raise ValueError(f"time_limit_s is {time_s:g} and memory_mib {memory:g}; they must be {least}")
    return replace(default, time_s=time_s, memory_mib=int(memory))


def number(data: Mapping[str, Any], key: str, default: float) -> float:
    """Return a number from the reference; raise ValueError for any other type."""
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is {value!r}; it must be a number")
    return value


def source(data: Mapping[str, Any], key: str) -> str:
    """Return source code from the reference; a null or a missing key is empty source."""
    value = data.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"the reference's {key} is {value!r}; it must be text")
    return value


def mbpp(data: Mapping[str, Any], settings: dict[str, Any]) -> Reference:
    """Return the reference of an MBPP row: a list of asserts."""
    parts = [data.get("test_imports") or [], [source(data, "test_setup_code")], data["test_list"]]
    if not all(isinstance(line, str) for part in parts for line in part):
        raise ValueError("the reference's test_imports and test_list must be lists of text")
    return Reference(**settings, tests=checked_tests("\n".join(line for part in parts for line in part)))


def human_eval(data: Mapping[str, Any], settings: dict[str, Any]) -> Reference:
    """Return the reference of a row with a module of tests; HumanEval's calls `check` with the entry point."""
    settings["prelude"] += source(data, "prompt")
    entry_point = source(data, "entry_point") or None
    return Reference(**settings, tests=checked_tests(source(data, "test")), entry_point=entry_point, discover=True)


def checked_tests(tests: str) -> str:
    """Return the tests, also those that do not compile; raise ValueError for tests that no program can fail.

    Whether the tests reach the program at all is only known once they have run.
    """
    tree = parsed(tests)
    if tree is None:
        return tests
    if not any(map(is_check, ast.walk(tree))):
        raise ValueError("the reference has no tests: its test code asserts nothing")
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple) and node.test.elts:
            raise ValueError(f"the test {ast.unparse(node)!r:.80} is always true: it asserts a tuple")
    return tests


def is_check(node: ast.AST) -> bool:
    """Return whether a node can find fault with a program: assert, raise, try, or a name such as `assertEqual`."""
    if isinstance(node, ast.Name | ast.Attribute):
        return (node.id if isinstance(node, ast.Name) else node.attr).startswith(CHECKS)
    return isinstance(node, ast.Assert | ast.Raise | ast.Try)


def names_asked(tests: str) -> frozenset[str]:
    """Return the names that the tests read but do not bind, or import from the module `solution`."""
    tree = parsed(tests)
    if tree is None:
        return frozenset()
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == SOLUTION]
    return frozenset(missing(tree) | {alias.name for node in imported for alias in node.names})


def names_bound(prelude: str) -> set[str]:
    """Return the names that the prelude binds."""
    tree = parsed(prelude)
    return set() if tree is None else top_level(tree)


def cases_of(data: Mapping[str, Any], settings: dict[str, Any]) -> Reference:
    """Return the reference made of inputs and outputs."""
    function = source(data, "fn_name") or None
    pairs = list(paired(data))
    if not pairs:
        raise ValueError("the reference has no tests")
    if function is None:
        cases = tuple(Case(as_text(given), as_text(expected)) for given, expected in pairs)
        if settings["checker"] is None and not any(case.expected.strip() for case in cases):
            raise ValueError(
                "every expected output of the reference is empty, which a program that does nothing prints"
            )
        return Reference(**settings, cases=cases)
    return Reference(**settings, function=function, cases=tuple(Case(*values(*pair)) for pair in pairs))


def as_text(side: Any) -> str:
    """Return what stdin or stdout holds: text, or lines."""
    if isinstance(side, str):
        return side
    if isinstance(side, list) and all(isinstance(line, str | int | float) for line in side):
        return "\n".join(map(str, side))
    raise ValueError(f"the test {side!r:.80} is not text or lines of text; a function's tests need fn_name")


def paired(data: Mapping[str, Any]) -> Sequence[tuple[Any, Any]]:
    """Return (input, output) of each test."""
    if "tests" in data:
        try:
            return [(test["input"], test["output"]) for test in data["tests"]]
        except (TypeError, KeyError) as error:
            raise ValueError(f"a test of the reference lacks {error}; each must have input and output") from None
    inputs, outputs = data["inputs"], data.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise ValueError("the reference's inputs and outputs must be two lists of one length")
    return list(zip(inputs, outputs, strict=True))


def values(given: Any, expected: Any) -> tuple[list[Any], Any]:
    """Return the arguments and the value of a call; the text of LiveCodeBench is decoded from JSON."""
    if isinstance(given, str):
        try:
            return [read_json(line) for line in given.split("\n") if line.strip()], read_json(expected)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the test {given!r:.80} is text and must be JSON, one argument a line: {error}") from None
    if not isinstance(given, list):
        raise ValueError(f"the test {given!r:.80} must be a list of arguments")
    return given, expected
