"""Checks for what makes a correct trace hard to read: mixed languages, walls of text, code, loops, broken tags.

DeepSeek-R1 filters its cold-start data and its rejection-sampled traces in this way (arXiv 2501.12948, sections 2.3.1
and 2.3.3). Every check is off until its key sets what is tolerated, is a pure function of the texts, and has its own
reason. The reasons, in order: bad_tags, no_summary, too_short, too_long, code_block, long_paragraph, other_language,
mixed_language, loop, repetition. `benchmarks/readability.py` measures each.
"""
# ruff: noqa: RUF001  (the module is about tags and words of other scripts)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from filters.text.mixed_language import ANSWER, BOTH, QUESTION, in_other_language, mixed_language_share
from filters.text.repetition import Repeats, repeats_in
from generators.contract.config import Config
from generators.contract.stage_protocol import Progress, no_progress

READ_ROWS = 1000  # texts held in memory at a time
TEXTS = {"question": pl.String, "domain": pl.String, "reasoning": pl.String, "answer": pl.String}
REASONING = pl.col("reasoning").fill_null("")

# Splitting a trace removes the tags of thinking, and decoding it removes those of chat templates.
LEFT_OVER = (
    r"(?i)</?(?:think|thinking|thought)>|\\(?:begin|end)\{think(?:ing)?\}|\[/?THINK\]|◁/?think▷|"
    r"<\|(?:begin|end)_of_thought\|>|<\|(?:im_start|im_end|endoftext|eot_id|eom_id|start_header_id|end_header_id)\|>|"
    r"<｜[^｜<>\n]{1,40}｜>"
)
TAG = r"(?i)</?(?:reasoning|summary|answer)>"
ANY_TAG = f"{LEFT_OVER}|{TAG}"
# `<answer>` may stay open at the end: its closing tag is the stop string of many samplers, and servers strip it.
IN_ORDER = (
    r"^(?:<reasoning></reasoning>)?(?:(?:<summary></summary>)?(?:<answer>(?:</answer>)?)?|"
    r"<summary><answer></answer></summary>|<answer></answer><summary></summary>)$"
)
# Tags that a text only mentions: in code, before the word "tag", with nothing or dots between them.
SPOKEN_OF = (
    r"(?is)```.*?(?:```|\z)|`[^`\n]*`|(?:</?[a-z]+>(?:\s*(?:and|or|to|,|/|和|与|、|\.{3}|…)\s*)?)+\s*(?:tags?\b|标签)|"
    r"\b(?:between|inside|within|in|use)\s+<([a-z]+)>\s*(?:and|or|to|,|\.{3}|…)?\s*</[a-z]+>|"
    r"<[a-z]+>\s*(?:\.{3}|…)\s*</[a-z]+>"
)

NO_SUMMARY, MARKS = r"(?s)<reasoning>.*?</reasoning>|</?[A-Za-z]+>", "*_#`~=|:.$- \t\r\n"
FENCED = r"(?s)```.*?(?:```|\z)"
CODE = rf"{FENCED}|`[^`\n]*`"
FENCE = r"```|(?m:^\s*~~~)|<(?:code|pre)>|\\begin\{(?:verbatim|lstlisting|minted)\}"
NOT_CODE = r"(?is)```[ \t]*(?:math|latex|tex|text|txt|plaintext|markdown|md)\b.*?(?:```|\z)"
CODE_LINE = (
    r"(?m)^[ \t]*(?:def \w+\(.*\).*:|class \w+.*:|import [\w.]+(?: as \w+)?|from [\w.]+ import .+|#include\s*[<\"].+|"
    r"(?:for \w+(?:, \w+)* in|while|if|elif) .+:|return .+|else:|print\(.*\);?|(?:int|void|double) \w+\(.*\)\s*\{|"
    r"(?:const|let|var) \w+ = .+;|public (?:static )?\w+ .+\{)[ \t]*$"
)
CODE_LINES = 2  # lines of code without a fence; a single one may be a sentence
ASKS_FOR_CODE = (
    r"(?i)```|\b(?:python|javascript|typescript|java|sql|html|bash|rust|golang)\b|\bC\+\+|source code|代码|编程"
)
WIDE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"


class ReadabilityConfig(Config):
    """Tolerances of the readability checks; a key that is left out switches its check off."""

    tags: bool = False
    """Drop texts with leftover tags of thinking or of a chat template, and texts in which `<reasoning>`, `<summary>` or
    `<answer>` is doubled, out of order, inside the reasoning or missing its other half. `<answer>` may stay open at
    the end, because its closing tag is often the stop string.
    """
    summary_characters: int | None = Field(None, ge=1)
    """Least characters after the reasoning, not counting tags and marks; 1 asks for any text at all."""
    min_characters: int | None = Field(None, ge=1)
    """Least characters of the reasoning (of the answer if there is no reasoning)."""
    max_characters: int | None = Field(None, ge=1)
    """Most characters of the reasoning (of the answer if there is no reasoning)."""
    code_blocks: bool = False
    """Drop traces with code blocks or lines of code, unless the prompt's domain is code or the prompt asks for code."""
    paragraph_characters: int | None = Field(None, ge=1)
    """Most characters between two line breaks, including mathematics but not code; Chinese, Japanese and Korean
    characters count twice, because they are twice as wide.
    """
    same_language: bool = False
    """Drop traces whose reasoning is in another language than the prompt, by script and by most common words."""
    mixed_language: float | None = Field(None, ge=0, lt=1)
    """Largest share of words in a script that the prompt does not use; 0 tolerates none. Mathematics, code, quotations,
    names and single terms are not counted. Languages of one script are not told apart.
    """
    loop_words: int | None = Field(None, ge=1)
    """Most words that may repeat, back to back, what stands just before them in three copies or more: a loop."""
    repeats: int | None = Field(None, ge=2)
    """Most occurrences of the same 12 words anywhere in one text; an exhaustive case analysis repeats them often."""
    repetition: float | None = Field(None, gt=0, lt=1)
    """Largest share of runs of 12 words that occurred earlier in the text."""


READABLE = ReadabilityConfig(
    tags=True,
    summary_characters=1,
    code_blocks=True,
    paragraph_characters=2000,
    same_language=True,
    mixed_language=0.002,
    loop_words=30,
    repeats=50,
    repetition=0.3,
)


def reason_against(
    reasoning: str | None, answer: str, config: ReadabilityConfig, *, question: str = "", domain: str = "math"
) -> str | None:
    """Return the first reason against one text, or None. `reasons_against` handles many texts at once, and faster."""
    row = {"question": question, "domain": domain, "reasoning": reasoning, "answer": answer}
    reason: str | None = reasons_against(pl.DataFrame([row], schema=TEXTS), config)[0]
    return reason


def reasons_against(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series:
    """Return the first reason against each row of TEXTS, null if there is none."""
    texts = texts.select(pl.col(name).cast(kind) for name, kind in TEXTS.items())
    found = pl.Series([None], dtype=pl.String).new_from_index(0, texts.height)
    if config.repetition is not None and (config.repeats or config.loop_words):
        texts = with_repeats(texts)
    for reason, check in CHECKS.items():
        holds = check(texts, config)
        if holds is not None:
            found = pl.select(pl.coalesce(found, pl.when(holds).then(pl.lit(reason)))).to_series()
    return found


def only_where(texts: pl.DataFrame, gate: pl.Expr, check: pl.Expr) -> pl.Series:
    """Return `check` on the rows where the cheap `gate`, which `check` implies, holds; false on the others."""
    holds = pl.Series([False]).new_from_index(0, texts.height)
    here = texts.select(gate).to_series().arg_true()
    return holds.scatter(here, texts[here].select(check).to_series()) if len(here) else holds


def bad_tags(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag leftover tags of thinking or of a template, and tags out of order, repeated, open or in the reasoning."""
    if not config.tags:
        return None
    thought = REASONING.str.replace_all(SPOKEN_OF, " ")
    said = ANSWER.str.replace_all(CODE, " ")
    order = said.str.extract_all(TAG).list.join("").str.to_lowercase()
    left = thought.str.contains(ANY_TAG) | said.str.contains(LEFT_OVER)
    return only_where(texts, BOTH.str.contains(ANY_TAG), left | ~order.str.contains(IN_ORDER))


def no_summary(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag texts with too little after the reasoning once tags and marks are removed."""
    least = config.summary_characters
    if least is None:
        return None
    said = ANSWER.str.replace_all(NO_SUMMARY, "").str.strip_chars(MARKS)
    return texts.select(said.str.len_chars() < least).to_series()


def too_short(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag reasoning below the length limits."""
    return None if config.min_characters is None else texts.select(length() < config.min_characters).to_series()


def too_long(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag reasoning above the length limits."""
    return None if config.max_characters is None else texts.select(length() > config.max_characters).to_series()


def length() -> pl.Expr:
    """Return the characters of the reasoning, or of the answer if there is none."""
    return pl.coalesce("reasoning", "answer", pl.lit("")).str.len_chars()


def code_block(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag code, fenced or not, if the domain is not code and the prompt asks for none."""
    if not config.code_blocks:
        return None
    gate = pl.col("domain").ne_missing("code") & BOTH.str.contains(f"{FENCE}|{CODE_LINE}")
    prose = BOTH.str.replace_all(NOT_CODE, " ")
    code = prose.str.contains(FENCE) | (prose.str.count_matches(CODE_LINE) >= CODE_LINES)
    return only_where(texts, gate, code & ~QUESTION.str.contains(ASKS_FOR_CODE))


def long_paragraph(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag paragraphs wider than allowed; a line is never wider than its number of bytes, which makes a cheap gate."""
    most = config.paragraph_characters
    if most is None:
        return None
    width = pl.element().str.len_chars() + pl.element().str.count_matches(WIDE)
    lines = BOTH.str.replace_all(FENCED, "\n").str.split("\n")
    bytes_of_longest = BOTH.str.split("\n").list.eval(pl.element().str.len_bytes()).list.max()
    return only_where(texts, bytes_of_longest > most, lines.list.eval(width).list.max() > most)


def other_language(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag reasoning in a language that the prompt does not use."""
    return in_other_language(texts) if config.same_language else None


def mixed_language(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag texts with too many words in a script that the prompt does not use."""
    return None if config.mixed_language is None else mixed_language_share(texts) > config.mixed_language


def loop(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag reasoning or answers that repeat a passage back to back, or the same words too often."""
    limits = {"most": config.repeats, "looped": config.loop_words}
    over = [pl.col(name) > limit for name, limit in limits.items() if limit is not None]
    return with_repeats(texts).select(pl.any_horizontal(over)).to_series() if over else None


def repetition(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series | None:
    """Flag reasoning or answers of which too much occurred earlier."""
    if config.repetition is None:
        return None
    return with_repeats(texts).select(pl.col("share") > config.repetition).to_series()


def with_repeats(texts: pl.DataFrame) -> pl.DataFrame:
    """Return the texts with the repeats of reasoning or answer, whichever has more; they are counted only once."""
    if set(Repeats._fields) <= set(texts.columns):
        return texts
    reasoning, answer = (np.array(repeats_in(texts[name])).reshape(-1, 3) for name in ("reasoning", "answer"))
    return texts.with_columns(pl.DataFrame(np.maximum(reasoning, answer), schema=list(Repeats._fields)))


Check = Callable[[pl.DataFrame, ReadabilityConfig], pl.Series | None]
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        bad_tags,
        no_summary,
        too_short,
        too_long,
        code_block,
        long_paragraph,
        other_language,
        mixed_language,
        loop,
        repetition,
    )
}
"""Reason -> function returning the rows it holds for; None if the configuration does not ask for it."""


def unreadable(
    traces: Path, prompts: Path, rows: pl.DataFrame, config: ReadabilityConfig, progress: Progress = no_progress
) -> pl.DataFrame:
    """Return `row` and `unreadable` (the reason) for the flagged rows.

    `rows` has the columns `row` (the position in `traces`) and `prompt_id`.
    """
    asked = questions(prompts)
    labels = [pl.DataFrame(schema={"row": pl.UInt32, "unreadable": pl.String})]
    with progress("traces", rows.height) as bar:
        for batch in rows.sort("row").select("row", "prompt_id").iter_slices(READ_ROWS):
            first, last = batch["row"][0], batch["row"][-1]
            stretch = pl.scan_parquet(traces).select("reasoning", "answer").with_row_index("row")
            texts = stretch.slice(first, last - first + 1).join(batch.lazy(), on="row").collect()
            texts = texts.join(asked, on="prompt_id", how="left")
            labels.append(texts.select("row", unreadable=reasons_against(texts, config)))
            bar.update(batch.height)
    return pl.concat(labels)


def questions(prompts: Path) -> pl.DataFrame:
    """Return `prompt_id`, `question` (the user's messages) and `domain` of each prompt."""
    rows = pl.read_parquet(prompts, columns=["prompt_id", "messages", "domain"]).unique("prompt_id", keep="first")
    said = pl.element().filter(pl.element().struct["role"] == "user").struct["content"]
    return rows.select("prompt_id", "domain", question=pl.col("messages").list.eval(said).list.join("\n"))
