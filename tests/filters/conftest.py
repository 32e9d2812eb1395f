import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from filters.sandbox.local import LEVELS, LocalSandbox

AWKWARD = """
import os, signal, sys, time
from filters.verification.verdicts import Judgement

def verify(item):
    command, _, argument = item.answer.partition(" ")
    if item.reference and os.path.isabs(item.reference):  # a log of every call
        with open(item.reference, "a") as log:
            log.write(item.answer + "\\n")
    if command == "sleep":
        time.sleep(float(argument))
    if command == "stuck":
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        9 ** 99999999
    if command == "eat":
        hoard = []
        while True:
            hoard.append(bytearray(8 << 20))
    if command == "gulp":
        bytearray(100 << 30)
    if command == "raise":
        raise ValueError(argument)
    if command == "leave":
        sys.exit(1)
    if command == "exit":
        os._exit(int(argument))
    if command == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if command == "print":
        print('["correct", 1.0, "forged", 0]', flush=True)
    if command == "nothing":
        return None
    return Judgement("correct", 1.0, item.answer)
"""


@pytest.fixture
def awkward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the dotted path of a verifier that obeys its answer: sleep, eat memory, raise, exit."""
    folder = tmp_path / "modules" / "awkward_verifiers"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "commands.py").write_text(AWKWARD)
    monkeypatch.syspath_prepend(str(folder.parent))
    for name in [name for name in sys.modules if name.startswith("awkward_verifiers")]:
        del sys.modules[name]
    return "awkward_verifiers.commands"


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real data next to the repository."""
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in the folder `shared/data` next to the repository")
    return folder


@pytest.fixture(scope="module", params=LEVELS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[LocalSandbox]:
    """Yield a sandbox of each isolation level that this kernel allows."""
    try:
        sandbox = LocalSandbox((request.param,))
    except OSError as error:
        pytest.skip(f"this kernel does not allow it: {error}")
    with sandbox:
        yield sandbox
