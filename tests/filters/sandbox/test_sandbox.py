import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from filters.sandbox.local import LEVELS, LocalSandbox
from filters.sandbox.program import Limits, Program, ProgramResult
from filters.sandbox.rpc import request_line
from filters.sandbox.zygote_process import tree

REPOSITORY = Path(__file__).resolve().parents[3]


def run(sandbox: LocalSandbox, source: str, stdin: bytes = b"", **limits: float) -> ProgramResult:
    settings = Limits(**({"time_s": 10.0} | limits))  # type: ignore[arg-type]
    return sandbox.run(Program(textwrap.dedent(source), stdin=stdin), settings)


def said(result: ProgramResult) -> str:
    assert (result.ending, result.exit_code) == ("exit", 0), result
    return result.stdout.decode()


def sandbox_mounts() -> list[str]:
    """Return the sandbox mounts visible from this process."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if line.startswith(("box ", "root "))]


def alone(sandbox: LocalSandbox) -> bool:
    """Return whether no process of any program is left."""
    return all(set(tree(zygote.process.pid)) == zygote.own for zygote in sandbox._zygotes.values())


def test_a_program_runs_as_it_would_by_itself(sandbox: LocalSandbox) -> None:
    source = """
    import asyncio, atexit, dataclasses, multiprocessing, pickle, sys, threading

    @dataclasses.dataclass
    class Point:
        x: int

    async def double(value):
        await asyncio.sleep(0)
        return 2 * value

    if __name__ == "__main__":
        atexit.register(print, "last")
        threading.Thread(target=lambda: print("thread")).start()
        print(asyncio.run(double(int(sys.stdin.readline()))), pickle.loads(pickle.dumps(Point(3))), input(), sys.argv)
    """
    text = said(run(sandbox, source, "21\nä\n".encode()))
    assert text.splitlines() == ["thread", "42 Point(x=3) ä ['program.py']", "last"]


@pytest.mark.parametrize(
    "program",
    [
        "print(input())\nexit()",
        "print(input())\nquit()",
        "help\nprint(input())",
        "print(open('/dev/stdin').read(), end='')",
        "print(open('/proc/self/fd/0').read(), end='')",
        "import pathlib\nprint(pathlib.Path('/dev/stdin').read_text(), end='')",
        "print(open(0).read(), file=open('/dev/stdout', 'w'), end='')",
        "file = open(1, 'w')\nfile.write(input())",
        "import os\nfile = os.fdopen(1, 'wb')\nfile.write(input().encode())",
        "import sys, io\nprint(input())\nsys.stdout.flush()\nsys.stdout.close()",
        "import atexit, io, sys\nkept = sys.stdout = io.StringIO()\n"
        "atexit.register(lambda: sys.__stdout__.write(kept.getvalue()))\nprint(input())",
        "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (-1, -1))\nprint(input())",
        "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (1 << 29, -1))\nprint(input())",
        "import sys, threading\nsys.setrecursionlimit(1 << 25)\nthreading.stack_size(1 << 29)\n"
        "thread = threading.Thread(target=lambda: print(input()))\nthread.start()\nthread.join()",
        "import threading\nthreading.stack_size(1 << 30)\nthread = threading.Thread(target=lambda: print(input()))\n"
        "thread.start()\nthread.join()",
        "assert len(str(2**30000)) == 9031\nprint(input())",
    ],
)
def test_what_an_ordinary_interpreter_and_a_judge_offer_is_there(sandbox: LocalSandbox, program: str) -> None:
    assert said(run(sandbox, program, b"3\n")).strip() == "3"


def test_a_long_traceback_is_cut_before_it_is_formatted(sandbox: LocalSandbox) -> None:
    deep = "import sys\nsys.setrecursionlimit(300000)\ndef f(n): return f(n + 1)\n"
    result = run(sandbox, f"{deep}try:\n f(0)\nexcept RecursionError as error:\n raise ValueError('x') from error")
    assert (result.ending, result.exit_code) == ("exit", 1) and result.stderr.endswith(b"ValueError: x\n")
    assert len(result.stderr) < 8000


def test_the_time_limit_is_of_cpu_time_so_a_busy_machine_ends_no_program(sandbox: LocalSandbox) -> None:
    cores = len(os.sched_getaffinity(0))
    spin = "import time\nwhile time.process_time() < {}: pass\nprint('done')"
    with contextlib.ExitStack() as others:
        for _ in range(4 * cores):
            other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            others.callback(other.wait)
            others.callback(other.kill)
        result = run(sandbox, spin.format(0.5), time_s=1.0)
        assert said(result) == "done\n" and 0.5 <= result.seconds < 1
        assert run(sandbox, spin.format(60), time_s=0.3).ending == "time limit"


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("raise KeyError('k')", 1), ("os.abort()", -6)])
def test_the_ending_of_a_program_is_reported(sandbox: LocalSandbox, ending: str, code: int) -> None:
    result = run(sandbox, f"import os, sys\nprint('said')\nsys.stdout.flush()\n{ending}")
    assert (result.ending, result.exit_code, result.stdout) == ("exit", code, b"said\n")


def test_programs_share_nothing(sandbox: LocalSandbox) -> None:
    source = """
    import os, sys, json, tempfile
    print(os.listdir("."), hasattr(json, "left"), os.environ.get("LEFT"), sorted(os.environ))
    json.left = os.environ["LEFT"] = "here"
    open("left", "w").write("here")
    open(os.path.join(tempfile.gettempdir(), "other"), "w").write("here")
    os.mkdir("closed"); open("closed/file", "w").close(); os.chmod("closed", 0)
    """
    first, second = (said(run(sandbox, source)) for _ in range(2))
    assert first == second and first.startswith("[] False None")
    assert "HOME" in first and "VIRTUAL_ENV" not in first and "PYTHON" not in first


def test_files_outside_cannot_be_read_or_written(sandbox: LocalSandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the key")
    source = f"""
    import glob, os, sysconfig
    paths = [{str(secret)!r}, {__file__!r}, "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline", "/dev/mem"]
    opened = []
    for path in paths:
        try:
            opened.append((path, open(path).read(10)))
        except OSError:
            pass
    for path in ({str(tmp_path / "new")!r}, os.path.join(sysconfig.get_path("stdlib"), "new.py"), os.__file__, "/new"):
        try:
            opened.append(open(path, "a"))
        except OSError:
            pass
    print(opened, glob.glob("/home/*") + glob.glob("/root/*/*/*/*.txt") + glob.glob({str(tmp_path)!r} + "/*"))
    """
    assert said(run(sandbox, source)) == "[] []\n"
    assert list(tmp_path.iterdir()) == [secret]


def test_no_socket_leads_out(sandbox: LocalSandbox, tmp_path: Path) -> None:
    abstract = f"\0distill-test-{os.getpid()}"
    path = str(tmp_path / "socket")
    listeners = []
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, abstract), (socket.AF_UNIX, path)):
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
    port = listeners[0].getsockname()[1]
    source = f"""
    import socket
    reached = []
    for family, address in (("AF_INET", ("127.0.0.1", {port})), ("AF_UNIX", {abstract!r}), ("AF_UNIX", {path!r})):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                end = socket.socket(getattr(socket, family), kind)
                end.connect(address)
                reached.append(address)
            except OSError:
                pass
    try:
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        a.sendto(b"x", {abstract!r})
        reached.append("datagram")
    except OSError:
        pass
    print(reached)
    """
    try:
        assert said(run(sandbox, source)) == "[]\n"
    finally:
        for listener in listeners:
            listener.close()


def test_the_kernel_is_out_of_reach(sandbox: LocalSandbox) -> None:
    """Check the capability sets and the system calls that would allow an escape, by x86-64 numbers."""
    calls = {"unshare": (272, 0x10000000), "bpf": (321, 0), "userfaultfd": (323, 0), "io_uring": (425, 1)}
    calls |= {"memfd": (319, b"x", 0), "shmget": (29, 0, 4096, 0o1600), "clone3": (435, 0, 0), "newest": (999, 0)}
    calls |= {"mount": (165, b"x", b"/", b"tmpfs"), "ptrace": (101, 16, os.getpid()), "setuid": (105, 0)}
    calls |= {"prlimit of another": (302, os.getppid(), 7, 0, 0), "clone newuser": (56, 0x10000011, 0, 0, 0, 0)}
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are of x86-64")
    source = f"""
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    got = [name for name, arguments in {calls!r}.items() if libc.syscall(*arguments) >= 0]
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    print(got, list(sets), os.system("true") != 0 or "shell")
    """
    first = said(run(sandbox, source))
    assert first.startswith("[] [0, 0, 0, 0, 0, 0]"), first


def test_limits_end_a_program_and_say_which(sandbox: LocalSandbox) -> None:
    assert run(sandbox, "while True:\n try:\n  while True: pass\n except BaseException: pass", time_s=0.5).ending == (
        "time limit"
    )
    assert run(sandbox, "import time; time.sleep(60)", time_s=0.5).ending == "time limit"
    assert run(sandbox, "while True: print('x' * 65536)", output_mib=1).ending == "output limit"
    many = "import os, time\nkept = bytearray(100 << 20)\nfor _ in range(5): os.fork()\ntime.sleep(60)"
    assert run(sandbox, many, memory_mib=200).ending == "memory limit", "the sum of its processes counts"
    eater = run(sandbox, "kept = []\nwhile True: kept.append(bytearray(1 << 20))", memory_mib=128)
    assert eater.ending == "memory limit" or b"MemoryError" in eater.stderr
    full = run(sandbox, "i = 0\nwhile True:\n open(str(i), 'w').close()\n i += 1", files=100)
    assert full.ending == "disk limit" or b"No space left" in full.stderr
    bomb = run(sandbox, "import os, time\nwhile True:\n os.fork()", processes=20, time_s=5)
    assert bomb.ending in ("process limit", "time limit") or b"BlockingIOError" in bomb.stderr
    assert alone(sandbox)


def test_large_input_and_output_do_not_block(sandbox: LocalSandbox) -> None:
    assert said(run(sandbox, "print(1)", b"7" * 5_000_000)) == "1\n"
    assert said(run(sandbox, "import sys; print(sys.stdin.read(), end='')", b"7" * 5_000_000)) == "7" * 5_000_000
    result = run(sandbox, "import sys\nprint('x' * 2000000)\nsys.stderr.write('y' * 2000000)")
    assert (len(result.stdout), len(result.stderr)) == (2_000_001, 2_000_000)


def test_processes_a_program_leaves_running_are_killed(sandbox: LocalSandbox) -> None:
    source = """
    import os, signal, time
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
    for process in (os.getppid(), 1, -1):
        try:
            os.kill(process, 0)
        except OSError:
            pass
    print("done")
    """
    assert said(run(sandbox, source)) == "done\n"
    assert alone(sandbox)
    assert said(run(sandbox, "print('and the next')")) == "and the next\n"


def test_calls_keep_the_types_of_values(sandbox: LocalSandbox) -> None:
    source = "from fractions import Fraction\ndef f(kind): return eval(kind)\nclass Solution:\n def g(self): return 1"
    kinds = ["(1, [2.0])", "{1: {2, 3}}", "10**40", "float('inf')", "None", "Fraction(1, 3)", "object()", "1/0"]
    calls = b"".join(request_line("f", [kind]) for kind in kinds) + request_line("g", [])
    result = sandbox.run(Program(source, calls=calls), Limits())
    lines = result.replies.decode().splitlines()[1:]
    assert lines[0] == '{"value": {"tuple": [1, [2.0]]}}'
    assert lines[1] == '{"value": {"dict": [[1, {"set": [2, 3]}]]}}'
    assert lines[2] == f'{{"value": {{"int": "{hex(10**40)}"}}}}'
    assert '"object"' in lines[6] and "ZeroDivisionError" in lines[7] and lines[8] == '{"value": 1}'


def test_any_thread_may_call(sandbox: LocalSandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda i: said(run(sandbox, f"print({i})")), range(24)))
    assert outputs == [f"{i}\n" for i in range(24)]


def test_late_orders_to_end_a_program_do_not_reach_the_next(sandbox: LocalSandbox) -> None:
    for orders in range(4):
        sandbox._zygotes["program"].socket.sendall(b"!" * orders)
        time.sleep(0.02)
        assert said(run(sandbox, "print('next')")) == "next\n"


def test_a_lost_zygote_is_replaced(sandbox: LocalSandbox) -> None:
    zygote = sandbox._zygotes["program"]
    threading.Timer(
        0.3, lambda: [os.kill(process, signal.SIGKILL) for process in zygote.own | {zygote.process.pid}]
    ).start()
    with pytest.raises(ConnectionError, match="lost"):
        run(sandbox, "import time; time.sleep(5)")
    assert said(run(sandbox, "print('again')")) == "again\n"


@pytest.mark.parametrize("level", LEVELS)
def test_closing_leaves_nothing_behind(level: str) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    try:
        sandbox = LocalSandbox((level,))
    except OSError as error:
        pytest.skip(f"this kernel does not allow it: {error}")
    with sandbox:
        sandbox.run(Program("def f(): return 1", tests="assert f() == 1"), Limits())
        run(sandbox, "open('file', 'w').write('x'); import os; os.mkdir('folder')")
        processes = [p for zygote in sandbox._zygotes.values() for p in (zygote.process.pid, *zygote.own)]
        assert all(psutil.pid_exists(process) for process in processes)
    assert not any(psutil.pid_exists(process) for process in processes)
    assert not sandbox_mounts()
    assert not os.path.exists(sandbox._zygotes["program"].boxes or "/no such folder")
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_outlives_a_killed_owner(level: str, tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from filters.sandbox.local import LocalSandbox\n"
        "from filters.sandbox.program import Limits, Program\n"
        f"sandbox = LocalSandbox(({level!r},))\n"
        "print('ready', flush=True)\n"
        'sandbox.run(Program(\'import os, time; os.fork(); open("x", "w"); time.sleep(600)\'), Limits(time_s=600))\n'
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as owner:
        assert owner.stdout is not None
        if owner.stdout.readline() != b"ready\n":
            pytest.skip(f"this kernel does not allow {level}")
        deadline = time.monotonic() + 20
        while len(family := psutil.Process(owner.pid).children(recursive=True)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        owner.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert list(tmp_path.iterdir()) == [script]


def test_an_unprivileged_user_gets_the_same_levels(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    python = next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.access(p, os.X_OK)), None)
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); assert sys.version_info >= (3, 11)\n"
        "from filters.sandbox.local import LEVELS, LocalSandbox\n"
        "from filters.sandbox.program import Limits, Program\n"
        "source = 'import os\\ntry:\\n os.listdir(\"/home\")\\nexcept OSError: print(os.getuid() != 0)'\n"
        "for level in LEVELS:\n"
        "    with LocalSandbox((level,)) as sandbox:\n"
        "        print(level, sandbox.run(Program(source), Limits()).stdout)\n"
    )
    command = [python or "", "-c", code]
    done = subprocess.run(command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/")
    if done.returncode and "Error" in done.stderr and "sandbox" not in done.stderr:
        pytest.skip(f"no Python that every user may run: {done.stderr.strip().splitlines()[-1]}")
    assert done.stdout == "namespaces b'True\\n'\nlandlock b'True\\n'\n", done.stderr


def test_no_isolation_only_on_explicit_request() -> None:
    with pytest.raises(OSError, match="no way to isolate"):
        LocalSandbox(())
    with LocalSandbox((), without_isolation=True) as sandbox:
        assert sandbox.isolation == "none"
        orphan = "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(600)\nprint('ran')"
        assert said(run(sandbox, orphan)) == "ran\n"
        assert alone(sandbox)


def test_programs_may_import_from_named_folders(tmp_path: Path) -> None:
    (tmp_path / "extra_module.py").write_text("value = 7")
    for level in LEVELS:
        with LocalSandbox((level,), packages=[str(tmp_path)]) as sandbox:
            assert said(run(sandbox, "import extra_module; print(extra_module.value)")) == "7\n"
            assert run(sandbox, f"open({str(tmp_path / 'extra_module.py')!r}, 'w')").exit_code == 1
