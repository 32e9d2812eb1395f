"""The forked process of the sandbox: it gives up its rights, runs one program and ends.

`zygote` calls it in the child of a fork and nowhere else: it does not return.
"""

import io
import json
import os
import resource
import signal
import stat
import sys
from types import ModuleType
from typing import Any, BinaryIO

from filters.sandbox.interpreter import exit_status, furnish, leave, report
from filters.sandbox.isolation import landlock, seccomp
from filters.sandbox.isolation.syscalls import drop_capabilities
from filters.sandbox.rpc import Server
from filters.sandbox.testing.proxies import Line
from filters.sandbox.testing.runner import run_tests
from filters.sandbox.testing.together import run_together

STDIN, STDOUT, STDERR, CHANNEL, REPLIES, JOB = range(6)  # a program's descriptors; JOB carries its source
STACK_MIB = 128  # for deep recursion in compiled functions
FILE = "program.py"


def run(job: dict[str, Any], box: str, readable: list[str], level: str, descriptors: list[int]) -> None:
    """Become the program. `descriptors` are in the order above; JOB is read and closed here."""
    source = json.loads(os.pread(descriptors[JOB], os.fstat(descriptors[JOB]).st_size, 0))
    for number, descriptor in enumerate(descriptors[:JOB]):
        os.dup2(descriptor, number + 64)  # first to free numbers, so that no dup2 overwrites another
    for number in range(JOB):
        os.dup2(number + 64, number)  # Python's own streams, unused so far, use the first three
    os.closerange(JOB, 1 << 16)
    lock_down(job["limits"], box, readable, level)
    sys.argv = [FILE]
    furnish(job["limits"]["memory_mib"])
    status = 1
    me = os.getpid()
    try:
        status = MODES[job["mode"]](source)
    except SystemExit as request:
        status = exit_status(request.code)
    except BaseException:
        report()
    if os.getpid() != me:  # a fork of the program that continued into this function
        os._exit(status)
    leave(status)


def lock_down(limits: dict[str, int], box: str, readable: list[str], level: str) -> None:
    """Set limits, then restrict the file system, then system calls; none of it can be undone."""
    os.setsid()
    os.chdir(box)
    os.environ.update(HOME=box, TMPDIR=box, PWD=box)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # end at the output limit instead of continuing with an OSError
    set_limits(limits, level)
    drop_capabilities()
    version = landlock.abi()
    if level == "landlock":
        landlock.restrict([*readable, "/dev/zero", "/dev/urandom"], [box, "/dev/null"], version)
    if level != "none":
        seccomp.install(own_signals_only=level == "landlock" and not landlock.keeps_signals_in(version))


def set_limits(limits: dict[str, int], level: str) -> None:
    """Set the limits that the kernel enforces per process; the zygote and its owner enforce the others."""
    memory, output = limits["memory_mib"] << 20, limits["output_mib"] << 20
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: output,
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
    }
    if level == "namespaces":  # elsewhere it would count all processes of this user
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    # Programs raise this one themselves, as judges let them; the address space bounds it.
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    stack = STACK_MIB << 20
    resource.setrlimit(resource.RLIMIT_STACK, (stack if hard == resource.RLIM_INFINITY else min(stack, hard), hard))


def execute(source: str, namespace: dict[str, Any]) -> None:
    """Run the program's source in a namespace."""
    code = compile(source, FILE, "exec", dont_inherit=True)
    exec(code, namespace)


def run_script(job: dict[str, Any]) -> int:
    """Run the source as `python program.py` does."""
    os.close(CHANNEL)
    os.close(REPLIES)
    main = ModuleType("__main__")
    main.__file__ = FILE
    sys.modules["__main__"] = main
    execute(job["source"], vars(main))
    return 0


def run_calls(job: dict[str, Any]) -> int:
    """Answer the requests on the channel."""
    me = os.getpid()
    server = Server(open_channel(REPLIES, "wb"))

    def execute_here(namespace: dict[str, Any]) -> None:
        execute(job["source"], namespace)
        if os.getpid() != me:  # a fork of the program must not reply
            os._exit(0)

    from_tests = stat.S_ISSOCK(os.fstat(CHANNEL).st_mode)
    if server.load(execute_here, tell_names=from_tests):
        server.serve(open_channel(CHANNEL, "rb"))
    return 0


def run_assert_block(job: dict[str, Any]) -> int:
    """Run the tests for the program of another sandbox, which is at the other end of the channel."""
    line = Line(open_channel(CHANNEL, "wb"), open_channel(CHANNEL, "rb"))
    verdict = run_tests(job, line)
    with open_channel(REPLIES, "wb") as replies:
        replies.write(json.dumps(verdict).encode() + b"\n")
    return 0


def run_together_here(job: dict[str, Any]) -> int:
    """Run the tests in the program's own process."""
    os.close(CHANNEL)
    verdict = json.dumps(run_together(job, FILE)).encode()
    os.write(REPLIES, b"\n" + verdict + b"\n")  # after anything that the program may have left there
    return 0


def open_channel(descriptor: int, mode: str) -> BinaryIO:
    """Return a buffered file over a descriptor that stays open."""
    raw = io.FileIO(descriptor, mode.replace("b", ""), closefd=False)
    return io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)


MODES = {"script": run_script, "calls": run_calls, "tests": run_assert_block, "together": run_together_here}
