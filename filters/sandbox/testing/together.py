"""Running of tests in the program's own process, for tests that act on it, such as those that patch a module.

The program is one that `filters.code.ways_out` admits, with the guards' checks built in; a trespass ends the run
without a verdict. A pass counts only with the owner's secret, which the program has no way to read, so that nothing
that it writes to the replies is a pass.
"""

import asyncio
import os
import sys
import unittest.mock
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from filters.sandbox.testing.faults import MESSAGE_CHARS, TESTS, frames, is_theirs
from filters.sandbox.testing.guards import GUARDS, guarded, trespasses
from filters.sandbox.testing.runner import SOLUTION, TestFailed, compile_prelude, run, verdict_on

PRELOADED = (asyncio, unittest.mock)  # before the program runs


@dataclass
class Here:
    """The program in this process: there is no telling when the tests use it."""

    asked: bool = True
    named: frozenset[str] = frozenset()
    broken: str | None = None


def run_together(job: dict[str, Any], file: str) -> dict[str, Any]:
    """Return {"passed": true, "secret": text}, or else as `run_tests` does, or {"trespass": what}."""
    me, secret = os.getpid(), job.pop("secret")
    tests = job["tests"]
    try:
        codes = compile_prelude(job["prelude"]), compile(tests, TESTS, "exec")
    except (SyntaxError, ValueError) as error:
        return {"invalid": f"{type(error).__name__}: {error}"}
    verdict = judged(codes, job, file)
    if os.getpid() != me:  # a fork of the program's that went on into the tests
        os._exit(1)
    if trespasses:
        return {"trespass": trespasses[0]}
    return verdict | ({"secret": secret} if verdict.get("passed") else {})


def judged(codes: Any, job: dict[str, Any], file: str) -> dict[str, Any]:
    """Return the verdict on the program, which is loaded first."""
    program = ModuleType(SOLUTION)
    vars(program).update(GUARDS)
    sys.modules[SOLUTION] = sys.modules["__main__"] = program
    try:
        exec(guarded(job["source"], file), vars(program))
    except BaseException as error:
        return {"failure": f"{type(error).__name__}: {error}".rstrip(": ")}
    own = {name: value for name, value in vars(program).items() if not name.startswith("__")}
    try:
        run(codes, job | {"source": job["tests"]}, program, Here())
    except BaseException as stopped:
        raised = stopped.error if isinstance(stopped, TestFailed) else stopped
        by_program = any(True for _ in frames(raised.__traceback__, file))
        if by_program or (isinstance(raised, SystemExit) and not is_theirs(raised, job["tests"], own)):
            return {"failure": f"{type(raised).__name__}: {raised}"[:MESSAGE_CHARS].rstrip(": ")}
        return verdict_on(raised, job["tests"], own, asked=True) or {"passed": True}
    return {"passed": True}
