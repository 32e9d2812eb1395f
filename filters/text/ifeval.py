"""The 25 kinds of checkable instructions of IFEval (Zhou et al., arXiv 2311.07911), each a function of the response.

A check takes the response and the arguments of its instruction, and returns what is wrong, or None. The patterns mean
what they mean in the paper's own code (google-research/instruction_following_eval). For two kinds that code uses
models which are downloaded or random; fixed rules replace them here: a sentence ends at a stop, question mark or
exclamation mark that a new sentence follows, and the language comes from `filters.text.language`. Five faults of that
code are not repeated: keywords are literal text (its `C++` is a regular expression), paragraphs are counted and indexed
alike, a first "word" may be several, the signs of a product highlight nothing, and rules and emphasis are no bullets.
"""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from filters.text.language import language_of

ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
ABBREVIATIONS = r"Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|etc|Inc|Ltd|Co|Corp|No|Fig|Gen|Col|Capt|e\.g|i\.e|a\.m|p\.m|U\.S|Ph\.D"
SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?:(?<![.!?])\.(?=\s)|[.!?\u2026]+)[\"'\u201d\u2019)\]*]*(?=\s+[\"'\u201c\u2018(\[*#-]*[^\W_a-zß-ÿ]|\s*$)|[\u3002\uff01\uff1f\u0964]+"
)
ABBREVIATED = re.compile(rf"\b(?:{ABBREVIATIONS})\.$")
WORD = re.compile(r"\w+")
TOKEN = re.compile(r"[^\W_]+(?:[-.&/][^\W_]+)*")
# Emphasis as Markdown has it: no blank inside its edges, no letter outside them (3*4*5 is a product).
HIGHLIGHT = re.compile(
    r"(?<![A-Za-z0-9*\\])(?:(\*{1,3})(?=[^\s*])[^\n*]*(?<=[^\s*])\1"
    r"|(\*{2,3})(?=[^\s*])(?:[^\n*]|\*(?!\*))*?(?<=[^\s*])\2)(?![A-Za-z0-9*])"
)
# A line that begins with a bullet, which a rule across the page (---) and emphasis (*so*) are not.
BULLET = re.compile(r"^[ \t]*(?!(?:[-*][ \t]*){3,}$)(?:\*(?!\*|[^\s*][^*\n]*(?<=\S)\*)(?=.)|-)", re.M)
PARAGRAPH_BREAK = re.compile(r"\n[ \t]*\n\s*")
Check = Callable[..., str | None]


def compare(found: int, relation: str, wanted: int, what: str) -> str | None:
    """Return None if the count satisfies the relation ("at least" or "less than"), else what is wrong."""
    if relation not in ("at least", "less than"):
        raise ValueError(f"relation is {relation!r}; it must be 'at least' or 'less than'")
    if (found >= wanted) if relation == "at least" else (found < wanted):
        return None
    return f"{found} {what}, not {relation} {wanted}"


def existence(text: str, *, keywords: Sequence[str]) -> str | None:
    missing = [word for word in keywords if not re.search(re.escape(word), text, re.I)]
    return f"without {', '.join(missing)}" if missing else None


def frequency(text: str, *, keyword: str, frequency: int, relation: str) -> str | None:
    return compare(len(re.findall(re.escape(keyword), text, re.I)), relation, frequency, f"times {keyword!r}")


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> str | None:
    said = [word for word in forbidden_words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.I)]
    return f"with {', '.join(said)}" if said else None


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> str | None:
    return compare(text.lower().count(letter.lower()), let_relation, let_frequency, f"times the letter {letter!r}")


def response_language(text: str, *, language: str) -> str | None:
    found = language_of(text)
    return None if found in (language, None) else f"in the language {found}, not {language}"


def number_sentences(text: str, *, num_sentences: int, relation: str) -> str | None:
    return compare(count_sentences(text), relation, num_sentences, "sentences")


def count_sentences(text: str) -> int:
    """Return the number of sentences; the rest after the last sentence end counts as one."""
    count, begin = 0, 0
    for match in SENTENCE_END.finditer(text):
        if ABBREVIATED.search(text[max(begin, match.end() - 12) : match.end()]) and match.end() < len(text.rstrip()):
            continue
        count += 1
        begin = match.end()
    return count + bool(WORD.search(text, begin))


def number_paragraphs(text: str, *, num_paragraphs: int) -> str | None:
    parts = re.split(r"\s?\*\*\*\s?", text)
    if any(not part.strip() for part in parts[1:-1]):
        return "an empty paragraph between two dividers"
    found = sum(bool(part.strip()) for part in parts)
    return None if found == num_paragraphs else f"{found} paragraphs, not {num_paragraphs}"


def number_words(text: str, *, num_words: int, relation: str) -> str | None:
    return compare(len(WORD.findall(text)), relation, num_words, "words")


def first_word_of(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str | None:
    parts = [part for part in PARAGRAPH_BREAK.split(text.strip()) if part]
    if len(parts) != num_paragraphs:
        return f"{len(parts)} paragraphs, not {num_paragraphs}"
    if not 0 < nth_paragraph <= len(parts):
        return f"no paragraph {nth_paragraph}"
    wanted = first_word.lower().split()
    said = parts[nth_paragraph - 1].lower().split()[: len(wanted)]
    if len(said) == len(wanted) and all(map(same_word, said, wanted)):
        return None
    return f"paragraph {nth_paragraph} begins with {' '.join(said)!r}, not {first_word!r}"


def same_word(said: str, wanted: str) -> bool:
    """Return whether a word is the wanted one, apart from quotation marks around it and what follows punctuation."""
    bare = said.lstrip("'").lstrip('"')
    return wanted in (re.split(r"[.,?!'\"]", bare)[0], bare.rstrip(".,?!'\":;"))


def number_placeholders(text: str, *, num_placeholders: int) -> str | None:
    return compare(len(re.findall(r"\[.*?\]", text)), "at least", num_placeholders, "placeholders")


def postscript(text: str, *, postscript_marker: str) -> str | None:
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    pattern = patterns.get(postscript_marker, re.escape(postscript_marker.lower()))
    return None if re.search(pattern, text.lower()) else f"no postscript {postscript_marker!r}"


def number_bullet_lists(text: str, *, num_bullets: int) -> str | None:
    found = len(BULLET.findall(text))
    return None if found == num_bullets else f"{found} bullet points, not {num_bullets}"


def constrained_response(text: str) -> str | None:
    return None if any(answer in text for answer in ANSWERS) else f"none of {', '.join(map(repr, ANSWERS))}"


def number_highlighted_sections(text: str, *, num_highlights: int) -> str | None:
    found = len(HIGHLIGHT.findall(text))
    return compare(found, "at least", num_highlights, "highlighted sections")


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> str | None:
    found = len(re.split(rf"\s?{re.escape(section_spliter)}\s?\d+\s?", text)) - 1
    return compare(found, "at least", num_sections, f"sections marked {section_spliter!r}")


def json_format(text: str) -> str | None:
    inner = re.sub(r"^```(?:json|Json|JSON)?", "", text.strip()).removesuffix("```").strip()
    try:
        json.loads(inner)
    except (ValueError, RecursionError):
        return "the whole response is not JSON"
    return None


def title(text: str) -> str | None:
    titles = re.findall(r"<<[^\n]+>>", text)
    return None if any(mark.lstrip("<").rstrip(">").strip() for mark in titles) else "no title in <<angular brackets>>"


def two_responses(text: str) -> str | None:
    parts = text.split("******")
    full = [part.strip() for part in parts if part.strip()]
    if any(not part.strip() for part in parts[1:-1]) or len(full) != 2:
        return f"{len(full)} responses with ****** between them, not 2"
    return None if full[0] != full[1] else "the same response twice"


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> str | None:
    repeated = text.strip().lower().startswith(prompt_to_repeat.strip().lower())
    return None if repeated else "does not begin with the request, word for word"


def end_checker(text: str, *, end_phrase: str) -> str | None:
    ends = text.strip().strip('"').lower().endswith(end_phrase.strip().lower())
    return None if ends else f"does not end with {end_phrase!r}"


def quotation(text: str) -> str | None:
    inner = text.strip()
    return None if len(inner) > 1 and inner[0] == inner[-1] == '"' else "not in double quotation marks"


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: str) -> str | None:
    found = sum(word.isupper() for word in TOKEN.findall(text))
    return compare(found, capital_relation, capital_frequency, "words in capitals")


def english_capital(text: str) -> str | None:
    return response_language(text, language="en") if text.isupper() else "not all in capitals"


def english_lowercase(text: str) -> str | None:
    return response_language(text, language="en") if text.islower() else "not all in lower case"


def no_comma(text: str) -> str | None:
    return f"{text.count(',')} commas" if "," in text else None


KINDS: dict[str, Check] = {
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "combination:repeat_prompt": repeat_prompt,
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:json_format": json_format,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:title": title,
    "keywords:existence": existence,
    "keywords:forbidden_words": forbidden_words,
    "keywords:frequency": frequency,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:nth_paragraph_first_word": first_word_of,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_words": number_words,
    "punctuation:no_comma": no_comma,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
}


def bind(kind: str, arguments: dict[str, Any]) -> Callable[[str], str | None]:
    """Return the check of one instruction; raise ValueError for an unknown kind or a missing or unknown argument."""
    if kind not in KINDS:
        raise ValueError(f"instruction {kind!r} is not one of {', '.join(KINDS)}")
    check = KINDS[kind]
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        inspect.signature(check).bind("", **given)
    except TypeError as error:
        raise ValueError(f"instruction {kind!r} with {given}: {error}") from None
    return lambda text: check(text, **given)


def loosened(text: str) -> list[str]:
    """Return the variants of IFEval's loose reading: without emphasis, first line, last line, or both lines."""
    lines = text.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [version for plain in (text, *cut) for version in (plain, plain.replace("*", ""))]
