"""The HTTP engine against real servers on real sockets, most of which misbehave."""

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.contract.engine import Engine, Outcome, SampleRequest, SamplingConfig, load_engine
from generators.contract.files import frame, write_frame
from generators.contract.ids import prompt_id_of, seed_of
from generators.contract.models import model_path
from generators.contract.records import PROMPT
from generators.contract.stage_protocol import StageCounts
from generators.engines import openai, transformers
from generators.engines.openai import server_limits
from generators.engines.openai.replies import Fault, read_reply
from generators.engines.openai.server_limits import Server, retry_after_s
from generators.generate import generate
from generators.ledger.ledger import Ledger
from generators.sampling import scheduler
from generators.sampling.settings import GenerateConfig

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk-very-secret-0123456789"
Serve = Callable[..., str]
Drive = Callable[[Engine, Sequence[SampleRequest]], dict[str, Outcome]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a fault server and returns its base URL."""
    running: list[subprocess.Popen[str]] = []

    def start(**options: object) -> str:
        command = [sys.executable, str(ROOT / "tests" / "fault_server.py")]
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        running.append(subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True))
        stdout = running[-1].stdout
        assert stdout
        return f"http://127.0.0.1:{stdout.readline().strip()}/v1"

    start.running = running  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no API key from the environment."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(scheduler, "BACKOFF_S", 0.05)
    monkeypatch.setattr(server_limits, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(server_limits, "LONGEST_PAUSE_S", 0.3)


def ask(folder: Path, questions: Sequence[str]) -> Path:
    chats = [[{"role": "user", "content": question}] for question in questions]
    rows = [{"prompt_id": prompt_id_of(chat), "messages": chat} for chat in chats]
    write_frame(frame(rows, PROMPT), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def config(urls: str | list[str], n: int = 1, **more: Any) -> GenerateConfig:
    settings = {key: more.pop(key) for key in ("max_attempts", "give_up_after_s", "truncated") if key in more}
    options = {"base_urls": urls, "concurrency": 32, **more}
    sampling = SamplingConfig(n=n, max_new_tokens=64)
    return GenerateConfig(engine="openai", model="some/model", sampling=sampling, options=options, **settings)


def run(folder: Path, questions: Sequence[str], asking: GenerateConfig) -> tuple[StageCounts, pl.DataFrame]:
    counts = generate(ask(folder, questions), folder, asking)
    return counts, pl.read_parquet(folder / "traces.parquet")


def seen(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/seen") as response:
        return json.load(response)


def sums(count: int) -> list[str]:
    return [f"{i}+{i}" for i in range(count)]


def complete(rows: pl.DataFrame, questions: Sequence[str], n: int = 1) -> bool:
    """Return whether every sample is there once, with the answer to its own question."""
    said = sorted(rows["answer"])
    wanted = sorted(f"It is {question}." for question in questions for _ in range(n))
    return said == wanted and rows["trace_id"].n_unique() == len(wanted)


def test_samples_come_back_as_rows_in_order(serve: Serve, tmp_path: Path) -> None:
    url = serve()
    counts, rows = run(tmp_path, sums(20), config(url, n=3))
    assert (counts.rows_in, counts.rows_kept, counts.notes["sampled"]) == (60, 60, 60)
    assert complete(rows, sums(20), n=3)
    first = rows.row(0, named=True)
    assert (first["reasoning"], first["answer"]) == ("First, 0+0.\n\nSo it is.", "It is 0+0.")
    assert (first["finish_reason"], first["prompt_tokens"], first["completion_tokens"]) == ("stop", 7, 12)
    assert (first["teacher"], first["revision"], first["error"]) == ("some/model", "", None)
    (body,) = seen(url)["bodies"]
    assert body.keys() == {"model", "messages", "max_tokens", "temperature", "top_p", "seed"}
    assert set(seen(url)["answered"].values()) == {3}
    again, _ = run(tmp_path, sums(20), config(url, n=3))
    assert again.notes["sampled"] == 0


@pytest.mark.parametrize("forms", [["inline", "opened", "reasoning", "reasoning_content", "parts"]])
def test_every_form_of_reasoning_is_the_same_record(serve: Serve, tmp_path: Path, forms: list[str]) -> None:
    records = []
    for form in forms:
        (tmp_path / form).mkdir()
        _, rows = run(tmp_path / form, sums(2), config(serve(form=form)))
        records.append(rows)
    assert all(rows.equals(records[0]) for rows in records)
    assert records[0]["reasoning"].null_count() == 0


def test_thinking_that_was_cut_off_is_reasoning_without_an_answer(serve: Serve, tmp_path: Path) -> None:
    for form, opened in [("cut", False), ("cut_reasoning", False), ("cut_opened", True)]:
        (tmp_path / form).mkdir()
        _, rows = run(tmp_path / form, ["1+1"], config(serve(form=form), think_opened=opened))
        row = rows.row(0, named=True)
        assert (row["reasoning"], row["answer"], row["finish_reason"]) == ("First, 1+1.\n\nSo it is.", "", "length")


def test_half_a_surrogate_does_not_break_the_ledger(serve: Serve, tmp_path: Path) -> None:
    _, rows = run(tmp_path, ["1+1"], config(serve(form="surrogate")))
    assert rows["answer"].to_list() == ["It is 1+1. \ufffd|"]


@pytest.mark.parametrize(
    ("choice", "usage", "expected"),
    [
        ({"message": {"content": "4"}, "finish_reason": None}, {"completion_tokens": 64}, ("length", 64)),
        ({"message": {"content": "4"}, "finish_reason": None}, {"completion_tokens": 3}, ("stop", 3)),
        ({"message": {"content": "4"}}, None, ("stop", None)),
        ({"text": "4", "finish_reason": "max_tokens"}, {"completion_tokens": "many"}, ("length", None)),
        ({"text": "4", "finish_reason": "eos", "token_ids": [5, 0]}, {}, ("stop", 2)),
        ({"text": "4", "finish_reason": "MAX_TOKENS"}, {"completion_tokens": 9}, ("length", 9)),
        ({"message": {"content": "</think>\n4</s>", "thinking": "2+2"}, "finish_reason": "STOP"}, {}, ("stop", None)),
        ({"message": {"content": [{"thinking": "2+2"}, {"type": "text", "text": "4"}]}}, {}, ("stop", None)),
    ],
)
def test_ends_and_counts_are_read_as_servers_write_them(choice: Any, usage: Any, expected: Any) -> None:
    reply = read_reply(json.dumps({"choices": [choice], "usage": usage}).encode(), 64)
    assert (reply.answer, reply.finish_reason, reply.completion_tokens) == ("4", *expected)


@pytest.mark.parametrize(
    ("body", "final", "sentence"),
    [
        (b"", False, "the reply is no JSON: nothing"),
        (b"[1]", False, "the reply is no JSON object"),
        (b'{"choices": []}', False, "the reply has no choices"),
        (b'{"error": {"message": "overloaded"}}', False, "the server failed: .*overloaded"),
        (b'{"choices": [{"message": {"content": " "}}]}', False, "the reply is empty"),
        (b'{"choices": [{"message": {"content": null, "refusal": "No."}}]}', True, r"the server refuses: No\."),
        (b'{"choices": [{"text": "x", "finish_reason": "content_filter"}]}', True, "refuses: finish_reason content_f"),
        (
            b'{"choices": [{"message": {"refusal": "No."}}], "usage": {"completion_tokens": 4}}',
            True,
            r"the server refuses: No\.",
        ),
        (b'{"choices": [{"text": "x", "finish_reason": "SAFETY"}]}', True, "refuses: finish_reason SAFETY"),
        (
            b'{"choices": [{"text": "x", "finish_reason": "tool_calls"}]}',
            False,
            "called a tool .*: finish_reason tool_c",
        ),
        (b'{"choices": [{"text": "x", "finish_reason": "odd"}]}', False, "unknown finish_reason 'odd'"),
        (b'{"choices": [{"text": "x", "finish_reason": "abort"}]}', False, "gave the sample up: finish_reason abort"),
        (b'{"choices": [{"text": "x", "token_ids": ["y"]}]}', False, "token_ids are no token ids"),
    ],
)
def test_a_reply_that_is_no_completion_is_a_fault(body: bytes, final: bool, sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        read_reply(body, 64)
    assert caught.value.final == final and re.search(sentence, caught.value.sentence)


def test_several_urls_share_the_work(serve: Serve, tmp_path: Path) -> None:
    urls = [serve(delay_s=0.02), serve(delay_s=0.02), serve(delay_s=0.02)]
    _, rows = run(tmp_path, sums(150), config(urls))
    assert complete(rows, sums(150))
    shares = [sum(seen(url)["answered"].values()) for url in urls]
    assert sum(shares) == 150 and min(shares) >= 25


@pytest.mark.parametrize("fault", ["500", "502", "408", "garbage", "empty", "half", "reset", "never"])
def test_a_server_that_fails_for_a_while_loses_nothing(serve: Serve, tmp_path: Path, fault: str) -> None:
    url = serve(fault=fault, first=40)
    # silence is told from one slow sample only once three in a row have met it: it may cost a sample two attempts
    attempts, timeout_s = (3, 2) if fault == "never" else (2, 20)
    counts, rows = run(tmp_path, sums(60), config(url, max_attempts=attempts, answer_timeout_s=timeout_s))
    assert counts.dropped == {} and complete(rows, sums(60))
    assert seen(url)["refused"] == 40
    assert fault == "never" or set(seen(url)["answered"].values()) == {1}  # a busy machine may be late as well
    assert len(list(Ledger(tmp_path / "ledger").rows())) == 60


@pytest.mark.parametrize("fault", ["retry-after", "retry-date"])
def test_a_server_that_asks_for_time_is_given_it(serve: Serve, tmp_path: Path, fault: str) -> None:
    url = serve(fault=fault, first=4)
    started = time.monotonic()
    counts, rows = run(tmp_path, sums(30), config(url, max_attempts=1))
    assert time.monotonic() - started > 0.9
    assert counts.dropped == {} and complete(rows, sums(30))
    assert seen(url)["refused"] <= 8  # those under way, and no more of them until the time has come


def test_a_server_is_asked_for_what_it_takes(serve: Serve, tmp_path: Path) -> None:
    url = serve(most=5, delay_s=0.01)
    counts, rows = run(tmp_path, sums(300), config(url, max_attempts=1))
    assert counts.dropped == {} and complete(rows, sums(300))
    assert seen(url)["refused"] < 60


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after_s("3") == 3 and retry_after_s("1.5") == 1.5 and retry_after_s("-1") == 0
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after_s(text) for text in (None, "", "soon", "nan")] == [None] * 4


def test_a_server_that_takes_all_is_asked_for_more_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(server_limits.time, "monotonic", lambda: now[0])
    server = Server("u", 256)
    for _ in range(12):
        began = [server.begin() for _ in range(server.room())]
        now[0] += 1.0
        for at in began:
            server.in_flight -= 1
            server.answered(at)
    assert server.room() == 256
    began = [server.begin() for _ in range(256)]
    for at in began:
        server.in_flight -= 1
        server.overloaded(at, 2.0)
    assert int(server.limit) == int(256 * 0.7) and server.room() == 0  # once for all that were under way
    now[0] += 2.1
    assert server.room() == int(256 * 0.7)


def test_a_failure_that_is_heard_of_after_the_recovery_is_still_the_server_s() -> None:
    server = server_limits.Server("http://one", 32)
    early = server.begin()
    for name in "abc":
        server.failed(name, False, server.begin())
    server.answered(server.begin())
    assert server.failed("d", True, early)
    assert not server.failed("d", True, server.begin())


def test_a_server_that_dies_is_waited_for(serve: Serve, tmp_path: Path) -> None:
    url = serve(delay_s=0.01)
    port = int(url.split(":")[2].removesuffix("/v1"))
    restart = f"import time; time.sleep(2); import runpy, sys; sys.argv = ['s', '--port={port}']; "
    restart += f"runpy.run_path({str(ROOT / 'tests' / 'fault_server.py')!r}, run_name='__main__')"
    killer = f"import time, os; time.sleep(0.7); os.kill({serve.running[0].pid}, 9)"  # type: ignore[attr-defined]
    subprocess.Popen([sys.executable, "-c", killer])
    serve.running.append(subprocess.Popen([sys.executable, "-c", restart], text=True))  # type: ignore[attr-defined]
    counts, rows = run(tmp_path, sums(1500), config(url, max_attempts=2, concurrency=16))
    assert counts.dropped == {} and complete(rows, sums(1500))
    assert len(list(Ledger(tmp_path / "ledger").rows())) == 1500


@pytest.mark.parametrize("poison", ["500", "400", "422", "garbage", "reset"])
def test_prompts_that_no_server_accepts_fail_alone(serve: Serve, tmp_path: Path, poison: str) -> None:
    questions = [*sums(99), "poison", *[f"9{i}+1" for i in range(100)]]
    counts, rows = run(tmp_path, questions, config([serve(poison=poison), serve(poison=poison)], max_attempts=3))
    assert (counts.rows_in, counts.dropped) == (200, {"error": 1})
    failed = rows.filter(pl.col("finish_reason") == "error")
    assert failed["answer"].to_list() == [""] and failed["error"].str.len_chars()[0] > 10
    assert complete(rows.filter(pl.col("error").is_null()), [q for q in questions if q != "poison"])


def test_a_server_that_stays_away_ends_the_run_with_every_sample_accounted_for(tmp_path: Path) -> None:
    counts, rows = run(tmp_path, sums(600), config("http://127.0.0.1:9/v1", give_up_after_s=0.8))
    assert counts.dropped == {"error": 600}
    assert set(rows["error"].str.slice(0, 64)) == {"nothing came for 0.8 s: no connection to http://127.0.0.1:9/v1/c"}


@pytest.mark.parametrize("status", [401, 403, 404, 308])
def test_a_server_that_will_never_answer_stops_the_run(serve: Serve, tmp_path: Path, status: int) -> None:
    url = serve(fault=str(status), first=1000)
    with pytest.raises(RuntimeError, match=rf"^{url}/chat/completions answers {status}: out of order$"):
        run(tmp_path, sums(20), config(url))


def test_the_key_is_sent_and_shown_nowhere(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    url = serve(poison="echo")
    asking = config(url, max_attempts=1, api_key_env="MY_KEY")
    counts, rows = run(tmp_path, [*sums(20), "poison"], asking)
    assert seen(url)["keys"] == [f"Bearer {KEY}"] and counts.dropped == {"error": 1}
    assert "bad key Bearer [key]" in rows.filter(pl.col("error").is_not_null())["error"][0]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    said = repr(asking) + asking.model_dump_json() + repr(asking.identity()) + str(rows.to_dicts()) + caplog.text
    assert KEY.encode() not in written and KEY not in said
    url = serve(fault="401", first=9)
    with pytest.raises(RuntimeError) as caught:
        run(tmp_path, sums(30), config(url, api_key_env="MY_KEY"))
    assert KEY not in repr(caught.value) + str(caught.getrepr(showlocals=False))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"base_urls": f"https://me:{KEY}@host/v1"}, "option base_urls: .* user, password or query is not taken"),
        ({"base_urls": f"https://host/v1?key={KEY}"}, "option base_urls: .* user, password or query is not taken"),
        ({"base_urls": f"host:8000/{KEY}"}, "option base_urls: .* begins with http"),
        ({"base_urls": "http://h/v1", "api_key_env": KEY}, "option api_key_env: .* no name of an environment variable"),
        ({"base_urls": "http://h/v1", "extra_body": {"api_key": KEY}}, "option extra_body: .* no place in a recipe"),
        ({"base_urls": "http://h/v1", "extra_body": {"n": 4}}, "option extra_body: n is set by the sampling"),
        ({"base_urls": "http://h/v1", "api": "completions"}, 'api = "completions" needs tokenizer'),
        ({"base_urls": []}, "option base_urls: .* at least 1 item"),
    ],
)
def test_wrong_options_are_refused_without_repeating_secrets(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        load_engine("openai", options)
    assert KEY not in str(caught.value)


def test_a_named_key_that_is_not_set_is_missed_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the environment variable MY_KEY is not set"):
        run(tmp_path, sums(2), config("http://127.0.0.1:9/v1", api_key_env="MY_KEY"))


def test_chats_cannot_go_on_where_they_were_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'truncated = "continue" needs exact token ids, which openai has only'):
        run(tmp_path, sums(2), config("http://127.0.0.1:9/v1", truncated="continue"))


def test_further_keys_are_sent_and_part_of_what_a_sample_is(serve: Serve, tmp_path: Path) -> None:
    url = serve()
    plain, more = config(url), config(url, extra_body={"top_k": 20}, omit=["seed"])
    assert plain.signature() != more.signature() and plain.identity() != more.identity()
    assert plain.identity() == config("http://other/v1", concurrency=1, answer_timeout_s=9).identity()
    run(tmp_path, sums(2), more)
    (body,) = seen(url)["bodies"]
    assert body["top_k"] == 20 and "seed" not in body


DRIVER = """
import sys
from pathlib import Path
from generators.generate import generate
from generators.sampling.settings import GenerateConfig
generate(Path(sys.argv[1]), Path(sys.argv[2]), GenerateConfig.model_validate_json(sys.argv[3]))
"""


def test_a_killed_run_goes_on_and_asks_for_little_again(serve: Serve, tmp_path: Path) -> None:
    url = serve(delay_s=0.005)
    asking, asked = config(url), ask(tmp_path, sums(1000))
    command = [sys.executable, "-c", DRIVER, str(asked), str(tmp_path), asking.model_dump_json()]
    process = subprocess.Popen(command, cwd=ROOT)
    log = tmp_path / "ledger" / "000001.log"
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < 400):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    held = log.read_bytes().count(b"\n")
    counts, rows = run(tmp_path, sums(1000), asking)
    assert counts.notes["reused"] == held and counts.notes["sampled"] == 1000 - held
    assert complete(rows, sums(1000))
    times = seen(url)["answered"].values()
    assert len(times) == 1000 and sum(times) - 1000 <= 32


NOTEBOOK = """
import asyncio, signal, sys
from pathlib import Path
from generators.generate import generate
from generators.sampling.settings import GenerateConfig

async def main():
    if sys.argv[4] == "notebook":  # where Ctrl-C raises at once; asyncio.run would cancel the task
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config = GenerateConfig.model_validate_json(sys.argv[3])
    print(generate(Path(sys.argv[1]), Path(sys.argv[2]), config).rows_kept)

asyncio.run(main())
"""


def test_samples_are_made_in_a_thread_that_runs_a_loop(serve: Serve, tmp_path: Path) -> None:
    asked, asking = ask(tmp_path, sums(40)), config(serve(delay_s=0.005))

    async def notebook() -> StageCounts:
        return generate(asked, tmp_path, asking)

    assert asyncio.run(notebook()).rows_kept == 40
    assert complete(pl.read_parquet(tmp_path / "traces.parquet"), sums(40))


@pytest.mark.parametrize("where", ["notebook", "asyncio.run"])
def test_ctrl_c_under_a_running_loop_keeps_what_is_done(serve: Serve, tmp_path: Path, where: str) -> None:
    asked, asking = ask(tmp_path, sums(1000)), config(serve(delay_s=0.02), concurrency=8)
    command = [sys.executable, "-c", NOTEBOOK, str(asked), str(tmp_path), asking.model_dump_json(), where]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "ledger" / "000001.log"
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < 40):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT and said.rstrip().endswith("KeyboardInterrupt")
    assert "never awaited" not in said and "Unclosed" not in said and "was destroyed" not in said
    held = log.read_bytes().count(b"\n")
    counts, rows = run(tmp_path, sums(1000), asking)
    assert 40 <= held == counts.notes["reused"] and complete(rows, sums(1000))


TEACHER = "embedded:teacher"
GREEDY = SamplingConfig(temperature=0, max_new_tokens=200)


@pytest.fixture(scope="module")
def vllm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real `vllm serve` on the embedded teacher."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    port = 18000 + os.getpid() % 2000
    command = [str(Path(sys.executable).with_name("vllm")), "serve", model_path(TEACHER), "--port", str(port)]
    more = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--served-model-name", "toy"]
    log = tmp_path_factory.mktemp("vllm") / "log"
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
    with open(log, "w") as file:
        process = subprocess.Popen([*command, *more], stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 400
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])


@pytest.mark.slow
@pytest.mark.parametrize("api", ["chat", "completions", "chat with text only"])
def test_vllm_serve_gives_the_records_of_transformers(vllm_url: str, drive: Drive, api: str) -> None:
    questions = [f"What is {i} + {2 * i + 7}?" for i in range(12)]
    chats = [[{"role": "user", "content": question}] for question in questions]
    requests = [
        SampleRequest(f"t{i}", prompt_id_of(chat), chat, 0, seed_of(0, f"t{i}")) for i, chat in enumerate(chats)
    ]
    local = transformers.build(model_path(TEACHER), GREEDY, transformers.Options(dtype="float32"))
    expected = {key: dict(outcome.row or {}) for key, outcome in drive(local, requests).items()}
    text_only = api == "chat with text only"
    exact = {"extra_body": {"skip_special_tokens": False}} if text_only else {"token_ids": True, "tokenizer": TEACHER}
    options = openai.Options(base_urls=(vllm_url,), api="chat" if text_only else api, **exact)  # type: ignore
    engine = openai.build("toy", GREEDY, options)
    rows = {key: dict(outcome.row or {"error": outcome.error}) for key, outcome in drive(engine, requests).items()}
    engine.close()
    if text_only:
        expected = {key: {**row, "token_ids": None} for key, row in expected.items()}
    assert rows == expected


@pytest.mark.slow
def test_samples_cut_off_go_on_over_vllm_serve_token_for_token(vllm_url: str, tmp_path: Path) -> None:
    questions = [f"What is {i} + {2 * i + 7}?" for i in range(12)]
    options = {"base_urls": [vllm_url], "api": "completions", "token_ids": True, "tokenizer": TEACHER}
    facts = {"engine": "openai", "model": "toy", "options": options}
    whole = GenerateConfig(**facts, sampling=GREEDY.model_copy(update={"n": 1}))
    cut = SamplingConfig(temperature=0, max_new_tokens=15, n=1)
    joined = GenerateConfig(**facts, sampling=cut, truncated="continue", continue_to=GREEDY.max_new_tokens)
    for name in ("whole", "joined"):
        (tmp_path / name).mkdir()
    _, expected = run(tmp_path / "whole", questions, whole)
    counts, rows = run(tmp_path / "joined", questions, joined)
    assert counts.notes["continued"] > len(questions)
    same = ["prompt_id", "reasoning", "answer", "finish_reason", "completion_tokens", "token_ids"]
    assert rows.select(same).equals(expected.select(same))
