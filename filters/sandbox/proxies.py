"""The tests' side of an assert block: the program's names, each a stand-in that passes its uses on to the program.

The test code runs in a process of its own, in a sandbox of its own: the expected values, the comparisons and the
verdict are there, and the program has no way to it but the values it gives back. What the tests compare are builtin
objects made here from JSON, so an object that equals everything, a patched `json`, or an exit passes nothing.
"""

import builtins
import json
import linecache
import traceback
from collections.abc import Iterator
from types import CodeType
from typing import Any, BinaryIO

from filters.sandbox.values import decode, encode

TESTS = "tests.py"
MESSAGE_CHARS = 300
EXITS = ("SystemExit", "KeyboardInterrupt", "GeneratorExit")


class ProgramGone(BaseException):
    """The program ended or broke off; no `except Exception` of the tests may swallow it."""


class Unsupported(TypeError):
    """The tests do what stand-ins cannot pass on; the program is not to blame."""


class Line:
    """The line to the program: one request, one reply."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self.requests, self.replies = requests, replies
        self.broken: str | None = None

    def receive(self) -> dict[str, Any]:
        """The next reply; ProgramGone when there is none or it is not one."""
        if self.broken is None:
            try:
                line = self.replies.readline()
                reply = json.loads(line) if line.endswith(b"\n") else None
                if isinstance(reply, dict):
                    return reply
                self.broken = "it ended before the tests did"
            except (OSError, ValueError, RecursionError):
                self.broken = "its reply could not be read"
        raise ProgramGone(self.broken)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply; an exception that the program raised is raised here."""
        line = json.dumps(request).encode() + b"\n"
        try:
            self.requests.write(line)
            self.requests.flush()
        except OSError:
            self.broken = self.broken or "it ended before the tests did"
        reply = self.receive()
        if reply.get("error") in EXITS:
            self.broken = f"it raised {reply['error']}"
            raise ProgramGone(self.broken)
        if "error" in reply:
            raise exception(str(reply["error"]), str(reply.get("message", "")))
        return reply

    def value(self, data: Any) -> Any:
        """A value of the program's; ProgramGone where it sent what is none."""
        try:
            return decode(data, self.stand_in)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self.broken = f"its reply is no value: {error}"
            raise ProgramGone(self.broken) from error

    def stand_in(self, data: dict[str, Any]) -> "StandIn":
        """The stand-in for an object that the program keeps."""
        number, kind = data["object"]
        return StandIn(self, int(number), str(kind))


class StandIn:
    """An object of the program's. Equal to itself alone: what it would say of equality is not asked."""

    def __init__(self, line: Line, number: int, kind: str) -> None:
        self._line, self._number, self._kind = line, number, kind

    def __repr__(self) -> str:
        return f"<an object of the program's, of type {self._kind}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StandIn) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        changes = any(isinstance(argument, list | dict | set) for argument in arguments)
        request = {"call": self._number, "arguments": encode(list(arguments), kept), "changes": changes}
        reply = self._line.ask(request | ({"keywords": encode(keywords, kept)} if keywords else {}))
        if changes:
            self._take_changes(arguments, self._line.value(reply.get("arguments")))
        return self._line.value(reply.get("value"))

    def _take_changes(self, arguments: tuple[Any, ...], after: Any) -> None:
        """Do to our containers what the call did to the program's copies of them."""
        for mine, theirs in zip(arguments, after if isinstance(after, list) else (), strict=False):
            if isinstance(mine, list) and isinstance(theirs, list):
                mine[:] = theirs
            elif isinstance(mine, dict | set) and type(mine) is type(theirs):
                mine.clear()
                mine.update(theirs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._line.value(self._line.ask({"get": self._number, "name": name}).get("value"))

    def _special(self, name: str, *arguments: Any) -> Any:
        try:
            method = self._line.ask({"get": self._number, "name": name})
        except AttributeError as error:
            raise TypeError(str(error)) from None  # as for any object without it
        return self._line.value(method.get("value"))(*arguments)

    def __bool__(self) -> bool:
        return bool(self._line.value(self._line.ask({"truth": self._number}).get("value")))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._line.value(self._line.ask({"items": self._number}).get("value")))

    def __len__(self) -> int:
        return self._special("__len__")

    def __getitem__(self, key: Any) -> Any:
        return self._special("__getitem__", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._special("__setitem__", key, value)

    def __contains__(self, item: Any) -> bool:
        return bool(self._special("__contains__", item))

    def __str__(self) -> str:
        return str(self._special("__str__"))


def kept(value: Any) -> Any:
    """How a stand-in goes back to the program that it stands for."""
    if isinstance(value, StandIn):
        return {"object": [value._number, value._kind]}
    raise Unsupported(f"the tests pass a {type(value).__name__} to the program, which is not a plain value")


def exception(name: str, message: str) -> Exception:
    """The builtin exception of that name, else a RuntimeError that says it."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # UnicodeDecodeError wants five arguments
            pass
    return RuntimeError(f"{name}: {message}")


def run_tests(prelude: str, tests: str, entry_point: str | None, line: Line) -> dict[str, Any]:
    """{"passed": true}, or {"failure": why}, or {"invalid": why} where the tests are at fault, not the program."""
    linecache.cache[TESTS] = len(tests), None, tests.splitlines(keepends=True), TESTS
    try:
        codes = compile_prelude(prelude), compile(tests, TESTS, "exec")
    except SyntaxError as error:
        return {"invalid": f"SyntaxError: {error}"}
    try:
        loaded = line.receive()
        if "error" in loaded:
            return {"failure": f"{loaded['error']}: {loaded.get('message', '')}".rstrip(": ")}
        names = {str(name): line.value(data) for name, data in loaded.get("names", ())}
        if entry_point is not None and entry_point not in names:
            return {"failure": f"NameError: name {entry_point!r} is not defined"}
        judge(codes, entry_point, names)
    except ProgramGone as gone:
        return {"failure": f"the program: {gone}"}
    except Unsupported as error:
        return {"invalid": describe(error)}
    except BaseException as error:
        return {"failure": describe(error)}
    return {"failure": f"the program: {line.broken}"} if line.broken else {"passed": True}


def compile_prelude(source: str) -> CodeType:
    """The prelude; a prompt may end with a function's first line, whose body was the program's to write."""
    try:
        return compile(source, "prelude.py", "exec")
    except SyntaxError:
        return compile(f"{source}\n    pass\n", "prelude.py", "exec")


def judge(codes: tuple[CodeType, CodeType], entry_point: str | None, names: dict[str, Any]) -> None:
    """Run the test code over the stand-ins; what it raises is the verdict.

    The program cannot replace what the tests stand on: the functions that the prelude brings along stay, but for
    the one that is tested, and so do builtins, unless a builtin's name is all that the tests ask of the program.
    """
    prelude, tests = codes
    own = {name: value for name, value in names.items() if not hasattr(builtins, name)}
    namespace = own if entry_point is not None or own.keys() & set(tests.co_names) else dict(names)
    namespace["__name__"] = "tests"
    exec(prelude, namespace)
    if entry_point is not None:
        namespace[entry_point] = namespace["candidate"] = names[entry_point]
    exec(tests, namespace)
    if entry_point is not None and callable(check := namespace.get("check")) and not isinstance(check, StandIn):
        check(names[entry_point])


def describe(error: BaseException) -> str:
    """The exception, and the line of the tests that it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TESTS]
    where = f" at line {frames[-1].lineno} of the tests: {frames[-1].line}" if frames else ""
    return f"{type(error).__name__}: {error}"[:MESSAGE_CHARS].rstrip(": ") + where[:MESSAGE_CHARS]
