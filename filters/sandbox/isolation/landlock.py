"""Landlock: confinement of a process, whatever its user, to named files (Linux 5.13; landlock(7))."""

import ctypes
import functools
import os
import stat
import struct
from collections.abc import Iterable

from filters.sandbox.isolation.syscalls import syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
VERSION, PATH_BENEATH = 1, 1

READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14  # rights that a rule on a file may grant: execute, write, read, truncate
FIRST_RIGHTS = (1 << 13) - 1
RIGHTS_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # ABI -> new right: rename across folders, truncate, device ioctl
NETWORK = 1 << 0 | 1 << 1  # bind and connect TCP, since ABI 4
SCOPED = 1 << 0 | 1 << 1  # abstract unix sockets and signals, since ABI 6


@functools.cache
def abi() -> int:
    """Return the kernel's Landlock ABI version; 0 if Landlock is missing or off."""
    try:
        return syscall(CREATE_RULESET, None, 0, VERSION, what="landlock")
    except (OSError, AssertionError):
        return 0


def keeps_signals_in(version: int) -> bool:
    """Return whether Landlock itself refuses signals to processes outside the sandbox."""
    return version >= 6


def restrict(readable: Iterable[str], writable: Iterable[str], version: int) -> None:
    """Restrict this process and its descendants to the given files and folders; requires no_new_privs."""
    rights = FIRST_RIGHTS | sum(bits for since, bits in RIGHTS_SINCE.items() if version >= since)
    attributes = [rights]
    if version >= 4:
        attributes.append(NETWORK)
    if version >= 6:
        attributes.append(SCOPED)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = syscall(CREATE_RULESET, ctypes.create_string_buffer(packed), len(packed), 0, what="landlock ruleset")
    try:
        for paths, allowed in ((readable, READ), (writable, rights)):
            for path in paths:
                add(ruleset, path, allowed & rights)
        syscall(RESTRICT_SELF, ruleset, 0, what="landlock restrict")
    finally:
        os.close(ruleset)


def add(ruleset: int, path: str, allowed: int) -> None:
    """Allow `allowed` on a path and, if it is a folder, on everything below it."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, descriptor))
        syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0, what=f"landlock rule for {path}")
    finally:
        os.close(descriptor)
