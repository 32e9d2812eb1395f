"""One function of our own on text that we do not trust, in a fork of this process that can do nothing but answer."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from filters.sandbox.isolation import landlock, seccomp
from filters.sandbox.isolation.syscalls import drop_capabilities, prctl

PR_SET_PDEATHSIG = 1
MESSAGE_CHARS = 300


def confined(action: Callable[[], Any], readable: Sequence[str], confine: bool = True) -> Any:
    """The JSON value of `action()`; OSError where the kernel has no Landlock, RuntimeError where it raised or ended.

    The fork reads `readable` and writes nothing; it starts nothing and reaches no network. For a process of one
    thread, such as a verifier's; the pool keeps its time and, by the limits that a fork inherits, its memory.
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
    """The fork's part; ends the process."""
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
