"""One rank of a training that `launch` started: it reads a job from stdin and says its progress on stdout, as JSON."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generators.contract.errors import DistillError
from generators.contract.stage_protocol import Bar, Runtime

STOPPED = 130  # exit code of a rank that was asked to stop


class _Line:
    """A bar whose steps are lines of JSON."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}

    def show(self, **facts: object) -> None:
        self.facts = {name: str(value) for name, value in facts.items()}

    def update(self, n: int = 1, /) -> None:
        say({"update": n, "show": self.facts})


@contextmanager
def lines(unit: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Open a bar that the starting process shows."""
    say({"bar": [unit, total, done]})
    yield _Line()


def say(event: dict[str, Any]) -> None:
    """Tell the starting process something."""
    print(json.dumps(event), file=CHANNEL, flush=True)


def main() -> int:
    """Train, and return the exit code."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_starter, daemon=True).start()
    from distill.settings import TrainConfig
    from distill.train import train

    config = TrainConfig.model_validate_json(job.pop("config"))
    paths = {name: Path(path) if path else None for name, path in job.items()}
    try:
        counts = train(**paths, config=config, runtime=Runtime(progress=lines))  # type: ignore[arg-type]
        say({"counts": counts.as_dict()})
        return 0
    except KeyboardInterrupt:
        return STOPPED
    except DistillError as error:
        say({"error": [type(error).__name__, str(error)]})
        return 1


def _end_with_starter() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    CHANNEL = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is for people
    code = main()
    CHANNEL.flush()
    os._exit(code)  # other ranks may be gone, so the process group is not taken down
