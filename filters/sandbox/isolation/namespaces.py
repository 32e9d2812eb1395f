"""Isolation of a process in user, pid, mount, network, IPC and UTS namespaces (namespaces(7)).

The new root is a read-only tmpfs with the named folders (read-only), a few devices, and BOX, an empty tmpfs for each
program with a cap on bytes and files. There is no /proc, no home directory and no socket, and no network interface is
up. An unprivileged user may do all this if the kernel allows user namespaces. Nothing is left behind, because mounts
and processes end with the namespaces.
"""

import ctypes
import os
from collections.abc import Sequence

from filters.sandbox.isolation.syscalls import LIBC, checked, syscall

BOX = "/box"
NEW_NAMESPACES = 0x10000000 | 0x20000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000  # user pid mnt net ipc uts
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
ATTR_READ_ONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
DEVICES = ("null", "zero", "full", "random", "urandom")
NOBODY = 65534
INSIDE = 1000  # the uid that a program sees


def enter(readable: Sequence[str]) -> None:
    """Put the children of this process into new namespaces and give it a new root; raise OSError if the kernel refuses.

    The calling process itself stays outside the pid namespace: its first child is process 1 there.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        os.setresuid(NOBODY, -1, -1)  # the kernel exempts real uid 0 from the limit on processes
    assert LIBC is not None, "namespaces exist on Linux alone"
    checked(LIBC.unshare(NEW_NAMESPACES), "unshare")
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{INSIDE} {user} 1")
    write("/proc/self/gid_map", f"{INSIDE} {group} 1")
    new_root(readable)


def write(path: str, text: str) -> None:
    """Write a kernel file in a single write."""
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def new_root(readable: Sequence[str]) -> None:
    """Build the root on a tmpfs, bind the readable paths, and detach the old root."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("root", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    os.mkdir("/tmp/old")
    syscall(PIVOT_ROOT[os.uname().machine], b"/tmp", b"/tmp/old", what="pivot_root")
    os.chdir("/")
    os.makedirs("/dev")
    for path in readable:
        bring(path)
    for name in DEVICES:
        bring(f"/dev/{name}", device=True)
    os.mkdir(BOX)
    if not os.path.lexists("/tmp"):  # a readable path may lie below it
        os.symlink(BOX, "/tmp")
    os.symlink(BOX, "/dev/shm")
    checked(LIBC.umount2(b"/old", MNT_DETACH) if LIBC else -1, "umount of the old root")
    os.rmdir("/old")
    set_attributes("/", ATTR_READ_ONLY)


def bring(path: str, device: bool = False) -> None:
    """Bind a file or folder of the old root under its own path; symbolic links stay links."""
    if os.path.lexists(path):
        return
    old = f"/old{path}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(old):
        os.symlink(os.readlink(old), path)
        return
    if os.path.isdir(old):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(old, path, None, MS_BIND | MS_REC)
    if not device:
        set_attributes(path, ATTR_READ_ONLY | ATTR_NOSUID | ATTR_NODEV, AT_RECURSIVE)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Call `mount(2)`."""
    assert LIBC is not None, "these mounts exist on Linux alone"
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = LIBC.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    checked(result, f"mount {target}")


def set_attributes(path: str, attributes: int, flags: int = 0) -> None:
    """Call `mount_setattr(2)`, which changes a whole tree at once (Linux 5.12)."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, wanted, ctypes.sizeof(wanted), what=f"read-only {path}")


def mount_box(disk_mib: int, files: int) -> None:
    """Mount an empty folder for one program, in memory."""
    mount("box", BOX, "tmpfs", MS_NOSUID | MS_NODEV, f"size={disk_mib}m,nr_inodes={files},mode=700")


def unmount_box() -> None:
    """Unmount the folder and discard its contents."""
    assert LIBC is not None, "these mounts exist on Linux alone"
    checked(LIBC.umount2(os.fsencode(BOX), MNT_DETACH), "umount of the box")
