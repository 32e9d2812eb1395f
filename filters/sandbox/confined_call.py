"""A call of a trusted function on untrusted text, in a fork of this process that can do nothing but reply."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from filters.sandbox.isolation import landlock, seccomp
from filters.sandbox.isolation.syscalls import drop_capabilities, prctl

PR_SET_PDEATHSIG = 1
MESSAGE_CHARS = 300


def confined_call(action: Callable[[], Any], readable: Sequence[str], confine: bool = True) -> Any:
    """Return the JSON value of `action()`.

    The fork reads `readable`, writes nothing, starts nothing and reaches no network. The caller must be a
    single-threaded process, such as a verifier's; the pool enforces the time limit and, through inherited limits, the
    memory limit.
    Raises OSError if the kernel has no Landlock, RuntimeError if the action raised or the fork ended.
    """
    if confine and not landlock.abi():
        raise OSError("Landlock is not in this kernel or is off")
    receiver, sender = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        answer(action, readable, confine, parent, sender)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    reply = json.loads(said or "{}")
    if "value" not in reply:
        raise RuntimeError(reply.get("error", f"it ended with status {os.waitstatus_to_exitcode(status)}"))
    return reply["value"]


def answer(action: Callable[[], Any], readable: Sequence[str], confine: bool, parent: int, sender: int) -> None:
    """Run the action in the fork, reply, and end the process."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        if confine:
            drop_capabilities()
            landlock.restrict(readable, ["/dev/null"], landlock.abi())
            seccomp.install(own_signals_only=not landlock.keeps_signals_in(landlock.abi()))
        reply = {"value": action()}
    except BaseException as error:
        reply = {"error": f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]}
    os.write(sender, json.dumps(reply).encode())
    os._exit(0)
