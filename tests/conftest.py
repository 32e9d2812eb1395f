"""For all tests."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# A Ray that somebody else runs on this machine, or another test, is not joined.
os.environ["RAY_ADDRESS"] = "local"
# Tokens that a test made stay with the tests, and none are found that another version left.
os.environ["DISTILL_CACHE"] = tempfile.mkdtemp(prefix="distill-cache-")
atexit.register(shutil.rmtree, os.environ["DISTILL_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test imported from a temporary folder: another test has its own of the same name."""
    before, paths = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = paths
    base = tmp_path_factory.getbasetemp()
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        own = vars(module)  # not getattr: torch.classes answers any name with a namespace
        places = [own.get("__file__"), *(own.get("__path__") or ())]
        if any(place and Path(place).is_relative_to(base) for place in places):
            del sys.modules[name]
