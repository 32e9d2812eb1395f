"""The program's side of function tests and assert blocks, an RPC server: requests in, values out, one JSON line each.

    {"call": TARGET, "arguments": VALUE, "keywords": VALUE}     call it
    {"get": TARGET, "name": NAME}                               get an attribute
    {"truth": TARGET}, {"items": TARGET}                        bool() of it; the items of iterating over it

An object that is no plain value is {"object": [NUMBER, TYPE, TYPES]}; TYPES are the program's own among its types.

A target is a name in the program (`f`, or `Solution.method` for a method of a new object) or the number of an object
that it returned before. A reply is {"value": VALUE, "arguments": VALUE} (the arguments as the call left them) or
{"error": TYPE, "message": TEXT}. The first reply answers no request: {"names": VALUE} or {} once the program has
loaded.

It runs in the program's own process, so every reply is only the program's claim: a claim about a value is all that can
be forged here.
"""

import json
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from types import ModuleType
from typing import Any, BinaryIO

from filters.sandbox.values import MOST_ITEMS, decode, encode

MESSAGE_CHARS = 300


class Server:
    """A server of requests to one program."""

    def __init__(self, replies: BinaryIO) -> None:
        self.replies = replies
        self.objects: list[Any] = []
        self.module = ModuleType("solution")

    def keep(self, value: Any) -> dict[str, Any]:
        """Return a number that represents an object that is not a plain value."""
        self.objects.append(value)
        kinds = [kind.__name__ for kind in type(value).__mro__ if kind.__module__ == self.module.__name__]
        return {"object": [len(self.objects) - 1, type(value).__name__, kinds]}

    def load(self, execute: Callable[[dict[str, Any]], None], tell_names: bool) -> bool:
        """Import the program; send its names if asked for, or why it failed. Return whether it loaded."""
        sys.modules["solution"] = self.module
        reply = self.attempt(lambda: execute(vars(self.module)))
        if "error" not in reply and tell_names:
            names = {name: value for name, value in vars(self.module).items() if not name.startswith("__")}
            reply = self.attempt(lambda: {"names": [[name, self.listed(value)] for name, value in names.items()]})
        self.say(reply)
        return "error" not in reply

    def listed(self, value: Any) -> Any:
        """Encode a global's value; iterators and values that cannot be encoded stay in this process."""
        try:
            return self.keep(value) if hasattr(type(value), "__next__") else encode(value, self.keep)
        except Exception:
            return self.keep(value)

    def serve(self, requests: Iterable[bytes]) -> None:
        """Answer until the requests end."""
        for line in requests:
            request = json.loads(line)
            self.say(self.attempt(lambda request=request: self.answer(request)))  # type: ignore[misc]

    def attempt(self, action: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Return the action's reply, or its exception as a reply; a program that exits has not answered."""
        try:
            return action() or {}
        except BaseException as error:
            try:
                message = str(error)[:MESSAGE_CHARS]
            except BaseException:
                message = ""
            return {"error": type(error).__name__, "message": message}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the requested value, encoded."""
        if "get" in request:
            return {"value": encode(getattr(self.target(request["get"]), request["name"]), self.keep)}
        if "truth" in request:
            return {"value": bool(self.target(request["truth"]))}
        if "items" in request:
            return {"value": encode(list(islice(self.target(request["items"]), MOST_ITEMS)), self.keep)}
        arguments = decode(request["arguments"], self.given)
        keywords = decode(request.get("keywords", {"dict": []}), self.given)
        value = self.target(request["call"])(*arguments, **keywords)
        reply = {"value": encode(value, self.keep)}
        if request.get("changes"):
            reply["arguments"] = encode(arguments, self.keep)
        return reply

    def given(self, data: dict[str, Any]) -> Any:
        """Return an object that was sent out and comes back."""
        return self.objects[data["object"][0]]

    def target(self, name: str | int) -> Any:
        """Return the object that a request names."""
        if isinstance(name, int):
            return self.objects[name]
        namespace = vars(self.module)
        if name in namespace:
            return namespace[name]
        if "." not in name and isinstance(namespace.get("Solution"), type):
            return getattr(namespace["Solution"](), name)
        holder, dot, attribute = name.partition(".")
        if not dot or holder not in namespace:
            raise NameError(f"name {name!r} is not defined")
        return getattr(namespace[holder](), attribute)

    def say(self, reply: dict[str, Any]) -> None:
        """Write one line at once."""
        try:
            line = DUMPS(reply)
        except (RecursionError, ValueError, TypeError) as error:
            line = DUMPS({"error": type(error).__name__, "message": str(error)[:MESSAGE_CHARS]})
        self.replies.write(line.encode() + b"\n")
        self.replies.flush()


DUMPS = json.dumps  # bound before the program can replace it, which would only harm itself


def request_line(target: str, arguments: list[Any]) -> bytes:
    """Return the request for a call, made by the side that holds the inputs."""
    return json.dumps({"call": target, "arguments": encode(arguments)}).encode() + b"\n"
