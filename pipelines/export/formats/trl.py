"""Prompt and completion for TRL's SFTTrainer, which learns the completion alone.

Prompt-completion datasets: https://huggingface.co/docs/trl/dataset_formats. Without a tokenizer both are lists of
messages, which TRL renders, with `chat_template_kwargs` where a row sets one. With the student's tokenizer both are
text, as its chat template renders them, and `input_ids` with `completion_mask` are the tokens, which SFTTrainer takes
as they are: from the texts it would tokenize both in one piece, and merge tokens where they meet.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from generators.contract.records import MESSAGES
from pipelines.export.rendering import Renderer, switches_of
from pipelines.export.request import Part, Request, Row, corpus_parts, each, warn_of_messages

TAKES = frozenset({"tokenizer", "soft_targets"})
TOKENIZED = {
    "prompt": pl.String,
    "completion": pl.String,
    "input_ids": pl.List(pl.Int32),
    "completion_mask": pl.List(pl.Int8),
}


def parts(asked: Request) -> list[Part]:
    """Return prompt and completion of every row."""
    if asked.renderer is None:
        warn_of_messages(asked)
        switches = asked.corpus.switches
        own = {"chat_template_kwargs": pl.Struct(switches)} if switches else {}
        schema = {"prompt": MESSAGES, "completion": MESSAGES, **own}
        return corpus_parts(asked, each(lambda row: _messages(row, switches)), schema)
    renderer = asked.renderer
    return corpus_parts(asked, lambda rows: _texts(rows, renderer), TOKENIZED)


def _messages(row: Row, switches: Mapping[str, Any]) -> Row:
    own = switches_of(row)
    set_here = {"chat_template_kwargs": {name: own.get(name) for name in switches}} if switches else {}
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:], **set_here}


def _texts(rows: list[Row], renderer: Renderer) -> list[Row | str]:
    return [_text(row, ids, renderer) for row, ids in zip(rows, renderer.token_ids(rows), strict=True)]


def _text(row: Row, ids: tuple[list[int], int] | str, renderer: Renderer) -> Row | str:
    found = renderer.texts(row)
    if isinstance(found, str) or isinstance(ids, str):
        return found if isinstance(found, str) else str(ids)
    (prompt, completion), (tokens, start) = found, ids
    mask = [0] * start + [1] * (len(tokens) - start)
    return {
        "prompt": renderer.without_bos(prompt),
        "completion": completion,
        "input_ids": tokens,
        "completion_mask": mask,
    }


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return a training script."""
    model = asked.renderer.model if asked.renderer else "Qwen/Qwen2.5-1.5B-Instruct"
    kind = "parquet" if asked.ending == "parquet" else "json"
    held_out = files.get("validation")
    evaluating = f'load_dataset("{kind}", data_files=str(HERE / "{held_out}"), split="train")' if held_out else "None"
    name = next(iter(files.values())) if "train" not in files else files["train"]
    return (
        "train_sft.py",
        f'''"""Train {model} on these rows: pip install trl; python train_sft.py"""

from pathlib import Path

from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

HERE = Path(__file__).parent
trainer = SFTTrainer(
    model={model!r},
    args=SFTConfig(
        output_dir="student",
        completion_only_loss=True,  # the prompt is not learned
        max_length=32768,  # longer rows are cut, and would never learn to end; the default is 1024
        packing=False,
    ),
    train_dataset=load_dataset("{kind}", data_files=str(HERE / "{name}"), split="train"),
    eval_dataset={evaluating},
)
trainer.train()
trainer.save_model()
''',
    )
