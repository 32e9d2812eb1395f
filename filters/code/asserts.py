"""Parsing of assert blocks simple enough to be judged without running them: `assert f(1, [2]) == (3, 4)` and the like.

The program is then only called, and its values are compared here, which takes half the work of running the block in a
second sandbox. A block that contains anything else is left to `filters.sandbox.testing`, with the same verdict.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from filters.sandbox.values import decode


@dataclass(frozen=True, slots=True)
class PlainAssert:
    """One call and the value required of it: equal to `expected`, or true or false if `expected` is None."""

    name: str
    arguments: list[Any]
    expected: tuple[Any] | None
    negated: bool  # `assert not ...`, or `!=`
    source: str

    def holds(self, data: Any) -> bool:
        """Return whether the encoded value is right; raise ValueError or TypeError if it is not a builtin value."""
        value = decode(data)
        right = bool(value) if self.expected is None else bool(value == self.expected[0])
        return right != self.negated


def plain_asserts(tests: str, entry_point: str | None) -> list[PlainAssert] | None:
    """Return the asserts in order; None if the block does anything that PlainAssert cannot express."""
    try:
        body = ast.parse(tests).body
        if entry_point is not None:
            body, candidate = check_body(body)
            return [read_assert(node, {candidate, entry_point}, entry_point) for node in asserts(body)]
        return [read_assert(node, None, "") for node in asserts(body)]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def check_body(body: list[ast.stmt]) -> tuple[list[ast.stmt], str]:
    """Return the statements of HumanEval's `check` and the name of its parameter; nothing else may run next to it."""
    others = [node for node in body if not isinstance(node, ast.FunctionDef)]
    checks = [node for node in body if isinstance(node, ast.FunctionDef)]
    if len(checks) != 1 or checks[0].name != "check" or len(checks[0].args.args) != 1:
        raise ValueError("it is more than one function `check(candidate)`")
    for node in others:
        if not isinstance(node, ast.Assign):
            raise ValueError("it does more than note metadata")
        ast.literal_eval(node.value)
    return checks[0].body, checks[0].args.args[0].arg


def asserts(body: list[ast.stmt]) -> Iterator[ast.Assert]:
    """Yield the asserts that can fail; raise ValueError for any other statement."""
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if not isinstance(node, ast.Assert):
            raise ValueError("it is no assert")
        if not (isinstance(node.test, ast.Constant) and node.test.value):
            yield node


def read_assert(node: ast.Assert, names: set[str] | None, entry_point: str) -> PlainAssert:
    """Return one assert; raise ValueError if it is not plain."""
    if node.msg is not None and not is_text(node.msg):
        raise ValueError("its message is none")  # `assert f(1), 3`
    test, negated, expected = node.test, False, None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, True
    elif isinstance(test, ast.Compare):
        if len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.NotEq):
            raise ValueError("it is no plain comparison")
        negated = isinstance(test.ops[0], ast.NotEq)
        expected = (ast.literal_eval(test.comparators[0]),)
        test = test.left
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name) or test.keywords:
        raise ValueError("it is no plain call")
    name = test.func.id
    if names is not None and name not in names:
        raise ValueError("it calls something else")
    arguments = [ast.literal_eval(argument) for argument in test.args]
    return PlainAssert(entry_point or name, arguments, expected, negated, ast.unparse(node))


def is_text(message: ast.expr) -> bool:
    """Return whether a message is text, literal or formatted."""
    return isinstance(message, ast.JoinedStr) or isinstance(getattr(message, "value", None), str)
