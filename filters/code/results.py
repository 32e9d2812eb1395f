"""Reading of what a sandbox says of a run: the limits that a program broke, the lines that it answered."""

import json
from collections.abc import Iterator
from typing import Any

from filters.sandbox.program import Limits, ProgramResult
from filters.verification.verdicts import Judgement, wrong

REASON_CHARS = 300
LIMIT_ERRORS = {  # how a limit enforced by the kernel shows in the program's own error message
    "MemoryError": "memory limit",
    "[Errno 12]": "memory limit",
    "[Errno 28]": "disk limit",
    "[Errno 24]": "file limit",
    "[Errno 27]": "output limit",
    "can't start new thread": "process limit",
    "[Errno 11]": "process limit",
}


def limit_broken(result: ProgramResult, limits: Limits, said: str, test: str) -> Judgement | None:
    """Return the judgement on a program that hit a limit: `timeout` for the time limit, `wrong` for any other."""
    ending: str = result.ending
    if ending == "exit":
        ending = next((limit for words, limit in LIMIT_ERRORS.items() if words in said), "exit")
    if ending == "exit":
        return None
    if ending == "time limit":
        return timed_out(test, limits)
    values = {"memory": f"{limits.memory_mib} MiB", "process": limits.processes, "output": f"{limits.output_mib} MiB"}
    value = values.get(ending.split()[0], f"{limits.disk_mib} MiB, {limits.files} files")
    return wrong(f"{test}: {ending} ({value}){after(': ', said)}")


def timed_out(test: str, limits: Limits) -> Judgement:
    """Return the judgement that the tests took too long."""
    return Judgement("timeout", 0.0, f"{test}: time limit of {limits.time_s:g} s for all tests")


def read_lines(replies: bytes) -> Iterator[dict[str, Any]]:
    """Yield the replies up to the first malformed line; a program may have written anything there."""
    for line in replies.splitlines():
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(reply, dict):
            return
        yield reply


def said_error(reply: dict[str, Any]) -> str:
    """Return an error reply as `ValueError: its message`."""
    return f"{reply.get('error', 'no value')}: {reply.get('message', '')}"[:REASON_CHARS].rstrip(": ")


def last_line(stderr: bytes) -> str:
    """Return the last line of a traceback."""
    written = stderr[-2000:].decode(errors="replace").strip().splitlines()
    return written[-1][:REASON_CHARS] if written else ""


def after(separator: str, text: str) -> str:
    """Return the text with a separator in front, or nothing if the text is empty."""
    return f"{separator}{text}" if text else ""
