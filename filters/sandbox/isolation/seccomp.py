"""A seccomp filter of the system calls that a sandboxed program may not make.

Refused with EPERM: every socket except a connected pair of streams, which asyncio needs internally; inspecting or
stopping other processes and setting their limits; mounts, namespaces and changes of user; System V and POSIX message
queues, which outlive a process; in-memory files, which no limit counts; kernel interfaces with a record of
vulnerabilities (bpf, io_uring, userfaultfd, perf, keyrings). `clone3`, whose flags a filter cannot read, fails with
ENOSYS (libraries fall back to `clone`), as do system calls newer than this file. A call of another architecture,
32-bit calls included, kills the process.

`setsid` and `setpgid` report success and do nothing, so a program stays in the process group that it is killed with.

The system call numbers are those of Linux (asm/unistd_64.h and asm-generic/unistd.h).
"""

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Iterator

from filters.sandbox.isolation.syscalls import LIBC, checked

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # (AUDIT_ARCH, column in the tables below)
NEWEST = 462  # mseal; x32 calls, which begin at 2**30, are above it as well
CLONE_NEW = 0x7E020000 | 0x80  # the flags for new namespaces

REFUSED = {  # name: (number on x86_64, number on aarch64 or None)
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "unshare": (272, 97),
    "setns": (308, 268),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "setgroups": (116, 159),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "fanotify_init": (300, 262),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
}
CLONE3 = 435
PR_SET_SECCOMP, MODE_FILTER = 22, 2
SETSID, SETPGID = (112, 157), (109, 154)
PRLIMIT = (302, 261)
CLONE, SOCKETPAIR, KILL, TKILL, TGKILL = (56, 220), (53, 199), (62, 129), (200, 130), (234, 131)

LOAD, EQUAL, ABOVE, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
ALLOW, END_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
SOCK_STREAM, SOCK_TYPES = 1, 0xF


def argument(index: int) -> int:
    """Return the offset of the low half of an argument on a little-endian machine."""
    return 16 + 8 * index


Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def refuse(number: int) -> Instruction:
    """Return the instruction that fails with an error number; 0 reports success without doing anything."""
    return RETURN, 0, 0, ERRNO | number


def when(number: int, *body: Instruction) -> Iterator[Instruction]:
    """Yield the instructions for one system call; the body must end in a return."""
    yield EQUAL, 0, len(body), number
    yield from body


def instructions(machine: str, own_process: int | None) -> Iterator[Instruction]:
    """Yield the filter; if `own_process` is given, that process may send signals to itself alone."""
    audit, column = MACHINES[machine]
    no, yes = refuse(errno.EPERM), refuse(0)
    allow: Instruction = (RETURN, 0, 0, ALLOW)
    yield LOAD, 0, 0, ARCHITECTURE
    yield EQUAL, 1, 0, audit
    yield RETURN, 0, 0, END_PROCESS
    yield LOAD, 0, 0, NUMBER
    yield ABOVE, 0, 1, NEWEST
    yield refuse(errno.ENOSYS)
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            yield from when(number, no)
    yield from when(CLONE3, refuse(errno.ENOSYS))
    for call in (SETSID, SETPGID):
        yield from when(call[column], yes)
    yield from when(CLONE[column], (LOAD, 0, 0, argument(0)), (ANY_BIT, 0, 1, CLONE_NEW), no, allow)
    streams = ((LOAD, 0, 0, argument(1)), (AND, 0, 0, SOCK_TYPES), (EQUAL, 1, 0, SOCK_STREAM), no, allow)
    yield from when(SOCKETPAIR[column], *streams)
    yield from when(PRLIMIT[column], (LOAD, 0, 0, argument(0)), (EQUAL, 1, 0, 0), no, allow)  # 0: own process
    if own_process is not None:
        for call in (KILL, TKILL, TGKILL):
            yield from when(call[column], (LOAD, 0, 0, argument(0)), (EQUAL, 1, 0, own_process), no, allow)
    yield allow


class Filter(ctypes.Structure):
    """The C structure sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@functools.cache
def assembled(machine: str, own_process: int | None) -> Filter:
    """Return the filter in the form that the kernel reads."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions(machine, own_process))
    return Filter(len(code) // 8, code)


def install(own_signals_only: bool) -> None:
    """Filter this process and everything it starts, for good; requires no_new_privs.

    `own_signals_only` is for kernels that cannot confine signals to the sandbox. Raises OSError on an unknown machine.
    """
    machine = os.uname().machine
    if LIBC is None or machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"seccomp: no filter for {machine}, only for {', '.join(MACHINES)}")
    program = assembled(machine, os.getpid() if own_signals_only else None)
    checked(LIBC.prctl(PR_SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), ctypes.byref(program), 0, 0), "seccomp")
