"""Checks of the installation: the origin of the four packages, and the abilities of this machine.

The packages' names are generic (PyPI has other `filters`, `generators` and `pipelines`). Every command and every Ray
worker therefore first checks that all four come from one folder.
"""

import importlib.metadata
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("distill", "generators", "filters", "pipelines")
DISTRIBUTION = "distill-toolkit"


class WrongPackage(ImportError):
    """A package of another distribution under the name of one of the four."""


def check_origin() -> Path:
    """Return the folder of all four packages; WrongPackage names a foreign package, its file and its distribution."""
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


def own_version() -> str:
    """Return the version of this toolkit, or "(not installed)" for a checkout that was never installed."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def diagnose() -> list[tuple[str, str, bool]]:
    """Return (part, finding, whether it is fine) for each part of a working installation."""
    rows = [(DISTRIBUTION, own_version(), True), ("Python", sys.version.split()[0], sys.version_info >= (3, 11))]
    try:
        rows.append(("packages", f"all four from {check_origin()}", True))
    except WrongPackage as error:
        rows.append(("packages", str(error), False))
    rows += [
        _library(name) for name in ("torch", "transformers", "datasets", "polars", "ray", "datasketch", "math-verify")
    ]
    return [*rows, *_extras(), _device(), _memory(), _disk(), _sandbox()]


EXTRAS = {"vllm": "the engine `vllm`", "logic": "the verifier `logic`"}


def _extras() -> Iterator[tuple[str, str, bool]]:
    """Yield the state of each optional extra; a missing one is not a fault."""
    for extra, needed_for in EXTRAS.items():
        missing = [name for name in _requirements(extra) if not _library(name)[2]]
        lacking = f"lacks {', '.join(missing)}, for {needed_for}: pip install '{DISTRIBUTION}[{extra}]'"
        yield f"extra {extra}", lacking if missing else f"complete: {needed_for} can run", True


def _requirements(extra: str) -> list[str]:
    try:
        every = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        every = []
    marked = re.compile(rf"""extra\s*==\s*['"]{extra}['"]""")
    return [re.split(r"[\s<>=!~;\[]", one, maxsplit=1)[0] for one in every if marked.search(one)]


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
    """Return the isolation level that `code_tests` reaches here; only code needs it, so having none is not a fault."""
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
