"""Compare the distillation step on two CPU threads with the dense form, Liger and TRL: seconds and extra memory.

    python -m benchmarks.distillation_loss_cpu [--rounds N]

Liger and TRL are measured if they can be imported. A step is forward and backward to hidden states and head, with
alpha = 0.5, T = 2 and fp32, for a student with Qwen2.5-0.5B's head and a teacher with Qwen2.5-1.5B's. The forms take
turns in one process, so that all meet the same load on the machine; the fastest round counts. Memory is measured in one
process per form: the peak resident size during a step, less the size before it and less the two gradients that every
form ends with.

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
    """Return random student hidden states and head, teacher hidden states and head, and labels."""
    draw = torch.Generator().manual_seed(0)

    def normal(rows: int, width: int, scale: float) -> Tensor:
        return torch.randn(rows, width, generator=draw).mul_(scale)

    sides = [normal(n, H, 1.0), normal(V, H, 2 * H**-0.5), normal(n, G, 1.0), normal(V, G, 2 * G**-0.5)]
    return [*sides, torch.randint(0, V, (n,), generator=draw)]


def ours(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Run the step of this toolkit."""
    online = OnlineTeacher(teacher, teacher_head)
    return distillation_loss(hidden, head, labels, alpha=ALPHA, temperature=T, teacher=online, ignore_index=None).loss


def dense(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
    """Compute all logits at once, then torch's own losses."""
    student_NV, teacher_NV = hidden @ head.T, teacher @ teacher_head.T
    log_p_NV, log_q_NV = (F.log_softmax(logits / T, -1) for logits in (student_NV, teacher_NV))
    kl = F.kl_div(log_p_NV, log_q_NV, log_target=True, reduction="batchmean")
    return ALPHA * F.cross_entropy(student_NV, labels) + (1 - ALPHA) * T * T * kl


def liger(compiled: bool) -> Step:
    """Return Liger's chunked distillation, which is written in torch, compiled or not."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss

    weights = {"weight_hard_loss": ALPHA, "weight_soft_loss": (1 - ALPHA) * T * T}
    step = LigerFusedLinearJSDLoss(**weights, beta=0.0, temperature=T, compiled=compiled)
    return lambda *inputs: step(*inputs)


def trl() -> Step:
    """Return TRL's chunked divergence, which has no hard labels: the KL only."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def step(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, labels: Tensor) -> Tensor:
        parts = (hidden, head, None, teacher, teacher_head, None, 0.0, T, 1.0, None, 1.0, None)
        mean: Tensor = ChunkedDivergenceFunction.apply(*parts)[0].mean()  # type: ignore[no-untyped-call, unused-ignore]
        return T * T * mean

    return step


FORMS: dict[str, tuple[str | None, Callable[[], Step]]] = {  # the module it needs, and how the step is made
    "ours": (None, lambda: ours),
    "dense": (None, lambda: dense),
    "liger": ("liger_kernel", lambda: liger(False)),
    "liger_compiled": ("liger_kernel", lambda: liger(True)),
    "trl_kl_alone": ("trl", trl),
}


def once(step: Step, inputs: list[Tensor]) -> float:
    """Return the seconds of one step."""
    hidden, head, *rest = inputs
    hidden, head = (leaf.detach().requires_grad_() for leaf in (hidden, head))
    start = time.perf_counter()
    step(hidden, head, *rest).backward()
    return time.perf_counter() - start


def extra_mib(name: str, n: int) -> float:
    """Return the extra memory in MiB of a second step of one form in this process."""
    step, inputs = FORMS[name][1](), make(n)
    once(step, inputs)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak resident size to the present one
    before = resident_mib("VmRSS")
    once(step, inputs)
    return resident_mib("VmHWM") - before - (n + V) * H * 4 / 2**20


def measured_apart(name: str, n: int) -> float:
    """Return `extra_mib` measured in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.distillation_loss_cpu", "--memory-of", name, "--tokens"]
    done = subprocess.run([*command, str(n)], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def timed(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each form in each round, after one round in which it may compile."""
    inputs = make(TIMED)
    for step in steps.values():
        once(step, inputs)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(once(step, inputs))
    return seconds


def resident_mib(field: str) -> float:
    """Return a size from /proc/self/status in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure every form and write results/distillation_loss_cpu.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
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
