"""Rows rendered with documented chat templates: the reasoning is there, whatever the template does with messages."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transformers import AutoTokenizer

from distill.training.examples import Example, encode
from generators.contract.chat import assistant_turn
from generators.contract.files import frame, write_frame
from generators.contract.models import model_path
from generators.contract.records import CORPUS
from pipelines.export.export import export
from pipelines.stages.corpus import CorpusConfig, switched

TEMPLATES = sorted((Path(__file__).parents[2] / "data" / "templates").glob("*.jinja"))
DROP = ("deepseek-v3.1", "r1-distill-llama", "r1-distill-qwen")
TOKEN = re.compile(r"<[^<>\s{}'\"]+>|\[/?[A-Z_]+\]")


def student(template: Path, folder: Path) -> str:
    """Write a student with this template, whose tokenizer has the template's special tokens."""
    shutil.copytree(model_path("embedded:student"), folder)
    (folder / "chat_template.jinja").unlink()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = template.read_text(encoding="utf-8")
    marks = dict.fromkeys(mark for mark in TOKEN.findall(text) if "think" not in mark.lower())
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>", "additional_special_tokens": [*marks]})
    tokenizer.chat_template = text
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_no_reasoning_is_lost(template: Path, run: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    name = student(template, tmp_path / "student")
    done = export(run, "trl", tmp_path / "trl", tokenizer=name)
    tokenizer = AutoTokenizer.from_pretrained(name)
    said = {row["trace_id"]: row for row in rows.iter_rows(named=True)}
    written = 0
    for path, counts in done.counts.items():
        assert set(counts.dropped) <= {"template_refuses"}
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            written += 1
            check(row, said[row["trace_id"]], tokenizer)
    assert written >= 0.6 * len(rows)
    assert any("drops the reasoning" in note for note in done.notes) == (template.stem in DROP)


def check(row: dict[str, Any], source: dict[str, Any], tokenizer: Any) -> None:
    """A row holds the whole answer and its reasoning, in texts and in tokens, and the prompt holds none of them."""
    content = source["messages"][-1]["content"]
    reasoning, _, answer = content.removeprefix("<think>\n").rpartition("\n</think>\n")
    assert answer in row["completion"] and reasoning in row["completion"]
    assert source["messages"][-2]["content"] in row["prompt"] and answer not in row["prompt"]
    tokens = tokenizer.decode(row["input_ids"], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert tokens.endswith(row["prompt"] + row["completion"])
    learned = [token for token, mask in zip(row["input_ids"], row["completion_mask"], strict=True) if mask]
    assert tokenizer.decode(learned, skip_special_tokens=False) == row["completion"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_segments_and_pairs_hold_the_same_texts(template: Path, run: Path, tmp_path: Path) -> None:
    name = student(template, tmp_path / "student")
    for form in ("trl", "axolotl", "preference"):
        export(run, form, tmp_path / form, tokenizer=name)
    by_id: dict[str, dict[str, Any]] = {}
    for form in ("trl", "axolotl", "preference"):
        for line in (tmp_path / form / "train.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            by_id.setdefault(row["trace_id"], {})[form] = row
    for forms in by_id.values():
        (masked, learned), trl = forms["axolotl"]["segments"], forms["trl"]
        assert (masked["label"], learned["label"]) == (False, True)
        assert masked["text"].endswith(trl["prompt"]) and learned["text"] == trl["completion"]
        if "preference" in forms:
            pair = forms["preference"]
            assert (pair["prompt"], pair["chosen"]) == (trl["prompt"], trl["completion"])
            assert pair["rejected"] != pair["chosen"] and "make" in pair["rejected"]


def test_a_folder_with_a_tokenizer_alone_is_enough(run: Path, tmp_path: Path) -> None:
    whole = student(TEMPLATES[0], tmp_path / "whole")
    (tmp_path / "alone").mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(Path(whole) / file, tmp_path / "alone" / file)
    for name in ("whole", "alone"):
        export(run, "trl", tmp_path / f"of-{name}", tokenizer=str(tmp_path / name))
    one, other = ((tmp_path / f"of-{name}" / "train.jsonl").read_bytes() for name in ("whole", "alone"))
    assert one == other


@pytest.mark.parametrize("switch", ["none", "chat_template_kwargs", "empty_think"])
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_exported_tokens_are_those_that_our_trainer_learns(template: Path, switch: Any, tmp_path: Path) -> None:
    """TRL's SFTTrainer takes `input_ids` and `completion_mask` as they are (test_trl.py)."""
    name = student(template, tmp_path / "student")
    tokenizer = AutoTokenizer.from_pretrained(name)
    said = [
        "The second one.",
        "<think>\nWeigh both.\n</think>\n\nThe second.",
        "<think>\n\n</think>\n\nThe first.",
        " It \n",
    ]
    before = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]
    rows = []
    for number, content in enumerate(said * 2):
        switches, text = switched(content, CorpusConfig(thinking_switch=switch))
        asked = [*before[: 2 * (number // len(said))], {"role": "user", "content": "Which one?"}]
        rows.append({
            "trace_id": f"t{number}", "prompt_id": f"p{number}", "chat_template_kwargs": switches,
            "messages": [*asked, {"role": "assistant", "content": text}],
        })  # fmt: skip
    write_frame(frame(rows, CORPUS), tmp_path / "corpus.parquet")
    export(tmp_path / "corpus.parquet", "trl", tmp_path / "out", tokenizer=name)
    lines = (tmp_path / "out" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    examples = encode(rows, tokenizer, 4096)
    for row, example in zip(map(json.loads, lines), examples, strict=True):
        assert isinstance(example, Example)
        assert row["input_ids"] == example.token_ids.tolist()
        assert row["completion_mask"] == [int(place >= example.target_start) for place in range(len(row["input_ids"]))]
        assert tokenizer.decode(row["input_ids"][-1:]) == tokenizer.decode(assistant_turn(tokenizer).end_id)
