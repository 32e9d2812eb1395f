"""The tests' side of an assert block: proxies for the program's names, which forward each use to the program.

The test code runs in its own process in its own sandbox. The expected values, the comparisons and the verdict are all
there, and the program can influence them only through the values it returns. The tests compare builtin objects made
here from JSON, so an object that equals everything, a patched `json`, or an exit does not pass.
"""

import builtins
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from filters.sandbox.values import decode, encode

STOPS = (StopIteration, StopAsyncIteration)
EXITS = ("SystemExit", "KeyboardInterrupt", "GeneratorExit")


class ProgramGone(BaseException):
    """The program ended or broke the protocol; a BaseException, so that no `except Exception` of tests swallows it."""


class Unsupported(TypeError):
    """The tests use something that proxies cannot forward; the program is not at fault."""


class Line:
    """The connection to the program: one request, one reply."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self.requests, self.replies = requests, replies
        self.asked = False  # whether the tests have reached the program
        self.named: frozenset[str] = frozenset()  # the names that the tests use
        self.broken: str | None = None

    def receive(self) -> dict[str, Any]:
        """Return the next reply; raise ProgramGone if there is none or it is malformed."""
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
        """Return the reply to a request; an exception that the program raised is raised here."""
        self.asked |= "truth" not in request  # `assert f` says nothing of f
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
        """Return a value sent by the program; raise ProgramGone if it cannot be decoded."""
        try:
            return decode(data, self.proxy)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self.broken = f"its reply is no value: {error}"
            raise ProgramGone(self.broken) from error

    def proxy(self, data: dict[str, Any]) -> "Proxy":
        """Return the proxy for an object that the program keeps."""
        number, kind, own = data["object"]
        return Proxy(self, int(number), str(kind), [str(name) for name in own])


class Proxy:
    """A proxy for an object of the program. It equals only itself: the program's own idea of equality is not asked."""

    def __init__(self, line: Line, number: int, kind: str, own: list[str]) -> None:
        self._line, self._number, self._kind, self._own = line, number, kind, own

    def __repr__(self) -> str:
        return f"<an object of the program's, of type {self._kind}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and other._number == self._number

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
        """Apply to our containers the changes that the call made to the program's copies."""
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

    def _check(self, name: str) -> None:
        """Raise TypeError unless the tests know that a class of the program's own stands in for a builtin one."""
        if self._own and not self._line.named.intersection(self._own):
            raise TypeError(f"{self!r} is not what the tests ask for; its {name} is not called")

    def _special(self, name: str, *arguments: Any) -> Any:
        self._check(name)
        try:
            method = self._line.ask({"get": self._number, "name": name})
        except AttributeError as error:
            raise TypeError(str(error)) from None  # the error of any object without the method
        return self._line.value(method.get("value"))(*arguments)

    def __bool__(self) -> bool:
        return bool(self._line.value(self._line.ask({"truth": self._number}).get("value")))

    def __iter__(self) -> Iterator[Any]:
        self._check("__iter__")
        return iter(self._line.value(self._line.ask({"items": self._number}).get("value")))

    def __len__(self) -> int:
        length: int = self._special("__len__")
        return length

    def __getitem__(self, key: Any) -> Any:
        return self._special("__getitem__", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._special("__setitem__", key, value)

    def __contains__(self, item: Any) -> bool:
        return bool(self._special("__contains__", item))

    def __str__(self) -> str:
        return str(self._special("__str__"))


def kept(value: Any) -> Any:
    """Encode a proxy as a reference to the program's object."""
    if isinstance(value, Proxy):
        return {"object": [value._number, value._kind, value._own]}
    raise Unsupported(f"the tests pass a {type(value).__name__} to the program, which is not a plain value")


def exception(name: str, message: str) -> Exception:
    """Return the builtin exception of that name, else a RuntimeError that names it.

    StopIteration would end a loop of the tests as if all were well.
    """
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, STOPS):
        try:
            return kind(message)
        except TypeError:  # UnicodeDecodeError wants five arguments
            pass
    return RuntimeError(f"{name}: {message}")
