"""Every form: rows in = written + left out, nothing lost, nothing overwritten, readable by `datasets`."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import Dataset, load_dataset
from datasets.packaged_modules.json.json import parse_traces_info

from generators.contract.completions import split_reasoning
from generators.contract.errors import InputError, MissingFile, NothingKept, RecipeError
from generators.contract.files import frame, write_frame
from generators.contract.intake import BadRow, read_conversation, read_rows
from generators.contract.records import CORPUS
from pipelines.cli.main import main
from pipelines.export.export import export, formats, load_format
from pipelines.export.formats import sts

EVERY = ("alpaca", "axolotl", "llamafactory", "openai", "preference", "prompts", "sharegpt", "sts", "trl")
TABLES = [name for name in EVERY if name not in ("sts", "openai")]  # those that may be parquet
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pl.read_parquet(file).to_dicts()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def test_the_forms_are_these() -> None:
    assert tuple(formats()) == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_a_form_keeps_the_contract(name: str, run: Path, tmp_path: Path) -> None:
    module = load_format(name)
    assert module.__doc__ and "https://" in module.__doc__, "it says where its form is documented"
    assert not module.TAKES - {"tokenizer", "soft_targets", "pairs_per_prompt"}
    done = export(run, name, tmp_path / "out")
    assert done.settings.exists() and done.settings.read_text()
    assert len(done.lines()) == len(done.counts) + 1
    for path, counts in done.counts.items():
        written = len(list(path.rglob("*.jsonl"))) if path.is_dir() else len(read(path))
        assert written == counts.rows_kept > 0
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_overwritten_unless_asked(name: str, run: Path, tmp_path: Path) -> None:
    done = export(run, name, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RecipeError, match=f"{next(iter(done.counts))} exists.*--replace"):
        export(run, name, tmp_path, limit=1)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    export(run, name, tmp_path, replace=True)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}, "the same bytes again"


@pytest.mark.parametrize("name", TABLES)
def test_parquet_holds_what_jsonl_holds(name: str, run: Path, tmp_path: Path) -> None:
    lines = export(run, name, tmp_path / "a").counts
    tables = export(run, name, tmp_path / "b", ending="parquet").counts
    for one, other in zip(lines, tables, strict=True):
        assert read(one) == read(other)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", [*TABLES, "openai"])
def test_datasets_reads_it(name: str, ending: Any, run: Path, tmp_path: Path) -> None:
    if (name, ending) == ("openai", "parquet"):
        with pytest.raises(RecipeError, match="reads jsonl alone"):
            export(run, name, tmp_path, ending=ending)
        return
    done = export(run, name, tmp_path / "out", ending=ending)
    kind = "parquet" if ending == "parquet" else "json"
    for path, counts in done.counts.items():
        loaded = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
        assert isinstance(loaded, Dataset) and len(loaded) == counts.rows_kept


@pytest.mark.parametrize("source", ["", "corpus", "corpus/train.parquet"])
def test_a_run_a_folder_and_a_file_are_sources(source: str, run: Path, tmp_path: Path, rows: pl.DataFrame) -> None:
    done = export(run / source, "openai", tmp_path)
    kept = rows if not source.endswith("parquet") else rows.filter(pl.col("split") == "train")
    assert sum(counts.rows_kept for counts in done.counts.values()) == len(kept)


def openai_messages(row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": m["role"], "content": m["content"]} for m in row["messages"]]


def sharegpt_messages(row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": ROLES[m["from"]], "content": m["value"]} for m in row["conversations"]]


def alpaca_messages(row: dict[str, Any]) -> list[dict[str, str]]:
    """Return what LLaMA-Factory makes of a row: system, history, instruction and input, output."""
    pairs = [*row["history"], ["\n".join(filter(None, [row["instruction"], row["input"]])), row["output"]]]
    system = [{"role": "system", "content": row["system"]}] if row["system"] else []
    roles = ("user", "assistant")
    said = [{"role": role, "content": text} for pair in pairs for role, text in zip(roles, pair, strict=True)]
    return [*system, *said]


def trl_messages(row: dict[str, Any]) -> list[dict[str, str]]:
    return [*row["prompt"], *row["completion"]]


READERS: dict[str, Callable[[dict[str, Any]], list[dict[str, str]]]] = {
    "trl": trl_messages,
    "openai": openai_messages,
    "llamafactory": openai_messages,
    "axolotl": openai_messages,
    "alpaca": alpaca_messages,
    "sharegpt": sharegpt_messages,
}


@pytest.mark.parametrize("name", READERS)
def test_the_conversation_is_whole(name: str, run: Path, tmp_path: Path, rows: pl.DataFrame) -> None:
    done = export(run, name, tmp_path)
    found = [READERS[name](row) for path in done.counts for row in read(path)]
    assert found == rows["messages"].to_list()


@pytest.mark.parametrize("name", [name for name in READERS if name != "openai"])
def test_rows_say_what_they_are(name: str, run: Path, tmp_path: Path, rows: pl.DataFrame) -> None:
    done = export(run, name, tmp_path)
    found = [row for path in done.counts for row in read(path)]
    columns = ("trace_id", "domain", "source", "license", "teacher", "verifier", "reference", "verdict", "reward")
    for column in (*columns, "solve_rate"):
        assert [row[column] for row in found] == rows[column].to_list(), column


def test_openai_rows_hold_messages_alone_and_learn_the_last(run: Path, tmp_path: Path) -> None:
    done = export(run, "openai", tmp_path)
    for path in done.counts:
        for row in read(path):
            assert set(row) == {"messages"}
            *earlier, last = row["messages"]
            assert set(last) == {"role", "content"}
            assert all(m.get("weight") == (0 if m["role"] == "assistant" else None) for m in earlier)


@pytest.mark.parametrize("name", ["llamafactory", "alpaca", "sharegpt"])
def test_llamafactory_finds_every_file_and_column(name: str, run: Path, tmp_path: Path) -> None:
    done = export(run, name, tmp_path)
    described = json.loads(done.settings.read_text())
    assert done.settings.name == "dataset_info.json"
    assert {entry["file_name"] for entry in described.values()} == {path.name for path in done.counts}
    for entry in described.values():
        row = read(tmp_path / entry["file_name"])[0]
        assert set(entry["columns"].values()) <= set(row)
        if "tags" in entry:
            said = row[entry["columns"]["messages"]]
            tags = entry["tags"]
            speakers = {tags["user_tag"], tags["assistant_tag"], tags["system_tag"]}
            assert {message[tags["role_tag"]] for message in said} <= speakers
            assert all(isinstance(message[tags["content_tag"]], str) for message in said)


def test_axolotl_finds_every_file(run: Path, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    done = export(run, "axolotl", tmp_path)
    settings = yaml.safe_load(done.settings.read_text())
    (trained,), (tested,) = settings["datasets"], settings["test_datasets"]
    assert trained["path"] == "train.jsonl" and tested["path"] == "validation.jsonl"
    for block in (trained, tested):
        assert (block["ds_type"], block["type"], block["field_messages"]) == ("json", "chat_template", "messages")
        assert block["roles_to_train"] is None and block["train_on_eos"] is None  # documented: the last message alone


@pytest.mark.parametrize("name", ["trl", "preference", "prompts", "openai"])
def test_scripts_are_python(name: str, run: Path, tmp_path: Path) -> None:
    done = export(run, name, tmp_path)
    ast.parse(done.settings.read_text())
    for path in done.counts:
        if path.stem != "validation" or name in ("trl", "openai"):
            assert path.name in done.settings.read_text()


def test_sessions_are_of_the_documented_form(run: Path, tmp_path: Path, rows: pl.DataFrame) -> None:
    done = export(run, "sts", tmp_path)
    files = {file.stem: file for path in done.counts for file in path.rglob("*.jsonl")}
    for row in rows.to_dicts():
        header, *lines = read(files[row["trace_id"]])
        assert header["type"] == "session" and header["harness"] == sts.HARNESS and header["id"] == row["trace_id"]
        assert [line["type"] for line in lines] == ["message"] * len(row["messages"])
        _, session, prompt, *_ = parse_traces_info(files[row["trace_id"]].read_text(encoding="utf-8").splitlines())
        assert session == row["trace_id"], "what `datasets` finds in it"
        assert prompt == next(message["content"] for message in row["messages"] if message["role"] == "user")
        last, message = row["messages"][-1], lines[-1]["message"]
        assert message["role"] == "assistant"
        reasoning = message.get("reasoningContent")
        assert last["content"] == (
            f"<think>\n{reasoning}\n</think>\n{message['content']}" if reasoning else message["content"]
        )


def test_prompts_of_a_run_are_all_that_can_be_judged(run: Path, tmp_path: Path) -> None:
    (path,) = (done := export(run, "prompts", tmp_path)).counts
    assert done.counts[path].dropped == {"duplicate": 1}
    found = {row["prompt_id"]: row for row in read(path)}
    assert found["hard"]["solve_rate"] is None and found["p1"]["solve_rate"] == pytest.approx(2 / 5)
    assert found["p1"]["reference"] == "2" and found["p1"]["verifier"] == "math_answer"
    assert found["p1"]["prompt"][-1] == {"role": "user", "content": "What is 1 + 1?"}


def test_prompts_of_a_corpus_are_each_there_once(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in ("train", "validation"):
        write_frame(pl.read_parquet(run / "corpus" / f"{file}.parquet"), moved / f"{file}.parquet")
    done = export(moved, "prompts", tmp_path / "out")
    found = [row["prompt_id"] for path in done.counts for row in read(path)]
    assert sorted(found) == sorted(f"p{i}" for i in range(12))
    assert sum(counts.dropped["same_prompt"] for counts in done.counts.values()) == 12
    assert sum(counts.dropped.get("no_verifier", 0) for counts in done.counts.values()) == 1  # the row from elsewhere


BAD = {
    "no_assistant_turn": [{"role": "user", "content": "a"}],
    "not_alternating": [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ],
}


@pytest.mark.parametrize("name", ["alpaca", "sharegpt", "llamafactory"])
def test_rows_that_do_not_fit_are_counted(name: str, rows: pl.DataFrame, tmp_path: Path) -> None:
    several = rows.head(3).with_columns(messages=pl.Series([rows["messages"][0].to_list(), *BAD.values()]))
    write_frame(several, tmp_path / "corpus.parquet")
    (counts,) = export(tmp_path / "corpus.parquet", name, tmp_path / "out").counts.values()
    assert counts.rows_kept == 1 and counts.dropped == dict.fromkeys(BAD, 1)
    write_frame(several.tail(2), tmp_path / "corpus.parquet")
    with pytest.raises(NothingKept, match=r"none of 2 rows can be exported.*1 not_alternating"):
        export(tmp_path / "corpus.parquet", name, tmp_path / "none")
    assert not list((tmp_path / "none").iterdir())


def test_a_limit_reads_so_many_rows_of_each_file(run: Path, tmp_path: Path) -> None:
    done = export(run, "sharegpt", tmp_path, limit=2)
    assert [counts.rows_in for counts in done.counts.values()] == [2, 2]


def test_a_corpus_of_an_older_version_is_read(run: Path, tmp_path: Path) -> None:
    old = pl.read_parquet(run / "corpus/train.parquet").select("trace_id", "prompt_id", "messages", "domain")
    write_frame(old, tmp_path / "old.parquet")
    (path,) = export(tmp_path / "old.parquet", "trl", tmp_path / "out").counts
    assert set(read(path)[0]) == {"prompt", "completion", "trace_id", "prompt_id", "domain"}
    with pytest.raises(InputError, match="no column 'verdict'"):
        export(tmp_path / "old.parquet", "preference", tmp_path / "pairs")


def test_wrong_requests_say_what_is_accepted(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no file or folder"):
        export(tmp_path / "nothing", "trl", tmp_path / "out")
    with pytest.raises(InputError, match="accepted are a run's folder"):
        export(tmp_path, "trl", tmp_path / "out")
    (tmp_path / "a.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"a\.parquet is not a parquet file"):
        export(tmp_path / "a.parquet", "trl", tmp_path / "out")
    write_frame(pl.DataFrame({"trace_id": ["a"], "prompt_id": ["b"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="no column 'messages'"):
        export(tmp_path / "b.parquet", "trl", tmp_path / "out")
    with pytest.raises(RecipeError, match="no form 'verl' to export to; accepted are alpaca"):
        export(run, "verl", tmp_path / "out")
    with pytest.raises(RecipeError, match="--student does not apply to --to alpaca; it does to axolotl"):
        export(run, "alpaca", tmp_path / "out", tokenizer="embedded:student")
    with pytest.raises(InputError, match="a run with a score stage"):
        export(run, "trl", tmp_path / "out", soft_targets=True)
    with pytest.raises(RecipeError, match="belongs to a run or a stage"):
        export(run, "trl", run)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_what_was_written(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["export", str(run), "--to", "trl", "--out", str(tmp_path)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    train = rows.filter(pl.col("split") == "train").height
    assert f"{tmp_path / 'train.jsonl'}: {train} rows in = {train} written + 0 left out" in said.out
    assert "note: chat templates of the DeepSeek-R1-Distill kind" in said.err
    assert "with --student some/student the rows are rendered" in said.err, "the one that the recipe trains"
    assert main(arguments) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*arguments, "--replace", "--limit", "0"]) == 2
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), "--to", "sharegpt"]) == 0
    assert (tmp_path / "export/sharegpt/train.jsonl").exists()


def test_switches_of_the_template_travel(run: Path, tmp_path: Path) -> None:
    some = pl.read_parquet(run / "corpus/train.parquet").head(3)
    texts = pl.Series(['{"enable_thinking": false}', None, '{"enable_thinking": true, "effort": "low"}'])
    write_frame(some.with_columns(chat_template_kwargs=texts), tmp_path / "corpus.parquet")
    for ending in ("jsonl", "parquet"):
        (path,) = export(tmp_path / "corpus.parquet", "trl", tmp_path / ending, ending=ending).counts  # type: ignore[arg-type]
        assert [row["chat_template_kwargs"] for row in read(path)] == [
            {"enable_thinking": False, "effort": None},
            {"enable_thinking": None, "effort": None},
            {"enable_thinking": True, "effort": "low"},
        ]
    for form in ("llamafactory", "axolotl", "alpaca", "sharegpt", "openai"):
        done = export(tmp_path / "corpus.parquet", form, tmp_path / form)
        assert any("some rows set enable_thinking, effort of the chat template" in note for note in done.notes)


@pytest.mark.parametrize("name", ["alpaca", "axolotl", "llamafactory", "openai", "sharegpt", "sts", "trl"])
def test_what_is_exported_can_be_imported(name: str, run: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    done = export(run, name, tmp_path / "out")
    found = []
    for path in done.counts:
        for one in read_rows(path):
            assert not isinstance(one.row, BadRow), one.row
            read = read_conversation(one.row, one.shape, one.place)
            system = [{"role": "system", "content": read.system}] if read.system else []
            before = read.messages if read.messages[0]["role"] == "system" else [*system, *read.messages]
            (answer,) = read.answers
            assert (answer.finish_reason, answer.completion.fault) == ("stop", None)
            found.append((before, answer.completion.reasoning, answer.completion.answer, read.reference))
    wanted = [
        (messages[:-1], *split_reasoning(messages[-1]["content"]), reference if name != "openai" else None)
        for messages, reference in rows.select("messages", "reference").iter_rows()
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))


def test_odd_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    """Rows of other tools may hold what our corpus stage never writes."""
    asked, said = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    odd: list[tuple[str, Any]] = [
        ("no_assistant_turn", None),
        ("no_assistant_turn", []),
        ("no_assistant_turn", [asked]),
        ("no_assistant_turn", [said]),
        ("no_assistant_turn", [asked, {**said, "content": None}]),
        ("no_content", [{**asked, "content": None}, said]),
        ("", [asked, said]),
    ]
    rows = [
        {"trace_id": f"t{n}", "prompt_id": f"p{n}", "messages": messages, "verifier": "exact", "verdict": "correct"}
        for n, (_, messages) in enumerate(odd)
    ]
    write_frame(frame([*rows, {**rows[-1], "trace_id": "w", "verdict": "wrong"}], CORPUS), tmp_path / "c.parquet")
    for name in EVERY:
        (counts,) = export(tmp_path / "c.parquet", name, tmp_path / name).counts.values()
        assert counts.rows_in == len(rows) + 1 and counts.rows_kept == (1 if name in ("preference", "prompts") else 2)
        expected = {"no_assistant_turn": 5, "no_content": 1}
        assert name == "preference" or counts.dropped.items() >= expected.items()
