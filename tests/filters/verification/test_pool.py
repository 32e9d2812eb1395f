import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filters.verification.pool import Pool
from filters.verification.verdicts import Item

REPOSITORY = Path(__file__).resolve().parents[3]


def tasks(verifier: str, commands: list[str], log: Path | None = None) -> list[tuple[str, Item]]:
    return [(verifier, Item(command, reference=str(log) if log else None)) for command in commands]


def test_a_broken_limit_affects_only_its_item(awkward: str, tmp_path: Path) -> None:
    ill = {
        "sleep 60": ("timeout", "not decided within 1.5 s"),
        "stuck": ("timeout", "not decided within 1.5 s"),
        "eat": ("error", "the verifier used more than 300 MiB"),
        "gulp": ("error", "MemoryError"),
        "raise no such number": ("error", "ValueError: no such number"),
        "leave": ("error", "SystemExit: 1"),
        "exit 3": ("error", "the verifier's process ended by itself: exit code 3"),
        "crash": ("error", "the verifier's process ended by itself: signal SIGSEGV"),
        "nothing": ("error", "the verifier returned NoneType, not a Judgement"),
        "print": ("correct", "print"),
    }
    commands = [f"item {i}" for i in range(100)]
    for place, command in zip(range(0, 100, 7), ill, strict=False):
        commands[place] = command
    log = tmp_path / "log"
    with Pool(2, timeout_s=1.5, memory_mib=300) as pool:
        verdicts = pool.run(tasks(awkward, commands, log))
    expected = [ill.get(command, ("correct", command)) for command in commands]
    assert [(v.status, v.reason) for v in verdicts] == expected
    assert Counter(log.read_text().splitlines()) == Counter(commands), "each item is judged exactly once"
    assert all(v.seconds < 5 for v in verdicts)


def test_a_slow_item_does_not_use_up_the_time_of_later_ones(awkward: str) -> None:
    with Pool(1, timeout_s=0.6) as pool:
        verdicts = pool.run(tasks(awkward, ["sleep 0.3"] * 6))
    assert [v.status for v in verdicts] == ["correct"] * 6


def test_many_threads_share_one_pool(awkward: str) -> None:
    with Pool(2, timeout_s=0.5) as pool, ThreadPoolExecutor(8) as threads:
        batches = [[f"{thread} {i}" for i in range(50)] + ["sleep 9"] * (thread == 3) for thread in range(8)]
        results = list(threads.map(lambda batch: pool.run(tasks(awkward, batch)), batches))
    for batch, verdicts in zip(batches, results, strict=True):
        assert [v.reason for v in verdicts[:50]] == batch[:50]
    assert results[3][-1].status == "timeout"


def test_asyncio_awaits_a_batch_and_may_cancel_it(awkward: str) -> None:
    async def judge(pool: Pool) -> list[str]:
        late = asyncio.wrap_future(pool.submit(tasks(awkward, ["sleep 0.05"] * 200)))
        await asyncio.sleep(0.1)
        late.cancel()
        futures = [asyncio.wrap_future(pool.submit(tasks(awkward, [f"{i}"]))) for i in range(20)]
        return [verdicts[0].reason for verdicts in await asyncio.gather(*futures)]

    with Pool(1, timeout_s=2) as pool:
        assert asyncio.run(judge(pool)) == [str(i) for i in range(20)]


def test_items_larger_than_a_pipe_pass(awkward: str) -> None:
    with Pool(1, timeout_s=5) as pool:
        verdicts = pool.run([(awkward, Item(f"{i}", reasoning="r" * 1_000_000)) for i in range(5)])
    assert [v.reason for v in verdicts] == [str(i) for i in range(5)]


def test_oversized_items_are_refused_without_delaying_others(awkward: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filters.verification.pool.MAX_CHARS", 1000)
    items = [Item("a"), Item("b" * 1001), Item("c", "r" * 600, "t" * 600), Item("d")]
    with Pool(1) as pool:
        verdicts = pool.run([(awkward, item) for item in items])
        alone = pool.run([(awkward, items[1])])
    told = "unparseable: 1001 characters; at most 1000 are judged"
    assert [f"{v.status}: {v.reason}" for v in (verdicts[1], *alone)] == [told, told]
    assert [v.status for v in verdicts] == ["correct", "unparseable", "unparseable", "correct"]


def test_text_with_lone_surrogates_passes(awkward: str) -> None:
    with Pool(1) as pool:
        assert [v.reason for v in pool.run(tasks(awkward, ["\ud800", "\x00\n\u2028"]))] == ["\ud800", "\x00\n\u2028"]


def test_an_unknown_verifier_is_an_error_of_its_items(awkward: str) -> None:
    with Pool(1) as pool:
        verdicts = pool.run([("no.such.module", Item("a")), (awkward, Item("b"))])
    assert [v.status for v in verdicts] == ["error", "correct"]
    assert "no.such.module" in verdicts[0].reason


def test_closing_fails_waiting_batches_and_refuses_new_ones(awkward: str) -> None:
    pool = Pool(1, timeout_s=60)
    future = pool.submit(tasks(awkward, ["sleep 60", "behind"]))
    pool.close()
    with pytest.raises(RuntimeError, match="closed before"):
        future.result(timeout=10)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(tasks(awkward, ["more"]))


def test_a_dropped_pool_leaves_no_thread(awkward: str) -> None:
    pool = Pool(1)
    pool.run(tasks(awkward, ["one"]))
    del pool
    assert not [t for t in threading.enumerate() if t.name == "verifier-pool"]


def test_bad_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="timeout_s is 0"):
        Pool(1, timeout_s=0)


PARENT = """
    import sys, threading, time
    sys.path[:0] = {paths}
    from filters.verification.pool import Pool
    from filters.verification.verdicts import Item
    pool = Pool(2, timeout_s=600)
    items = [("{verifier}", Item("stuck")), ("{verifier}", Item("sleep 500"))]
    # from a thread that ends at once: its end must not be taken for the parent's
    threading.Thread(target=lambda: pool.submit(items)).start()
    while len(pool._manager.workers) < 2 or not all(w.loaded for w in pool._manager.workers):
        time.sleep(0.01)
    time.sleep(0.2)
    print(*(w.process.pid for w in pool._manager.workers if w.process.poll() is None), flush=True)
    pool.submit(items).result()
"""


def start_parent(verifier: str) -> tuple[subprocess.Popen[str], list[int]]:
    paths = [str(REPOSITORY), next(path for path in sys.path if path.endswith("modules"))]
    code = textwrap.dedent(PARENT).format(paths=paths, verifier=verifier)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    return parent, children


def gone(pid: int, within_s: float = 10.0) -> bool:
    for _ in range(int(within_s / 0.02)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_parent_leaves_no_worker(awkward: str) -> None:
    parent, children = start_parent(awkward)
    parent.kill()
    parent.communicate()
    assert all(gone(pid) for pid in children)


def test_ctrl_c_ends_the_parent_and_its_workers(awkward: str) -> None:
    parent, children = start_parent(awkward)
    os.killpg(parent.pid, signal.SIGINT)
    _, errors = parent.communicate(timeout=20)
    assert parent.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
    assert all(gone(pid) for pid in children)
