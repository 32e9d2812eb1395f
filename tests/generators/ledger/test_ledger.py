import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from generators.contract.errors import InUse
from generators.contract.records import TRACE
from generators.ledger import ledger
from generators.ledger.export import export
from generators.ledger.ledger import Ledger


def trace(index: int, finish: str = "stop", answer: str = "4") -> dict:
    return {
        "trace_id": f"t{index}", "prompt_id": "p", "sample_index": index, "seed": 2**61 + index, "answer": answer,
        "finish_reason": finish, "error": "no luck" if finish == "error" else None, "token_ids": [1, 2, index],
    }  # fmt: skip


def write(folder: Path, rows: list[dict]) -> None:
    with Ledger(folder, write=True) as kept:
        for row in rows:
            kept.append(row)


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    odd = 'line\nbreak \r\x0b\u2028 "quotes" \\ é 你好'
    write(tmp_path, [trace(0, answer=odd), trace(1)])
    write(tmp_path, [trace(2)])
    kept = Ledger(tmp_path)
    assert kept.ids() == {"t0", "t1", "t2"} and "t1" in kept and "t9" not in kept and len(kept) == 3
    rows = {row["trace_id"]: row for row in kept.rows()}
    assert rows["t0"] == {**dict.fromkeys(TRACE), **trace(0, answer=odd)}


def test_a_missing_folder_reads_as_empty(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").ids() == set()
    assert not (tmp_path / "none").exists()


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    with Ledger(tmp_path, write=True) as kept:
        kept.append(trace(0))
        assert Ledger(tmp_path).ids() == {"t0"}


@pytest.mark.parametrize("torn", [b"1234", b'deadbeef {"trace_id": "t9"', b"\0" * 300])
def test_a_torn_end_is_cut_off(tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, [trace(0), trace(1)])
    log = tmp_path / "000001.log"
    good = log.read_bytes()
    log.write_bytes(good + torn)
    assert Ledger(tmp_path).ids() == {"t0", "t1"}  # reading repairs nothing
    write(tmp_path, [trace(2)])
    assert "torn end is cut off" in caplog.text
    assert log.read_bytes().startswith(good) and torn not in log.read_bytes()
    assert {row["trace_id"] for row in Ledger(tmp_path).rows()} == {"t0", "t1", "t2"}


def test_ledgers_of_older_versions_are_read_and_exported(tmp_path: Path) -> None:
    write(tmp_path / "kept", [trace(0), trace(1)])
    log = tmp_path / "kept" / "000001.log"
    old = pl.concat(list(Ledger(tmp_path / "kept").frames())).drop("wrapping", "fault")
    log.unlink()
    old.write_parquet(log.with_suffix(".parquet"))
    write(tmp_path / "kept", [trace(2) | {"wrapping": ["<think>", "</think>\n\n", ""], "fault": "why"}])
    with Ledger(tmp_path / "kept", write=True) as kept:
        export(kept, ["t2", "t0"], tmp_path / "traces.parquet")
    rows = pl.read_parquet(tmp_path / "traces.parquet")
    assert rows.schema == pl.Schema(TRACE)
    assert rows["wrapping"].to_list() == [["<think>", "</think>\n\n", ""], None]
    assert rows["fault"].to_list() == ["why", None]


def test_a_damaged_sample_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, [trace(0), trace(1), trace(2)])
    log = tmp_path / "000001.log"
    log.write_bytes(log.read_bytes().replace(b'"t1"', b'"tX"'))
    assert Ledger(tmp_path).ids() == {"t0", "t2"}
    assert "000001.log, line 2: wrong checksum" in caplog.text


def test_a_failed_sample_is_to_be_made_again_and_then_replaced(tmp_path: Path) -> None:
    write(tmp_path, [trace(0, "error"), trace(1)])
    assert Ledger(tmp_path).ids() == {"t1"}
    assert len(list(Ledger(tmp_path).rows())) == 2
    write(tmp_path, [trace(0)])
    assert Ledger(tmp_path).ids() == {"t0", "t1"}
    assert [row["finish_reason"] for row in Ledger(tmp_path).rows()] == ["stop", "stop"]


def test_a_grown_log_is_sealed_into_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SEAL_BYTES", 2000)
    write(tmp_path, [trace(i, "error" if i % 7 == 0 else "stop") for i in range(50)])
    write(tmp_path, [trace(0), trace(50)])
    segments = sorted(path.name for path in tmp_path.iterdir() if path.suffix)
    assert segments[:2] == ["000001.parquet", "000002.parquet"] and segments[-1].endswith(".log")
    kept = Ledger(tmp_path)
    assert kept.ids() == {f"t{i}" for i in range(51) if i == 0 or i % 7}
    rows = pl.concat(list(kept.frames()))
    assert rows.schema == pl.Schema(TRACE)
    assert sorted(rows["trace_id"]) == sorted(f"t{i}" for i in range(51))


def test_a_crash_between_sealing_and_removing_the_log_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SEAL_BYTES", 600)
    with monkeypatch.context() as crash:
        crash.setattr(Path, "unlink", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_without_closing(tmp_path)
    assert (tmp_path / "000001.log").exists() and (tmp_path / "000001.parquet").exists()
    before = Ledger(tmp_path).ids()
    write(tmp_path, [trace(99)])
    assert not (tmp_path / "000001.log").exists()
    assert sorted(row["trace_id"] for row in Ledger(tmp_path).rows()) == sorted(before | {"t99"})


def write_without_closing(folder: Path) -> None:
    kept = Ledger(folder, write=True)
    try:
        for i in range(20):
            kept.append(trace(i))
    finally:
        assert kept._lock is not None and kept._log is not None
        kept._log.disk.shutdown()
        os.close(kept._lock)


def test_a_second_writer_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    held = "import sys; from pathlib import Path; from generators.ledger.ledger import Ledger\n"
    held += "with Ledger(Path(sys.argv[1]), write=True): print('held', flush=True); sys.stdin.read()"
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", held, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout and first.stdout.readline() == b"held\n"
        with pytest.raises(InUse, match=f"is being written by process {first.pid}"):
            Ledger(tmp_path, write=True)
        assert Ledger(tmp_path).ids() == set()
        first.communicate()
    write(tmp_path, [trace(0)])


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, write=True) as kept, pytest.raises(AssertionError, match="tokens_ids"):
        kept.append({**trace(0), "tokens_ids": []})
