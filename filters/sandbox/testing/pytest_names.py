"""The names of pytest that tests of functions use, which run in the sandbox instead of pytest itself."""

import contextlib
import importlib
import re
import sys
import unittest
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from filters.sandbox.testing.fixtures import fixture

RELATIVE, ABSOLUTE = 1e-6, 1e-12
Function = Callable[..., Any]


class Failed(AssertionError):
    """The failure that `pytest.fail` and `pytest.raises` report."""


class Raised:
    """The exception that a `with pytest.raises(...)` block caught."""

    value: BaseException
    type: type[BaseException]

    def match(self, pattern: str) -> bool:
        """Return True if the pattern is found in the exception's text; raise AssertionError if not."""
        if not re.search(pattern, str(self.value)):
            raise Failed(f"{pattern!r} is not in {str(self.value)!r}")
        return True


@contextlib.contextmanager
def raises_block(expected: Any, match: str | None) -> Iterator[Raised]:
    """Fail unless the block raises one of the expected exceptions."""
    raised = Raised()
    try:
        yield raised
    except expected as error:
        raised.value, raised.type = error, type(error)
    else:
        raise Failed(f"did not raise {expected}")
    if match is not None:
        raised.match(match)


def raises(
    expected: Any, function: Function | None = None, *arguments: Any, match: str | None = None, **keywords: Any
) -> Any:
    """Return a block that must raise an exception, or call a function that must."""
    block = raises_block(expected, match)
    if function is None:
        return block
    with block as raised:
        function(*arguments, **keywords)
    return raised


class Approx:
    """A number, or numbers in a sequence or mapping, that equal others within a tolerance."""

    def __init__(self, expected: Any, rel: float | None, abs: float | None) -> None:
        self.expected, self.rel, self.abs = expected, rel, abs

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def __eq__(self, actual: object) -> bool:
        expected = self.expected
        if isinstance(expected, Mapping):
            return (
                isinstance(actual, Mapping)
                and expected.keys() == actual.keys()
                and self.all_close([(actual[key], expected[key]) for key in expected])
            )
        if isinstance(expected, Sequence) and not isinstance(expected, str):
            return (
                isinstance(actual, Sequence)
                and len(actual) == len(expected)
                and self.all_close(list(zip(actual, expected, strict=True)))
            )
        return self.is_close(actual, expected)

    def all_close(self, pairs: list[tuple[Any, Any]]) -> bool:
        """Return whether every pair is close."""
        return all(self.is_close(actual, expected) for actual, expected in pairs)

    def is_close(self, actual: Any, expected: Any) -> bool:
        """Return whether two values are equal, or numbers within the larger of both tolerances."""
        if actual == expected:
            return True
        if not all(isinstance(value, int | float | complex) for value in (actual, expected)):
            return False
        absolute = ABSOLUTE if self.abs is None else self.abs
        relative = (RELATIVE if self.abs is None else 0.0) if self.rel is None else self.rel
        return bool(abs(actual - expected) <= max(absolute, relative * abs(expected)))


def approx(expected: Any, rel: float | None = None, abs: float | None = None, nan_ok: bool = False) -> Approx:
    """Return a value that equals others within a tolerance."""
    return Approx(expected, rel, abs)


def fail(reason: str = "", pytrace: bool = True) -> None:
    """Fail the test."""
    raise Failed(reason)


class Marks:
    """`pytest.mark`: `parametrize` counts, and the marks of tests that do not count; every other changes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **keywords: arguments[0] if arguments and callable(arguments[0]) else unchanged

    def skip(self, *arguments: Any, **keywords: Any) -> Any:
        """Leave a test out."""
        return left_out(arguments[0]) if arguments and callable(arguments[0]) else left_out

    xfail = skip  # it may fail, so it says nothing

    def skipif(self, *conditions: Any, reason: str = "") -> Callable[[Any], Any]:
        """Leave a test out if a condition is true."""
        return left_out if any(conditions) else unchanged

    def usefixtures(self, *names: str) -> Callable[[Any], Any]:
        """Make a test use fixtures that it does not name."""

        def decorate(function: Any) -> Any:
            function.fixtures_used = names
            return function

        return decorate

    def parametrize(self, names: str | Sequence[str], values: Any, **keywords: Any) -> Callable[[Function], Function]:
        """Return a decorator that gives a test function sets of arguments."""
        split = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        sets = [dict(zip(split, value if len(split) > 1 else [value], strict=True)) for value in map(unpacked, values)]

        def decorate(function: Function) -> Function:
            function.parameter_sets = [*vars(function).get("parameter_sets", ()), sets]  # type: ignore[attr-defined]
            return function

        return decorate


def left_out(tests: Any) -> Any:
    """Note that a test function or class is not run."""
    tests.left_out = True
    return tests


def unchanged(function: Function) -> Function:
    """Return what is decorated."""
    return function


class Parameters(tuple[Any, ...]):
    """The arguments of `pytest.param`."""


def param(*values: Any, id: str | None = None, marks: Any = ()) -> Parameters:
    """Return one set of arguments."""
    return Parameters(values)


def unpacked(value: Any) -> Any:
    """Return the value of a set of arguments; that of one argument is the argument itself."""
    return value[0] if isinstance(value, Parameters) and len(value) == 1 else value


@contextlib.contextmanager
def warns(expected: Any = Warning, *, match: str | None = None) -> Iterator[list[warnings.WarningMessage]]:
    """Fail unless the block warns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
    said = [str(each.message) for each in caught if issubclass(each.category, expected)]
    if not any(match is None or re.search(match, text) for text in said):
        raise Failed(f"did not warn {expected}" + (f" with {match!r}" if match else ""))


def skip(reason: str = "", **keywords: Any) -> NoReturn:
    """End the test without a verdict."""
    raise unittest.SkipTest(reason)


def importorskip(name: str, *arguments: Any, **keywords: Any) -> Any:
    """Return a module; without it, the tests cannot judge."""
    return importlib.import_module(name)


def install() -> None:
    """Make `import pytest` find these names, as the runner knows these alone."""
    module = ModuleType("pytest")
    vars(module).update(raises=raises, approx=approx, fail=fail, mark=Marks(), param=param, fixture=fixture)
    vars(module).update(warns=warns, deprecated_call=warns, skip=skip, xfail=skip, importorskip=importorskip)
    vars(module).update(main=lambda *arguments, **keywords: 0)
    sys.modules["pytest"] = module
