"""The owner's side of `zygote`: it starts the zygote, hands it programs, watches their usage and reads their output.

A program writes to in-memory files that end at the output limit, so neither 5 MB of unread input nor 2 MB of output
can block anything.
"""

import contextlib
import json
import math
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from filters.sandbox.packages import Packages
from filters.sandbox.program import Ending, Limits, ProgramResult

START = "import sys, json; sys.path[:0] = json.loads(sys.argv[1]); from filters.sandbox.zygote import main; main()"
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
TOOLKIT = str(Path(__file__).resolve().parents[2])
WATCH_S = 0.02
GRACE_S = 5.0  # for a zygote to end a program after its time limit
START_S = 30.0
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


class Files:
    """The descriptors of one program (see `child`): in-memory files, read after it has ended."""

    def __init__(self, job: dict[str, Any], stdin: bytes = b"", channel: bytes = b"") -> None:
        contents = {"stdin": stdin, "stdout": b"", "stderr": b"", "channel": channel, "replies": b""}
        contents["job"] = json.dumps(job).encode()
        self.numbers = {name: os.memfd_create(name) for name in contents}
        for name, content in contents.items():
            if content:
                with open(self.numbers[name], "wb", buffering=0, closefd=False) as file:
                    file.write(content)
                os.lseek(self.numbers[name], 0, os.SEEK_SET)

    def descriptors(self, channel: int | None = None, replies: int | None = None) -> list[int]:
        """Return the descriptors in `child`'s order; sockets may replace the channel and the replies."""
        stdin, stdout, stderr, ours, answers, job = self.numbers.values()
        return [stdin, stdout, stderr, channel or ours, replies or answers, job]

    def read(self, name: str) -> bytes:
        """Return everything written to one of them."""
        number = self.numbers[name]
        return os.pread(number, os.fstat(number).st_size, 0)

    def __enter__(self) -> "Files":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number in self.numbers.values():
            os.close(number)


class ZygoteProcess:
    """One zygote and the program that it runs; raises OSError for an isolation level that the kernel refuses."""

    def __init__(self, level: str, packages: Packages) -> None:
        self.lost = self.stopped = False
        self.broken: Ending | None = None  # the limit that this side saw exceeded
        self.reply: dict[str, Any] | None = None
        self.deadline, self.limits = 0.0, Limits()
        self.boxes = tempfile.mkdtemp(prefix="distill-sandbox-") if level != "namespaces" else ""
        self.process, self.socket = launch(level, packages, self.boxes)
        self.unread = b""
        answer = self.receive(START_S)
        if answer is None or "ready" not in answer:
            self.close()
            raise OSError((answer or {}).get("refused", "its process ended before it could say why"))
        self.own = set(tree(self.process.pid))

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next line; None, and mark the zygote as lost, if there is none."""
        self.socket.settimeout(timeout_s)
        try:
            while not self.unread.endswith(b"\n"):
                if not (data := self.socket.recv(1 << 16)):
                    raise ConnectionError("the zygote has ended")
                self.unread += data
        except OSError:
            self.lost = True
            return None
        line, self.unread = self.unread, b""
        reply: dict[str, Any] = json.loads(line)
        return reply

    def start(self, mode: str, descriptors: list[int], limits: Limits) -> None:
        """Hand the zygote a program."""
        self.reply, self.broken, self.stopped = None, None, False
        self.limits = limits
        caps = asdict(limits) | {"cpu_s": math.ceil(limits.time_s) + 1, "wall_s": limits.wall_s}
        line = json.dumps({"mode": mode, "limits": caps}).encode() + b"\n"
        self.deadline = time.monotonic() + limits.wall_s + GRACE_S
        try:
            socket.send_fds(self.socket, [line], descriptors)
        except OSError:
            self.lost = True

    def done(self) -> bool:
        """Return whether the program has ended or the zygote is lost."""
        return self.reply is not None or self.lost

    def take(self) -> None:
        """Read the pending reply."""
        self.reply = self.receive(START_S)

    def stop(self, broken: Ending | None = None) -> None:
        """Order the program, once, to end now; `broken` is the limit that it exceeded."""
        if self.stopped:
            return
        self.stopped, self.broken = True, broken
        with contextlib.suppress(OSError):
            self.socket.sendall(b"!")

    def processes(self) -> list[int]:
        """Return the program's processes that are alive."""
        return [process for process in tree(self.process.pid) if process not in self.own]

    def check(self) -> None:
        """Stop a program that exceeds a limit; kill a zygote that does not reply in time."""
        if time.monotonic() > self.deadline:
            self.lost = True
            self.kill()
        elif not self.stopped:
            processes = self.processes()
            if sum(map(resident_mib, processes)) > self.limits.memory_mib:
                self.stop("memory limit")
            elif sum(map(threads_of, processes)) > self.limits.processes:
                self.stop("process limit")

    def result(self, files: Files) -> ProgramResult:
        """Return how the program ended; raise ConnectionError if its zygote was lost."""
        if self.reply is None:
            self.kill()
            raise ConnectionError("the sandbox's process was lost while the program ran")
        streams = (files.read("stdout"), files.read("stderr"), files.read("replies"))
        ending = self.broken or self.reply["ending"]
        return ProgramResult(ending, self.reply["exit_code"], *streams, self.reply["seconds"])

    def kill(self) -> None:
        """End the zygote and everything it started."""
        self.lost = True
        self.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)  # the closed socket makes it clean up and exit
        for process in [*tree(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)
        self.process.wait()
        if self.boxes:
            shutil.rmtree(self.boxes, ignore_errors=True)

    close = kill


def launch(level: str, packages: Packages, boxes: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a zygote and return it with its socket; it is the same Python without site, environment and folder."""
    ours, theirs = socket.socketpair()
    readable = json.dumps(readable_folders(packages))
    python = os.path.realpath(sys.executable)
    arguments = [json.dumps([TOOLKIT, *packages.folders]), level, str(theirs.fileno()), readable, boxes]
    arguments.append(json.dumps(packages.places))
    with theirs:
        process = subprocess.Popen(
            [python, "-I", "-S", "-B", "-X", "utf8", "-c", START, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={},
            cwd="/",
            start_new_session=True,  # a kill of our session leaves it time to clean up
        )
    return process, ours


def readable_folders(packages: Packages) -> list[str]:
    """Return the paths a program may read: Python's and the system's libraries, the packages; outer folders first."""
    base = os.path.realpath(sys.base_prefix)
    library = (f"{base}/lib", f"{base}/lib64", os.path.realpath(sysconfig.get_path("stdlib")))
    return sorted({path for path in (*SYSTEM, *library, *packages.folders, *packages.files) if os.path.exists(path)})


def watch(zygotes: Sequence[ZygoteProcess]) -> None:
    """Wait for all zygotes; when the first is done, stop the programs of the others. They share the time limit."""
    first, clock = zygotes[0], Clock()
    while waiting := [zygote for zygote in zygotes if not zygote.done()]:
        poll = select.poll()
        for zygote in waiting:
            poll.register(zygote.socket, select.POLLIN)
        ready = {number for number, _ in poll.poll(1000 * WATCH_S)}
        for zygote in waiting:
            if zygote.socket.fileno() in ready:
                zygote.take()
            else:
                zygote.check()
        if not ready and clock.exceeds(first.limits.time_s, [p for zygote in zygotes for p in zygote.processes()]):
            for zygote in waiting:
                zygote.stop("time limit")
        if first in waiting and first.done():
            for zygote in zygotes:
                if not zygote.done():
                    zygote.stop()


class Clock:
    """The time that some processes have used since its creation: on a processor, waiting for one, and asleep."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.waited: dict[int, float] = {}  # by thread, the ended ones included

    def exceeds(self, limit_s: float, processes: Sequence[int]) -> bool:
        """Return whether the processes computed, or did nothing, for more than the limit."""
        elapsed = time.monotonic() - self.started
        if elapsed <= limit_s:
            return False  # several processes at once may compute longer; RLIMIT_CPU bounds each
        computed = sum(map(cpu_seconds, processes))
        for process in processes:
            self.waited |= dict(queued_seconds(process))
        return computed > limit_s or elapsed - computed - sum(self.waited.values()) > limit_s


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and of its children that have ended; 0 if it has just ended itself."""
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:
            return sum(map(int, stat.read().rpartition(b")")[2].split()[11:15])) / TICKS
    except (OSError, IndexError):
        return 0.0


def queued_seconds(process: int) -> Iterator[tuple[int, float]]:
    """Yield (thread, seconds that it was ready to run while others ran); nothing if the kernel does not count them."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/task/{thread}/schedstat", "rb") as counts:
                yield int(thread), int(counts.read().split()[1]) / 1e9


def tree(root: int) -> Iterator[int]:
    """Yield the descendants of a process, from /proc; none if it cannot be read."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{root}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{root}/task/{thread}/children", encoding="ascii") as file:
                for child in file.read().split():
                    yield int(child)
                    yield from tree(int(child))


def resident_mib(process: int) -> float:
    """Return the resident memory of a process in MiB; 0 if it has just ended."""
    try:
        with open(f"/proc/{process}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE / 2**20
    except (OSError, IndexError):
        return 0.0


def threads_of(process: int) -> int:
    """Return the number of threads of a process; 0 if it has just ended."""
    try:
        return len(os.listdir(f"/proc/{process}/task"))
    except OSError:
        return 0
