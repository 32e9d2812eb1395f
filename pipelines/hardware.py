"""The machine: a line about it that names neither host nor user, and threads that leave its cores to others."""

import os
import platform
import re
from collections import Counter
from pathlib import Path

# Threads that wait sleep: spinning ones take the time of those that work when cores are shared.
PASSIVE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def let_threads_sleep() -> None:
    """Set what OpenMP reads when torch's library is loaded, here and in every process started; your own values stay."""
    for name, value in PASSIVE_THREADS.items():
        os.environ.setdefault(name, value)


def hardware() -> str:
    """Return a line such as `AMD EPYC 7763, 16 cores, 62 GiB memory, 2 x NVIDIA H100`, without loading torch."""
    import psutil

    memory_gib = psutil.virtual_memory().total / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = Counter(_gpu_models(Path("/proc/driver/nvidia/gpus")))
    parts = [_processor(), f"{cores} cores", f"{memory_gib:.0f} GiB memory"]
    return ", ".join([*parts, *(f"{n} x {model}" for model, n in sorted(gpus.items()))])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _gpu_models(drivers: Path) -> list[str]:
    texts = [path.read_text() for path in sorted(drivers.glob("*/information"))]
    return [found[1].strip() for text in texts if (found := re.search(r"^Model:\s*(.+)$", text, re.MULTILINE))]
