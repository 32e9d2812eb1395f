"""Exported rows in TRL's own trainers: what they learn is what our trainer learns, with any chat template."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import load_dataset
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from distill.training.examples import Example, encode
from generators.contract.files import write_frame
from generators.contract.models import model_path
from pipelines.export.export import export

trl = pytest.importorskip("trl", reason="TRL is not installed; it is in the extra `test`")

# The documented form of DeepSeek-R1-Distill's template, in the toy's tokens: it opens <think> in the prompt, and drops
# all text before </think> from the messages of the assistant.
R1_DISTILL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}{% elif m.role == 'assistant' %}"
    "<|assistant|>{{ m.content.split('</think>')[-1] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
QUIET: dict[str, Any] = {"use_cpu": True, "bf16": False, "report_to": [], "save_strategy": "no", "disable_tqdm": True}


def student(folder: Path, template: str | None = None) -> Path:
    """Write a student with a chat template of its own, whose tokenizer puts a bos token before every text."""
    shutil.copytree(model_path("embedded:student"), folder)
    if template:
        (folder / "chat_template.jinja").write_text(template)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        bos = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
        tokenizer.post_processor = TemplateProcessing(single=f"{bos[0]} $A", special_tokens=[bos])
        tokenizer.save(str(folder / "tokenizer.json"))
        config = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": bos[0]}))
    return folder


def trained_on(model: Path, file: Path, tmp_path: Path) -> list[tuple[list[int], list[int]]]:
    """Return the ids and the learned ids of each row, as SFTTrainer prepares it."""
    kind = "parquet" if file.suffix == ".parquet" else "json"
    rows = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    options = {**QUIET, "output_dir": str(tmp_path / "sft"), "max_steps": 1, "max_length": 4096}
    trainer = trl.SFTTrainer(model=str(model), args=trl.SFTConfig(**options), train_dataset=rows)
    trainer.train()
    return [(row["input_ids"], [i for i in row["labels"] if i != -100]) for row in trainer.train_dataset]


def ours(model: Path, rows: pl.DataFrame) -> list[tuple[list[int], list[int]]]:
    """Return the ids and the learned ids of each row, as our trainer prepares it."""
    examples = encode(rows.to_dicts(), AutoTokenizer.from_pretrained(model), 4096)
    assert all(isinstance(example, Example) for example in examples)
    return [
        (example.token_ids.tolist(), example.token_ids[example.target_start :].tolist())
        for example in examples
        if isinstance(example, Example)
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("template", [None, R1_DISTILL], ids=["toy", "r1-distill"])
def test_rendered_rows_are_learned_as_ours_are(
    template: str | None, ending: Any, run: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    model = student(tmp_path / "student", template)
    done = export(run, "trl", tmp_path / "out", tokenizer=str(model), ending=ending)
    train = rows.filter(pl.col("split") == "train")
    assert trained_on(model, tmp_path / f"out/train.{ending}", tmp_path) == ours(model, train)
    (note,) = done.notes or [""]
    reasoned = rows["verdict"].is_not_null().sum()
    said = f"drops the reasoning of {reasoned} of {reasoned} rows from messages"
    assert (said in note) == (template is not None)


def test_messages_are_learned_whole_where_the_template_keeps_them(
    run: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    model = student(tmp_path / "student")
    export(run, "trl", tmp_path / "out")
    train = rows.filter(pl.col("split") == "train")
    assert trained_on(model, tmp_path / "out/train.jsonl", tmp_path) == ours(model, train)


def test_the_warning_about_messages_is_true(run: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    model = student(tmp_path / "student", R1_DISTILL)
    done = export(run, "trl", tmp_path / "out")
    assert any("drop all text before </think>" in note for note in done.notes)
    tokenizer = AutoTokenizer.from_pretrained(model)
    for _, learned in trained_on(model, tmp_path / "out/train.jsonl", tmp_path):
        assert "make" not in tokenizer.decode(learned), "TRL learns no reasoning from messages with such a template"


@pytest.mark.parametrize("rendered", [False, True], ids=["messages", "rendered"])
def test_pairs_are_read_by_the_dpo_trainer(rendered: bool, run: Path, tmp_path: Path) -> None:
    model = student(tmp_path / "student", R1_DISTILL if rendered else None)
    export(run, "preference", tmp_path / "out", tokenizer=str(model) if rendered else None)
    data = load_dataset("json", data_files=str(tmp_path / "out/train.jsonl"), split="train")
    options = {**QUIET, "output_dir": str(tmp_path / "dpo"), "max_steps": 1, "max_length": 4096}
    tokenizer = AutoTokenizer.from_pretrained(model)
    trainer = trl.DPOTrainer(
        model=str(model), args=trl.DPOConfig(**options), train_dataset=data, processing_class=tokenizer
    )
    trainer.train()
    for row in trainer.train_dataset:
        prompt, *answers = (tokenizer.decode(row[f"{name}_ids"]) for name in ("prompt", "chosen", "rejected"))
        assert prompt.count("<|endoftext|>") == rendered, "one bos token, not two"
        for answer in answers:
            assert "make" in answer and answer.endswith("<|end|>")


@pytest.mark.parametrize(
    ("form", "config"), [("trl", "SFTConfig"), ("preference", "DPOConfig"), ("prompts", "GRPOConfig")]
)
def test_the_scripts_run(form: str, config: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = student(tmp_path / "student")
    renders = "embedded:student" if form != "prompts" else None
    done = export(run, form, tmp_path / "out", tokenizer=renders)
    few = (
        {"max_completion_length": 8, "num_generations": 2, "per_device_train_batch_size": 2}
        if form == "prompts"
        else {}
    )
    kept = {**QUIET, "max_steps": 1, **few}
    real = getattr(trl, config)
    monkeypatch.setattr(trl, config, lambda **given: real(**{**given, **kept}))
    monkeypatch.chdir(tmp_path)
    text = done.settings.read_text().replace("Qwen/Qwen2.5-1.5B-Instruct", str(model))
    exec(compile(text, str(done.settings), "exec"), {"__name__": "__main__", "__file__": str(done.settings)})
    assert (tmp_path / "student" / "config.json").exists()


def test_verdicts_are_rewards(run: Path, tmp_path: Path) -> None:
    from filters import Pool

    done = export(run, "prompts", tmp_path)
    (path,) = done.counts
    rows = [json.loads(line) for line in path.read_text().splitlines()][:4]
    code: dict[str, Any] = {"__name__": "script", "__file__": str(done.settings)}
    exec(done.settings.read_text(), code)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    said = ["<think>\nhm\n</think>\n\\boxed{1}", "\\boxed{3}", "\\boxed{3}", "<think>\n\\boxed{4}"]
    with Pool(workers=1) as code["pool"]:
        scores = code["verdict"](
            prompts=columns.pop("prompt"),
            completions=[[{"role": "assistant", "content": text}] for text in said],
            **columns,
        )
    assert scores == [1.0, 0.0, 1.0, 0.0]


def test_switches_of_a_row_reach_the_template(run: Path, tmp_path: Path) -> None:
    template = "{% if thinking is false %}<|system|>off<|end|>{% endif %}" + R1_DISTILL.replace(
        ".split('</think>')[-1]", ""
    )
    model = student(tmp_path / "student", template)
    rows = pl.read_parquet(run / "corpus/train.parquet").head(4)
    switches = pl.Series([None, '{"thinking": false}', '{"thinking": true}', None])
    write_frame(rows.with_columns(chat_template_kwargs=switches), tmp_path / "corpus.parquet")
    export(tmp_path / "corpus.parquet", "trl", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(model)
    off = tokenizer("<|system|>off<|end|>", add_special_tokens=False)["input_ids"]
    ids = [ids for ids, _ in trained_on(model, tmp_path / "out/corpus.jsonl", tmp_path)]
    assert [one[: len(off)] == off for one in ids] == [False, True, False, False]
