"""The process in which verifiers run: it reads items from a pipe, judges them one by one, and replies at once.

`filters.verification.pool` starts it with three arguments: the parent's sys.path as JSON (used before this module is
imported), the parent's process id, and the address-space limit in MiB. The protocol is JSON lines, never pickle, so a
verifier subverted by the text it judges cannot run code in the parent. It writes `null` when it has started, a
verifier's patience each time it has imported one, and `[status, score, reason, seconds]` for each item.
"""

import contextlib
import ctypes
import json
import os
import resource
import sys
import time
from typing import BinaryIO

from filters.verification.verdicts import Item, Judgement, Verifier, broken, load_verifier, patience_of, verifier_hook

PR_SET_PDEATHSIG, SIGKILL = 1, 9
REASON_CHARS = 500


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    parent, address_space_mib = int(sys.argv[2]), int(sys.argv[3])
    die_with(parent)
    limit_memory(address_space_mib)
    requests, replies = take_stdio()
    say(replies, None)
    verifiers: dict[str, Verifier | Judgement] = {}
    for line in requests:
        name, *fields = json.loads(line)
        if name not in verifiers:
            verifiers[name] = load(name)
            say(replies, patience_of(name) if callable(verifiers[name]) else 1.0)
        started = time.perf_counter()
        judgement = judge(verifiers[name], Item(*fields))
        seconds = time.perf_counter() - started
        say(replies, [judgement.status, judgement.score, judgement.reason[:REASON_CHARS], seconds])


def say(replies: BinaryIO, line: object) -> None:
    """Write one JSON line, unbuffered; exit if the parent is gone."""
    try:
        replies.write(json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        os._exit(0)


def load(name: str) -> Verifier | Judgement:
    """Return the verifier, its libraries loaded, or the judgement that replaces it if it cannot be imported here."""
    try:
        verifier = load_verifier(name)
        if (warm := verifier_hook(name, "warm")) is not None:
            warm()
        return verifier
    except BaseException as error:
        return broken(f"verifier {name!r} failed to load: {describe(error)}")


def judge(verifier: Verifier | Judgement, item: Item) -> Judgement:
    """Return the verifier's judgement; an exception, even SystemExit, is an error of this item alone."""
    if isinstance(verifier, Judgement):
        return verifier
    try:
        judgement = verifier(item)
        if isinstance(judgement, Judgement):
            return judgement
        return broken(f"the verifier returned {type(judgement).__name__}, not a Judgement")
    except BaseException as error:
        return broken(describe(error))


def describe(error: BaseException) -> str:
    """Return `ValueError: its message`."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere the end of the pipe does it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before prctl was reached
        os._exit(0)


def limit_memory(address_space_mib: int) -> None:
    """Set a limit above the cap that the parent watches, so one huge allocation fails before the watch sees it."""
    with contextlib.suppress(ValueError, OSError):  # a stricter limit is already set, or the system has none
        resource.setrlimit(resource.RLIMIT_AS, (address_space_mib << 20, address_space_mib << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def take_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Return both pipes under private descriptors; a verifier's prints go to stderr, and its stdin is empty."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return requests, replies
