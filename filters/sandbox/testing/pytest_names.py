"""The names of pytest that tests of functions use, for a sandbox that does not have pytest itself."""

import contextlib
import importlib.util
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

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
    """`pytest.mark`: `parametrize` counts, every other mark changes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **keywords: arguments[0] if arguments and callable(arguments[0]) else unchanged

    def parametrize(self, names: str | Sequence[str], values: Any, **keywords: Any) -> Callable[[Function], Function]:
        """Return a decorator that gives a test function sets of arguments."""
        split = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        sets = [dict(zip(split, value if len(split) > 1 else [value], strict=True)) for value in map(unpacked, values)]

        def decorate(function: Function) -> Function:
            function.__dict__.setdefault("parameter_sets", []).append(sets)
            return function

        return decorate


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


FIXTURES: dict[str, Function] = {}


def fixture(function: Function | None = None, **keywords: Any) -> Any:
    """Note a function as the source of the parameter of its name."""
    if function is None:
        return lambda decorated: fixture(decorated)
    FIXTURES[function.__name__] = function
    return function


def arguments_of(function: Function) -> Iterator[dict[str, Any]]:
    """Yield the keyword arguments of each call of a test function."""
    for sets in itertools.product(*getattr(function, "parameter_sets", [])):
        arguments = {name: value for each in sets for name, value in each.items()}
        for name in inspect.signature(function).parameters:
            if name not in arguments and name in FIXTURES:
                arguments[name] = fixture_value(name)
        yield arguments


def fixture_value(name: str) -> Any:
    """Return the value of a fixture, itself made from others; a generator's first value."""
    function = FIXTURES[name]
    value = function(**{other: fixture_value(other) for other in inspect.signature(function).parameters})
    return next(value) if inspect.isgenerator(value) else value


def install() -> None:
    """Make `import pytest` work, unless pytest is there."""
    if importlib.util.find_spec("pytest") is None:
        module = ModuleType("pytest")
        vars(module).update(raises=raises, approx=approx, fail=fail, mark=Marks(), param=param, fixture=fixture)
        sys.modules["pytest"] = module
