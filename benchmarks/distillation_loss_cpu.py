"""The distillation step on two CPU threads beside the dense form, Liger's and TRL's: seconds, extra memory.

python -m benchmarks.distillation_loss_cpu [--rounds N]; Liger and TRL must be importable to be measured.
The step is forward and backward to hidden states and head, alpha = 0.5, T = 2, fp32, of a student with Qwen2.5-0.5B's
head and a teacher with Qwen2.5-1.5B's. The forms take turns in one process, so that all of them meet the same load of
the machine; the least of the rounds is taken. Memory is of a process per form: the highest resident size in a step
beyond that before it, and beyond the two gradients with which every form ends.

Shape suffixes: N tokens, H student hidden, G teacher hidden, V vocabulary.
"""

import argparse
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import record
from distill.loss.distillation_loss import OnlineTeacher, distillation_loss

H, G, V, THREADS = 896, 1536, 151_936, 2
TIMED, SIZED = 256, (256, 1024)  # tokens
ALPHA, T = 0.5, 2.0
Step = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def make(n: int) -> list[Tensor]:
    """Random student hidden states and head, teacher hidden states and head, labels."""
    draw = torch.Generator().manual_seed(0)

    def normal(rows: int, width: int, scale: float) -> Tensor:
        return torch.randn(rows, width, generator=draw).mul_(scale)

    sides = [normal(n, H, 1.0), normal(V, H, 2 * H**-0.5), normal(n, G, 1.0), normal(V, G, 2 * G**-0.5)]
    return [*sides, torch.randint(0, V, (n,), generator=draw)]


def ours(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """The step of this toolkit."""
    online = OnlineTeacher(teacher, teacher_head)
    return distillation_loss(hidden, head, labels, alpha=ALPHA, temperature=T, teacher=online, ignore_index=None).loss


def dense(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """All logits, then torch's own losses."""
    student_NV, teacher_NV = hidden @ head.T, teacher @ teacher_head.T
    log_p_NV, log_q_NV = (F.log_softmax(logits / T, -1) for logits in (student_NV, teacher_NV))
    kl = F.kl_div(log_p_NV, log_q_NV, log_target=True, reduction="batchmean")
    return ALPHA * F.cross_entropy(student_NV, labels) + (1 - ALPHA) * T * T * kl


def liger(compiled: bool) -> Step:
    """Liger's chunked distillation, which is plain torch, and compiled unless it is told otherwise."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    weights = {"weight_hard_loss": ALPHA, "weight_soft_loss": (1 - ALPHA) * T * T}
    step = LigerFusedLinearJSDLoss(**weights, beta=0.0, temperature=T, compiled=compiled)
    return lambda *inputs: step(*inputs)


def trl() -> Step:
    """TRL's chunked divergence, which has no hard labels: the KL alone."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        parts = (hidden, head, None, teacher, teacher_head, None, 0.0, T, 1.0, None, 1.0, None)
        return T * T * ChunkedDivergenceFunction.apply(*parts)[0].mean()

    return step


FORMS: dict[str, tuple[str | None, Callable[[], Step]]] = {  # what must be there, how the step is made
    "ours": (None, lambda: ours),
    "dense": (None, lambda: dense),
    "liger": ("liger_kernel", lambda: liger(False)),
    "liger_compiled": ("liger_kernel", lambda: liger(True)),
    "trl_kl_alone": ("trl", trl),
}


def once(step: Step, inputs: list[Tensor]) -> float:
    """Seconds of a step."""
    hidden, head, *rest = inputs
    hidden, head = (leaf.detach().requires_grad_() for leaf in (hidden, head))
    start = time.perf_counter()
    step(hidden, head, *rest).backward()
    return time.perf_counter() - start


def extra_mib(name: str, n: int) -> float:
    """Memory of one form, in this process, where a step was taken before."""
    step, inputs = FORMS[name][1](), make(n)
    once(step, inputs)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident size is that of now
    before = resident_mib("VmRSS")
    once(step, inputs)
    return resident_mib("VmHWM") - before - (n + V) * H * 4 / 2**20


def measured_apart(name: str, n: int) -> float:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.distillation_loss_cpu", "--memory-of", name, "--tokens"]
    done = subprocess.run([*command, str(n)], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def timed(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each form in each round, after one in which it may compile."""
    inputs = make(TIMED)
    for step in steps.values():
        once(step, inputs)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(once(step, inputs))
    return seconds


def resident_mib(field: str) -> float:
    """A size in /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure every form and write results/distillation_loss_cpu.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory-of", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    if options.memory_of:
        print(json.dumps(extra_mib(options.memory_of, options.tokens)))
        return
    there = [name for name, (needed, _) in FORMS.items() if needed is None or find_spec(needed)]
    seconds = timed({name: FORMS[name][1]() for name in there}, options.rounds)
    figures: dict[str, Any] = {"hidden": [H, G], "vocabulary": V, "threads": THREADS, "tokens": TIMED}
    for name in there:
        best, middle = min(seconds[name]), statistics.median(seconds[name])
        row = {"seconds": round(best, 3), "median_seconds": round(middle, 3)}
        row["of_dense"] = round(best / min(seconds["dense"]), 3)
        figures[name] = row
    for n in SIZED:
        sizes = {name: measured_apart(name, n) for name in there}
        for name, size in sizes.items():
            share = round(size / sizes["dense"], 3)
            figures[name][f"extra_memory_{n}"] = {"mib": round(size), "of_dense": share}
    record("distillation_loss_cpu", figures)


if __name__ == "__main__":
    main()
