"""The system calls that Python has no function for, through ctypes: nothing is compiled at installation."""

import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 36, 38, 24
PR_SET_DUMPABLE, PR_SET_SECUREBITS = 4, 28
LAST_CAPABILITY = 63
CAPABILITY_VERSION_3 = 0x20080522
NO_CAPABILITIES = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()


def checked(result: int, what: str) -> int:
    """The result; a negative one is an OSError that says what was tried."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: int | bytes | ctypes.Array | None, what: str) -> int:
    """A system call by number; integers are passed at full width, as variadic arguments need."""
    assert LIBC is not None, "Linux alone has these system calls"
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return checked(LIBC.syscall(ctypes.c_long(number), *wide), what)


def prctl(option: int, *arguments: int) -> int:
    """`prctl(2)`; the arguments that are not given are zero, as some options demand."""
    assert LIBC is not None, "Linux alone has prctl"
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return checked(LIBC.prctl(ctypes.c_int(option), *padded), f"prctl {option}")


def drop_capabilities() -> None:
    """Give up every capability for good: nothing that this process does or executes has one again."""
    assert LIBC is not None, "Linux alone has capabilities"
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    checked(LIBC.capset(*NO_CAPABILITIES), "capset")


def drop_bounding_set() -> None:
    """Keep programs that are executed from getting a capability; needs one itself, so it is tried."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # the kernel has no such capability, or this process may not
            return
