"""Completions: a model's text, split into reasoning and answer, and joined again.

The `<think>` convention lives here alone, so that sampling, corpus and training agree to the byte.
"""

OPEN, CLOSE = "<think>", "</think>"


def split_reasoning(completion: str, opened: bool = False) -> tuple[str | None, str]:
    """Split a completion's text into (reasoning, answer).

    Reasoning is None where there is none. Thinking that never ends is all reasoning, with an empty answer.
    opened: the prompt ended in `<think>`, so the completion starts inside it.
    """
    text = completion.lstrip()
    if text.startswith(OPEN):
        text, opened = text[len(OPEN) :], True
    head, close, tail = text.partition(CLOSE)
    if close:
        return head.strip("\n"), tail.strip()
    return (text.strip("\n"), "") if opened else (None, completion.strip())


def join_reasoning(reasoning: str | None, answer: str) -> str:
    """Return the assistant's message of a trace: the inverse of `split_reasoning`."""
    return answer if reasoning is None else f"{OPEN}\n{reasoning}\n{CLOSE}\n{answer}"
