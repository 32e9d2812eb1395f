"""The path of a text as a short id, in the form of a verifier: long texts take 20 ms, which worker processes have."""

import hashlib
import json

from filters.text.solution_signature import path_of
from filters.verification.verdicts import Item, Judgement, correct


def verify(item: Item) -> Judgement:
    """The id is the reason: equal where `select` sees one path, and of the whole text where it has no equations."""
    return correct(path_id(item.answer))


def path_id(text: str) -> str:
    """24 hex digits."""
    path = json.dumps(path_of(text) or " ".join(text.split()))
    return hashlib.blake2b(path.encode("utf-8", "replace"), digest_size=12).hexdigest()
