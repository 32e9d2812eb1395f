"""The sandbox of this machine: as strong as its kernel allows, at a few milliseconds per program.

    with LocalSandbox() as sandbox:
        result = sandbox.run(Program("print(int(input()) + 1)", stdin=b"1"), Limits())

Isolation levels, strongest first; the first that the kernel allows is chosen once, at the start:

- `namespaces`: its own namespaces (user, pid, mount, network, IPC, UTS), seccomp, rlimits;
- `landlock`: Landlock, seccomp, rlimits, for containers and kernels that do not allow user namespaces;
- `none`: rlimits alone. Refused unless the caller passes `without_isolation`.

Not covered: vulnerabilities of the kernel itself, and timing side channels. At level `landlock` a program can learn
whether a path exists (but neither read it nor list its folder), it runs as the machine's own user, and the caps on
disk, files and processes are polled every 20 ms instead of being enforced by the kernel. Linux only.
"""

import json
import secrets
import socket
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from filters.sandbox.packages import open_packages
from filters.sandbox.program import Limits, Program, ProgramResult
from filters.sandbox.zygote_process import Files, ZygoteProcess, watch

LEVELS = ("namespaces", "landlock")


class LocalSandbox:
    """A sandbox that runs programs on this machine, one at a time, called from any thread.

    It ends with `close` or with this process. `packages`: names of installed packages, and folders, that programs may
    import from (ValueError if there is no such package). `test_packages`: the same for test code, if it differs.
    `isolation` is the level reached. Raises OSError, with the kernel's refusals, if no level works here.
    """

    def __init__(
        self,
        levels: Sequence[str] = LEVELS,
        *,
        packages: Sequence[str] = (),
        test_packages: Sequence[str] | None = None,
        without_isolation: bool = False,
    ) -> None:
        tests = packages if test_packages is None else test_packages
        self._packages = {"program": open_packages(packages), "tests": open_packages(tests)}
        self._lock = threading.Lock()
        self._zygotes: dict[str, ZygoteProcess] = {}
        self._finalizer = weakref.finalize(self, close_all, self._zygotes)
        refusals = []
        for level in (*levels, *(["none"] if without_isolation else [])):
            try:
                self._zygotes["program"] = ZygoteProcess(level, self._packages["program"])
                self.isolation = level
                return
            except OSError as error:
                refusals.append(f"{level}: {error}")
        raise OSError(f"no way to isolate a program works on this machine ({'; '.join(refusals)})")

    def run(self, program: Program, limits: Limits) -> ProgramResult:
        """Return how the program ended, or its tests if it has any; raise OSError if the sandbox itself fails."""
        with self._lock:
            if program.tests is None:
                return self._run_alone(program, limits)
            return self._run_together(program, limits) if program.together else self._run_tests(program, limits)

    def _run_alone(self, program: Program, limits: Limits) -> ProgramResult:
        mode = "script" if program.calls is None else "calls"
        with Files({"source": program.source}, program.stdin, program.calls or b"") as files:
            zygote = self._zygote("program")
            zygote.start(mode, files.descriptors(), limits)
            watch([zygote])
            return zygote.result(files)

    def _run_together(self, program: Program, limits: Limits) -> ProgramResult:
        """Run the tests in the program's process; a pass without the secret of this run is none."""
        secret = secrets.token_hex(16)
        job = job_of_tests(program) | {"source": program.source, "tests": program.tests, "secret": secret}
        with Files(job) as files:
            zygote = self._zygote("program")
            zygote.start("together", files.descriptors(), limits)
            watch([zygote])
            result = zygote.result(files)
        return replace(result, replies=genuine(result.replies, secret))

    def _run_tests(self, program: Program, limits: Limits) -> ProgramResult:
        """Run the program in one zygote and its tests in another, connected by a socket pair."""
        tests = job_of_tests(program) | {"source": program.tests}
        zygote, tester = self._zygote("program"), self._zygote("tests")
        ends = socket.socketpair()
        with Files({"source": program.source}) as files, Files(tests) as tests_files:
            with ends[0], ends[1]:
                zygote.start("calls", files.descriptors(ends[0].fileno(), ends[0].fileno()), limits)
                tester.start("tests", tests_files.descriptors(ends[1].fileno()), limits)
            watch([tester, zygote])
            said, ended = tester.result(tests_files), zygote.result(files)
        return said if ended.ending in ("exit", "stopped") else replace_ending(said, ended)

    def _zygote(self, part: str) -> ZygoteProcess:
        """Return the zygote for a part, a new one if the last was lost."""
        if part not in self._zygotes or self._zygotes[part].lost:
            self._zygotes[part] = ZygoteProcess(self.isolation, self._packages[part])
        return self._zygotes[part]

    def close(self) -> None:
        """End the sandbox's processes."""
        self._finalizer()

    def __enter__(self) -> "LocalSandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def job_of_tests(program: Program) -> dict[str, Any]:
    """Return what a process is told of the tests."""
    return {"prelude": program.prelude, "entry_point": program.entry_point, "discover": program.discover}


def genuine(replies: bytes, secret: str) -> bytes:
    """Return the last line of the replies, a verdict; nothing if it is a pass without the secret."""
    line = replies.strip().rpartition(b"\n")[2]
    try:
        verdict = json.loads(line)
    except (ValueError, RecursionError):
        return b""
    forged = not isinstance(verdict, dict) or (verdict.get("passed") and verdict.get("secret") != secret)
    return b"" if forged else line


def replace_ending(said: ProgramResult, ended: ProgramResult) -> ProgramResult:
    """Return the tests' result with the ending of the program under test, which exceeded a limit."""
    return ProgramResult(ended.ending, ended.exit_code, said.stdout, ended.stderr, said.replies, said.seconds)


def close_all(zygotes: dict[str, ZygoteProcess]) -> None:
    """End the processes."""
    for zygote in zygotes.values():
        zygote.close()
