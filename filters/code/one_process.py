"""A look at tests for what they do to their process, and for packages that they import.

Tests that patch a module, capture output, prepare files, seed a generator or derive from the program's class act on the
process that the program runs in, and say nothing of a program that runs in another.
"""

import ast
import sys
from collections.abc import Iterator

from filters.code.names import parsed

ACTING = frozenset(  # modules with which tests act on their process
    (
        *("os", "tempfile", "shutil", "pathlib", "io", "sys", "sqlite3", "logging", "random", "subprocess", "asyncio"),
        *("threading", "contextlib", "inspect", "warnings", "zipfile", "socket", "signal", "mock", "builtins", "glob"),
        *("csv", "functools", "dataclasses", "enum", "typing", "abc", "copy", "types", "time", "queue", "concurrent"),
    )
)
# A file, the start of what may have no end, and an exit that ends no process of its own.
HERE_ALONE = frozenset({"open", "next", "islice", "takewhile", "SystemExit"})
FIXTURES = frozenset({"capsys", "capfd", "caplog", "monkeypatch", "tmp_path", "tmpdir", "recwarn"})


def act_on_process(tests: str, asked: frozenset[str]) -> str | None:
    """Return what tests do that needs the program in their own process, such as "`patch`"; None if they do not.

    `asked`: the program's names that they use.
    """
    tree = parsed(tests)
    if tree is None:
        return None
    return next(acts(tree, asked), None)


def acts(tree: ast.Module, asked: frozenset[str]) -> Iterator[str]:
    """Yield the acts of tests on their process."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    plain = called | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"`import {alias.name}`" for alias in node.names if is_acting(alias.name))
        elif isinstance(node, ast.ImportFrom) and is_acting(node.module or ""):
            yield f"`from {node.module} import`"
        elif isinstance(node, ast.arg) and node.arg in FIXTURES:
            yield f"the fixture `{node.arg}`"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield "`async`"
        elif (name := getattr(node, "id", getattr(node, "attr", ""))) in HERE_ALONE:
            yield f"`{name}`"
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "solution" and id(node) not in called:
            yield f"`solution.{node.attr}`"
        elif isinstance(node, ast.withitem) and asked.intersection(names_read(node.context_expr)):
            yield "`with`"
        elif isinstance(node, ast.Name) and node.id in asked and isinstance(node.ctx, ast.Load):
            yield from [f"`{node.id}` as a value or a class"] * (id(node) not in plain or node.id[:1].isupper())


def names_read(node: ast.expr) -> set[str]:
    """Return the names within an expression."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def is_acting(module: str) -> bool:
    """Return whether tests act on their process with a module."""
    return module.partition(".")[0] in ACTING or module == "unittest.mock"


def imports_beyond(tests: str) -> set[str]:
    """Return the packages outside the standard library that tests import."""
    tree = parsed(tests)
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"pytest", "solution"}
