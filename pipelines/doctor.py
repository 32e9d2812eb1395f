"""Checks of the installation: that the four packages are ours, and what this machine can do.

Their names are generic (PyPI has other `filters`, `generators` and `pipelines`), so every command and
every Ray worker first makes sure that all four come from one folder.
"""

import importlib.metadata
import importlib.util
import shutil
import sys
from pathlib import Path

PACKAGES = ("distill", "generators", "filters", "pipelines")
DISTRIBUTION = "distill-toolkit"


class WrongPackage(ImportError):
    """One of the four packages is somebody else's."""


def check_origin() -> Path:
    """The folder all four packages come from; WrongPackage names the stranger, its file and its distribution."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or found.parent.parent != home:
            raise WrongPackage(
                f"the package `{name}` of {DISTRIBUTION} should be {home / name}, but Python finds "
                f"{found or 'a folder without __init__.py, or nothing'}{_owner(name, found)}. "
                "Run from another folder, or install distill-toolkit into an environment of its own."
            )
    return home


def _owner(name: str, found: Path | None) -> str:
    owners = [o for o in importlib.metadata.packages_distributions().get(name, []) if o != DISTRIBUTION]
    return f" (of the distribution {', '.join(owners)})" if found and owners else ""


def diagnose() -> list[tuple[str, str, bool]]:
    """(what, finding, fine?) for the parts of a working installation."""
    rows = [("Python", sys.version.split()[0], sys.version_info >= (3, 11))]
    try:
        rows.append(("packages", f"all four from {check_origin()}", True))
    except WrongPackage as error:
        rows.append(("packages", str(error), False))
    rows += [
        _library(name) for name in ("torch", "transformers", "datasets", "polars", "ray", "datasketch", "math-verify")
    ]
    vllm = _library("vllm")
    rows.append(("vllm", vllm[1] if vllm[2] else "not installed; needed only for the teacher `vllm`", True))
    return [*rows, _device(), _memory(), _disk(), _sandbox()]


def _library(name: str) -> tuple[str, str, bool]:
    try:
        return name, importlib.metadata.version(name), True
    except importlib.metadata.PackageNotFoundError:
        return name, "not installed", False


def _device() -> tuple[str, str, bool]:
    import torch

    if not torch.cuda.is_available():
        return "device", f"CPU, {torch.get_num_threads()} threads; no CUDA", True
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return "device", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}", True


def _memory() -> tuple[str, str, bool]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    return "memory", f"{free:.1f} GiB free", free >= 4


def _disk() -> tuple[str, str, bool]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return "disk", f"{free:.1f} GiB free here", free >= 1


def _sandbox() -> tuple[str, str, bool]:
    """What isolation `code_tests` reaches here; needed only for code, so that none is no fault."""
    from filters.sandbox.local import LEVELS, LocalSandbox
    from filters.sandbox.program import Limits, Program

    refusals = []
    for level in LEVELS:
        try:
            with LocalSandbox((level,)) as sandbox:
                outcome = sandbox.run(Program("print(6 * 7)"), Limits(time_s=30))
        except OSError as error:
            refusals.append(str(error))
            continue
        missed = f"; stronger ones are refused: {refusals[0]}" if refusals else ""
        return "sandbox", f"isolation level `{level}` for the verifier `code_tests`{missed}", outcome.stdout == b"42\n"
    return "sandbox", f"none, so the verifier `code_tests` runs nothing: {'; '.join(refusals)}", True
