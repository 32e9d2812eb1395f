"""The sandbox's own process: an interpreter that is started once, shut in once, and forked for each program.

Started by `local` as `python -I -S -c START`, with the folders to import from, the level, the descriptor of
its socket, the folders a program may read, and (level landlock) the folder where programs get theirs. Requests are
JSON lines with the descriptors of `cell`; replies are JSON lines: first {"ready": level} or {"refused": why}, then
{"ending", "exit_code", "seconds"} a program. The byte "!" in the middle of a program is the order to end it.

It ends when the other end of its socket does, and takes every process of its programs with it.
"""

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from typing import Any, NoReturn

from filters.sandbox import child as cell
from filters.sandbox.isolation import landlock, namespaces, seccomp
from filters.sandbox.isolation.syscalls import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, drop_bounding_set, prctl

# What programs import most: loaded before the fork, it costs them nothing.
PRELOADED = (
    *("abc", "bisect", "collections.abc", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("functools", "heapq", "hashlib", "itertools", "math", "operator", "queue", "random", "re", "statistics"),
    *("string", "struct", "threading", "time", "typing"),
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
WATCH_S = 0.02


def main() -> None:
    """Shut in, then serve until the socket closes."""
    level, number, readable, boxes = sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), sys.argv[5]
    owner = socket.socket(fileno=number)
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    for name in PRELOADED:
        __import__(name)
    try:
        shut_in(level, readable, owner)
    except OSError as error:
        say(owner, {"refused": str(error)})
        return
    sys.path[:] = [path for path in sys.path if path in readable or path.startswith(tuple(f"{p}/" for p in readable))]
    gc.collect()
    gc.freeze()
    say(owner, {"ready": level})
    Keeper(owner, level, readable, boxes).serve()


def shut_in(level: str, readable: list[str], owner: socket.socket) -> None:
    """Enter the level; OSError where the kernel refuses."""
    if level == "namespaces":
        namespaces.enter(readable)
        child = os.fork()
        if child:  # process 1 of the new namespace goes on; this one only ends with it
            owner.close()
            os.waitpid(child, 0)
            os._exit(0)
    elif level == "landlock" and not landlock.abi():
        raise OSError("Landlock is not in this kernel or is off")
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_DUMPABLE, 0)  # no program may look into this process
    drop_bounding_set()
    rehearse(level, readable)


def rehearse(level: str, readable: list[str]) -> None:
    """Lock a process down as a program's will be, so that what the kernel refuses is known now."""
    landlock.abi()
    if level != "none":
        seccomp.assembled(os.uname().machine, None)  # kept, so that no program's process has to
    limits = {"memory_mib": 1024, "output_mib": 1, "cpu_s": 10, "open_files": 64, "processes": 64}
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        try:
            cell.lock_down(limits, "/", readable, level)
        except BaseException as error:
            os.write(sender, str(error).encode())
        os._exit(0)
    os.close(sender)
    os.waitpid(child, 0)
    with os.fdopen(receiver, "rb") as said:
        if reason := said.read():
            raise OSError(reason.decode())


def say(owner: socket.socket, line: dict[str, Any]) -> None:
    """One JSON line."""
    with contextlib.suppress(OSError):  # the owner has gone; the next read says so
        owner.sendall(json.dumps(line).encode() + b"\n")


class Keeper:
    """Runs one program after the other."""

    def __init__(self, owner: socket.socket, level: str, readable: list[str], boxes: str) -> None:
        self.owner, self.level, self.readable, self.boxes = owner, level, readable, boxes

    def serve(self) -> None:
        """Until the owner closes."""
        while True:
            line, descriptors = self.request()
            if not line:
                self.leave()
            if line != b"!":  # an order that came after the program had ended
                say(self.owner, self.run(json.loads(line), descriptors))

    def request(self) -> tuple[bytes, list[int]]:
        """The next request; an empty one when there are no more."""
        data, descriptors, _, _ = socket.recv_fds(self.owner, 1 << 16, len(range(cell.JOB + 1)))
        while data not in (b"", b"!") and not data.endswith(b"\n"):
            if not (more := self.owner.recv(1 << 16)):
                return b"", []
            data = (data + more).lstrip(b"!")
        return data.lstrip(b"!") or data[:1], list(descriptors)

    def run(self, job: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Fork, wait, end what is left, clean up, and say how it went."""
        box = self.make_box(job["limits"])
        started = time.monotonic()
        child = os.fork()
        if not child:
            try:
                self.owner.close()
                cell.run(job, box, self.readable, self.level, descriptors)
            finally:
                os._exit(70)
        for descriptor in descriptors:
            os.close(descriptor)
        ending = self.wait(child, started + job["limits"]["time_s"], job["limits"], box)
        seconds = time.monotonic() - started
        code = os.waitstatus_to_exitcode(self.end(child))
        self.remove_box(box)
        if ending == "exit" and code == -signal.SIGXFSZ:
            ending = "output limit"
        return {"ending": ending, "exit_code": code, "seconds": seconds}

    def make_box(self, limits: dict[str, int]) -> str:
        """The program's own folder."""
        if self.level == "namespaces":
            namespaces.mount_box(limits["disk_mib"], limits["files"])
            return namespaces.BOX
        return tempfile.mkdtemp(dir=self.boxes)

    def remove_box(self, box: str) -> None:
        """Leave nothing of it."""
        if self.level == "namespaces":
            namespaces.unmount_box()
        else:
            shutil.rmtree(box, onerror=make_writable)

    def wait(self, child: int, deadline: float, limits: dict[str, int], box: str) -> str:
        """Why the program ended: by itself, at a limit, or as the owner said."""
        poll = select.poll()
        handle = os.pidfd_open(child)
        poll.register(handle, select.POLLIN)
        poll.register(self.owner, select.POLLIN)
        try:
            while (left := deadline - time.monotonic()) > 0:
                events = dict(poll.poll(1000 * (left if self.level == "namespaces" else min(left, WATCH_S))))
                if handle in events:
                    return "exit"
                if events:
                    if self.owner.recv(1):
                        return "stopped"
                    self.end(child)
                    self.leave()
                if self.level != "namespaces" and is_full(box, limits):
                    return "disk limit"
            return "time limit"
        finally:
            os.close(handle)

    def leave(self) -> NoReturn:
        """The owner has gone."""
        if self.level != "namespaces":
            shutil.rmtree(self.boxes, onerror=make_writable)
        os._exit(0)

    def end(self, child: int) -> int:
        """Kill all that the program started, wait for it, give the program's own status.

        One call kills them all, new forks included: everything in the pid namespace but this process, or the
        process group, which seccomp lets no process of a program leave. Without seccomp some may have left it;
        as orphans they become children of this process, and are killed one by one.
        """
        statuses: dict[int, int] = {}
        if self.level == "namespaces":
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for kill in (os.killpg, os.kill):  # it may not have come to be a group yet
                with contextlib.suppress(ProcessLookupError):
                    kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                if self.level == "none" and child in statuses:
                    kill_children()
                process, status = os.waitpid(-1, 0)
                statuses[process] = status
        return statuses[child]


def kill_children() -> None:
    """Kill whatever has this process as its parent."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        for process in children.read().split():
            os.kill(int(process), signal.SIGKILL)


def is_full(box: str, limits: dict[str, int]) -> bool:
    """Whether a program has written more than it may, where no file system of its own holds it to that."""
    files, size = 0, 0
    for folder, folders, names in os.walk(box):
        files += len(folders) + len(names)
        if files > limits["files"]:
            return True
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return size > limits["disk_mib"] << 20


def make_writable(function: Any, path: str, error: Any) -> None:
    """Try again what a program's own permissions forbade."""
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        function(path)
