"""What a sandbox is given and what it gives back; a remote one has the same two ends.

A program never meets the answers that are expected of it: a sandbox is handed inputs and hands back bytes.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Ending = Literal["exit", "stopped", "time limit", "memory limit", "process limit", "disk limit", "output limit"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use, all its processes together unless said otherwise."""

    time_s: float = 4.0  # wall clock
    memory_mib: int = 1024  # resident; and the address space of each of its processes
    processes: int = 64  # threads among them
    disk_mib: int = 64
    files: int = 1024  # files and folders in its folder
    open_files: int = 256  # of each process
    output_mib: int = 16  # each of stdout, stderr and the replies


@dataclass(frozen=True, slots=True)
class Program:
    """Python source, and how it is used.

    - `calls` is None: it runs as `__main__` with `stdin`.
    - `calls`: it is imported, then each call, a JSON line of `calls.request`, is answered by a line of `replies`.
    - `tests`: it is imported, and this source runs in *another* sandbox, after `prelude`, where the program's names
      are stand-ins that pass each call on to it. `entry_point` is what HumanEval's `check(candidate)` is called with.
    """

    source: str
    stdin: bytes = b""
    calls: bytes | None = None
    tests: str | None = None
    prelude: str = ""
    entry_point: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program, or the tests of one, ended."""

    ending: Ending
    exit_code: int  # of the process; negative: the signal that ended it
    stdout: bytes
    stderr: bytes
    replies: bytes  # JSON lines: the answers to `calls`, or what the tests said
    seconds: float


class Sandbox(Protocol):
    """Runs one program at a time; may be used from any thread."""

    isolation: str  # the level reached: namespaces, landlock, none, or a remote sandbox's own word for it

    def run(self, program: Program, limits: Limits) -> Outcome:
        """The outcome, of the tests where there are any; OSError where the sandbox itself fails."""
