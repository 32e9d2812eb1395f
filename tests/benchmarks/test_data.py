"""Fetching data: a real HTTP server, small fixture files, and every way in which a download goes wrong."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks import data, download
from benchmarks.data import FILES, SOURCES, SUITES, DataFile, make_all
from benchmarks.download import DownloadError, Lock, Source, fetch

ROWS = b'{"question": "1 + 1 = ?", "answer": "caf\\u00e9"}\n'
TEXT = '{"question": "1 + 1 = ?", "answer": "café"}\n'.encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server:
    """Paths and their contents; a path in `broken` announces more than it sends, so many times."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.broken: dict[str, int] = {}
        self.asked: list[str] = []
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.asked.append(self.path)
                content = files.contents.get(self.path)
                if self.path == "/busy":
                    self.send_error(503)
                elif content is None:
                    self.send_error(404)
                else:
                    cut = files.broken.get(self.path, 0) > 0
                    files.broken[self.path] = files.broken.get(self.path, 0) - 1
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[: len(content) // 2] if cut else content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    server = Server()
    thread = Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def one_file(server: Server, expected: str | None) -> tuple[dict[str, DataFile], dict[str, Source]]:
    """A file of one source, which the server may have."""
    files = {"set.jsonl.gz": DataFile(("set",), data.plain_text, sha256(TEXT))}
    return files, {"set": Source(f"{server.url}/set.jsonl", expected, "MIT")}


def test_a_file_is_fetched_checked_and_built_once(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.contents["/set.jsonl"] = ROWS
    files, sources = one_file(server, sha256(ROWS))
    assert make_all(list(files), files, sources, tmp_path) == 0
    assert "built, the same as the copy" in capsys.readouterr().out
    packed = (tmp_path / "set.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == TEXT
    assert make_all(list(files), files, sources, tmp_path) == 0
    assert "there already, the same as the copy" in capsys.readouterr().out
    assert server.asked == ["/set.jsonl"]
    assert (tmp_path / "set.jsonl.gz").read_bytes() == packed
    assert not (tmp_path / "data.lock.json").exists(), "only hashes that the table lacks are recorded"


def test_a_built_file_that_differs_is_kept_and_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.contents["/set.jsonl"] = ROWS
    files, sources = one_file(server, sha256(ROWS))
    files["set.jsonl.gz"] = DataFile(("set",), data.as_it_is, sha256(TEXT))
    assert make_all(list(files), files, sources, tmp_path) == 0
    assert "built, DIFFERS" in capsys.readouterr().out
    assert (tmp_path / "set.jsonl.gz").exists()


def test_a_wrong_hash_leaves_nothing(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.contents["/set.jsonl"] = ROWS
    files, sources = one_file(server, sha256(b"something else"))
    assert make_all(list(files), files, sources, tmp_path) == 1
    said = capsys.readouterr().err
    assert f"{server.url}/set.jsonl" in said and sha256(ROWS) in said and sha256(b"something else") in said
    assert not list(tmp_path.rglob("*.*"))


def test_an_unknown_hash_is_recorded_and_checked_afterwards(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.contents["/set.jsonl"] = ROWS
    files, sources = one_file(server, None)
    assert make_all(list(files), files, sources, tmp_path) == 0
    recorded = json.loads((tmp_path / "data.lock.json").read_text())
    assert recorded == {f"{server.url}/set.jsonl": {"sha256": sha256(ROWS), "bytes": len(ROWS)}}
    (tmp_path / "set.jsonl.gz").unlink()
    (tmp_path / "downloads" / "set").unlink()
    server.contents["/set.jsonl"] = ROWS + ROWS
    assert make_all(list(files), files, sources, tmp_path) == 1
    assert "data.lock.json says" in capsys.readouterr().err
    assert not (tmp_path / "set.jsonl.gz").exists()


def test_a_changed_download_on_the_disk_is_noticed(server: Server, tmp_path: Path) -> None:
    server.contents["/set.jsonl"] = ROWS
    source = Source(f"{server.url}/set.jsonl", sha256(ROWS), "MIT")
    path, lock = tmp_path / "downloads" / "set", Lock(tmp_path / "data.lock.json")
    assert fetch(source, path, lock) == fetch(source, path, lock) == ROWS
    assert len(server.asked) == 1
    path.write_bytes(b"changed")
    with pytest.raises(DownloadError, match="the table says"):
        fetch(source, path, lock)


def test_an_interrupted_download_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.contents["/set.jsonl"] = ROWS
    server.broken["/set.jsonl"] = 2
    files, sources = one_file(server, sha256(ROWS))
    assert make_all(list(files), files, sources, tmp_path) == 0
    assert len(server.asked) == 3


def test_a_download_that_is_always_interrupted_leaves_nothing(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.contents["/set.jsonl"] = ROWS
    server.broken["/set.jsonl"] = 99
    files, sources = one_file(server, None)
    assert make_all(list(files), files, sources, tmp_path) == 1
    said = capsys.readouterr().err
    assert f"interrupted after {len(ROWS) // 2} of {len(ROWS)} bytes (3 attempts)" in said
    assert not list(tmp_path.rglob("*.*")), "nothing is written, and no hash recorded"


@pytest.mark.parametrize(
    ("path", "reason", "attempts"), [("/gone", "404 Not Found (1 attempt)", 1), ("/busy", "503", 3)]
)
def test_a_refusal_is_named_and_the_other_files_are_built(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, reason: str, attempts: int
) -> None:
    server.contents["/set.jsonl"] = ROWS
    files, sources = one_file(server, sha256(ROWS))
    refused = DataFile(("refused",), data.as_it_is, sha256(b""))
    sources["refused"] = Source(server.url + path, None, "MIT")
    assert make_all(["first", *files], {"first": refused, **files}, sources, tmp_path) == 1
    assert reason in capsys.readouterr().err
    assert server.asked.count(path) == attempts
    assert (tmp_path / "set.jsonl.gz").exists()


def test_no_server_at_all(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    files, _ = one_file(server, None)
    assert make_all(list(files), files, {"set": Source("http://127.0.0.1:9/set", None, "MIT")}, tmp_path) == 1
    assert "http://127.0.0.1:9/set" in capsys.readouterr().err


def test_a_source_of_another_form_is_named(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.contents["/set.jsonl"] = b"<html>Sign in</html>"
    files, sources = one_file(server, None)
    assert make_all(list(files), files, sources, tmp_path) == 1
    assert "do not have the expected form" in capsys.readouterr().err
    assert not (tmp_path / "set.jsonl.gz").exists()


def test_unknown_names_are_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["data", "--out", str(tmp_path), "HumanEvil.jsonl.gz"])
    with pytest.raises(SystemExit, match="2"):
        data.main()
    said = capsys.readouterr().err
    assert "'HumanEvil.jsonl.gz'" in said and "HumanEval.jsonl.gz" in said


@pytest.mark.parametrize(
    ("build", "source", "built"),
    [
        (data.as_it_is, gzip.compress(b"x\n"), b"x\n"),
        (data.plain_text, b'{"q": "a\\u2028b"}\n', '{"q": "a\u2028b"}\n'.encode()),
        (data.indented, b'[{"a": 1}]', b'[\n    {\n        "a": 1\n    }\n]'),
        (data.every_second, b"1\n2\n3\n4\n5\n", b"1\n3\n5\n"),
        (
            data.with_question,
            b'{"problem": "p", "answer": 27.0}\n',
            b'{"problem": "p", "answer": 27.0, "question": "p"}\n',
        ),
        (data.with_question, b'{"problem": "p", "question": "q"}\n', b'{"problem": "p", "question": "q"}\n'),
    ],
    ids=["as_it_is", "plain_text", "indented", "every_second", "with_question", "has_question"],
)
def test_what_each_way_to_build_makes(build: Callable[[list[bytes]], bytes], source: bytes, built: bytes) -> None:
    assert build([source]) == built


def test_labelled_outputs_are_numbered_over_all_suites_and_the_even_questions_kept() -> None:
    even = [text for text in map(str, range(100)) if data.is_even(text)]
    odd = next(text for text in map(str, range(100)) if not data.is_even(text))
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    solved = {model: {"solution": f"A: {number}", "is_correct": number == 2} for number, model in enumerate(models)}
    solutions = [{"question": question, "ground_truth": "1 + 1\nA: 2", **solved} for question in (odd, even[0])]
    graded = {"question": even[1], "gt": "3", "code": ["It is 3."], "pred": ["3"], "score": [True]}
    voted = graded | {"question": even[2], "code": ["3", "4"], "pred": ["3", "4"], "score": [True, False]}
    completions = [{"full_model_response": "<think></think>5", "model_answer": "5", "score": 0.01}]
    sampled = {"question": even[3], "expected_answer": "6", "completions": completions}
    report = {"categories": [{"datasets": [{"results": [sampled]}]}]}
    contents = [
        jsonl(*solutions),
        *[jsonl(graded)] * (2 * len(SUITES)),
        jsonl(voted),
        *[json.dumps(report).encode()] * 2,
    ]
    rows = [json.loads(line) for line in data.labelled_outputs(contents).splitlines()]
    first, last, suites = rows[0], rows[-1], len(SUITES)
    assert [row["id"] for row in rows[:5]] == [f"gsm8k_2021-{number}" for number in (4, 5, 6, 7)] + ["qwen_aime24-8"]
    assert first == {
        "id": "gsm8k_2021-4",
        "suite": "gsm8k_2021",
        "question": even[0],
        "gold": "2",
        "response": "A: 0",
        "pred": None,
        "label": False,
        "label_by": 'openai exact-match on "A: n"',
        "model": "6b_finetuning",
    }
    assert [row["model"] for row in rows[4 : 4 + 2 * suites]] == ["qwen25-3b-instruct"] * suites + [
        "qwen25-3b-rlft"
    ] * suites
    assert [row["label"] for row in rows if row["suite"] == "qwen_math_cot_100"] == [True, False]
    assert (last["id"], last["label"]) == (f"llama3b_rlft_aime24_50samples-{8 + 2 * suites + 3}", False)


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_the_table_is_whole() -> None:
    used = {key for file in FILES.values() for key in file.sources}
    assert used == set(SOURCES)
    for source in SOURCES.values():
        assert source.url.startswith("https://") and source.licence
        assert any(len(part) == 40 and set(part) <= set("0123456789abcdef") for part in source.url.split("/")), (
            f"{source.url} is not at a fixed commit"
        )
    hashes = [source.sha256 for source in SOURCES.values() if source.sha256] + [file.sha256 for file in FILES.values()]
    assert all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in hashes)


@pytest.mark.parametrize("name", FILES)
def test_the_copy_next_to_the_repository_is_the_one_measured_on(name: str) -> None:
    path = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"needs {name} in a folder `shared/data` next to the repository: python -m benchmarks.data")
    assert data.compared(FILES[name], data.as_it_is([path.read_bytes()])).startswith("the same")
