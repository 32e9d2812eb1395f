"""The format reward of DeepSeek-R1-Zero (arXiv 2501.12948): the tags once, in order, and nothing outside them.

The format is `<think>...</think>` followed by the answer. If the reference is "answer", the answer must be in
`<answer>...</answer>`. The trace's reasoning is the text between the think tags, so a trace without reasoning or with
an empty answer breaks the format. It does not judge whether the answer is right.
"""

import re
import unicodedata

from filters.verification.verdicts import Item, Judgement, broken, correct, wrong

# Also tags that are nearly right, such as <think >, </thinks> and <Answer/>: they are tags, and none of those wanted.
TAG = re.compile(
    r"<\s*(?:/?\s*(?:think(?:ing)?|answer)\b|/\s*(?:think|answer)\w{1,20})\s{0,8}[^<>\n]{0,40}>", re.IGNORECASE
)
PLAIN, TAGGED = ["<think>", "</think>"], ["<think>", "</think>", "<answer>", "</answer>"]


def verify(item: Item) -> Judgement:
    """Return correct or wrong; a completion that was cut off is wrong for the tags it lacks."""
    if item.reference not in (None, "", "answer"):
        return broken(f"the reference is {item.reference!r}; it must be 'answer' or empty")
    text = item.answer if item.reasoning is None else f"<think>{item.reasoning}</think>{item.answer}"
    if item.reasoning is not None and not item.answer:
        return wrong("nothing after the thinking")
    wanted = TAGGED if item.reference else PLAIN
    tags = TAG.findall(text)
    tags = TAG.findall(as_seen(text)) if tags == wanted and not text.isascii() else tags
    if tags != wanted:
        return wrong(f"tags {' '.join(tags[:8]) or 'missing'}, not {' '.join(wanted)}")
    before, thinking, between, *rest = TAG.split(text)
    if before.strip():
        return wrong("text before <think>")
    if not thinking.strip():
        return wrong("empty thinking")
    if not rest:
        return correct("the tags are in order") if between.strip() else wrong("nothing after the thinking")
    answer, after = rest
    if between.strip() or after.strip():
        return wrong("text outside the tags")
    return correct("the tags are in order") if answer.strip() else wrong("empty answer")


def as_seen(text: str) -> str:
    """Return the text without invisible characters, and with the ordinary form of wide ones."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


def reference_answer(reference: str) -> str:
    """Return a completion in the format that a reference asks for (filters.check_references)."""
    return "<think>so</think><answer>1</answer>" if reference == "answer" else "<think>so</think>1"
