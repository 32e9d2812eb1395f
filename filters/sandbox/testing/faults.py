"""Telling a fault of the tests from a failure of the program that they test.

An exception is the tests' own if no expression on its way through them contains anything that may come from the
program: `f(1 / 0)` fails at `1 / 0`, an import at the import. An assertion and a `raise` are verdicts, not faults, but
for a `raise` that no condition stands before.
"""

import ast
import builtins
import traceback
from collections.abc import Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

TESTS = "tests.py"
PRELUDE = "prelude.py"
MESSAGE_CHARS = 300
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
CONDITIONS = (
    *(ast.If, ast.IfExp, ast.BoolOp, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
Span = tuple[int, int, int, int]  # first line and column, last line and column


def is_own_fault(error: BaseException, tests: str, own: dict[str, Any]) -> bool:
    """Return whether the tests raised the exception by themselves; `own`: the program's names."""
    if not isinstance(error, Exception) or isinstance(error, AssertionError):
        return False
    if isinstance(error, ImportError) and error.name == "solution":
        return False  # it lacks a name that the tests import
    return is_theirs(error, tests, own)


def is_theirs(error: BaseException, tests: str, own: dict[str, Any]) -> bool:
    """Return whether nothing of the program's is in what the tests were evaluating."""
    steps = list(frames(error.__traceback__, TESTS))
    if not steps:
        return any(True for _ in frames(error.__traceback__, PRELUDE))
    tree = ast.parse(tests)
    spans = [span_of(step) for step in steps]
    if None in spans:
        return False
    if is_raise(tree, spans[-1]):
        return all(is_certain(tree, span) for span in spans if span is not None)
    return not any(
        may_be_programs(name, step.tb_frame, own)
        for step, span in zip(steps, spans, strict=True)
        for name in names_within(tree, span)
    )


def frames(trace: TracebackType | None, file: str) -> Iterator[TracebackType]:
    """Yield the steps of a traceback in a file."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            yield trace
        trace = trace.tb_next


def span_of(step: TracebackType) -> Span | None:
    """Return where the expression that a step was evaluating stands; None if the interpreter does not know."""
    positions = list(step.tb_frame.f_code.co_positions())
    line, last_line, column, last_column = positions[step.tb_lasti // 2]
    if line is None or last_line is None or column is None or last_column is None:
        return None
    return line, column, last_line, last_column


def within(node: ast.AST, span: Span) -> bool:
    """Return whether a node lies within a span."""
    place = node.lineno, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
    return bool(place[:2] >= span[:2] and place[2:] <= span[2:])


def names_within(tree: ast.Module, span: Span | None) -> set[str]:
    """Return the names that the code of a span reads."""
    assert span is not None
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and within(node, span)}


def is_raise(tree: ast.Module, span: Span | None) -> bool:
    """Return whether the code of a span is a `raise` statement."""
    assert span is not None
    return any(isinstance(node, ast.Raise) and within(node, span) for node in ast.walk(tree))


def is_certain(tree: ast.Module, span: Span) -> bool:
    """Return whether the code of a span runs in every run of its function, whatever the program returns."""
    around = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS) and encloses(node, span)]
    function = around[-1] if around else tree  # the innermost: an outer node is walked first
    inner = [node for node in ast.walk(function) if node is not function]
    if any(isinstance(node, CONDITIONS) and encloses(node, span) for node in inner):
        return False
    return not any(isinstance(node, ast.Return) for node in inner)


def encloses(node: ast.AST, span: Span) -> bool:
    """Return whether a span lies within a node."""
    line, column, last_line, last_column = span
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return bool(start <= (line, column) and (last_line, last_column) <= end)


def may_be_programs(name: str, frame: FrameType, own: dict[str, Any]) -> bool:
    """Return whether a name's value may come from the program: all but modules, functions and classes of the tests."""
    if name in own and name not in frame.f_locals:
        return True
    if name not in frame.f_locals and name not in frame.f_globals:
        return not hasattr(builtins, name)  # a name that nobody defines was the program's to define
    value = frame.f_locals.get(name, frame.f_globals.get(name))
    plain = isinstance(value, ModuleType | FunctionType | BuiltinFunctionType | type)
    return not plain or "solution" in (getattr(value, "__name__", None), getattr(value, "__module__", None))


def describe(error: BaseException) -> str:
    """Return the exception and the line of the tests that raised it."""
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename == TESTS]
    where = f" at line {steps[-1].lineno} of the tests: {steps[-1].line}" if steps else ""
    return f"{type(error).__name__}: {error}"[:MESSAGE_CHARS].rstrip(": ") + where[:MESSAGE_CHARS]
