"""Tools of all benchmarks: peak memory of the process tree, and results as JSON with hardware, versions and commit."""

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from pipelines.hardware import hardware
from pipelines.stage_folder import commit, versions

RESULTS = Path(__file__).resolve().parent / "results"
POLL_S = 0.05


class PeakMemory:
    """Peak resident size of this process and its children: `with PeakMemory() as peak: ...`, then `peak.mib`."""

    def __init__(self) -> None:
        self.mib = 0.0
        self.over = threading.Event()
        self.poller = threading.Thread(target=self._poll, daemon=True)

    def _poll(self) -> None:
        me = psutil.Process()
        while not self.over.wait(POLL_S):
            self.mib = max(self.mib, sum(map(resident_mib, [me, *me.children(recursive=True)])))

    def __enter__(self) -> "PeakMemory":
        self.poller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.over.set()
        self.poller.join()


def resident_mib(process: psutil.Process) -> float:
    """Return the resident size of one process in MiB; 0 if it has just ended."""
    try:
        size: int = process.memory_info().rss
        return size / 2**20
    except psutil.Error:
        return 0.0


def record(name: str, figures: Mapping[str, Any]) -> Path:
    """Write results/NAME.json, print it and return its path.

    A copy of the code whose .git is missing or of another commit is told its commit by the variable DISTILL_COMMIT.
    """
    code = os.environ.get("DISTILL_COMMIT") or commit()
    about = {"hardware": hardware(), "versions": versions(), "commit": code, "date": datetime.now(UTC).isoformat()}
    text = json.dumps({**figures, **about}, indent=1)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(text + "\n", encoding="utf-8")
    print(text)
    return path
