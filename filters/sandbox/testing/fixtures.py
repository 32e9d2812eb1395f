"""The fixtures of pytest: those that tests define, and the usual built-in ones."""

import asyncio
import contextlib
import inspect
import io
import itertools
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from filters.sandbox.testing.proxies import Unsupported

MISSING = object()
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `pytest.fixture`."""

    name: str
    scope: str
    autouse: bool
    params: tuple[Any, ...]


def fixture(
    function: Function | None = None,
    *,
    scope: str = "function",
    params: Any = None,
    autouse: bool = False,
    ids: Any = None,
    name: str | None = None,
) -> Any:
    """Mark a function as the source of the parameter of its name."""

    def decorate(made: Any) -> Any:
        plain: Any = made.__func__ if isinstance(made, staticmethod | classmethod) else made
        plain.fixture = Settings(name or plain.__name__, scope, autouse, tuple(params or ()))
        return made

    return decorate if function is None else decorate(function)


class Fixtures:
    """The values of fixtures during one test."""

    wide: dict[str, Any] = {}  # noqa: RUF012 (shared by all tests: values of fixtures of a wider scope than a function)

    def __init__(self, makers: Mapping[str, Function], chosen: Mapping[str, Any], here: bool) -> None:
        self.makers, self.chosen, self.here = makers, chosen, here
        self.values: dict[str, Any] = {}
        self.stack = contextlib.ExitStack()

    def value(self, name: str) -> Any:
        """Return the value of a fixture, itself made from others."""
        for known in (self.values, self.wide):
            if name in known:
                return known[name]
        maker = self.makers.get(name)
        if maker is None:
            value = self.built_in(name)
        else:
            value = self.made(name, maker)
            if maker.fixture.scope != "function":  # type: ignore[attr-defined]
                self.wide[name] = value
        self.values[name] = value
        return value

    def made(self, name: str, maker: Function) -> Any:
        """Call a fixture's function; a generator's first value counts, and the rest of it runs after the test."""
        others = {other: self.value(other) for other in inspect.signature(maker).parameters if other != "request"}
        if "request" in inspect.signature(maker).parameters:
            others["request"] = SimpleNamespace(
                param=self.chosen.get(name), getfixturevalue=self.value, addfinalizer=self.stack.callback
            )
        value = maker(**others)
        if inspect.iscoroutine(value):
            return asyncio.run(value)
        if not inspect.isgenerator(value):
            return value
        self.stack.callback(next, value, None)
        return next(value)

    def built_in(self, name: str) -> Any:
        """Return the value of a fixture of pytest's own; only in the program's process do most of them say anything."""
        make = BUILT_IN.get(name)
        if make is None or not (self.here or name in ("tmp_path", "tmpdir")):
            raise Unsupported(f"the tests use the fixture {name!r}, which is not here")
        return self.stack.enter_context(make())


def makers_of(namespace: Mapping[str, Any], instance: Any) -> dict[str, Function]:
    """Return the fixtures by name: the module's, then those of the test's class."""
    found = {}
    names = [name for name in dir(type(instance)) if is_fixture(getattr(type(instance), name, None))]
    for value in (*namespace.values(), *(getattr(instance, name) for name in names)):
        if is_fixture(value):
            found[value.fixture.name] = value
    return found


def is_fixture(value: Any) -> bool:
    """Return whether a value of the tests is the function of a fixture; the program's objects are not asked."""
    return inspect.isroutine(value) and isinstance(getattr(value, "fixture", None), Settings)


def run_function(function: Function, namespace: Mapping[str, Any], here: bool, instance: Any = None) -> None:
    """Run a test function, once for each of its sets of parameters and each parameter of its fixtures."""
    makers = makers_of(namespace, instance)
    wanted = parameters_of(function)
    for sets in itertools.product(*parameter_sets(function)):
        given = {name: value for each in sets for name, value in each.items()}
        needed = [name for name in wanted if name not in given]
        for chosen in choices(needed, makers):
            fixtures = Fixtures(makers, chosen, here)
            with fixtures.stack:
                for name in (*getattr(function, "fixtures_used", ()), *automatic(makers)):
                    fixtures.value(name)
                returned = function(**given, **{name: fixtures.value(name) for name in needed})
                if inspect.iscoroutine(returned):
                    asyncio.run(returned)


def parameters_of(function: Function) -> list[str]:
    """Return the names of the parameters of a test function that no `patch` around it gives."""
    names = list(inspect.signature(function).parameters)
    patches = getattr(function, "patchings", ())
    by_place = sum(patch.attribute_name is None and patch.new is mock.DEFAULT for patch in patches)
    by_name = {each.attribute_name for patch in patches for each in (patch, *patch.additional_patchers)}
    return [name for name in names[by_place:] if name not in by_name]


def parameter_sets(function: Function) -> list[list[dict[str, Any]]]:
    """Return the sets of parameters of a test function and of its class."""
    owner = getattr(function, "__self__", None)
    return [*getattr(function, "parameter_sets", ()), *getattr(type(owner), "parameter_sets", ())]


def automatic(makers: Mapping[str, Any]) -> list[str]:
    """Return the fixtures that every test uses."""
    return [name for name, maker in makers.items() if maker.fixture.autouse]


def choices(names: list[str], makers: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one parameter for each of the fixtures, used directly or through others, that have parameters."""
    used, found = [*names, *automatic(makers)], dict[str, tuple[Any, ...]]()
    for name in used:
        if name in makers and name not in found:
            found[name] = makers[name].fixture.params
            used += inspect.signature(makers[name]).parameters
    with_params = {name: params for name, params in found.items() if params}
    for picked in itertools.product(*with_params.values()):
        yield dict(zip(with_params, picked, strict=True))


class Written(NamedTuple):
    """The text that was written to the standard streams."""

    out: str
    err: str


class Capture:
    """`capsys`: the standard streams as text."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()

    def readouterr(self) -> Written:
        """Return what was written since the last call."""
        said = Written(self.out.getvalue(), self.err.getvalue())
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return said

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """Write to the streams themselves for a while."""
        with contextlib.redirect_stdout(sys.__stdout__), contextlib.redirect_stderr(sys.__stderr__):
            yield


@contextlib.contextmanager
def captured() -> Iterator[Capture]:
    """Capture the standard streams."""
    capture = Capture()
    with contextlib.redirect_stdout(capture.out), contextlib.redirect_stderr(capture.err):
        yield capture


class MonkeyPatch:
    """`monkeypatch`: changes that are undone after the test."""

    def __init__(self) -> None:
        self.undoing = contextlib.ExitStack()

    def setattr(self, target: Any, name: Any, value: Any = MISSING, raising: bool = True) -> None:
        """Set an attribute of an object, or of the one that a dotted name leads to."""
        if value is MISSING:
            path, _, attribute = target.rpartition(".")
            target, name, value = found_at(path), attribute, name
        before = vars(target).get(name, MISSING) if inspect.isclass(target) else getattr(target, name, MISSING)
        if not hasattr(target, name) and raising:
            raise AttributeError(f"{target!r} has no attribute {name!r}")
        self.undoing.callback(restore, target, name, before)
        setattr(target, name, value)

    def delattr(self, target: Any, name: Any = MISSING, raising: bool = True) -> None:
        """Delete an attribute."""
        if name is MISSING:
            path, _, name = target.rpartition(".")
            target = found_at(path)
        if hasattr(target, name) or raising:
            self.undoing.callback(setattr, target, name, getattr(target, name))
            delattr(target, name)

    def setitem(self, mapping: MutableMapping[Any, Any], name: Any, value: Any) -> None:
        """Set an item of a mapping."""
        self.undoing.callback(restore_item, mapping, name, mapping.get(name, MISSING))
        mapping[name] = value

    def delitem(self, mapping: MutableMapping[Any, Any], name: Any, raising: bool = True) -> None:
        """Delete an item of a mapping."""
        if name in mapping or raising:
            self.undoing.callback(restore_item, mapping, name, mapping.get(name, MISSING))
            del mapping[name]

    def setenv(self, name: str, value: Any, prepend: str | None = None) -> None:
        """Set an environment variable."""
        before = os.environ.get(name)
        self.setitem(os.environ, name, f"{value}{prepend}{before}" if prepend and before else str(value))

    def delenv(self, name: str, raising: bool = True) -> None:
        """Delete an environment variable."""
        self.delitem(os.environ, name, raising)

    def chdir(self, folder: Any) -> None:
        """Change the working folder."""
        self.undoing.callback(os.chdir, os.getcwd())
        os.chdir(folder)

    def undo(self) -> None:
        """Undo all changes."""
        self.undoing.close()

    @contextlib.contextmanager
    def context(self) -> Iterator["MonkeyPatch"]:
        """Patch for a while."""
        with patching() as patch:
            yield patch


def restore(target: Any, name: str, before: Any) -> None:
    """Set an attribute as it was."""
    if before is MISSING:
        delattr(target, name)
    else:
        setattr(target, name, before)


def restore_item(mapping: MutableMapping[Any, Any], name: Any, before: Any) -> None:
    """Set an item as it was."""
    if before is MISSING:
        mapping.pop(name, None)
    else:
        mapping[name] = before


def found_at(path: str) -> Any:
    """Return the module, class or object of a dotted name."""
    __import__(path.partition(".")[0])
    found: Any = sys.modules[path.partition(".")[0]]
    for place, name in enumerate(path.split(".")[1:], 2):
        if not hasattr(found, name):
            __import__(".".join(path.split(".")[:place]))
        found = getattr(found, name)
    return found


@contextlib.contextmanager
def patching() -> Iterator[MonkeyPatch]:
    """Undo changes at the end."""
    patch = MonkeyPatch()
    try:
        yield patch
    finally:
        patch.undo()


class Folder(type(Path())):  # type: ignore[misc]
    """`tmpdir`: a folder with the methods of `py.path`."""

    @property
    def strpath(self) -> str:
        """The path as text."""
        return str(self)

    def join(self, *names: str) -> "Folder":
        """Return a path within."""
        return Folder(self.joinpath(*names))

    def write(self, text: str) -> None:
        """Write a file."""
        self.write_text(text)

    def read(self) -> str:
        """Read a file."""
        return str(self.read_text())


class Log(logging.Handler):
    """`caplog`: the records that were logged."""

    def __init__(self) -> None:
        super().__init__(0)
        self.clear()

    def clear(self) -> None:
        """Forget the records."""
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        """The messages of the records."""
        return [record.getMessage() for record in self.records]

    @property
    def text(self) -> str:
        """The records as lines."""
        return "".join(f"{record.levelname} {record.name} {record.getMessage()}\n" for record in self.records)

    @property
    def record_tuples(self) -> list[tuple[str, int, str]]:
        """The logger, level and message of each record."""
        return [(record.name, record.levelno, record.getMessage()) for record in self.records]

    def set_level(self, level: Any, logger: str | None = None) -> None:
        """Set the level of a logger."""
        logging.getLogger(logger).setLevel(level)

    @contextlib.contextmanager
    def at_level(self, level: Any, logger: str | None = None) -> Iterator[None]:
        """Set the level of a logger for a while."""
        target = logging.getLogger(logger)
        before = target.level
        target.setLevel(level)
        try:
            yield
        finally:
            target.setLevel(before)


@contextlib.contextmanager
def logged() -> Iterator[Log]:
    """Note what is logged."""
    log, root = Log(), logging.getLogger()
    root.addHandler(log)
    try:
        yield log
    finally:
        root.removeHandler(log)


BUILT_IN: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "capsys": captured,
    "capfd": captured,
    "caplog": logged,
    "monkeypatch": patching,
    "tmp_path": lambda: contextlib.nullcontext(Path(tempfile.mkdtemp())),
    "tmpdir": lambda: contextlib.nullcontext(Folder(tempfile.mkdtemp())),
}
