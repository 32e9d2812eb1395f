"""A verifier whose reason is a short id of a text's solution signature.

It has the form of a verifier because long texts take 20 ms each, and a verifier runs in the pool's worker processes.
"""

import hashlib
import json

from filters.text.solution_signature import solution_signature
from filters.verification.verdicts import Item, Judgement, correct


def verify(item: Item) -> Judgement:
    """Return the id as the reason; a text without equations gets the id of its words."""
    return correct(signature_id(item.answer))


def signature_id(text: str) -> str:
    """Return the id, 24 hex digits."""
    signature = json.dumps(solution_signature(text) or " ".join(text.split()))
    return hashlib.blake2b(signature.encode("utf-8", "replace"), digest_size=12).hexdigest()
