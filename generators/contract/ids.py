"""Content ids: equal values have equal ids on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces, so that equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(value: Any) -> str:
    """Return 24 hex digits (96 bits) of BLAKE2b over the canonical JSON of `value`."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=12).hexdigest()


def prompt_id_of(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the id of a prompt. It covers the messages alone, so a corrected reference resamples nothing."""
    return content_id([{"role": m["role"], "content": m["content"]} for m in messages])


def trace_id_of(prompt_id: str, teacher: str, revision: str, sampling: str, sample_index: int) -> str:
    """Return the id of one sample: raising n from 4 to 8 keeps the first four, another temperature keeps none."""
    return content_id([prompt_id, teacher, revision, sampling, sample_index])


def seed_of(run_seed: int, trace_id: str) -> int:
    """Return a sample's own 62-bit seed, so that sharding, order and resuming do not change what is drawn."""
    return int.from_bytes(hashlib.blake2b(f"{run_seed}:{trace_id}".encode(), digest_size=8).digest(), "big") >> 2
