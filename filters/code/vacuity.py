"""Programs that compute nothing, and the search for tests that accept them.

A program that returns one fixed value may be right: a function may return None, and tests of a predicate may all want a
true value. No right result is both nothing and a text, both false and true, or zero, one and minus one at once.
"""

import ast
import re
from collections.abc import Callable

from filters.code.names import parsed

TEXT, SOME, TRUE = "'no result'", "['no result']", "True"
FIXED = {  # values that are right together for no task, and what tests name that ask only for their kind; "" is any
    (TEXT, "None"): "",
    (TEXT, "0"): "",
    (TEXT, "''"): "",
    ("0", "1", "-1"): "",
    ("False", TRUE): r"\b(?:bool|True|False)\b",
    ("0.0", "0.5", "-0.5"): r"\b(?:float|Number|Real)\b",
    ("[]", SOME): r"\b(?:[lL]ist|Sequence|Iterable)\b|\[\]",
    ("()", "('no result',)"): r"\b[tT]uple\b|\(\)",
    ("{}", "{'no result': 0}"): r"\b(?:[dD]ict|Mapping)\b|\{\}",
    ("set()", "{0}"): r"\b[sS]et\b",
}
NOTHING = TEXT
FUNCTION = "def {name}(*arguments, **named):\n    return {value}"
CLASS = "class {name}:\n    def __init__(self, *arguments, **named): pass\n"
CLASS += "    def __getattr__(self, name):\n        return lambda *arguments, **named: {value}"
IS_MESSAGE = "isinstance(({message}), (str, bool, type(None)))"


def nothing(asked: frozenset[str], value: str) -> str:
    """Return a program that has every name the tests ask for and computes nothing: it returns one value."""
    forms = [(CLASS if name[:1].isupper() else FUNCTION).format(name=name, value=value) for name in sorted(asked)]
    return "\n".join(forms) or "pass"


def say_nothing(tests: str, accept: Callable[[str], bool]) -> bool:
    """Return whether tests accept programs that compute nothing; `accept`: whether they do for one fixed value."""
    known: dict[str, bool] = {}

    def accepted(value: str) -> bool:
        if value not in known:
            known[value] = accept(value)
        return known[value]

    for values, kind in FIXED.items():
        if re.search(kind, tests) and all(map(accepted, values)):
            return True
    return accepted(TEXT) and accepted(SOME) and not accepted(TRUE)  # anything that has a length


def with_messages_judged(tests: str, asked: frozenset[str]) -> str:
    """Return tests in which a message that is no text makes an assertion of a bare result pass.

    Who writes `assertTrue(f(1), 3)` or `assert f(1), 3` means `assertEqual`; as it stands, every true value passes.
    """
    tree = parsed(tests)
    return tests if tree is None else ast.unparse(Messages(asked).visit(tree))


class Messages(ast.NodeTransformer):
    """The rewriting of the assertions of bare results that have a message."""

    def __init__(self, asked: frozenset[str]) -> None:
        self.asked = asked

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Rewrite `assert result, message`."""
        if node.msg is not None and self.is_result(node.test):
            node.test = unless_message(node.test, node.msg)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite `assertTrue(result, message)`."""
        self.generic_visit(node)
        name = getattr(node.func, "attr", "")
        if name in ("assertTrue", "assert_") and len(node.args) == 2 and self.is_result(node.args[0]):
            node.args[0] = unless_message(*node.args)
        return node

    def is_result(self, node: ast.expr) -> bool:
        """Return whether an expression is a variable, or a call of the program's."""
        if isinstance(node, ast.Call):
            named = {each.id for each in ast.walk(node.func) if isinstance(each, ast.Name)}
            return not named.isdisjoint(self.asked)
        return isinstance(node, ast.Name)


def unless_message(result: ast.expr, message: ast.expr) -> ast.expr:
    """Return an expression that is also true if the message is none."""
    is_message = IS_MESSAGE.format(message=ast.unparse(message))
    return ast.parse(f"({ast.unparse(result)}) or not {is_message}", mode="eval").body
