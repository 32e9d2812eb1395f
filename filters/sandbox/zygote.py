"""The zygote process of the sandbox: an interpreter that starts once, isolates itself once, and forks for each program.

`zygote_process` starts it as `python -I -S -c START` with these arguments: the folders to import from, the isolation
level, the descriptor of its socket, the folders that a program may read, (level landlock) the folder for the programs'
own folders, and the places of modules that are opened by name. Requests are JSON lines with the descriptors of `child`.
Replies are JSON lines: first {"ready": level} or {"refused": reason}, then {"ending", "exit_code", "seconds"} for each
program. The byte "!" while a program runs is the order to end it.

The zygote ends when the other end of its socket closes, and takes every process of its programs with it.
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
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any, NoReturn

from filters.sandbox import child
from filters.sandbox.isolation import landlock, namespaces, seccomp
from filters.sandbox.isolation.syscalls import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, drop_bounding_set, prctl

# The modules that programs import most: loaded before the fork, they cost a program nothing.
PRELOADED = (
    *("abc", "bisect", "collections.abc", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("functools", "heapq", "hashlib", "itertools", "math", "operator", "queue", "random", "re", "statistics"),
    *("string", "struct", "threading", "time", "typing"),
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
WATCH_S = 0.02


def main() -> None:
    """Isolate this process, then serve until the socket closes."""
    level, number, readable, boxes = sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), sys.argv[5]
    owner = socket.socket(fileno=number)
    sys.meta_path.append(NamedModules(json.loads(sys.argv[6])))
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
    Zygote(owner, level, readable, boxes).serve()


class NamedModules(MetaPathFinder):
    """A finder of modules whose places are known, in folders that a program may not list."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of such a module; None for any other."""
        if (place := self.places.get(name)) is None:
            return None
        if os.path.isdir(place):
            return spec_from_file_location(name, f"{place}/__init__.py", submodule_search_locations=[place])
        return spec_from_file_location(name, place)


def shut_in(level: str, readable: list[str], owner: socket.socket) -> None:
    """Enter the isolation level; raise OSError if the kernel refuses."""
    if level == "namespaces":
        namespaces.enter(readable)
        pid = os.fork()
        if pid:  # process 1 of the new namespace continues; this process only ends with it
            owner.close()
            os.waitpid(pid, 0)
            os._exit(0)
    elif level == "landlock" and not landlock.abi():
        raise OSError("Landlock is not in this kernel or is off")
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_DUMPABLE, 0)  # no program may inspect this process
    drop_bounding_set()
    rehearse(level, readable)


def rehearse(level: str, readable: list[str]) -> None:
    """Lock down a test process as a program's will be, so that a refusal by the kernel shows at the start."""
    landlock.abi()
    if level != "none":
        seccomp.assembled(os.uname().machine, None)  # cached before the fork, so that no program's process assembles it
    limits = {"memory_mib": 1024, "output_mib": 1, "cpu_s": 10, "open_files": 64, "processes": 64}
    receiver, sender = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            child.lock_down(limits, "/", readable, level)
        except BaseException as error:
            os.write(sender, str(error).encode())
        os._exit(0)
    os.close(sender)
    os.waitpid(pid, 0)
    with os.fdopen(receiver, "rb") as said:
        if reason := said.read():
            raise OSError(reason.decode())


def say(owner: socket.socket, line: dict[str, Any]) -> None:
    """Write one JSON line."""
    with contextlib.suppress(OSError):  # the owner is gone; the next read reports it
        owner.sendall(json.dumps(line).encode() + b"\n")


class Zygote:
    """A server that runs one program after another."""

    def __init__(self, owner: socket.socket, level: str, readable: list[str], boxes: str) -> None:
        self.owner, self.level, self.readable, self.boxes = owner, level, readable, boxes

    def serve(self) -> None:
        """Serve until the owner closes the socket."""
        while True:
            line, descriptors = self.request()
            if not line:
                self.leave()
            say(self.owner, self.run(json.loads(line), descriptors))

    def request(self) -> tuple[bytes, list[int]]:
        """Return the next request and its descriptors, without late orders to end a program; b"" at the end."""
        data, descriptors = b"", list[int]()
        while not data.endswith(b"\n"):
            more, received, _, _ = socket.recv_fds(self.owner, 1 << 16, len(range(child.JOB + 1)))
            if not more:
                return b"", []
            data = (data + more).lstrip(b"!")
            descriptors += received
        return data, descriptors

    def run(self, job: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Fork, wait, kill what is left, clean up, and return the reply."""
        box = self.make_box(job["limits"])
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            try:
                self.owner.close()
                child.run(job, box, self.readable, self.level, descriptors)
            finally:
                os._exit(70)
        for descriptor in descriptors:
            os.close(descriptor)
        ending = self.wait(pid, started + job["limits"]["wall_s"], job["limits"], box)
        status, seconds = self.end(pid)
        code = os.waitstatus_to_exitcode(status)
        self.remove_box(box)
        if ending == "exit" and code == -signal.SIGXFSZ:
            ending = "output limit"
        return {"ending": ending, "exit_code": code, "seconds": seconds}

    def make_box(self, limits: dict[str, int]) -> str:
        """Create the program's own folder."""
        if self.level == "namespaces":
            namespaces.mount_box(limits["disk_mib"], limits["files"])
            return namespaces.BOX
        return tempfile.mkdtemp(dir=self.boxes)

    def remove_box(self, box: str) -> None:
        """Remove the program's folder and everything in it."""
        if self.level == "namespaces":
            namespaces.unmount_box()
        else:
            shutil.rmtree(box, onerror=make_writable)

    def wait(self, pid: int, deadline: float, limits: dict[str, int], box: str) -> str:
        """Return why the program ended: by itself, at a limit, or on the owner's order."""
        poll = select.poll()
        handle = os.pidfd_open(pid)
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
                    self.end(pid)
                    self.leave()
                if self.level != "namespaces" and is_full(box, limits):
                    return "disk limit"
            return "time limit"
        finally:
            os.close(handle)

    def leave(self) -> NoReturn:
        """Clean up and exit, because the owner is gone."""
        if self.level != "namespaces":
            shutil.rmtree(self.boxes, onerror=make_writable)
        os._exit(0)

    def end(self, pid: int) -> tuple[int, float]:
        """Kill everything the program started, reap it, and return its own wait status and the CPU seconds of it all.

        A single call kills all of it, new forks included: everything in the pid namespace except this process, or the
        process group, which seccomp lets no process of a program leave. Without seccomp some may have left it; as
        orphans they become children of this process and are killed one by one.
        """
        statuses: dict[int, int] = {}
        seconds = 0.0
        if self.level == "namespaces":
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for kill in (os.killpg, os.kill):  # the process may not have become a group leader yet
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                if self.level == "none" and pid in statuses:
                    kill_children()
                process, status, used = os.wait4(-1, 0)
                statuses[process] = status
                seconds += used.ru_utime + used.ru_stime
        return statuses[pid], seconds


def kill_children() -> None:
    """Kill every pid of this process."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        for process in children.read().split():
            os.kill(int(process), signal.SIGKILL)


def is_full(box: str, limits: dict[str, int]) -> bool:
    """Return whether a program has exceeded its disk limits; needed where no file system of its own enforces them."""
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
    """Retry a removal that the program's own file permissions prevented."""
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        function(path)
