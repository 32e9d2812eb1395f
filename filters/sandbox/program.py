"""The input and output of a sandbox, shared by local and remote ones.

A program never sees the expected answers: a sandbox receives inputs and returns bytes.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

WALL_PER_CPU = 5  # on a busy machine a program waits for its turn; it is not charged for that
Ending = Literal["exit", "stopped", "time limit", "memory limit", "process limit", "disk limit", "output limit"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The resources that one program may use, all its processes together unless stated otherwise."""

    time_s: float = 4.0  # CPU time; also the time that it may spend asleep
    memory_mib: int = 1024  # resident in total; also the address space of each process
    processes: int = 64  # including threads
    disk_mib: int = 64
    files: int = 1024  # files and folders in its own folder
    open_files: int = 256  # of each process
    output_mib: int = 16  # each of stdout, stderr and the replies

    @property
    def wall_s(self) -> float:
        """The wall-clock limit, which holds however busy the machine is."""
        return WALL_PER_CPU * self.time_s


@dataclass(frozen=True, slots=True)
class Program:
    """Python source and how it is run.

    - `calls` is None: it runs as `__main__` with `stdin`.
    - `calls`: it is imported, then each call, a JSON line of `rpc.request_line`, is answered by a line of `replies`.
    - `tests`: it is imported, and this source runs in *another* sandbox, after `prelude`, where the program's names are
      proxies that forward each call to it. `entry_point` is the function that HumanEval's `check(candidate)` receives.
      `discover`: test functions and classes of tests that the source defines are run.
    - `tests` and `together`: the tests run in the program's own process, for tests that act on it. The program must be
      one that cannot reach them (`filters.code.ways_out`).
    """

    source: str
    stdin: bytes = b""
    calls: bytes | None = None
    tests: str | None = None
    prelude: str = ""
    entry_point: str | None = None
    discover: bool = False
    together: bool = False


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The result of running a program, or its tests."""

    ending: Ending
    exit_code: int  # of the process; negative for the signal that killed it
    stdout: bytes
    stderr: bytes
    replies: bytes  # JSON lines: the answers to `calls`, or the verdict of the tests
    seconds: float  # CPU time of all its processes


class Sandbox(Protocol):
    """A runner of one program at a time, usable from any thread."""

    isolation: str  # the level reached: namespaces, landlock, none, or a remote sandbox's own name for it

    def run(self, program: Program, limits: Limits) -> ProgramResult:
        """Return the result, of the tests if there are any; raise OSError if the sandbox itself fails."""
