"""Completions: a model's text or message, split into reasoning and answer, and joined again.

The `<think>` convention and every other model's marks live here alone, so that sampling, import, verdicts, corpus and
training agree to the byte.
"""

from generators.contract.completions.finish import finish_reason, is_known, is_refusal
from generators.contract.completions.marks import CLOSE, OPEN
from generators.contract.completions.messages import read_message
from generators.contract.completions.texts import (
    Completion,
    asked_text,
    ends_opened,
    join_reasoning,
    read_text,
    split_reasoning,
)

__all__ = [
    "CLOSE",
    "OPEN",
    "Completion",
    "asked_text",
    "ends_opened",
    "finish_reason",
    "is_known",
    "is_refusal",
    "join_reasoning",
    "read_message",
    "read_text",
    "split_reasoning",
]
