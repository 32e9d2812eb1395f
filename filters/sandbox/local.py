"""The sandbox of this machine: as strong as its kernel allows, a few milliseconds a program.

    with LocalSandbox() as sandbox:
        outcome = sandbox.run(Program("print(int(input()) + 1)", stdin=b"1"), Limits())

Levels, the strongest that the kernel allows, tried once at the start:

- `namespaces`: namespaces of its own (user, pid, mount, network, IPC, host name), seccomp, rlimits;
- `landlock`: Landlock, seccomp, rlimits, for containers and kernels that allow no user namespaces;
- `none`: rlimits alone. Refused unless the caller asks for it by the name of what it gives up.

Not covered: a hole in the kernel itself, and what can be learned from timing. At level `landlock` a program can
learn whether a path exists (not what it holds, nor what a folder lists), it sees the machine's own user, and the
caps on disk, files and processes are watched every 20 ms instead of kept by the kernel. Linux alone.
"""

import os
import socket
import threading
import weakref
from collections.abc import Sequence
from types import TracebackType

from filters.sandbox.program import Limits, Outcome, Program
from filters.sandbox.zygote_process import Files, KeeperProcess, watch

LEVELS = ("namespaces", "landlock")


class LocalSandbox:
    """Programs on this machine, one at a time; any thread may call. Ends with `close`, or with this process.

    `packages`: folders that programs may also read and import from. No level that works here is an OSError that
    says what the kernel refused. `isolation` is the level reached.
    """

    def __init__(
        self, levels: Sequence[str] = LEVELS, *, packages: Sequence[str] = (), without_isolation: bool = False
    ) -> None:
        self._packages = [os.path.realpath(folder) for folder in packages]
        self._lock = threading.Lock()
        self._keepers: dict[str, KeeperProcess] = {}
        self._finalizer = weakref.finalize(self, close_all, self._keepers)
        refusals = []
        for level in (*levels, *(["none"] if without_isolation else [])):
            try:
                self._keepers["program"] = KeeperProcess(level, self._packages)
                self.isolation = level
                return
            except OSError as error:
                refusals.append(f"{level}: {error}")
        raise OSError(f"no way to isolate a program works on this machine ({'; '.join(refusals)})")

    def run(self, program: Program, limits: Limits) -> Outcome:
        """How the program ended, or its tests where it has some; OSError where the sandbox itself fails."""
        with self._lock:
            return self._run_alone(program, limits) if program.tests is None else self._run_tests(program, limits)

    def _run_alone(self, program: Program, limits: Limits) -> Outcome:
        mode = "script" if program.calls is None else "calls"
        with Files({"source": program.source}, program.stdin, program.calls or b"") as files:
            keeper = self._keeper("program")
            keeper.start(mode, files.descriptors(), limits)
            watch([keeper])
            return keeper.outcome(files)

    def _run_tests(self, program: Program, limits: Limits) -> Outcome:
        """The program in one keeper, its tests in another, and a socket pair between them."""
        tests = {"source": program.tests, "prelude": program.prelude, "entry_point": program.entry_point}
        keeper, tester = self._keeper("program"), self._keeper("tests")
        ends = socket.socketpair()
        with Files({"source": program.source}) as files, Files(tests) as tests_files:
            with ends[0], ends[1]:
                keeper.start("calls", files.descriptors(ends[0].fileno(), ends[0].fileno()), limits)
                tester.start("tests", tests_files.descriptors(ends[1].fileno()), limits)
            watch([tester, keeper])
            said, ended = tester.outcome(tests_files), keeper.outcome(files)
        return said if ended.ending in ("exit", "stopped") else replace_ending(said, ended)

    def _keeper(self, part: str) -> KeeperProcess:
        """The keeper of a part; a new one where the last was lost."""
        if part not in self._keepers or self._keepers[part].lost:
            self._keepers[part] = KeeperProcess(self.isolation, self._packages)
        return self._keepers[part]

    def close(self) -> None:
        """End the sandbox's processes."""
        self._finalizer()

    def __enter__(self) -> "LocalSandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def replace_ending(said: Outcome, ended: Outcome) -> Outcome:
    """What the tests said, when the program under test came to a limit of its own."""
    return Outcome(ended.ending, ended.exit_code, said.stdout, ended.stderr, said.replies, said.seconds)


def close_all(keepers: dict[str, KeeperProcess]) -> None:
    """End the processes."""
    for keeper in keepers.values():
        keeper.close()
