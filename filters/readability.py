"""What makes a correct trace hard to read: mixed languages, walls of text, code, loops, broken tags, no summary.

DeepSeek-R1 filters its cold-start data and its rejection-sampled traces so (arXiv 2501.12948, sections 2.3.1, 2.3.3).
Every check is off until its key says what is tolerated, and has a reason of its own. The reasons, in this order:
bad_tags, no_summary, too_short, too_long, code_block, long_paragraph, mixed_language, loop, repetition.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from filters.dedupe import MIX, WORD
from generators.records import Config
from generators.work import Progress, no_progress

READ_ROWS = 1000  # texts held in memory at a time
TEXTS = {"question": pl.String, "domain": pl.String, "reasoning": pl.String, "answer": pl.String}
GRAM_WORDS = 12  # short runs of words come again in every long calculation
BOTH = pl.concat_str(pl.col("reasoning").fill_null(""), pl.col("answer").fill_null(""), separator="\n")
ASKED = pl.col("question").fill_null("")
NOT_LATIN = r"[\p{L}--\p{Latin}--\p{Greek}]|\p{Greek}{3}"

FENCE = r"```|<code>|\\begin\{(?:verbatim|lstlisting|minted)\}"
# Mathematics, code, links, tags, quotations, and names in brackets belong to no language.
NO_PROSE = "|".join(
    [
        r"(?s)```.*?(?:```|\z)|`[^`\n]*`|https?://\S+|</?[A-Za-z]+>",
        r"\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{.*?\\end\{[a-z]+\*?\}",
        r"\\[A-Za-z]+\*?(?:\{[^{}]*\})*",
        r"“[^”]*”|\"[^\"\n]*\"|「[^」]*」|『[^』]*』|《[^》]*》|«[^»]*»",
        r"[(\uFF08]\s*\p{Han}{1,4}\s*[)\uFF09]",
    ]
)
# script -> one word of it. Shorter runs are variables, units and functions; Latin words in capitals are names.
WORDS = {
    "latin": r"(?:^|[^\p{Latin}\p{M}])[\p{Latin}&&\p{Ll}]{4,}",
    "han": r"\p{Han}",
    "kana": r"[\p{Hiragana}\p{Katakana}]",
    "hangul": r"\p{Hangul}+",
    "cyrillic": r"\p{Cyrillic}{2,}",
    "greek": r"\p{Greek}{3,}",
    "arabic": r"\p{Arabic}{2,}",
    "hebrew": r"\p{Hebrew}{2,}",
    "devanagari": r"\p{Devanagari}{2,}",
    "thai": r"\p{Thai}{2,}",
}


class ReadabilityConfig(Config):
    """What is tolerated; a key that is left out looks for nothing."""

    tags: bool = False
    """Drop texts in which `<think>`, `<reasoning>`, `<summary>` or `<answer>` is missing its other half or doubled."""
    summary_characters: int | None = Field(None, ge=1)
    """Characters that must follow the reasoning; 1 asks for any text at all."""
    min_characters: int | None = Field(None, ge=1)
    """Least characters of the reasoning (of the answer where there is no reasoning)."""
    max_characters: int | None = Field(None, ge=1)
    """Most characters of the same."""
    code_blocks: bool = False
    """Drop blocks of code in traces of prompts whose domain is not code."""
    paragraph_characters: int | None = Field(None, ge=1)
    """Most characters between two line breaks, mathematics included."""
    mixed_language: float | None = Field(None, ge=0, lt=1)
    """Largest share of words in a script that the prompt is not written in; 0 tolerates none. Mathematics, code,
    quotations and names are not counted. Languages of one script are not told apart."""
    repeats: int | None = Field(None, ge=2)
    """How often the same 12 words may stand in one text; a text in a loop says them over and over."""
    repetition: float | None = Field(None, gt=0, lt=1)
    """Largest share of runs of 12 words that stood in the text before."""


READABLE = ReadabilityConfig(
    tags=True,
    summary_characters=1,
    code_blocks=True,
    paragraph_characters=2000,
    mixed_language=0.02,
    repeats=8,
    repetition=0.3,
)


def reason_against(
    reasoning: str | None, answer: str, config: ReadabilityConfig, *, question: str = "", domain: str = "math"
) -> str | None:
    """The first reason against one text, None where there is none. `reasons_against` takes many at once, faster."""
    row = {"question": question, "domain": domain, "reasoning": reasoning, "answer": answer}
    return reasons_against(pl.DataFrame([row], schema=TEXTS), config)[0]


def reasons_against(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series:
    """The first reason against each row of TEXTS, null where there is none."""
    texts = texts.select(pl.col(name).cast(kind) for name, kind in TEXTS.items())
    checks: list[tuple[str, object, Callable[[], pl.Expr]]] = [
        ("bad_tags", config.tags, bad_tags),
        ("no_summary", config.summary_characters, lambda: summary_length() < config.summary_characters),
        ("too_short", config.min_characters, lambda: length() < config.min_characters),
        ("too_long", config.max_characters, lambda: length() > config.max_characters),
        ("code_block", config.code_blocks, has_code),
        ("long_paragraph", config.paragraph_characters, lambda: longest_line() > config.paragraph_characters),
        (
            "mixed_language",
            config.mixed_language is not None,
            lambda: pl.lit(foreign_share(texts)) > config.mixed_language,
        ),
    ]
    wanted = [pl.when(holds()).then(pl.lit(reason)) for reason, on, holds in checks if on]
    found = texts.with_columns(reason=pl.coalesce(*wanted, pl.lit(None, pl.String)))["reason"]
    return first_of(found, repeated(texts, config)) if config.repeats or config.repetition else found


def first_of(one: pl.Series, other: pl.Series) -> pl.Series:
    """`one`, and `other` where it is null."""
    return pl.select(pl.coalesce(one, other)).to_series()


def bad_tags() -> pl.Expr:
    """A tag of thinking that is still in the text was doubled, or has no other half; others come once, closed."""
    broken = BOTH.str.contains(r"</?think>|\\(?:begin|end)\{think\}")
    for tag in ("reasoning", "summary", "answer"):
        opened, closed = (BOTH.str.count_matches(f"<{slash}{tag}>", literal=True) for slash in ("", "/"))
        broken = broken | (opened != closed) | (opened > 1)
    return broken


def summary_length() -> pl.Expr:
    """Characters after the reasoning."""
    return pl.col("answer").fill_null("").str.strip_chars().str.len_chars()


def length() -> pl.Expr:
    """Characters of the reasoning, or of the answer where there is none."""
    return pl.coalesce("reasoning", "answer", pl.lit("")).str.len_chars()


def has_code() -> pl.Expr:
    """Code where the domain has none."""
    return pl.col("domain").ne_missing("code") & BOTH.str.contains(FENCE)


def longest_line() -> pl.Expr:
    """Characters of the longest paragraph."""
    return BOTH.str.split("\n").list.eval(pl.element().str.len_chars()).list.max()


def foreign_share(texts: pl.DataFrame) -> pl.Series:
    """Share of words in scripts that the prompt has no word of; a prompt without words is taken to be in the text's."""
    shares = pl.Series([0.0]).new_from_index(0, texts.height)
    mixed = texts.select((BOTH + ASKED).str.contains(NOT_LATIN))["reasoning"].arg_true()  # most texts are done here
    if not len(mixed):
        return shares
    spoken = texts[mixed].select(text=BOTH.str.replace_all(NO_PROSE, " "), asked=ASKED.str.replace_all(NO_PROSE, " "))
    counts = {script: pl.col("text").str.count_matches(word) for script, word in WORDS.items()}
    asked = {script: pl.col("asked").str.count_matches(word) for script, word in WORDS.items()}
    total, most = pl.sum_horizontal(*counts.values()), pl.max_horizontal(*counts.values())
    foreign = pl.sum_horizontal(pl.when(asked[script] == 0).then(counts[script]).otherwise(0) for script in WORDS)
    foreign = pl.when(pl.sum_horizontal(*asked.values()) == 0).then(total - most).otherwise(foreign)
    return shares.scatter(mixed, spoken.select(foreign / pl.max_horizontal(total, 1)).to_series())


def repeated(texts: pl.DataFrame, config: ReadabilityConfig) -> pl.Series:
    """`loop` or `repetition` where reasoning or answer, each by itself, say the same too often."""
    parts = pl.concat([texts[name].fill_null("") for name in ("reasoning", "answer")])
    share, most = repeated_grams(parts).reshape(2, texts.height, 2).max(axis=0).T
    loops, often = most > (config.repeats or np.inf), share > (config.repetition or 1.0)
    reasons = [("loop" if loop else "repetition" if again else None) for loop, again in zip(loops, often, strict=True)]
    return pl.Series(reasons, dtype=pl.String)


def repeated_grams(texts: pl.Series) -> npt.NDArray[np.float64]:
    """[N, 2]: the share of a text's runs of GRAM_WORDS words that came before, how often its most frequent comes."""
    words = texts.str.to_lowercase().str.extract_all(WORD.pattern)
    lengths = words.list.len().to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    hashes = words.explode(empty_as_null=False).hash().to_numpy()
    count = max(0, len(hashes) - GRAM_WORDS + 1)
    codes = np.zeros(count, dtype=np.uint64)
    for offset in range(GRAM_WORDS):
        codes = (codes ^ hashes[offset : offset + count]) * MIX
        codes ^= codes >> np.uint64(29)
    runs = zip(ends - lengths, ends - GRAM_WORDS + 1, strict=True)
    return np.array([repeats_of(codes[start : max(start, end)]) for start, end in runs])


def repeats_of(codes: npt.NDArray[np.uint64]) -> tuple[float, float]:
    """(share of codes that came before, how often the most frequent comes); sorting beats a hash table by far."""
    if not len(codes):
        return 0.0, 0.0
    ordered = np.sort(codes)
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    return 1 - len(last) / len(ordered), float(np.diff(last, prepend=-1).max())


def unreadable(
    traces: Path, prompts: Path, rows: pl.DataFrame, config: ReadabilityConfig, progress: Progress = no_progress
) -> pl.DataFrame:
    """`row` and `unreadable`, the reason, of those of `rows` (`row`: a place in `traces`; `prompt_id`)."""
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
    """prompt_id, `question` (what the user says) and domain of each prompt."""
    rows = pl.read_parquet(prompts, columns=["prompt_id", "messages", "domain"]).unique("prompt_id", keep="first")
    said = pl.element().filter(pl.element().struct["role"] == "user").struct["content"]
    return rows.select("prompt_id", "domain", question=pl.col("messages").list.eval(said).list.join("\n"))
