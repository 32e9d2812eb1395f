"""The parts of an interpreter's start and end that the forked process of a program lacks, since it never started one.

`python program.py` gives a program the names that `site` adds, and at its end flushes every open file and prints the
traceback of the exception that ended it. A judge's interpreter also converts integers of any size to text.
"""

import atexit
import builtins
import functools
import gc
import io
import os
import site
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

STDERR = 2
FRAMES = 20
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
STREAMS |= {f"{folder}/fd/{number}": number for folder in ("/dev", "/proc/self") for number in range(3)}


def furnish(memory_mib: int) -> None:
    """Add `exit` and the like, lift the limit on the digits of an integer, and let `open` find the standard streams.

    /dev/stdin leads through /proc, which the isolation level `namespaces` does not have. Programs ask for stacks as
    large as a judge's memory; a thread gets one of half the memory limit, which Python's own recursion does not use.
    """
    threading.stack_size = functools.partial(set_stack_size, threading.stack_size, memory_mib << 19)
    site.setquit()
    site.setcopyright()
    site.sethelper()
    sys.set_int_max_str_digits(0)
    builtins.open = io.open = functools.partial(open_stream, io.open)


def set_stack_size(real: Callable[[int], int], most: int, size: int = 0) -> int:
    """Set the size of threads' stacks, at most `most`, and return the size before."""
    return real(min(size, most))


def open_stream(real: Any, file: Any, *arguments: Any, **keywords: Any) -> Any:
    """Open a file as `open` does; a standard stream's path opens a duplicate of its descriptor."""
    path = os.fspath(file) if isinstance(file, os.PathLike) else file
    number = STREAMS.get(path) if isinstance(path, str) else None
    return real(file if number is None else os.dup(number), *arguments, **keywords)


def exit_status(code: object) -> int:
    """Return the exit status that `sys.exit(code)` gives."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def report() -> None:
    """Print the traceback to stderr; errors while printing are dropped."""
    try:
        error = sys.exception()
        assert error is not None
        shorten(error)
        traceback.print_exception(error)
    except BaseException:
        os.write(STDERR, b"the program raised an exception that cannot be printed\n")


def shorten(error: BaseException) -> None:
    """Keep the last frames alone: formatting a million of them, as `limit` does before it drops them, takes seconds."""
    seen: set[int] = set()
    chain: BaseException | None = error
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))
        chain.__traceback__ = last_frames(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__


def last_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback without its outer frames."""
    kept: deque[TracebackType] = deque(maxlen=FRAMES)
    while trace is not None:
        kept.append(trace)
        trace = trace.tb_next
    return kept[0] if kept else None


def leave(status: int) -> None:
    """End as an interpreter does, waiting for threads and running atexit, without its slow teardown."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        flush_files()
    except BaseException:
        report()
        status = status or 1
    os._exit(status)


def flush_files() -> None:
    """Write what open files still hold, text first, since it goes through a buffer; a closed stream is left alone."""
    files = gc.get_objects()
    streams = [stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if stream is not None]
    texts = [file for file in files if issubclass(type(file), io.TextIOWrapper)]
    buffers = [file for file in files if issubclass(type(file), io.BufferedIOBase)]
    for file in (*streams, *texts, *buffers):
        flush(file)


def flush(file: Any) -> None:
    """Flush a file; ValueError says that it is closed or detached, and an incomplete object has no `closed`."""
    try:
        if not getattr(file, "closed", False):
            file.flush()
    except (ValueError, AttributeError):
        pass
