"""Detection of mixed language and of a reasoning language that differs from the prompt's.

Scripts are told apart by their letters, languages of one script by their most common words (`filters.text.language`).
Mathematics, code, links, tags, quotations, names and single terms belong to no language.
"""
# ruff: noqa: RUF001  (the module is about letters of other scripts)

from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.text.language import KANA_SHARE, LEXICONS
from filters.text.words.flat import BY_LETTERS, TEXTS_AT_ONCE, flat_words, lowered

SAMPLE = 4000  # characters of the reasoning from which its language is identified
ASKED_SHARE = 0.1  # of a prompt's words, above which a script is its own; a word or two may be its subject
LEAST_WORDS = 8  # a shorter text is in no language
LEAST_TELLING = 4, 3  # distinct common words needed to identify the language of a reasoning, and of a prompt
MARGIN = 2.0  # how many times more of them there must be than of the other language

ANSWER, QUESTION = pl.col("answer").fill_null(""), pl.col("question").fill_null("")
BOTH = pl.concat_str(pl.col("reasoning").fill_null(""), ANSWER, separator="\n")
NOT_LATIN = r"[\p{L}--\p{Latin}--\p{Greek}]|\p{Greek}{4}"

NO_PROSE = "|".join(
    [
        r"(?s)```.*?(?:```|\z)|`[^`\n]*`|https?://\S+|</?[A-Za-z]+>",
        # a dollar before a number is money unless the next one closes it tightly
        r"\$\$.*?\$\$|\$(?:[^\s$]|[^\s$][^$\n]*[^\s$])\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{.*?\\end\{[a-z]+\*?\}",
        r"\\[A-Za-z]+\*?(?:\{[^{}]*\})*",
        r"“[^”]{0,300}”|\"[^\"\n]{0,300}\"|「[^」]*」|『[^』]*』|《[^》]*》|«[^»]*»",
        r"[(\uFF08]\s*(?:\p{Han}{1,6}|[A-Za-z][A-Za-z' -]{0,40})\s*[)\uFF09]",  # a term in the other language
    ]
)
# script -> pattern of one word. Shorter runs are variables, units and functions; words with capitals are names.
WORDS = {
    "latin": r"(?:^|[^\p{Latin}\p{M}])[\p{Latin}&&\p{Ll}]{4,}",
    "han": r"\p{Han}",
    "kana": r"[\p{Hiragana}\p{Katakana}]",
    "hangul": r"\p{Hangul}+",
    "cyrillic": r"(?:^|[^\p{Cyrillic}])[\p{Cyrillic}&&\p{Ll}]{2,}",
    "greek": r"(?:^|[^\p{Greek}])[\p{Greek}&&\p{Ll}]{4,}",
    "arabic": r"\p{Arabic}{2,}",
    "hebrew": r"\p{Hebrew}{2,}",
    "devanagari": r"\p{Devanagari}{2,}",
    "thai": r"\p{Thai}{2,}",
}
# A prompt is short, so all of its words count, including names.
PROMPT_WORDS = {**WORDS, "latin": r"\p{Latin}{2,}", "cyrillic": r"\p{Cyrillic}+"}
# A stretch between letters of another script is a name or a term, unless it is long or contains a function word.
HAN_STRETCH, HAN_LONG = r"\p{Han}[\p{Han}，；：。！？]*", 7
HAN_TELLING = (
    "[的了是我你这那也就都不吗呢吧们么得每再还即则设求令若很把被只共先后]|因此|因为|由于|所以|如果|但是|然后|接着|"
    "首先|其次|最后|接下来|现在|总数|总和|多少|等于|大于|小于|得到|得出|答案|结果|计算|已知|可以|可知|可得|需要|根据|"
    "检查|验证|显然|假设|考虑|注意|例如|其中|同理|综上|分别|加上|减去|乘以|除以|相加|相减|相乘|一个|两个|没有|所有"
)
LATIN_STRETCH, LATIN_LONG = r"\p{Latin}[\p{Latin}' ,.;:!?-]*", 3
LATIN_TELLING = (
    r"(?i)\b(?:the|of|is|are|was|were|be|this|that|these|those|we|you|they|it|its|our|let|so|then|now|next|first|"
    r"finally|therefore|thus|hence|because|since|however|but|which|with|from|into|have|has|wait|check|need|should|"
    r"answer|also|each|there|here|for|and|when|where|if|to|in|at|by|on)\b"
)
STRETCHES = {
    "han": (HAN_STRETCH, HAN_TELLING, pl.element().str.count_matches(WORDS["han"]), HAN_LONG),
    "latin": (LATIN_STRETCH, LATIN_TELLING, pl.element().str.count_matches(WORDS["latin"]), LATIN_LONG),
}
CODES = sorted({code for each in LEXICONS.values() for code in each})


def mixed_language_share(texts: pl.DataFrame) -> pl.Series:
    """Return the share of words in scripts that the prompt does not use.

    A prompt without words is taken to use the main script of the text.
    """
    shares = pl.Series([0.0]).new_from_index(0, texts.height)
    mixed = not_only_latin(*texts.select(BOTH, QUESTION.alias("asked")).get_columns())  # most texts end here
    if not len(mixed):
        return shares
    prose = texts[mixed].select(text=without_notation(BOTH), asked=without_notation(QUESTION))
    counts, asked = words_of(prose["text"]), words_of(prose["asked"], PROMPT_WORDS)
    total, wordless = pl.sum_horizontal(pl.all()), asked.sum_horizontal() == 0
    own = asked.select(pl.all() > ASKED_SHARE * total).with_columns(han=pl.col("han") | pl.col("kana"))
    main = counts.select(pl.all() == pl.max_horizontal(pl.all()))
    mixed_words = pl.Series([0], dtype=pl.UInt32).new_from_index(0, prose.height)
    for script in WORDS:
        apart = ~pl.select(pl.when(wordless).then(main[script]).otherwise(own[script])).to_series()
        here = (apart & (counts[script] > 0)).arg_true()
        if len(here):
            mixed_words = mixed_words.scatter(here, mixed_words[here] + spoken_words(prose["text"][here], script))
    return shares.scatter(mixed, mixed_words / counts.sum_horizontal().clip(lower_bound=1))


def without_notation(text: pl.Expr) -> pl.Expr:
    """Return the text without the parts that belong to no language."""
    return text.str.replace_all(NO_PROSE, " ")


def words_of(text: pl.Series, words: Mapping[str, str] = WORDS) -> pl.DataFrame:
    """Count the words of each script in each text."""
    return pl.select(pl.lit(text).str.count_matches(word).alias(script) for script, word in words.items())


def spoken_words(text: pl.Series, script: str) -> pl.Series:
    """Count the words of `script`, leaving out names and single terms where they can be told."""
    if script not in STRETCHES:
        return text.str.count_matches(WORDS[script])
    stretch, telling, count, long = STRETCHES[script]
    spoken = pl.when(pl.element().str.contains(telling) | (count >= long)).then(count).otherwise(0)
    stretches = pl.lit(text).str.extract_all(stretch)
    return pl.select(stretches.list.eval(spoken).list.sum().cast(pl.UInt32)).to_series()


def in_other_language(texts: pl.DataFrame) -> pl.Series:
    """Return whether the reasoning (else the answer) is in a language that no part of the prompt uses."""
    said = texts.select(text=pl.coalesce("reasoning", ANSWER).str.slice(0, SAMPLE), asked=QUESTION)
    other = differ_in_words(said["text"], said["asked"])
    mixed = not_only_latin(said["text"], said["asked"])
    if not len(mixed):
        return other
    prose = said[mixed].select(without_notation(pl.col("text", "asked")))
    text, asked = prose["text"], prose["asked"]
    return other.scatter(mixed, differ_in_words(text, asked) | differ_in_script(text, asked))


def not_only_latin(*parts: pl.Series) -> pl.Series:
    """Return the rows that have letters neither Latin nor Greek, or Greek words, in one of the parts."""
    foreign = [pl.select(pl.lit(part).str.len_bytes() != pl.lit(part).str.len_chars()).to_series() for part in parts]
    rows = pl.select(pl.any_horizontal(foreign)).to_series().arg_true()
    if not len(rows):
        return rows
    found = [part[rows].str.contains(NOT_LATIN) for part in parts]
    return rows.filter(pl.select(pl.any_horizontal(found)).to_series())


def differ_in_script(text: pl.Series, asked: pl.Series) -> pl.Series:
    """Return whether the script of most of the text is none of the prompt's scripts."""
    counts, wanted = with_japanese(words_of(text)), with_japanese(words_of(asked, PROMPT_WORDS))
    total, most = counts.sum_horizontal(), counts.max_horizontal()
    short = (total < LEAST_WORDS) | (wanted.sum_horizontal() < 2)
    own = wanted.select(pl.all() > ASKED_SHARE * pl.sum_horizontal(pl.all()))
    known = pl.any_horizontal((counts[script] == most) & own[script] for script in WORDS)
    return ~(short | pl.select(known).to_series())


def with_japanese(counts: pl.DataFrame) -> pl.DataFrame:
    """Count Chinese characters as Japanese in a text that contains kana."""
    japanese = pl.col("kana") > KANA_SHARE * (pl.col("kana") + pl.col("han"))
    both = pl.col("kana") + pl.col("han")
    return counts.with_columns(
        kana=pl.when(japanese).then(both).otherwise("kana"), han=pl.when(japanese).then(0).otherwise("han")
    )


def differ_in_words(text: pl.Series, asked: pl.Series) -> pl.Series:
    """Return whether text and prompt are in two languages of one script: each has far more of its own common words."""
    spoken, wanted = telling_words(text), telling_words(asked)
    theirs, mine = wanted.max_horizontal(), spoken.max_horizontal()
    enough = (mine >= LEAST_TELLING[0]) & (theirs >= LEAST_TELLING[1])
    as_prompt = pl.max_horizontal(pl.when(wanted[code] == theirs).then(spoken[code]) for code in wanted.columns)
    as_text = pl.max_horizontal(pl.when(spoken[code] == mine).then(wanted[code]) for code in wanted.columns)
    return pl.select((as_prompt * MARGIN <= mine) & (as_text * MARGIN <= theirs) & enough).to_series()


def telling_words(text: pl.Series) -> pl.DataFrame:
    """Count the distinct common words of each language in each text."""
    texts: list[str] = text.to_list()
    foreign, small = lowered(text)
    for row, letters in zip(foreign.to_list(), small.str.replace_all(r"[^\p{L}\x00-\x7F]", " ").to_list(), strict=True):
        texts[row] = letters
    table, shares = telling(), []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        words = flat_words(texts[start : start + TEXTS_AT_ONCE], BY_LETTERS)
        of_text = np.repeat(np.arange(len(words.bounds) - 1), np.diff(words.bounds))
        number = table.slots[(words.hashes >> table.shift).astype(np.int64)]
        found = np.flatnonzero(table.hashes[number] == words.hashes)
        seen = np.zeros((len(words.bounds) - 1, len(table.hashes)), dtype=np.float32)
        seen[of_text[found], number[found]] = 1
        shares.append(seen @ table.codes)
    counts = np.concatenate(shares) if shares else np.zeros((0, len(CODES)))
    return pl.DataFrame(counts.astype(np.uint32), schema=dict.fromkeys(CODES, pl.UInt32))


class Telling(NamedTuple):
    """The common words W of all languages L by their hashes."""

    hashes: npt.NDArray[np.uint64]  # [W]
    codes: npt.NDArray[np.float32]  # [W, L], 1 where a word is one of a language's
    slots: npt.NDArray[np.int64]  # first bits of a hash -> the only word that may have it
    shift: np.uint64  # leaves the first bits


@lru_cache(maxsize=1)
def telling() -> Telling:
    """Return the common words of more than one letter."""
    lists = {code: words for each in LEXICONS.values() for code, words in each.items()}
    every = sorted({word for words in lists.values() for word in words if len(word) > 1 and word.isalpha()})
    hashes = flat_words([" ".join(every)], BY_LETTERS).hashes
    bits = next(bits for bits in count(16) if len(np.unique(hashes >> np.uint64(64 - bits))) == len(every))
    slots = np.zeros(1 << bits, dtype=np.int64)
    slots[(hashes >> np.uint64(64 - bits)).astype(np.int64)] = np.arange(len(every))
    codes = np.array([[word in lists[code] for code in CODES] for word in every], dtype=np.float32)
    return Telling(hashes, codes, slots, np.uint64(64 - bits))
