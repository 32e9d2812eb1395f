"""Checks built into a program that shares its process with its tests, for what its text alone does not show.

The program's syntax tree is rewritten before it runs: what it sets attributes of, or reads private attributes of, must
be its own; text that it formats names no special attribute; and its classes compare only with its own objects, so that
one that claims to equal everything equals nothing that the tests expect. `filters.code.ways_out` looks at the rest.
"""

import ast
import enum
import functools
import random
import re
import sys
import unittest
from collections.abc import Callable
from types import ModuleType
from typing import Any

SOLUTION, TESTS = "solution", "tests"
COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
ARITHMETIC = tuple(
    f"__{side}{name}__"
    for side in ("", "r")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or", "xor")
)
NUMBERS = (int, float, complex, str, bytes)
SPECIAL_FIELD = re.compile(r"\{[^{}]*(?:\.|\[)_")
STREAMS = ("stdout", "stderr", "stdin")
PUBLIC_SPECIAL = ("__name__", "__doc__", "__qualname__")
INNER = ("sys", "types", "traceback", "timeit", "inspect", "pickle")  # modules of which few names are admitted
SHUFFLE = random.SystemRandom().shuffle
trespasses: list[str] = []
made_honest: list[type] = []


class Trespass(BaseException):
    """An attempt at something that is not the program's own; no `except Exception` swallows it."""

    def __init__(self, what: str) -> None:
        trespasses.append(what)
        super().__init__(what)


def owned(value: Any) -> Any:
    """Return an object whose attributes the program may set: no module, and no class of a library."""
    kind = type(value)
    if issubclass(kind, ModuleType):
        raise Trespass(f"the module {value!r}")
    if issubclass(kind, type):
        of_tests = value.__module__ == TESTS and not issubclass(value, unittest.TestCase)
        if value.__module__ != SOLUTION and not of_tests:
            raise Trespass(f"the class {value!r}")
    return value


def formatted(value: Any) -> Any:
    """Return text whose format reads no private attribute; any other object as it is."""
    if isinstance(value, str) and SPECIAL_FIELD.search(value):
        raise Trespass(f"the format {str.__str__(value)[:40]!r}")
    return str.__str__(value) if isinstance(value, str) else value


def honest(kind: Any) -> Any:
    """Return a class of the program whose comparisons and arithmetic say nothing of values that are not its own."""
    if isinstance(kind, type) and kind not in made_honest:
        made_honest.append(kind)
        if of_package := next((base for base in kind.__mro__[1:] if is_of_package(base)), None):
            raise Trespass(f"a class that extends {of_package!r}")
        methods = dict(vars(kind))
        for name in (*COMPARISONS, *ARITHMETIC, "__contains__"):
            if methods.get(name) is not None:
                type.__setattr__(kind, name, reserved(methods[name], name))
        if issubclass(kind, enum.Enum) and "__init_subclass__" not in methods:  # `Kind("Name", {...})` makes another
            type.__setattr__(kind, "__init_subclass__", classmethod(lambda made, **keywords: honest(made)))
    return kind


def is_of_package(kind: type) -> bool:
    """Return whether a class is a package's, such as an array, whose methods the package calls to compare it."""
    root = str(kind.__module__).partition(".")[0]
    return root not in sys.stdlib_module_names and root not in (SOLUTION, TESTS)


def type_of(value: Any) -> Any:
    """Return an object's class; that of a class could make one of any kind."""
    if isinstance(value, type):
        raise Trespass(f"the type of {value!r}")
    return type(value)


def reserved(method: Any, name: str) -> Callable[[Any, Any], Any]:
    """Return a method that answers only for objects of the program's classes, or (arithmetic) with one of them."""
    compares = name in COMPARISONS

    def answer(self: Any, other: Any, *rest: Any) -> Any:
        own = is_own(other)
        if name == "__contains__":
            bound = method.__get__(self, type(self))
            return bool(bound(other)) and not claims(bound, object())
        if compares and not own:
            return equal_to_one(method.__get__(self, type(self)), other) if name == "__eq__" else NotImplemented
        bound = method.__get__(self, type(self))
        said = bound(other, *rest)
        if said is NotImplemented or (not own and isinstance(said, NUMBERS)):
            return NotImplemented
        return bool(said) and (name == "__ne__" or not claims(bound, object())) if compares else said

    return functools.update_wrapper(answer, method, updated=()) if callable(method) else answer


def equal_to_one(comparison: Callable[[Any], Any], value: Any) -> Any:
    """Return whether an object equals a plain value and none of its neighbors, asked in an order unknown to it."""
    asked = [value, *(each for each in neighbors(value) if each != value)]  # adding 1 changes no float of 1e20
    if len(asked) == 1:
        return NotImplemented
    SHUFFLE(asked)
    equal = [each for each in asked if claims(comparison, each)]
    return True if len(equal) == 1 and equal[0] is value else NotImplemented


def neighbors(value: Any) -> list[Any]:
    """Return other values of a plain value's kind; none if it is no plain value."""
    kind = type(value)
    if kind is int or kind is float:
        return [value + step for step in (1, -1, 2, 10, -7)] + [value * 3 + 5]
    if kind is str:
        return [f"{value}{more}" for more in ("a", "0", " b", "1")] + [f"x{value}"]
    if kind is list or kind is tuple:
        return [kind((*value, more)) for more in (0, 1, None, "a")] + (
            [value[1:], value[:-1]] if len(value) > 1 else []
        )
    if kind is dict:
        return [{**value, more: more} for more in (None, "", -1, "a")]
    if kind is set or kind is frozenset:
        return [kind((*value, more)) for more in (None, "", -1.5, "a")]
    return []


def claims(comparison: Callable[[Any], Any], stranger: object) -> bool:
    """Return whether an object says of a stranger what it says of its own kind, as one that equals everything does."""
    try:
        return comparison(stranger) is True
    except Exception:  # it looks at the other's attributes
        return False


def is_own(value: Any) -> bool:
    """Return whether a value is an object of a class that the program defines."""
    return any(kind.__module__ == SOLUTION for kind in type(value).__mro__)


def checked_name(value: Any, name: Any) -> str:
    """Return an attribute's name, if it may be read."""
    text = str.__str__(name) if isinstance(name, str) else ""
    if (text.startswith("__") and text not in PUBLIC_SPECIAL) or "frame" in text or text[:2] in ("f_", "tb_"):
        raise Trespass(f"the attribute {text!r}")
    if text.startswith("_"):
        owned(value)
    return text


def get(value: Any, name: Any, *default: Any) -> Any:
    """Stand in for `getattr`; of a module it reads no module, which its library has imported."""
    found = getattr(value, checked_name(value, name), *default)
    maker = isinstance(found, type) and issubclass(found, type | enum.Enum)
    if isinstance(value, ModuleType) and (maker or isinstance(found, ModuleType) or value.__name__ in INNER):
        raise Trespass(f"`{value.__name__}.{name}`")
    return found


def put(value: Any, name: Any, item: Any) -> None:
    """Stand in for `setattr`."""
    text = checked_name(value, name)
    if text.startswith("__"):
        raise Trespass(f"the attribute {text!r}")
    setattr(owned(value), text, item)


def drop(value: Any, name: Any) -> None:
    """Stand in for `delattr`."""
    delattr(owned(value), checked_name(value, name))


GUARDS: dict[str, Any] = {
    **{"__getattr_guard__": get, "__setattr_guard__": put, "__delattr_guard__": drop},
    **{"__type_of__": type_of, "__owned__": owned, "__honest__": honest, "__formatted__": formatted},
}
GUARDED_NAMES = ("getattr", "setattr", "delattr")


class Guarding(ast.NodeTransformer):
    """A rewriting of a program that asks the guards."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Ask whose object it is before an attribute is set, or a private one is read."""
        self.generic_visit(node)
        stream = isinstance(node.value, ast.Name) and node.value.id == "sys" and node.attr in STREAMS
        private = node.attr.startswith("_") and not (node.attr.startswith("__") and node.attr != "__dict__")
        if (private or not isinstance(node.ctx, ast.Load)) and not stream:
            node.value = asking("__owned__", node.value)
        elif node.attr == "__class__":
            return asking("__type_of__", node.value)
        elif node.attr in ("format", "format_map"):
            node.value = asking("__formatted__", node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Ask for the type of what is no class, and make a class honest that a metaclass makes."""
        makes = isinstance(node.func, ast.Attribute) and node.func.attr == "__new__"
        if isinstance(node.func, ast.Name) and node.func.id == "type" and len(node.args) == 1:
            node.func.id = "__type_of__"
        self.generic_visit(node)
        return asking("__honest__", node) if makes else node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.MatchValue:
        """Leave a constant of a pattern as it is: no call may stand there."""
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Replace the functions that set and read attributes by name."""
        if node.id in GUARDED_NAMES:
            node.id = f"__{node.id}_guard__"
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """Make the class honest once its other decorators have worked on it."""
        self.generic_visit(node)
        node.decorator_list.insert(0, ast.copy_location(ast.Name("__honest__", ast.Load()), node))
        return node


def asking(guard: str, value: ast.expr) -> ast.Call:
    """Return a call of a guard with an expression."""
    name = ast.copy_location(ast.Name(guard, ast.Load()), value)
    return ast.copy_location(ast.Call(name, [value], []), value)


def guarded(source: str, file: str) -> Any:
    """Return the compiled program with its checks."""
    tree = ast.fix_missing_locations(Guarding().visit(ast.parse(source, file)))
    return compile(tree, file, "exec", dont_inherit=True)
