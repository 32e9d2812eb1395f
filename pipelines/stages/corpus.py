"""The corpus stage: kept traces, and rows from elsewhere, as chat rows that any trainer reads.

`train.parquet` and `validation.parquet` hold `messages` with the reasoning inside `<think>...</think>`, like
DeepSeek-R1's 600k reasoning and 200k other rows (arXiv 2501.12948, section 2.3.3). The split is by prompt, so that no
question is on both sides; other rows follow the questions that theirs are like (repeated_rows.py). `README.md` is the
dataset card.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator

from generators.contract.chat import THINKING_OFF, THINKING_ON
from generators.contract.completions import CLOSE, OPEN, join_reasoning, split_reasoning
from generators.contract.config import Config
from generators.contract.errors import NothingKept
from generators.contract.files import frame, write_frame, write_text
from generators.contract.ids import canonical_json, content_id
from generators.contract.records import CORPUS
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts
from pipelines.stages.other_rows import OtherRows, read_other_rows


class CorpusConfig(Config):
    """The mixture and the split of the corpus."""

    validation_fraction: float = Field(0.05, ge=0, lt=1, description="share of prompts held out from training")
    reasoning_rows: int | None = Field(None, ge=1, description="most traces to take; all when left out")
    other: tuple[OtherRows, ...] = Field((), description="files of rows that are not reasoning traces")
    unfiltered: bool = Field(False, description="also write unfiltered.parquet: every finished trace, right or wrong")
    token_ids: bool = Field(
        False, description="keep the sampled tokens, to train on them instead of the tokens of the text"
    )
    seed: int = Field(0, description="seed of the split and of the draw of `reasoning_rows`")
    near_duplicate_threshold: float | None = Field(
        0.8, gt=0, le=1, description="similarity from which `other` rows are near duplicates; null: no check"
    )
    thinking_switch: Literal["none", "chat_template_kwargs", "empty_think"] = Field(
        "none",
        description="how rows with and without reasoning are told apart: by nothing (training closes thinking as "
        "the student's template does), by a column of template variables, or by an empty <think> block",
    )
    title: str = Field("Reasoning corpus", description="title of the dataset card")
    license: str = Field("unknown", description="license of the corpus, for its dataset card")

    @field_validator("other", mode="before")
    @classmethod
    def _paths(cls, other: Any) -> Any:
        """Read a path alone as a table with that path, and one table as a list of one."""
        listed = [other] if isinstance(other, str | Mapping) else other
        return [{"path": one} if isinstance(one, str) else one for one in listed] if isinstance(listed, list) else other


def corpus(
    selected: Path,
    prompts: Path,
    out: Path,
    config: CorpusConfig,
    *,
    evaluation: Path | None = None,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write out/train.parquet, out/validation.parquet, out/README.md (and out/unfiltered.parquet).

    Rows in are the kept traces and the other rows. A trace over `reasoning_rows` is dropped as `over_mix`; other rows
    are dropped for the reasons of other_rows.py, for one if they ask a question of `evaluation` (records.PROMPT).
    NothingKept is raised, and nothing is written, if no row would be left to train on.
    """
    traces = with_solve_rates(pl.read_parquet(selected)).drop("verifier")  # each prompt names its own
    traces = traces.join(kept_prompts(prompts), on="prompt_id", how="left", validate="m:1")
    kept = traces.filter(pl.col("drop_reason").is_null())
    taken = _sample(kept, config.reasoning_rows, config.seed)
    with runtime.progress("rows", len(taken)) as bar:
        reasoning = _as_corpus(taken, config)
        bar.update(len(taken))
    others = read_other_rows(
        config.other, evaluation, reasoning, config.near_duplicate_threshold, lambda asked: split_of(asked, config)
    )
    everything = pl.concat([reasoning, frame((_other_row(row, config) for row in others.rows), CORPUS)])
    if not (everything["split"] == "train").any():
        raise NothingKept(no_training_row(traces, len(everything), selected))
    for split in ("train", "validation"):
        write_frame(everything.filter(pl.col("split") == split), out / f"{split}.parquet")
    if config.unfiltered:
        write_frame(_unfiltered(traces, config), out / "unfiltered.parquet")
    write_text(card(everything, config), out / "README.md")
    dropped = {"over_mix": len(kept) - len(taken)} if len(taken) < len(kept) else {}
    dropped |= dict(sorted(others.dropped.items()))
    rows_in = len(kept) + others.rows_in
    tokens = int(everything["completion_tokens"].sum() or 0)
    notes: dict[str, Any] = {"splits": _counts(everything, "split")}
    notes |= {f"first_{reason}": sentence for reason, sentence in others.first.items()}
    return StageCounts(rows_in, len(everything), dropped, tokens, notes)


def no_training_row(traces: pl.DataFrame, held_out: int, selected: Path) -> str:
    """Return the sentence that the corpus has no row to train on, with the most frequent reasons."""
    if held_out:
        return (
            f"the corpus has no row to train on: all {held_out:,} are held out for validation; lower"
            " corpus.validation_fraction, or change corpus.seed"
        )
    dropped = Counter(traces["drop_reason"].drop_nulls().to_list()).most_common()
    counts = ", ".join(f"{n:,} {reason}" for reason, n in dropped) or "it has no traces"
    return f"the corpus has no row: none of the {len(traces):,} traces of {selected} is kept ({counts})"


def split_of(prompt_id: str, config: CorpusConfig) -> str:
    """Return train or validation, by the prompt alone: more prompts move none from one side to the other."""
    digest = hashlib.blake2b(f"{config.seed}:{prompt_id}".encode(), digest_size=8).digest()
    return "validation" if int.from_bytes(digest, "big") / 2**64 < config.validation_fraction else "train"


def kept_prompts(prompts: Path) -> pl.DataFrame:
    """Return the prompts that were not dropped, a row each: a question that occurs twice has a second, dropped row."""
    return pl.read_parquet(prompts).filter(pl.col("drop_reason").is_null()).drop("drop_reason")


def with_solve_rates(traces: pl.DataFrame) -> pl.DataFrame:
    """Add each prompt's `solve_rate`: correct verdicts over all verdicts of its samples; a rewrite is no sample."""
    judged = pl.col("status").is_not_null()
    if "rewritten_from" in traces.columns:
        judged &= pl.col("rewritten_from").is_null()
    solved = (pl.col("status") == "correct").filter(judged).mean()
    return traces.with_columns(solve_rate=solved.over("prompt_id"))


def _sample(rows: pl.DataFrame, limit: int | None, seed: int) -> pl.DataFrame:
    if limit is None or len(rows) <= limit:
        return rows
    drawn = sorted(range(len(rows)), key=lambda i: content_id([seed, rows["trace_id"][i]]))[:limit]
    return rows[sorted(drawn)]


def _as_corpus(traces: pl.DataFrame, config: CorpusConfig) -> pl.DataFrame:
    return frame((_corpus_row(row, config) for row in traces.iter_rows(named=True)), CORPUS)


def _corpus_row(row: dict[str, Any], config: CorpusConfig) -> dict[str, Any]:
    text = join_reasoning(row["reasoning"], row["answer"], row.get("wrapping"))
    switches, content = switched(text, config)
    copied = ("trace_id", "prompt_id", "domain", "source", "license", "teacher", "verifier", "reference", "solve_rate")
    return {
        **{key: row[key] for key in copied},
        "verdict": row["status"],
        "reward": row["score"],
        "chat_template_kwargs": switches,
        "completion_tokens": row["completion_tokens"],
        "messages": [*row["messages"], {"role": "assistant", "content": content}],
        "rewritten_from": row.get("rewritten_from"),
        "split": split_of(row["prompt_id"], config),
        "token_ids": row.get("token_ids") if config.token_ids and not row.get("rewritten_from") else None,
    }


def _other_row(row: dict[str, Any], config: CorpusConfig) -> dict[str, Any]:
    *before, last = row["messages"]
    switches, content = switched(last["content"], config)
    return {
        **row,
        "messages": [*before, {"role": "assistant", "content": content}],
        "chat_template_kwargs": row["chat_template_kwargs"] or switches,
    }


def switched(content: str, config: CorpusConfig) -> tuple[str | None, str]:
    """Return the template variables of a row as JSON, and its content, as `thinking_switch` has them."""
    reasoning, answer = split_reasoning(content)
    if config.thinking_switch == "chat_template_kwargs":
        return canonical_json(THINKING_ON if reasoning else THINKING_OFF), content
    if config.thinking_switch == "empty_think" and not reasoning:
        return None, f"{OPEN}\n\n{CLOSE}\n\n{answer}"
    return None, content


def _unfiltered(traces: pl.DataFrame, config: CorpusConfig) -> pl.DataFrame:
    """Return all completed traces of the training prompts, right or wrong: the control of rejection sampling."""
    if "rewritten_from" in traces.columns:
        traces = traces.filter(pl.col("rewritten_from").is_null())
    sound = pl.col("fault").is_null() if "fault" in traces.columns else True
    rows = _as_corpus(traces.filter(pl.col("finish_reason") == "stop", sound), config)
    return rows.filter(pl.col("split") == "train")


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(sorted(Counter(str(value) for value in rows[column]).items()))


def card(rows: pl.DataFrame, config: CorpusConfig) -> str:
    """Return the dataset card: a YAML header for dataset hubs, then the numbers of rows of each kind."""
    head = f"---\nlicense: {config.license}\ntask_categories: [text-generation]\nconfigs:\n- config_name: default\n"
    files = "".join(f"  - {{split: {split}, path: {split}.parquet}}\n" for split in ("train", "validation"))
    tables = "\n\n".join(_table(rows, column) for column in ("domain", "source", "teacher", "license"))
    splits = ", ".join(f"{split} {n:,}" for split, n in _counts(rows, "split").items())
    tokens = int(rows["completion_tokens"].sum() or 0)  # imported traces have no counts
    counted = f", {tokens:,} completion tokens of the teacher" if tokens else ""
    return (
        f"{head}  data_files:\n{files}---\n\n# {config.title}\n\n{len(rows):,} rows ({splits}){counted}.\n\n"
        "`messages` is a conversation whose last message is the assistant's: `<think>` reasoning `</think>`, then the "
        f"answer. Reasoning rows are the teacher's{_judged(rows)}; {_rewritten(rows)}the split is by prompt. Made with "
        "distill-toolkit; `manifest.json` holds every setting.\n\n"
        f"{tables}\n"
    )


def _judged(rows: pl.DataFrame) -> str:
    """Return the clause on why reasoning rows were kept, by their verdicts."""
    taught = rows.filter(pl.col("teacher").is_not_null())
    right = int((taught["verdict"] == "correct").sum())
    if not right:
        return ", which no verifier has judged"
    rest = len(taught) - right
    unjudged = f"; {rest:,} were kept without a verdict" if rest else ""
    return f" and were kept when their verifier found them correct and they were distinct{unjudged}"


def _rewritten(rows: pl.DataFrame) -> str:
    """Return a clause on the rows that a model put into readable form; empty where there are none."""
    count = len(rows) - rows["rewritten_from"].null_count()
    return f"{count:,} of them were then rewritten by a model, to be read easily; " if count else ""


def _table(rows: pl.DataFrame, column: str) -> str:
    lines = [f"| {'not stated' if value == 'None' else value} | {n:,} |" for value, n in _counts(rows, column).items()]
    return "\n".join([f"| {column} | rows |", "| --- | ---: |", *lines])
