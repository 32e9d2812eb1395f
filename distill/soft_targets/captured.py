"""Soft targets that were captured while the teacher sampled: rows of just those tokens need no pass of their own.

What is captured is T = 1 alone, and a row that was put into other words, or into other tokens, is scored.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from distill.settings import ScoreConfig
from distill.soft_targets.store import RowTargets
from generators.contract.sampled_logprobs import FILE, Captures

AT = (1.0,)


class CapturedRows:
    """The captures of some folders, as far as they can stand for a pass of the teacher."""

    def __init__(self, folders: Iterable[Path], config: ScoreConfig, top_k: int) -> None:
        """`top_k`: tokens a position wanted. ValueError: there are captures that cannot tell what the settings ask."""
        self.top_k = top_k
        self.files = [Captures(folder) for folder in folders if (folder / FILE).exists()]
        if self.files:
            config.check_captures()

    def __enter__(self) -> "CapturedRows":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self.files:
            file.close()

    def count(self, keys: Iterable[str]) -> int:
        """How many of the rows were captured."""
        return sum(any(file.width(key) >= self.top_k for file in self.files) for key in keys)

    def rows(self, keys: Iterable[str]) -> Iterator[tuple[str, RowTargets]]:
        """(key, targets) of those that were captured."""
        for key in keys:
            found = next((file.get(key) for file in self.files if file.width(key) >= self.top_k), None)
            if found is not None:
                token_ids, logits, log_tails = found
                yield key, narrowed(RowTargets(token_ids, logits, log_tails[:, None], AT), self.top_k)


def narrowed(row: RowTargets, top_k: int) -> RowTargets:
    """A row at T = 1 with the `top_k` most probable tokens; the mass of the others is the tail's."""
    cut_N = np.exp(row.logits[:, top_k:].astype(np.float64)).sum(axis=1)
    with np.errstate(divide="ignore"):
        tails_N = np.logaddexp(row.log_tails[:, 0].astype(np.float64), np.log(cut_N)).astype(np.float32)
    return RowTargets(row.token_ids[:, :top_k], row.logits[:, :top_k], tails_N[:, None], AT)
