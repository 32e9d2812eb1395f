"""Stage folders: complete once, rerun exactly when something they depend on has changed, never two at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from generators.contract.errors import InputError, InUse
from generators.contract.stage_protocol import StageCounts
from pipelines.stage_folder import Runner, read_manifest, sole_use


def counting(log: list[str], name: str) -> Callable[[Path], StageCounts]:
    def work(out: Path) -> StageCounts:
        log.append(name)
        (out / f"{name}.txt").write_text(name)
        return StageCounts(3, 2, {"wrong": 1})

    return work


def chain(folder: Path, log: list[str], *, first: int = 1, second: int = 1, redo: Sequence[str] = ()) -> list[str]:
    said: list[str] = []
    runner = Runner(folder, {}, frozenset(redo), said.append)
    runner.step("a", {"x": first}, counting(log, "a"))
    runner.step("b", {"y": second}, counting(log, "b"), upstream=["a"])
    runner.step("c", {}, counting(log, "c"), upstream=["b"])
    return said


def test_finished_stages_are_skipped(tmp_path: Path) -> None:
    log: list[str] = []
    chain(tmp_path, log)
    said = chain(tmp_path, log)
    assert log == ["a", "b", "c"]
    assert said == [f"{stage}: finished before, skipped" for stage in "abc"]


def test_a_changed_setting_reruns_what_depends_on_it_and_says_so(tmp_path: Path) -> None:
    log: list[str] = []
    chain(tmp_path, log)
    said = chain(tmp_path, log, second=2)
    assert log == ["a", "b", "c", "b", "c"]
    assert "a: finished before, skipped" in said
    assert "b: runs again (y 1 -> 2)" in said
    assert "c: runs again (made from b, which ran again)" in said


def test_redo_runs_the_stage_and_what_follows(tmp_path: Path) -> None:
    log: list[str] = []
    chain(tmp_path, log)
    said = chain(tmp_path, log, redo=["b"])
    assert log == ["a", "b", "c", "b", "c"]
    assert "b: runs again (asked to)" in said


def test_a_changed_input_file_reruns(tmp_path: Path) -> None:
    source, log = tmp_path / "in.jsonl", []
    for content in ("one", "one", "two"):
        source.write_text(content)
        Runner(tmp_path / "run", {}, say=lambda _: None).step("a", {}, counting(log, "a"), files=[source])
    assert log == ["a", "a"]


def test_either_of_two_input_files_of_one_name_reruns(tmp_path: Path) -> None:
    files, log = [tmp_path / "a" / "in.jsonl", tmp_path / "b" / "in.jsonl"], []
    for file in files:
        file.parent.mkdir()
        file.write_text("one")
    for changed in (None, *files):
        if changed:
            changed.write_text("two")
        Runner(tmp_path / "run", {}, say=lambda _: None).step("a", {}, counting(log, "a"), files=files)
    assert log == ["a", "a", "a"]


def test_an_interrupted_stage_goes_on_in_its_folder_and_another_setting_clears_it(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def work(out: Path, fail: bool) -> StageCounts:
        seen.append(sorted(p.name for p in out.iterdir() if p.name not in ("started.json", "ledger")))
        (out / "part").write_text("half")
        (out / "ledger").mkdir(exist_ok=True)
        if fail:
            raise KeyboardInterrupt
        return StageCounts(0, 0)

    def step(x: int, fail: bool) -> None:
        Runner(tmp_path, {}, say=lambda _: None).step("a", {"x": x}, lambda out: work(out, fail))

    for x in (1, 1):
        with pytest.raises(KeyboardInterrupt):
            step(x, fail=True)
    step(2, fail=False)
    assert seen == [[], ["part"], []]
    assert (tmp_path / "a" / "ledger").is_dir(), "a ledger is never cleared"


def test_the_manifest_holds_counts_settings_and_outputs(tmp_path: Path) -> None:
    chain(tmp_path, [])
    manifest = read_manifest(tmp_path / "b")
    assert manifest is not None
    assert manifest["counts"]["rows_in"] == 3 and manifest["counts"]["dropped"] == {"wrong": 1}
    assert manifest["config"] == {"y": 1}
    assert list(manifest["upstream"]) == ["a"]
    assert list(manifest["outputs"]) == ["b.txt"]
    assert {"python", "torch", "transformers"} <= set(manifest["versions"])


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(AssertionError, match="1 rows unaccounted for"):
        StageCounts(3, 1, {"wrong": 1})


def test_a_folder_that_distill_did_not_make_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex' and was not made by distill"):
        chain(tmp_path, [])
    assert (tmp_path / "a" / "thesis.tex").read_text() == "mine"


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    use = f"with sole_use(Path({str(tmp_path)!r})): print('in')"
    code = f"from pathlib import Path; from pipelines.stage_folder import sole_use\n{use}"
    with sole_use(tmp_path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert InUse.__name__ in done.stderr and f"process {os.getpid()}" in done.stderr
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from pipelines.stage_folder import sole_use\n"
        f"with sole_use(Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with sole_use(tmp_path):
        assert json.dumps(str(tmp_path))
