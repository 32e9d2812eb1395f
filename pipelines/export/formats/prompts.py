"""Prompts with verifier and reference for reinforcement learning, as TRL's GRPOTrainer reads them.

Prompt-only datasets: https://huggingface.co/docs/trl/dataset_formats; further columns are handed to reward functions.
Of a run these are all its prompts, solved or not, of a corpus alone those of its rows, each once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from generators.contract.records import MESSAGES, PROMPT
from pipelines.export.corpus_files import count, read_rows
from pipelines.export.request import Part, Request, Row, unfit

TAKES: frozenset[str] = frozenset()
COPIED = ("prompt_id", "verifier", "reference", "domain", "source", "license")
SCHEMA = {"prompt": MESSAGES, **{name: PROMPT[name] for name in COPIED}, "solve_rate": pl.Float64}


def parts(asked: Request) -> list[Part]:
    """Return the prompts that a verifier can judge."""
    if asked.corpus.run:
        path, selected = asked.corpus.run / "prompts" / "prompts.parquet", asked.corpus.run / "select/selected.parquet"
        if path.exists():
            return [Part("prompts", count(path), _of_run(path, selected), SCHEMA)]
    return [Part(split, count(file), _of_corpus(file), SCHEMA) for split, file in asked.corpus.files.items()]


def _of_run(path: Path, selected: Path) -> Iterator[Row | str]:
    rates = _solve_rates(selected) if selected.exists() else {}
    for row in read_rows(path):
        dropped = row["drop_reason"]
        yield dropped or _row(row["messages"], {**row, "solve_rate": rates.get(row["prompt_id"])})


def _of_corpus(file: Path) -> Iterator[Row | str]:
    seen: set[int] = set()
    for row in read_rows(file, ("messages", *COPIED, "solve_rate")):
        known = hash(row["prompt_id"])
        yield "same_prompt" if known in seen else unfit(row["messages"]) or _row(row["messages"][:-1], row)
        seen.add(known)


def _row(messages: list[Row], row: Row) -> Row | str:
    if not row.get("verifier"):
        return "no_verifier"
    return {"prompt": messages, **{name: row.get(name) for name in (*COPIED, "solve_rate")}}


def _solve_rates(selected: Path) -> dict[str, float]:
    judged = pl.scan_parquet(selected).filter(pl.col("status").is_not_null()).group_by("prompt_id")
    rates = judged.agg(rate=(pl.col("status") == "correct").mean()).collect(engine="streaming")
    return dict(rates.iter_rows())


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return a training script whose reward is the verdict's score."""
    kind = "parquet" if asked.ending == "parquet" else "json"
    return (
        "train_grpo.py",
        f'''"""Reinforcement learning with verdicts as rewards: pip install trl; python train_grpo.py"""

from pathlib import Path

from datasets import load_dataset
from filters import Item, Pool
from generators.contract.completions import split_reasoning
from trl import GRPOConfig, GRPOTrainer

HERE = Path(__file__).parent
OPENED = False  # True where the student's chat template itself opens <think>, as DeepSeek-R1-Distill's does


def verdict(prompts, completions, verifier, reference, **columns):
    """Return the score of each completion's verdict; None, which is left out, where a verifier says nothing."""
    items = []
    for prompt, said, name, wanted in zip(prompts, completions, verifier, reference):
        reasoning, answer = split_reasoning(said[-1]["content"], OPENED)
        items.append((name, Item(answer=answer, reasoning=reasoning, reference=wanted, messages=prompt)))
    return [None if found.status in ("timeout", "error") else found.score for found in pool.run(items)]


if __name__ == "__main__":
    with Pool() as pool:
        trainer = GRPOTrainer(
            model="Qwen/Qwen2.5-1.5B-Instruct",
            reward_funcs=verdict,
            args=GRPOConfig(output_dir="student", max_completion_length=4096),
            train_dataset=load_dataset("{kind}", data_files=str(HERE / "{next(iter(files.values()))}"), split="train"),
        )
        trainer.train()
        trainer.save_model()
''',
    )
