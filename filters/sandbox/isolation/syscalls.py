"""System calls that Python does not wrap, called through ctypes so that nothing is compiled at installation."""

import ctypes
import os
import sys
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 36, 38, 24
PR_SET_DUMPABLE = 4
LAST_CAPABILITY = 63
CAPABILITY_VERSION_3 = 0x20080522
NO_CAPABILITIES = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()


def checked(result: int, what: str) -> int:
    """Return the result; raise OSError naming the attempted call if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: int | bytes | ctypes.Array[Any] | None, what: str) -> int:
    """Make a system call by number; integers are passed at full width, as variadic arguments need."""
    assert LIBC is not None, "these system calls exist on Linux alone"
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return checked(LIBC.syscall(ctypes.c_long(number), *wide), what)


def prctl(option: int, *arguments: int) -> int:
    """Call `prctl(2)`; missing arguments are passed as zero, which some options require."""
    assert LIBC is not None, "prctl exists on Linux alone"
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return checked(LIBC.prctl(ctypes.c_int(option), *padded), f"prctl {option}")


def drop_capabilities() -> None:
    """Give up every capability for good, for this process and everything that it executes."""
    assert LIBC is not None, "capabilities exist on Linux alone"
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    checked(LIBC.capset(*NO_CAPABILITIES), "capset")


def drop_bounding_set() -> None:
    """Keep executed programs from gaining a capability; this needs a capability itself, so failure is accepted."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # the kernel lacks this capability, or this process may not drop it
            return
