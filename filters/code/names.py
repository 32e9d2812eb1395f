"""Names that a piece of Python defines and needs, read from its syntax tree without running it."""

import ast
import builtins
import re
import textwrap
import warnings
from dataclasses import dataclass

DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
BUILTINS = frozenset(dir(builtins))
DEFINED = re.compile(r"\b(?:def|class)\s+(\w+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of source: its names, and whether it is Python at all."""

    valid: bool
    defined: frozenset[str]  # globals and methods
    lacking: frozenset[str] = frozenset()  # read, but bound nowhere in it
    is_library: bool = False  # it only defines and imports, so that running it before another piece does nothing


def piece_of(source: str) -> Piece:
    """Return what is known of a piece of source, indented or not."""
    tree = parsed(textwrap.dedent(source))
    if tree is None:
        return Piece(False, frozenset(DEFINED.findall(source)))
    return Piece(True, frozenset(top_level(tree) | methods(tree)), frozenset(missing(tree)), is_library(tree))


def parsed(source: str) -> ast.Module | None:
    """Return the syntax tree; None if the source is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as an invalid escape sequence
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def top_level(tree: ast.Module) -> set[str]:
    """Return the names that the module binds outside functions, conditional ones included."""
    return {name for node in tree.body for name in bound_by(node)}


def bound_by(node: ast.AST) -> set[str]:
    """Return the names that a statement binds in its own scope."""
    if isinstance(node, DEFINITIONS):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.Lambda):
        return set()
    return {name for child in ast.iter_child_nodes(node) for name in bound_by(child)}


def methods(tree: ast.Module) -> set[str]:
    """Return the names of the methods of the module's classes."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {name for each in classes for node in each.body for name in bound_by(node)}


def missing(tree: ast.Module) -> set[str]:
    """Return the names that the module reads and never binds anywhere, builtins left out."""
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            read.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        else:
            bound |= bound_by(node) if isinstance(node, DEFINITIONS | ast.Import | ast.ImportFrom | ast.Name) else set()
    return read - bound - BUILTINS


def is_library(tree: ast.Module) -> bool:
    """Return whether the module only defines and imports, so that running it before another does nothing."""
    plain = DEFINITIONS | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    return all(isinstance(node, plain) or is_docstring(node) for node in tree.body)


def is_docstring(node: ast.stmt) -> bool:
    """Return whether a statement is a constant alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
