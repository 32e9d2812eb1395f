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


# Attributes of mocks, which note what the program does.
OF_MOCKS = frozenset(
    (
        *("called", "call_count", "call_args", "call_args_list", "mock_calls", "method_calls", "return_value"),
        *("side_effect", "reset_mock", "configure_mock", "attach_mock", "mock_add_spec", "await_count", "await_args"),
        *("await_args_list", "__dict__", "__setattr__", "__class__", "setattr", "delattr", "vars"),
    )
)


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
    """Return whether tests act on their process with a module, or may pass objects of its package to the program."""
    return module.partition(".")[0] in ACTING or module == "unittest.mock" or is_beyond(module)


def is_beyond(module: str) -> bool:
    """Return whether a module is a package's outside the standard library."""
    root = module.partition(".")[0]
    return root not in sys.stdlib_module_names and root not in ("", "pytest", "solution")


def imports_beyond(tests: str) -> set[str]:
    """Return the packages outside the standard library that tests import."""
    tree = parsed(tests)
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return set(filter(is_beyond, found))


def acts_on_mocks(program: str, tests: str) -> str | None:
    """Return the attribute by which a program could change the mocks of its tests; None if there is none."""
    tree = parsed(program) if "mock" in tests.casefold() or "patch" in tests else None
    named = [getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)] if tree else []
    return next((f"`{name}`" for name in named if name in OF_MOCKS or name.startswith("_mock_")), None)
