"""Parsing of the tests of a coding problem from a prompt's reference: JSON in the forms of the public data sets.

    {"inputs": ["3\\n"], "outputs": ["1\\n2\\n3\\n"]}                 stdin and stdout (APPS, TACO, PRIME)
    {"fn_name": "f", "inputs": [[2]], "outputs": [4]}              calls of a function, or of a method of `Solution`
    {"tests": [{"input": "3\\n", "output": "1\\n"}]}                 either, one object per test (LiveCodeBench)
    [{"input": "3\\n", "output": "1\\n"}]                            the same without the key
    {"prompt": CODE, "test": CODE, "entry_point": "f"}             HumanEval: `test` defines check(candidate)
    {"test_list": ["assert f(2) == 4"], "test_imports": [], "test_setup_code": ""}                  MBPP

If a function's inputs and outputs are text, as in LiveCodeBench, the text is JSON, one argument per line. A row of
such a data set can be used unchanged. In addition to the tests there may be:

    "time_limit_s"   wall-clock limit for all tests together, 4 by default; `verify.timeout_s` must be above it
    "memory_mib"     1024 by default
    "tolerance"      allowed difference between numbers: absolute, relative for numbers above 1
    "checker"        source of `check(input, output, expected)`, which must return True, for problems with many answers
    "setup"          source that is placed before the program
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from filters.sandbox.program import Limits

DEFAULT = Limits()
LEAST_MEMORY_MIB = 64  # the interpreter alone takes half of this
FORMS = ("inputs", "tests", "test_list", "test")
SETTINGS = ("time_limit_s", "memory_mib", "tolerance", "checker", "setup")
FORM_KEYS = (*FORMS, "outputs", "fn_name", "entry_point", "test_imports", "test_setup_code", "prompt")
# Keys of the data sets' rows that do not affect the tests.
IGNORED = ("task_id", "canonical_solution", "code", "source_file", "text", "challenge_test_list", "metadata")


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
    prelude: str = ""  # source before the program, and before the tests
    entry_point: str | None = None
    tolerance: float = 0.0
    checker: str | None = None


def read_reference(text: str, default: Limits = DEFAULT) -> Reference:
    """Return the tests; raise ValueError naming the key and what is accepted."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the reference is not JSON: {error}") from None
    if isinstance(data, list):
        data = {"tests": data}
    if not isinstance(data, dict):
        raise ValueError(f"the reference is a {type(data).__name__}; it must be an object or a list of tests")
    check_keys(data)
    settings = {"limits": limits_of(data, default), "tolerance": number(data, "tolerance", 0.0)}
    settings |= {"checker": source(data, "checker") or None, "prelude": source(data, "setup")}
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
    return Reference(**settings, tests="\n".join(line for part in parts for line in part))


def human_eval(data: Mapping[str, Any], settings: dict[str, Any]) -> Reference:
    """Return the reference of a HumanEval row: a function `check` and the name it is called with."""
    settings["prelude"] += source(data, "prompt")
    entry_point = source(data, "entry_point") or None
    return Reference(**settings, tests=source(data, "test"), entry_point=entry_point)


def cases_of(data: Mapping[str, Any], settings: dict[str, Any]) -> Reference:
    """Return the reference made of inputs and outputs."""
    function = source(data, "fn_name") or None
    pairs = list(paired(data))
    if not pairs:
        raise ValueError("the reference has no tests")
    if function is None:
        for pair in pairs:
            if not all(isinstance(side, str) for side in pair):
                raise ValueError(f"the test {pair!r:.80} is not text; a function's tests need fn_name")
        return Reference(**settings, cases=tuple(Case(*pair) for pair in pairs))
    return Reference(**settings, function=function, cases=tuple(Case(*values(*pair)) for pair in pairs))


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
            return [json.loads(line) for line in given.splitlines() if line.strip()], json.loads(expected)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the test {given!r:.80} is text and must be JSON, one argument a line: {error}") from None
    if not isinstance(given, list):
        raise ValueError(f"the test {given!r:.80} must be a list of arguments")
    return given, expected
