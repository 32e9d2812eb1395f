"""Detection of mixed language and of a reasoning language that differs from the prompt's.

Scripts are told apart by their letters, languages of one script by their most common words (`filters.text.language`).
Mathematics, code, links, tags, quotations, names and single terms belong to no language.
"""
# ruff: noqa: RUF001  (the module is about letters of other scripts)

from collections.abc import Mapping

import polars as pl

from filters.text.language import KANA_SHARE, LEXICONS

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
TELLING = pl.DataFrame(
    [(word, code) for each in LEXICONS.values() for code, words in each.items() for word in words if len(word) > 1],
    schema={"word": pl.String, "code": pl.String},
    orient="row",
)
CODES = sorted(set(TELLING["code"]))


def mixed_language_share(texts: pl.DataFrame) -> pl.Series:
    """Return the share of words in scripts that the prompt does not use.

    A prompt without words is taken to use the main script of the text.
    """
    shares = pl.Series([0.0]).new_from_index(0, texts.height)
    mixed = texts.select((BOTH + QUESTION).str.contains(NOT_LATIN)).to_series().arg_true()  # most texts end here
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
    thought = pl.coalesce("reasoning", ANSWER).str.slice(0, SAMPLE)
    mixed = texts.select((thought + QUESTION).str.contains(NOT_LATIN)).to_series()
    prose = texts.select(text=pl.when(mixed).then(without_notation(thought)).otherwise(thought), asked=QUESTION)
    prose = prose.with_columns(asked=pl.when(mixed).then(without_notation(pl.col("asked"))).otherwise("asked"))
    other = differ_in_words(prose["text"], prose["asked"])
    here = mixed.arg_true()
    return other.scatter(here, other[here] | differ_in_script(prose["text"][here], prose["asked"][here]))


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
    words = pl.DataFrame({"word": text.str.to_lowercase().str.extract_all(r"\p{L}+").list.unique()}).with_row_index(
        "row"
    )
    found = words.explode("word", empty_as_null=False).join(TELLING, on="word")
    counts = found.group_by("row").agg((pl.col("code") == code).sum().alias(code) for code in CODES)
    return words.select("row").join(counts, on="row", how="left", maintain_order="left").drop("row").fill_null(0)
