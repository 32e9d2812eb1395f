"""The language consistency reward of DeepSeek-R1: the share of words that are in the prompt's language.

It reads the thinking, or the answer if there is none (arXiv 2501.12948, section 2.3.2). Words of other scripts are told
apart one by one; languages of one script (Spanish in an English text) line by line, by their most common words.
Mathematics, code, links and quotations belong to no language. It does not judge whether the answer is right.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from filters.text.language import LEXICONS, SCRIPTS, language_of, script_of
from filters.verification.verdicts import Item, Judgement, wrong

LEAST = 0.9  # share from which the status is correct
SURE_WORDS, SURE_TIMES = 3, 2  # another language's common words in a line, and their ratio to the target's
NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|</?[A-Za-z]+>"
    r"|\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\[A-Za-z]+\*?(?:\{[^{}]*\})*"
    r"|“[^”]*”|\"[^\"\n]*\"|「[^」]*」|『[^』]*』|《[^》]*》|«[^»]*»",
    re.DOTALL,
)
# A Han letter or a kana is a word; Latin ones of up to three letters may be variables, units and functions.
WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff]|[^\W\d_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
LATIN_LETTERS = 4
KNOWN = {code for code in SCRIPTS.values() if code} | {code for lexicon in LEXICONS.values() for code in lexicon}
JAPANESE = ("CJK", "HIRAGANA", "KATAKANA")


def check_options(options: Mapping[str, Any]) -> None:
    """Check `target`, the language (default: the prompt's), and `least`, the share from which the status is correct."""
    for key, value in options.items():
        if key == "target":
            if value not in KNOWN:
                raise ValueError(f"target = {value!r}: it must be one of {', '.join(sorted(KNOWN))}")
        elif key == "least":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"least = {value!r}: it must be from 0 to 1")
        else:
            raise ValueError(f"language has no option {key!r}; it has 'target' and 'least'")


def verify(item: Item) -> Judgement:
    """Return the share as the score, and the status correct if it is at least `least`."""
    text = item.reasoning or item.answer
    if not text.strip():
        return wrong("there is no text")
    target = item.options.get("target") or prompt_language(item.messages)
    own, total = words_in(target, NO_PROSE.sub(" ", text))
    share = own / total if total else 1.0
    least = item.options.get("least", LEAST)
    return Judgement("correct" if share >= least else "wrong", share, f"{own} of {total} words are in {target}")


def prompt_language(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the language of the last message; English if a few words do not tell it from others of its script."""
    asked = NO_PROSE.sub(" ", messages[-1]["content"]) if messages else ""
    found = language_of(asked)
    return "en" if found is None or (found in LEXICONS["LATIN"] and speaks("en", asked.lower())) else found


def words_in(target: str, text: str) -> tuple[int, int]:
    """Return (words in the language, all words)."""
    own = total = 0
    for line in text.lower().splitlines():
        scripts = Counter(script for word in WORD.findall(line) if (script := script_of_word(word)))
        total += sum(scripts.values())
        own += sum(scripts[script] for script in scripts_of(target)) if speaks(target, line) else 0
    return own, total


def script_of_word(word: str) -> str | None:
    """Return the script of a word; None for a run of letters that may not be a word."""
    script = "LATIN" if word.isascii() else script_of(word[0])
    return None if script == "LATIN" and len(word) < LATIN_LETTERS else script


def scripts_of(target: str) -> list[str]:
    """Return the scripts in which a language is written."""
    if target == "ja":
        return list(JAPANESE)
    return [script for script, code in SCRIPTS.items() if code == target or target in LEXICONS.get(script, ())]


def speaks(target: str, line: str) -> bool:
    """Return whether a line's words in the language's script are not clearly another language of that script."""
    lexicons = next((each for each in LEXICONS.values() if target in each), {})
    words = Counter(re.findall(r"[^\W\d_]+", line))
    common = {code: sum(words[word] for word in each) for code, each in lexicons.items()}
    most = max(common.values(), default=0)
    return most < SURE_WORDS or most <= SURE_TIMES * common[target]


def reference_answer(reference: str) -> None:
    """Return None: a reference is no text in the prompt's language (filters.check_references)."""
    return None
