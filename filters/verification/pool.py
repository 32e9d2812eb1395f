"""A pool of warm worker processes that run verifiers, each item under one wall-clock deadline and one memory cap.

    with Pool(workers=2, timeout_s=5.0) as pool:
        verdicts = pool.run([("math_answer", item), ...])  # in the order of the items

A worker that exceeds a limit is killed and replaced: its item becomes `timeout` or `error`, the items queued behind it
go to another worker, and no item that has a verdict is judged again. Limits are enforced from outside, by a thread of
this process, because the code that exceeds them (big-integer powers, regular expressions) holds the worker's
interpreter lock, so no signal handler or thread of the worker can run. Items of more than MAX_CHARS characters are not
even sent.

The pool works from threads, asyncio (`await asyncio.wrap_future(pool.submit(tasks))`) and Ray actors, and together with
torch: workers are started by exec, not fork, do not import the caller's `__main__`, and no signal is handled here.

Memory: the cap is on resident memory, read from /proc every WATCH_S, since RLIMIT_AS alone turns into a MemoryError
that broad `except` clauses of sympy and Math-Verify swallow into "wrong". RLIMIT_AS is set HEADROOM_MIB higher as a
barrier against a single huge allocation. Without /proc only the deadline is enforced.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from filters.verification.verdicts import Item, Verdict
from generators.contract.errors import RecipeError

Task = tuple[str, Item]  # verifier name, item

MAX_CHARS = 8_000_000  # per item; a completion of 128k tokens has about 500,000
START_S = 60.0  # for starting the interpreter and importing a verifier, which are not the item's fault
WATCH_S = 0.05
HEADROOM_MIB = 1024
WINDOW = 32  # items sent ahead to one worker
LIFETIME = 20_000  # items after which a worker is renewed: Math-Verify's caches grow by about 12 KB per item
PAGE = os.sysconf("SC_PAGE_SIZE")
START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from filters.verification.worker import main; main()"


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Worker processes shared by every thread that holds this object; they end with `close`, with it, or with us."""

    def __init__(self, workers: int | None = None, *, timeout_s: float = 5.0, memory_mib: int = 2048) -> None:
        workers = default_workers() if workers is None else workers
        for name, value in (("workers", workers), ("timeout_s", timeout_s), ("memory_mib", memory_mib)):
            if value <= 0:
                raise RecipeError(f"{name} is {value}; it must be above 0")
        self._manager = _Manager(workers, timeout_s, memory_mib)
        self._manager.start()
        self._finalizer = weakref.finalize(self, self._manager.stop)

    def submit(self, tasks: Sequence[Task]) -> "Future[list[Verdict]]":
        """Return a future of the verdicts, in the order of `tasks`."""
        batch = _Batch(len(tasks))
        lines: list[_Task] = []
        for index, (name, item) in enumerate(tasks):
            if (size := characters(item)) > MAX_CHARS:
                batch.set(index, Verdict("unparseable", 0.0, f"{size} characters; at most {MAX_CHARS} are judged"))
            else:
                lines.append(_Task(batch, index, *encode(name, item)))
        if lines:
            self._manager.add(lines)
        elif not tasks:
            batch.future.set_result([])
        return batch.future

    def run(self, tasks: Sequence[Task]) -> list[Verdict]:
        """Return the verdicts, in the order of `tasks`."""
        return self.submit(tasks).result()

    def close(self) -> None:
        """Kill the workers; unfinished batches end with a RuntimeError."""
        self._finalizer()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def characters(item: Item) -> int:
    """Return the total length of an item's texts."""
    texts = (item.answer, item.reference, item.reasoning, *(message["content"] for message in item.messages))
    return sum(len(text) for text in texts if text)


def encode(name: str, item: Item) -> tuple[str, bytes]:
    """Return the verifier name and the line for the worker: the item's fields in the order of `Item`."""
    messages = [{"role": m["role"], "content": m["content"]} for m in item.messages]
    said = [item.answer, item.reference, item.reasoning, messages, item.finish_reason, item.bare]
    return name, json.dumps([name, *said, dict(item.options)]).encode() + b"\n"


class _Batch:
    def __init__(self, size: int) -> None:
        self.future: Future[list[Verdict]] = Future()
        self.verdicts: dict[int, Verdict] = {}
        self.size = size

    def set(self, index: int, verdict: Verdict) -> None:
        assert index not in self.verdicts, f"item {index} has a verdict already: {self.verdicts[index]}"
        self.verdicts[index] = verdict
        if len(self.verdicts) == self.size and self.future.set_running_or_notify_cancel():
            self.future.set_result([self.verdicts[i] for i in range(self.size)])

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Task:
    __slots__ = ("batch", "index", "line", "verifier")

    def __init__(self, batch: _Batch, index: int, verifier: str, line: bytes) -> None:
        self.batch, self.index, self.verifier, self.line = batch, index, verifier, line


class _Worker:
    """One child process and the items sent to it; it is working on the first of them."""

    def __init__(self, address_space_mib: int) -> None:
        arguments = [sys.executable, "-c", START, json.dumps(sys.path), str(os.getpid()), str(address_space_mib)]
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | one_thread,
            start_new_session=True,  # shields workers from Ctrl-C; killpg then ends their children too
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.sent: deque[_Task] = deque()
        self.unsent, self.unread = b"", b""
        self.started, self.loaded = False, dict[str, float]()  # the patience of each verifier
        self.served = 0
        self.since = time.monotonic()  # when work on the first of `sent` began

    def limit_s(self, timeout_s: float) -> float:
        patience = self.loaded.get(self.sent[0].verifier)
        return START_S if patience is None else patience * timeout_s

    def read(self) -> bool:
        """Process every complete line available; return False at the end of the pipe, that is, of the process."""
        while True:
            try:
                data = os.read(self.output, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            *lines, self.unread = (self.unread + data).split(b"\n")
            for line in lines:
                self.take(json.loads(line))

    def take(self, reply: list[Any] | float | None) -> None:
        self.since = time.monotonic()
        if isinstance(reply, list):
            task = self.sent.popleft()
            self.served += 1
            task.batch.set(task.index, Verdict(*reply))
        elif reply is not None:
            self.loaded[self.sent[0].verifier] = reply
        self.started = True

    def send(self, tasks: list[_Task]) -> None:
        if not self.sent:
            self.since = time.monotonic()
        self.sent.extend(tasks)
        self.unsent += b"".join(task.line for task in tasks)
        self.write()

    def write(self) -> None:
        try:
            while self.unsent:
                self.unsent = self.unsent[os.write(self.input, self.unsent) :]
        except BrokenPipeError:  # the process has ended, which the end of `output` will show
            self.unsent = b""
        except BlockingIOError:
            pass

    def memory_mib(self) -> float:
        try:
            with open(f"/proc/{self.process.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * PAGE / 2**20
        except (OSError, IndexError):  # it has just ended, or there is no /proc
            return 0.0

    def kill(self) -> None:
        """Kill the process and everything it started; replies already written are still read."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.read()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


class _Manager(threading.Thread):
    """The thread that owns the workers.

    It also starts them, because the kernel treats the end of the thread that started a child as its parent's death.
    """

    def __init__(self, size: int, timeout_s: float, memory_mib: int) -> None:
        super().__init__(name="verifier-pool", daemon=True)
        self.size, self.timeout_s, self.cap_mib = size, timeout_s, memory_mib
        self.workers: list[_Worker] = []
        self.pending: deque[_Task] = deque()
        self.added: deque[list[_Task]] = deque()  # handed over by other threads
        self.lock = threading.Lock()
        self.stopping = False
        self.selector = selectors.DefaultSelector()
        self.wake_output, self.wake_input = os.pipe()
        os.set_blocking(self.wake_output, False)
        self.selector.register(self.wake_output, selectors.EVENT_READ, None)

    def add(self, tasks: list[_Task]) -> None:
        with self.lock:
            if self.stopping:
                raise RuntimeError("the verifier pool is closed")
            self.added.append(tasks)
            os.write(self.wake_input, b".")

    def stop(self) -> None:
        with self.lock:
            if not self.stopping:
                self.stopping = True
                os.write(self.wake_input, b".")
        if threading.current_thread() is not self:  # a future's callback runs in this very thread
            self.join()

    def run(self) -> None:
        error: Exception = RuntimeError("the verifier pool was closed before the batch was done")
        try:
            while not self.stopping:
                self.step()
        except Exception as failure:  # otherwise callers would wait forever for a dead thread
            error = failure
        with self.lock:
            self.stopping = True
        for worker in self.workers:
            worker.kill()
            self.pending.extend(worker.sent)
        for task in (*self.pending, *(task for tasks in self.added for task in tasks)):
            task.batch.fail(error)
        self.selector.close()
        os.close(self.wake_output)
        os.close(self.wake_input)

    def step(self) -> None:
        """Wait for an event, process it, enforce the limits, and send more items."""
        for key, events in self.selector.select(self.patience()):
            if key.fd == self.wake_output:
                os.read(self.wake_output, 1 << 16)
            elif key.data in self.workers:  # else it has just been replaced
                self.serve(key.data, events)
        while self.added:
            self.pending.extend(self.added.popleft())
        for worker in list(self.workers):
            if worker.sent and (reason := self.broken_limit(worker)):
                self.replace(worker, reason)
            elif worker.served >= LIFETIME and not worker.sent:
                self.replace(worker, None)
        self.feed()

    def serve(self, worker: _Worker, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            worker.write()
        elif not worker.read():
            self.replace(worker, None)

    def patience(self) -> float | None:
        """Return the seconds until a limit must be checked; None while no worker has work."""
        now = time.monotonic()
        waits = [w.since + w.limit_s(self.timeout_s) - now for w in self.workers if w.sent]
        return max(0.0, min(*waits, WATCH_S)) if waits else None

    def broken_limit(self, worker: _Worker) -> Verdict | None:
        """Return the verdict on the current item if it exceeded a limit, else None; too short a run is not checked."""
        elapsed = time.monotonic() - worker.since
        if elapsed < min(WATCH_S, self.timeout_s):
            return None
        if worker.memory_mib() > self.cap_mib:
            return Verdict("error", 0.0, f"the verifier used more than {self.cap_mib} MiB", elapsed)
        if elapsed < worker.limit_s(self.timeout_s):
            return None
        if worker.sent[0].verifier in worker.loaded:
            return Verdict("timeout", 0.0, f"not decided within {worker.limit_s(self.timeout_s):g} s", elapsed)
        return Verdict("error", 0.0, f"the verifier was not loaded within {START_S:g} s", elapsed)

    def replace(self, worker: _Worker, verdict: Verdict | None) -> None:
        """Kill a worker; `verdict` is for its current item, unless that item finished at the last moment."""
        culprit = worker.sent[0] if worker.sent else None
        self.workers.remove(worker)
        self.selector.unregister(worker.output)
        with contextlib.suppress(KeyError):
            self.selector.unregister(worker.input)
        worker.kill()
        if not worker.started:
            raise RuntimeError(f"a verifier process could not start: {ending(worker.process.returncode)}")
        if culprit and worker.sent and worker.sent[0] is culprit:
            elapsed = time.monotonic() - worker.since
            died = f"the verifier's process ended by itself: {ending(worker.process.returncode)}"
            worker.sent.popleft()
            culprit.batch.set(culprit.index, verdict or Verdict("error", 0.0, died, elapsed))
        self.pending.extendleft(reversed(worker.sent))

    def feed(self) -> None:
        """Top up each worker and start missing ones; the last items are spread over all workers."""
        while self.pending and len(self.workers) < self.size and len(self.workers) < len(self.pending):
            self.workers.append(worker := _Worker(self.cap_mib + HEADROOM_MIB))
            self.selector.register(worker.output, selectors.EVENT_READ, worker)
        for worker in self.workers:
            if worker.served < LIFETIME and len(worker.sent) <= WINDOW // 4 and self.pending:
                share = min(WINDOW, 1 + len(self.pending) // (2 * self.size))
                worker.send(self.next_tasks(share))
            self.watch_input(worker)

    def next_tasks(self, most: int) -> list[_Task]:
        """Return up to `most` tasks that someone still waits for."""
        tasks: list[_Task] = []
        while self.pending and len(tasks) < most:
            task = self.pending.popleft()
            if not task.batch.future.cancelled():
                tasks.append(task)
        return tasks

    def watch_input(self, worker: _Worker) -> None:
        """Watch for room in the worker's pipe while data waits to be sent."""
        watched = worker.input in self.selector.get_map()
        if worker.unsent and not watched:
            self.selector.register(worker.input, selectors.EVENT_WRITE, worker)
        elif watched and not worker.unsent:
            self.selector.unregister(worker.input)


def ending(returncode: int) -> str:
    """Return `exit code 3` or `signal SIGSEGV`."""
    if returncode >= 0:
        return f"exit code {returncode}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-returncode).name}"
    return f"signal {-returncode}"
