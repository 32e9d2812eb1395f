"""Preference pairs for TRL's DPOTrainer: the corpus' correct completion against a wrong one of the same prompt.

Preference datasets with an explicit prompt: https://huggingface.co/docs/trl/dataset_formats. Only a wrong answer that
the model finished is rejected: not one that was cut, timed out or could not be read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from generators.contract.records import MESSAGES
from pipelines.export.corpus_files import ABOUT, KWARGS, count
from pipelines.export.pairs import paired_rows, plan_pairs, wrong_traces
from pipelines.export.rendering import switches_of
from pipelines.export.request import Part, Request, Row, unfit, warn_of_messages

TAKES = frozenset({"tokenizer", "pairs_per_prompt"})


def parts(asked: Request) -> list[Part]:
    """Return the pairs of each split."""
    if asked.renderer is None:
        warn_of_messages(asked)
    text = MESSAGES if asked.renderer is None else pl.String
    switches = {KWARGS: pl.Struct(asked.corpus.switches)} if asked.corpus.switches and not asked.renderer else {}
    schema = {"prompt": text, "chosen": text, "rejected": text, **switches, **asked.corpus.about}
    schema["rejected_trace_id"] = pl.String
    return [Part(split, count(file), _rows(file, asked), schema) for split, file in asked.corpus.files.items()]


def _rows(file: Path, asked: Request) -> Iterator[Row | str]:
    wrong = wrong_traces(asked.corpus, file)
    plan = plan_pairs(file, wrong, asked.pairs_per_prompt)
    for row, trace_id, text in paired_rows(file, wrong, plan, ("messages", KWARGS, *ABOUT)):
        if not trace_id:
            yield text
        elif fault := unfit(row["messages"]):
            yield fault
        else:
            made = _pair(row, text, asked)
            about = asked.corpus.about_row(row) | {"rejected_trace_id": trace_id}
            yield made if isinstance(made, str) else made | about


def _pair(row: Row, rejected: str, asked: Request) -> Row | str:
    *prompt, chosen = row["messages"]
    if asked.renderer is None:
        own, switches = switches_of(row), asked.corpus.switches
        set_here = {KWARGS: {name: own.get(name) for name in switches}} if switches else {}
        return {"prompt": prompt, "chosen": [chosen], "rejected": [{**chosen, "content": rejected}], **set_here}
    found = asked.renderer.texts(row, rejected)
    if isinstance(found, str):
        return found
    text, better, worse = found
    return {"prompt": asked.renderer.without_bos(text), "chosen": better, "rejected": worse}


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return a training script."""
    kind = "parquet" if asked.ending == "parquet" else "json"
    model = asked.renderer.model if asked.renderer else "Qwen/Qwen2.5-1.5B-Instruct"
    return (
        "train_dpo.py",
        f'''"""Train {model} on these pairs: pip install trl; python train_dpo.py"""

from pathlib import Path

from datasets import load_dataset
from trl import DPOConfig, DPOTrainer

HERE = Path(__file__).parent
trainer = DPOTrainer(
    model={model!r},
    args=DPOConfig(output_dir="student", max_length=32768),  # longer pairs are cut; the default is 1024
    train_dataset=load_dataset("{kind}", data_files=str(HERE / "{next(iter(files.values()))}"), split="train"),
)
trainer.train()
trainer.save_model()
''',
    )
