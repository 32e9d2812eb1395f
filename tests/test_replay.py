"""Existing completions, from prompts to corpus: planted faults are counted exactly, all usual formats are read."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import Dataset

from filters.verification.verdicts import Item, load_verifier
from generators.contract.plugins import VERIFIER, load_plugin
from pipelines.cli.main import main

Row = dict[str, Any]
PROMPTS = 12


def thought(i: int, steps: str = "", boxed: int | None = None) -> str:
    value = 3 * i + 7 if boxed is None else boxed
    steps = steps or f"First {i} * 3 = {3 * i}, then {3 * i} + 7 = {3 * i + 7}."
    return f"<think>\n{steps}\n</think>\nThe answer is \\boxed{{{value}}}"


def third_way(i: int, word: str) -> str:
    looked = " ".join(f"Now I look at it from side {side} and it still seems right to me." for side in range(8))
    return f"{looked} One {word} is {i} * 2 = {2 * i}. {looked} {2 * i} + {i + 7} = {3 * i + 7}."


def planted() -> list[Row]:
    """Return two correct solutions and a wrong one of each question, and faults of every kind for some questions."""
    rows = []
    for i in range(PROMPTS):
        other_way = f"Take {i} + {i} = {2 * i}, {2 * i} + {i} = {3 * i}, and at last 7 + {3 * i} = {3 * i + 7} it is."
        texts = [thought(i), thought(i, other_way), thought(i, boxed=1000 + i)]
        if i < 6:
            texts += [thought(i, third_way(i, word)) for word in ("half", "part")]  # near duplicates of each other
        if i < 5:
            texts.append(thought(i))  # exact duplicate
        if i < 4:
            texts.append("<think>\nI wonder and wonder")  # thinking that never ended
        if i < 3:
            texts.append("<think>\nNo idea.\n</think>\nI cannot say.")
        if i < 2:
            texts.append("")  # no completion
        rows += [{"question": f"What is 3 * {i} + 7?", "gold": str(3 * i + 7), "response": text} for text in texts]
    return rows


def run(folder: Path, source: Path, *overrides: str) -> dict[str, dict[str, Any]]:
    out = folder / "run"
    assert main(["run", "replay", f"prompts.path={source}", "--out", str(out), *overrides]) == 0
    return {stage: json.loads((out / stage / "manifest.json").read_text())["counts"] for stage in STAGES}


STAGES = ("prompts", "generate", "verify", "select", "corpus")
FORMS = ['generate.options={response="response"}', 'prompts.fields={question="question",reference="gold"}']


def test_planted_faults_are_counted_exactly(tmp_path: Path) -> None:
    rows = planted()
    file = tmp_path / "outputs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = run(tmp_path, file, *FORMS)
    assert counts["prompts"]["rows_kept"] == PROMPTS
    assert counts["prompts"]["dropped"] == {"duplicate": len(rows) - PROMPTS}
    assert counts["generate"]["rows_in"] == counts["verify"]["rows_in"] == counts["select"]["rows_in"] == len(rows)
    assert counts["select"]["dropped"] == {"exact_duplicate": 5, **FAULTS}
    assert counts["select"]["rows_kept"] == KEPT == counts["corpus"]["rows_kept"]
    report = (tmp_path / "run" / "report" / "report.html").read_text()
    assert "exact_duplicate" in report and "recounted" in report


FAULTS = {"truncated": 4, "unparseable": 3 + 2, "near_duplicate": 6, "wrong": PROMPTS}
KEPT = 2 * PROMPTS + 6


def test_every_form_gives_the_same_corpus(tmp_path: Path) -> None:
    good = [row for row in planted() if row["response"].endswith("}")]
    jsonl, parquet, chats, shared = (tmp_path / name for name in ("a.jsonl", "b.parquet", "c.jsonl", "d.jsonl"))
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in good))
    pl.DataFrame(good).write_parquet(parquet)
    chats.write_text("".join(json.dumps(chat(row, "messages", "role", "content")) + "\n" for row in good))
    shared.write_text("".join(json.dumps(chat(row, "conversations", "from", "value")) + "\n" for row in good))
    Dataset.from_list(good).save_to_disk(tmp_path / "e")
    chat_form = ["generate.options={}", 'prompts.fields={reference="gold"}']
    sources = {
        "a": (jsonl, FORMS),
        "b": (parquet, FORMS),
        "c": (chats, chat_form),
        "d": (shared, chat_form),
        "e": (tmp_path / "e", ['prompts.source="dataset"', *FORMS]),
    }
    messages = {}
    for name, (source, form) in sources.items():
        folder = tmp_path / f"run-{name}"
        run(folder, source, *form, "corpus.validation_fraction=0")
        messages[name] = pl.read_parquet(folder / "run" / "corpus" / "train.parquet")["messages"].to_list()
    assert len(messages["a"]) == KEPT
    for name in "bcde":
        assert messages[name] == messages["a"], name


def chat(row: Row, key: str, role: str, content: str) -> Row:
    names = ("user", "assistant") if role == "role" else ("human", "gpt")
    turns = [{role: name, content: text} for name, text in zip(names, (row["question"], row["response"]), strict=True)]
    return {key: turns, "gold": row["gold"]}


PUBLIC = ("magpie", "openthoughts", "bespoke_stratos", "sharegpt", "dolphin_r1", "alpaca", "openorca", "harmony")
WITHOUT_REFERENCES = (*PUBLIC, "prompt_completion", "messages")
IMPORTS = Path(__file__).resolve().parent / "data" / "imports"


@pytest.mark.parametrize("name", WITHOUT_REFERENCES)
def test_a_file_without_references_runs_as_it_stands(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["run", "replay", f"prompts.path={IMPORTS / name}.jsonl", "--until", "corpus", "--out", str(tmp_path / "r")]
    assert main([*words, "corpus.validation_fraction=0"]) == 0
    assert "prompts have no reference, which math_answer needs" in caplog.text
    assert "they are kept unverified; select.keep_unverified=false drops them" in caplog.text
    rows = pl.read_parquet(tmp_path / "r" / "corpus" / "train.parquet")
    assert rows.height and rows["verifier"].null_count() == rows["verdict"].null_count() == rows.height


def test_rows_without_a_reference_are_unverified_where_others_have_one(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i} + 1?", "response": f"<think>Add.</think>{i + 1}"} for i in range(6)]
    references: list[Row] = [{"reference": "1"}, {"reference": "2"}, {"reference": ""}, {"reference": None}, {}, {}]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({**row, **more}) + "\n" for row, more in zip(rows, references, strict=True)))
    counts = run(tmp_path, file, "corpus.validation_fraction=0")
    assert counts["verify"]["dropped"] == counts["select"]["dropped"] == {"unverified": 4}
    assert counts["corpus"]["rows_kept"] == 2


@pytest.mark.parametrize("word", ["none", "null", '""', ""])
def test_a_word_unsets_the_verifier(word: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"question": "1 + 1?", "response": "3", "reference": "2"}) + "\n")
    out = tmp_path / "r"
    words = ["run", "replay", f"prompts.path={file}", "--out", str(out), "--until", "select"]
    assert main([*words, f"prompts.verifier={word}"]) == 0
    assert pl.read_parquet(out / "select" / "selected.parquet")["drop_reason"].to_list() == [None]


@pytest.mark.parametrize("name", VERIFIER.shipped())
def test_a_verifier_that_needs_a_reference_says_so(name: str) -> None:
    needs = getattr(load_plugin(VERIFIER, name), "NEEDS_REFERENCE", False)
    assert needs == (load_verifier(name)(Item("<think>So.</think> 4", None, "So.")).status == "error")


@pytest.mark.slow
def test_real_outputs_keep_every_row(tmp_path: Path) -> None:
    file = Path(__file__).resolve().parents[2] / "shared" / "data" / "labelled_outputs_dev.jsonl.gz"
    if not file.exists():
        pytest.skip(f"the labelled outputs are not at {file}")
    counts = run(tmp_path, file, "prompts.limit=400")
    assert counts["generate"]["rows_in"] + sum(counts["generate"]["dropped"].values()) >= 400
    assert counts["select"]["rows_in"] == 400 and counts["corpus"]["rows_in"] == counts["select"]["rows_kept"] > 50
