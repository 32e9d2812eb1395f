"""Selection of the traces to train on: every trace stays in the file, with the first reason to drop it, if any.

The reasons, in order of precedence: error, truncated, no_reasoning, wrong, unparseable, timeout, verifier_error, empty,
wrong_in_file, unverified, stray_marks, short_reasoning, long_completion, the reasons of text/readability.py,
exact_duplicate, near_duplicate, same_path, over_cap. The last four compare the remaining samples of a prompt with each
other, in the order of the sample index.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
from pydantic import Field

from filters.text.dedupe import INDEXED, Codes, clusters, exact_duplicates, near_duplicates, shingle_codes
from filters.text.readability import ReadabilityConfig, unreadable
from filters.text.solution_signature import Signatures, Solution
from filters.verification.reasons import listed
from generators.contract.config import Config
from generators.contract.errors import InputError, NothingKept
from generators.contract.files import replace_durably, scan_rows
from generators.contract.intake import EMPTY, file_says
from generators.contract.records import IMPORTED, SELECTED, TRACE
from generators.contract.stage_protocol import IN_PROCESS, Progress, Runtime, StageCounts, counts_by_reason

READ_ROWS = 4000  # texts held in memory at a time
SHOWN_REASONS, REASON_CHARS = 3, 120
log = logging.getLogger(__name__)
SOLVE_RATES = ("0", "0-25%", "25-50%", "50-75%", "75-100%", "100%")


class SelectConfig(Config):
    """Settings of `select`: the correct traces to keep."""

    max_per_prompt: int = Field(4, gt=0)
    """Largest number of traces kept per prompt: the first ones by sample index."""
    near_duplicate_threshold: float | None = Field(0.8, gt=0, le=1)
    """Jaccard similarity of 5-word shingles from which samples of a prompt are near duplicates; null: no check."""
    distinct: Literal["none", "equations"] = "equations"
    """`equations` keeps one of the traces that calculate the same equations in the same order (arXiv 2308.01825)."""
    require_reasoning: bool = False
    """Drop completions that have no reasoning."""
    min_reasoning_tokens: int | None = Field(None, gt=0)
    """Traces with fewer reasoning tokens are dropped; the count is the reasoning's share, by characters, of the
    completion's tokens."""
    max_completion_tokens: int | None = Field(None, gt=0)
    """Longer completions are dropped."""
    keep_unverified: bool | Literal["auto"] = False
    """Keep traces that have no verdict because their prompt has no verifier; auto: only where no trace has one."""
    readability: ReadabilityConfig | None = None
    """Readability checks of a trace; null: none."""


def select(
    traces: Path, verdicts: Path, prompts: Path, out: Path, config: SelectConfig, *, runtime: Runtime = IN_PROCESS
) -> StageCounts:
    """Write `out`/selected.parquet (records.SELECTED): all traces, in their order, with a `drop_reason`.

    Notes: the number of prompts, the histogram of their solve rates, the prompts with a correct trace, and the mean
    number of distinct solutions among prompts with samples left to compare. Tokens: completion tokens of kept traces.
    A trace without a verdict whose prompt has a verifier raises InputError. NothingKept is raised, after the file is
    written, if no trace is kept; it names the most frequent reasons.
    """
    rows = scan_rows(traces, IMPORTED).select(facts()).collect()
    judged = pl.read_parquet(verdicts).drop("seconds").rename({"reason": "verdict_reason"})
    rows = rows.join(judged, on="trace_id", how="left", maintain_order="left").with_row_index("row")
    check_verdicts(rows, verdicts, prompts)
    config = settled(config, rows)
    rows = rows.with_columns(own_reason(config).alias("drop_reason"))
    if config.readability:
        left = rows.filter(pl.col("drop_reason").is_null())
        labels = unreadable(traces, prompts, left, config.readability, runtime.progress)
        rows = rows.join(labels, on="row", how="left", maintain_order="left")
        rows = rows.with_columns(pl.coalesce("drop_reason", "unreadable").alias("drop_reason")).drop("unreadable")
    labels, paths = compare_samples(traces, rows.filter(pl.col("drop_reason").is_null()), config, runtime.progress)
    rows = rows.join(labels, on="row", how="left", maintain_order="left").with_columns(
        pl.coalesce("drop_reason", "among_samples").alias("drop_reason")
    )
    write_selected(traces, rows, out / "selected.parquet")
    if not rows["drop_reason"].null_count():
        raise NothingKept(nothing_kept(rows, out / "selected.parquet"))
    tokens = int(rows.filter(pl.col("drop_reason").is_null())["completion_tokens"].sum())
    return counts_by_reason(rows["drop_reason"], tokens=tokens, notes=notes_of(rows, paths))


def settled(config: SelectConfig, rows: pl.DataFrame) -> SelectConfig:
    """Return the settings with `keep_unverified` true or false; say it where all traces are kept without a verdict."""
    if config.keep_unverified != "auto":
        return config
    keep = rows.height > 0 and rows["status"].null_count() == rows.height
    if keep:
        log.warning(
            "select: none of %d traces has a verdict, because no prompt has a verifier and a reference: they are kept "
            "unverified; select.keep_unverified=false drops them", rows.height,
        )  # fmt: skip
    return config.model_copy(update={"keep_unverified": keep})


def facts() -> list[pl.Expr]:
    """Return the columns that need no text in memory: ids, lengths and finish reason."""
    reasoning = pl.col("reasoning").fill_null("").str.len_chars()
    length = reasoning + pl.col("answer").fill_null("").str.len_chars()
    share = pl.when(length > 0).then(reasoning / length).otherwise(0.0)
    return [
        pl.col("trace_id", "prompt_id", "sample_index", "finish_reason", "completion_tokens"),
        pl.col("fault").is_not_null().alias("faulty"),
        pl.col("file_verdicts").map_elements(called_wrong, pl.Boolean).fill_null(value=False).alias("called_wrong"),
        (
            pl.col("answer").fill_null("").str.strip_chars().eq("") | pl.col("fault").eq(EMPTY).fill_null(value=False)
        ).alias("blank"),
        pl.col("reasoning").fill_null("").str.strip_chars().eq("").alias("unreasoned"),
        (share * pl.col("completion_tokens")).alias("reasoning_tokens"),
    ]


def called_wrong(verdicts: str) -> bool:
    """Return whether the imported file calls a trace wrong, by the JSON of its verdicts."""
    return file_says(json.loads(verdicts)) is False


def check_verdicts(rows: pl.DataFrame, verdicts: Path, prompts: Path) -> None:
    """Raise a ValueError that names the first trace without a verdict whose prompt has a verifier.

    If a prompt has several rows, the first one counts, as in `verify`.
    """
    asked = pl.read_parquet(prompts, columns=["prompt_id", "verifier"]).unique("prompt_id", keep="first")
    verifiable = asked.filter(pl.col("verifier").is_not_null())
    unjudged = rows.filter(pl.col("status").is_null()).join(verifiable.select("prompt_id"), on="prompt_id", how="semi")
    if unjudged.height:
        raise InputError(
            f"{verdicts}: no verdict for trace {unjudged['trace_id'][0]}, whose prompt has a verifier "
            f"({unjudged.height} such traces); run verify over these traces first"
        )


def own_reason(config: SelectConfig) -> pl.Expr:
    """Return the first reason to drop a trace that needs no comparison with other samples; null if there is none."""
    status = pl.col("status")
    reasons: list[tuple[str, pl.Expr]] = [
        ("error", pl.col("finish_reason") == "error"),
        ("truncated", pl.col("finish_reason") == "length"),
        ("no_reasoning", pl.col("unreasoned") & config.require_reasoning),
        *((name, status == name) for name in ("wrong", "unparseable", "timeout")),
        ("verifier_error", status == "error"),
        ("empty", pl.col("blank")),
        ("wrong_in_file", status.is_null() & pl.col("called_wrong")),
        ("unverified", status.is_null() & (not config.keep_unverified)),
        ("stray_marks", pl.col("faulty")),
    ]
    if config.min_reasoning_tokens is not None:
        reasons.append(("short_reasoning", pl.col("reasoning_tokens") < config.min_reasoning_tokens))
    if config.max_completion_tokens is not None:
        reasons.append(("long_completion", pl.col("completion_tokens") > config.max_completion_tokens))
    return pl.coalesce(pl.when(holds).then(pl.lit(name)) for name, holds in reasons)


LABELS = {"row": pl.UInt32, "cluster_id": pl.String, "among_samples": pl.String}


def compare_samples(
    traces: Path, rows: pl.DataFrame, config: SelectConfig, progress: Progress
) -> tuple[pl.DataFrame, list[int]]:
    """Return (cluster and reason of each row, as LABELS; number of distinct solutions of each prompt)."""
    labels = [pl.DataFrame(schema=LABELS)]
    paths: list[int] = []
    with progress("traces", rows.height) as bar:
        for batch in batches(rows):
            found = []
            for samples in samples_of_prompts(read_texts(traces, batch)):
                found += label_samples(samples, config)
                paths.append(sum(reason in (None, "over_cap") for _, _, reason in found[-len(samples.rows) :]))
            labels.append(pl.DataFrame(found, schema=LABELS, orient="row"))
            bar.update(batch.height)
    return pl.concat(labels), paths


class Samples(NamedTuple):
    """The remaining samples of a prompt, in the order of their index."""

    rows: list[int]  # in the file
    trace_ids: list[str]
    solutions: list[str]  # the reasoning, else the answer
    texts: list[str]  # both
    codes: list[Codes]  # of their shingles


def samples_of_prompts(texts: pl.DataFrame) -> Iterator[Samples]:
    """Yield the samples of each prompt of a batch."""
    said, answered = pl.col("reasoning").fill_null(""), pl.col("answer").fill_null("")
    ordered = texts.sort("prompt_id", "sample_index", "row").with_columns(
        text=pl.concat_str(said, answered, separator="\n"),
        solution=pl.when(said != "").then(said).otherwise(answered),
    )
    ends = ordered["prompt_id"].rle().struct.field("len").cum_sum().to_list()
    rows, trace_ids, solutions, said_whole = (
        ordered[name].to_list() for name in ("row", "trace_id", "solution", "text")
    )
    codes = shingle_codes(said_whole)
    for start, end in pairwise([0, *ends]):
        part = slice(start, end)
        yield Samples(rows[part], trace_ids[part], solutions[part], said_whole[part], codes[part])


def batches(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield whole prompts, about READ_ROWS rows at a time, in the file's order: a batch spans a short part of it."""
    sizes = rows.group_by("prompt_id", maintain_order=True).len()
    numbered = sizes.select("prompt_id", batch=(pl.col("len").cum_sum() - 1) // READ_ROWS)
    yield from rows.join(numbered, on="prompt_id", how="left", maintain_order="left").partition_by(
        "batch", maintain_order=True, include_key=False
    )


def read_texts(traces: Path, batch: pl.DataFrame) -> pl.DataFrame:
    """Return the batch's rows with reasoning and answer."""
    first, last = int(batch["row"].min()), int(batch["row"].max())  # type: ignore[arg-type]
    stretch = pl.scan_parquet(traces).select("reasoning", "answer").with_row_index("row").slice(first, last - first + 1)
    return stretch.join(batch.lazy(), on="row", how="inner").collect()


def label_samples(samples: Samples, config: SelectConfig) -> list[tuple[int, str, str | None]]:
    """Return (row, cluster id, reason) of one prompt's remaining samples."""
    exact = exact_duplicates(samples.texts)
    near = near_of(samples, exact, config.near_duplicate_threshold)
    seen = Signatures()
    kept = 0
    labels = []
    for index, row in enumerate(samples.rows):
        solution = Solution(samples.solutions[index] if config.distinct == "equations" else "")
        reason = None
        if exact[index] != index:
            reason = "exact_duplicate"
        elif near[index] != index:
            reason = "near_duplicate"
        elif seen.holds(solution):
            reason = "same_path"
        elif kept == config.max_per_prompt:
            reason = "over_cap"
        kept += reason is None
        if reason in (None, "over_cap"):
            seen.add(solution)
        labels.append((row, samples.trace_ids[near[index]], reason))
    return labels


def near_of(samples: Samples, exact: list[int], threshold: float | None) -> list[int]:
    """Return the first sample of each one's cluster, in the same way as `near_duplicates`."""
    if threshold is None:
        return exact
    if len(samples.rows) > INDEXED:
        return near_duplicates(samples.texts, threshold)
    return clusters(samples.codes, threshold)


def write_selected(traces: Path, rows: pl.DataFrame, path: Path) -> None:
    """Join the labels to the traces, without holding the texts in memory."""
    added = [name for name in SELECTED if name not in TRACE]
    labels = rows.select("trace_id", *added).lazy()
    partial = path.with_name(path.name + ".partial")
    selected = scan_rows(traces, TRACE).join(labels, on="trace_id", how="left", maintain_order="left")
    selected.select(*SELECTED).cast(pl.Schema(SELECTED)).sink_parquet(partial, compression="zstd")
    replace_durably(partial, path)


def nothing_kept(rows: pl.DataFrame, path: Path) -> str:
    """Return the sentence that no trace was kept: the reasons with their counts, and what the verifiers said most."""
    if not rows.height:
        return f"select has no traces to choose from; {path} is empty"
    dropped = Counter(rows["drop_reason"].to_list()).most_common()
    refused = rows.filter(pl.col("status") != "correct")["verdict_reason"].drop_nulls()
    most = listed(Counter(refused.to_list()), SHOWN_REASONS, REASON_CHARS)
    counts = ", ".join(f"{n:,} {reason}" for reason, n in dropped)
    return (
        f"select kept none of {rows.height:,} traces: {counts}."
        + (f" The verifiers' most frequent reasons: {most}." if most else "")
        + (" select.keep_unverified=true keeps the unverified ones." if "unverified" in dict(dropped) else "")
        + f" {path} has the reason of every trace"
    )


def notes_of(rows: pl.DataFrame, paths: list[int]) -> dict[str, Any]:
    """Return the report's figures over prompts; a solve rate is a prompt's correct verdicts over all its verdicts."""
    judged = rows.filter(pl.col("status").is_not_null())
    rates = judged.group_by("prompt_id").agg(rate=(pl.col("status") == "correct").mean())["rate"].to_list()
    histogram = dict.fromkeys(SOLVE_RATES, 0)
    for rate in rates:
        histogram[SOLVE_RATES[0 if rate == 0 else 5 if rate == 1 else 1 + int(rate * 4)]] += 1
    return {
        "prompts": rows["prompt_id"].n_unique(),
        "prompts_solved": sum(rate > 0 for rate in rates),
        "solve_rates": histogram,
        "mean_distinct_paths": round(sum(paths) / len(paths), 3) if paths else 0.0,
    }
