"""Finish reasons: one table for files and for servers."""

import re
from collections.abc import Mapping
from typing import Any

STOP, LENGTH = "stop", "length"
_STOPS = (
    "stop stopped eos eos_token eos_found end end_turn end_of_turn endoftext end_of_text end_of_sequence "
    "stop_sequence stop_sequence_reached stop_token stop_word stop_words stop_str stop_string word complete completed "
    "finish finished normal done success succeeded ok"
)
_CUTS = (
    "length max_length max_tokens max_token max_new_tokens max_output_tokens max_completion_tokens maximum_tokens "
    "token_limit model_length model_context_window_exceeded context_length context_length_exceeded context_window "
    "limit truncated incomplete not_finished max_tokens_reached length_limit cutoff"
)
_REFUSALS = (
    "content_filter content_filtered content_filtering safety image_safety refusal refused recitation blocklist "
    "blocked prohibited_content spii sensitive guardrail_intervened guardrails moderation error_toxic language harmful"
)
_TOOLS = (
    "tool_calls tool_call tool_use function_call function_calls malformed_function_call unexpected_tool_call "
    "too_many_tool_calls pause_turn"
)
_FAILURES = (
    "error abort aborted cancel canceled cancelled user_cancel interrupted failed failure timeout time_limit exception "
    "network_error insufficient_system_resource error_limit other unspecified load unload in_progress queued "
    "repetition kv_cache_full server_error internal_error rate_limit expired"
)
_SAYS = {
    "refused": "a content filter or the model refused",
    "tool": "the model called a tool instead of answering",
    "failed": "the server gave the sample up",
}
_TABLE = dict.fromkeys(_STOPS.split(), STOP) | dict.fromkeys(_CUTS.split(), LENGTH)
_TABLE |= dict.fromkeys(_REFUSALS.split(), "refused")
_TABLE |= dict.fromkeys(_TOOLS.split(), "tool")
_TABLE |= dict.fromkeys(_FAILURES.split(), "failed")
_NOTHING = ("", "none", "null", "nan", "na")
_NAMED = ("type", "reason", "finish_reason", "name", "value")


def finish_reason(stated: Any) -> str | None:
    """Return stop, length, or `error: ` and a sentence that quotes what was stated; None: nothing was stated.

    Case, blanks and prefixes such as `FinishReason.` do not count. A reason that is not in the table is an error.
    """
    name = _name(stated)
    if name is None:
        return None
    kind = _TABLE.get(name)
    if kind in (STOP, LENGTH):
        return kind
    shown = str(stated)[:80]
    if kind is None:
        return f"error: unknown finish_reason {shown!r}; known are stop, length and their usual names"
    return f"error: {_SAYS[kind]}: finish_reason {shown}"


def is_known(stated: Any) -> bool:
    """Return whether a finish reason is in the table."""
    return _name(stated) in _TABLE


def is_refusal(stated: Any) -> bool:
    """Return whether a finish reason is a refusal, which another attempt would meet again."""
    return _TABLE.get(_name(stated) or "") == "refused"


def _name(stated: Any) -> str | None:
    """Return the reason in lower case with single underscores."""
    if isinstance(stated, Mapping):  # SGLang: {"type": "stop", "matched": 7}; Responses: {"reason": ...}
        stated = next((stated[key] for key in _NAMED if stated.get(key) is not None), None)
    if stated is None:
        return None
    text = str(stated).strip()
    text = text.rpartition(".")[2] if re.fullmatch(r"[\w.]+", text) else text
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    text = re.sub(r"^(?:finish|stop|done)_reason_", "", text)
    return None if text in _NOTHING else text
