"""Running of a reference's test code against the program at the other end of a line, and the verdict on it.

Statements run as they are written. Of a module of tests, `check(candidate)` is called with the entry point; without it
the test functions and the classes of tests run, as pytest and unittest run them, whose modules the tests may use.
Tests that never reach the program prove nothing about it, and an exception of their own is not its fault: both make
the tests invalid.
"""

import ast
import builtins
import contextlib
import importlib
import inspect
import linecache
import sys
import unittest
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NoReturn, Protocol

from filters.sandbox.testing import pytest_names
from filters.sandbox.testing.faults import TESTS, describe, is_own_fault
from filters.sandbox.testing.fixtures import run_function
from filters.sandbox.testing.proxies import Line, ProgramGone, Proxy, Unsupported

SOLUTION = "solution"  # the module from which tests may import the program's names


class Connection(Protocol):
    """The connection to the program: a `Line` to another process, or its own process."""

    asked: bool
    named: frozenset[str]
    broken: str | None


class TestFailed(BaseException):
    """The first failure of a class of unittest, raised through unittest, which would go on after it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Names(dict[str, Any]):
    """The tests' globals; they note that a plain value of the program was read, which reaches it without a request."""

    def __init__(self, names: dict[str, Any], line: Connection) -> None:
        super().__init__(names)
        self.line = line
        self.plain = {name for name, value in names.items() if not isinstance(value, Proxy)}

    def __getitem__(self, name: str) -> Any:
        if name in self.plain:
            self.line.asked = True
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.plain.discard(name)
        super().__setitem__(name, value)


def run_tests(job: dict[str, Any], line: Line) -> dict[str, Any]:
    """Return {"passed": true}, {"failure": reason}, or {"invalid": reason} if the tests themselves are at fault."""
    tests = job["source"]
    try:
        codes = compile_prelude(job["prelude"]), compile(tests, TESTS, "exec")
    except (SyntaxError, ValueError) as error:
        return {"invalid": f"{type(error).__name__}: {error}"}
    own: dict[str, Any] = {}
    try:
        loaded = line.receive()
        if "error" in loaded:
            return {"failure": f"{loaded['error']}: {loaded.get('message', '')}".rstrip(": ")}
        own = {str(name): line.value(data) for name, data in loaded.get("names", ())}
        solution = ModuleType(SOLUTION)
        vars(solution).update(own)
        run(codes, job, solution, line)
    except BaseException as error:
        if found := verdict_on(error, tests, own, line.asked):
            return found
    return outcome(line)


def outcome(line: Connection) -> dict[str, Any]:
    """Return the verdict on tests that ended without an exception."""
    if line.broken:
        return {"failure": f"the program: {line.broken}"}
    return {"passed": True} if line.asked else {"invalid": "they never reach the program, so every program passes them"}


def verdict_on(error: BaseException, tests: str, own: dict[str, Any], asked: bool) -> dict[str, Any] | None:
    """Return the verdict on an exception of the tests; None for the exit of tests that say that they passed.

    `asked`: whether the tests had reached the program, whose fault nothing else can be but a name that it lacks.
    """
    error = error.error if isinstance(error, TestFailed) else error
    linecache.cache[TESTS] = len(tests), None, tests.splitlines(keepends=True), TESTS
    if isinstance(error, SystemExit) and not error.code:
        return None
    if isinstance(error, ProgramGone):
        return {"failure": f"the program: {error}"}
    invalid = isinstance(error, Unsupported) or is_own_fault(error, tests, own)
    invalid |= not asked and not isinstance(error, ImportError | NameError | AttributeError)
    return {"invalid" if invalid else "failure": describe(error)}


def compile_prelude(source: str) -> CodeType:
    """Compile the prelude; a prompt may end with a function's first line, whose body the program was to write."""
    try:
        return compile(source, "prelude.py", "exec")
    except SyntaxError:
        return compile(f"{source}\n    pass\n", "prelude.py", "exec")


def run(codes: tuple[CodeType, CodeType], job: dict[str, Any], solution: ModuleType, line: Connection) -> None:
    """Run the test code over the program's names, or over proxies for them; an exception is a failure.

    The program cannot replace what the tests rely on. Functions defined by the prelude are kept, except for the tested
    one, and so are builtins, unless the tests ask the program for nothing but names of builtins.
    """
    (prelude, tests), entry_point = codes, job["entry_point"]
    line.named = frozenset((*names_in(prelude), *names_in(tests)))
    names = {name: value for name, value in vars(solution).items() if not name.startswith("__")}
    if entry_point is not None and entry_point not in names:
        raise NameError(f"name {entry_point!r} is not defined")
    own = {name: value for name, value in names.items() if not hasattr(builtins, name)}
    asks = entry_point is not None or own.keys() & line.named
    namespace = Names(own if asks else names, line)
    namespace["__name__"] = "tests"
    furnish(namespace, solution)
    for name in library_modules(job["source"], own):
        namespace[name] = importlib.import_module(name)
    exec(prelude, namespace)
    if entry_point is not None:
        namespace[entry_point] = namespace["candidate"] = names[entry_point]
    exec(tests, namespace)
    check = namespace.get("check")
    if entry_point is not None and callable(check) and check is not names.get("check"):
        check(names[entry_point])
    elif job["discover"]:
        run_discovered(namespace, here=not isinstance(line, Line))


def library_modules(tests: str, own: dict[str, Any]) -> set[str]:
    """Return the program's names that the tests use as modules of the standard library, which it must not replace."""
    nodes = list(ast.walk(ast.parse(tests)))
    used = [node.id for node in nodes if isinstance(node, ast.Name) and node.id in own]
    held = [node.value.id for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return {name for name in used if name in sys.stdlib_module_names and used.count(name) == held.count(name)}


def names_in(code: CodeType) -> Iterator[str]:
    """Yield the names that code and the functions within it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


class TestsModule(ModuleType):
    """The tests' globals as their module; a change of a name that the program has is a change of the program's too."""

    def __init__(self, namespace: Names, solution: ModuleType) -> None:
        super().__init__("tests")
        vars(self).update(_namespace=namespace, _solution=solution)

    def __getattr__(self, name: str) -> Any:
        return attribute(self._namespace, name)

    def __dir__(self) -> list[str]:
        return list(self._namespace)

    def __setattr__(self, name: str, value: Any) -> None:
        self._namespace[name] = value
        if name in vars(self._solution):
            setattr(self._solution, name, value)

    def __delattr__(self, name: str) -> None:
        del self._namespace[name]


def furnish(namespace: Names, solution: ModuleType) -> None:
    """Make the tests' globals their main module, the program a module, and stop unittest at a failure."""
    module = TestsModule(namespace, solution)
    sys.modules |= {SOLUTION: solution, "tests": module, "__main__": module}
    pytest_names.install()
    for name, stop in STOPS.items():
        setattr(unittest.TestResult, name, stop)


def attribute(namespace: Names, name: str) -> Any:
    """Return one of the tests' globals as an attribute of their module, which unittest searches: no use of a value."""
    if name not in namespace:
        raise AttributeError(name)
    return namespace.get(name)


def stop_at(error: BaseException) -> NoReturn:
    """Raise a failure past unittest, once."""
    raise error if isinstance(error, TestFailed) else TestFailed(error)


STOPS: dict[str, Callable[..., Any]] = {  # how each report of a failure to unittest ends the tests
    "addError": lambda result, test, failure: stop_at(failure[1]),
    "addFailure": lambda result, test, failure: stop_at(failure[1]),
    "addSubTest": lambda result, test, subtest, failure: failure and stop_at(failure[1]),
}


def run_discovered(namespace: Names, here: bool) -> None:
    """Run the test functions and the classes of tests, in the order in which the tests define them."""
    run_hook(namespace.get("setup_module"), None)
    for name, value in list(namespace.items()):
        if isinstance(value, type) and value.__module__ == "tests":
            if getattr(value, "left_out", False):
                continue
            if issubclass(value, unittest.TestCase):
                unittest.defaultTestLoader.loadTestsFromTestCase(value).run(unittest.TestResult())
            elif name.startswith("Test"):
                run_class(value, namespace, here)
        elif name.startswith("test") and is_of_tests(value):
            run_hook(namespace.get("setup_function"), value)
            run_test(value, namespace, here)
            run_hook(namespace.get("teardown_function"), value)


def is_of_tests(value: object) -> bool:
    """Return whether a value is a function that the tests define, with decorators or without."""
    code = inspect.unwrap(value).__code__ if isinstance(value, FunctionType) else None
    return code is not None and code.co_filename == TESTS


def run_hook(hook: Any, argument: Any) -> None:
    """Call a function that prepares a test, or cleans up after it, if the tests have it."""
    if isinstance(hook, FunctionType | MethodType):
        hook(*[argument] * len(inspect.signature(hook).parameters))


def run_class(tests: type, namespace: Names, here: bool) -> None:
    """Run the test methods of a class of pytest, each on an object of its own."""
    for name in dict.fromkeys(name for kind in reversed(tests.__mro__) for name in vars(kind)):
        if name.startswith("Test") and isinstance(inner := getattr(tests, name), type):
            run_class(inner, namespace, here)
        if not name.startswith("test"):
            continue
        instance = tests()
        for hook in ("setup_class", "setup_method", "setUp"):
            run_hook(getattr(instance, hook, None), None)
        run_test(getattr(instance, name), namespace, here, instance)
        for hook in ("teardown_method", "tearDown"):
            run_hook(getattr(instance, hook, None), None)


def run_test(function: Callable[..., Any], namespace: Names, here: bool, instance: Any = None) -> None:
    """Run a test function unless it is left out."""
    if not getattr(function, "left_out", False):
        with contextlib.suppress(unittest.SkipTest):
            run_function(function, namespace, here, instance)
