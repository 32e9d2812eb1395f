"""Soft targets from sampled log-probabilities: corpus rows that have them need no forward pass of the teacher.

Sampled log-probabilities are exact at T = 1 only. A row that was rewritten, or has other tokens, is scored instead.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from distill.settings import ScoreConfig
from distill.soft_targets.store import RowTargets
from generators.contract.sampled_logprobs import FILE, SampledLogprobsFile

AT = (1.0,)  # the only temperature at which they are exact


class SampledLogprobsRows:
    """The sampled log-probabilities in some folders, as far as they can replace a forward pass of the teacher."""

    def __init__(self, folders: Iterable[Path], config: ScoreConfig, top_k: int) -> None:
        """Open the files; `top_k`: tokens wanted per position. Settings that need more than T = 1 are an error."""
        self.top_k = top_k
        self.files = [SampledLogprobsFile(folder) for folder in folders if (folder / FILE).exists()]
        if self.files:
            config.check_sampled_logprobs()

    def __enter__(self) -> "SampledLogprobsRows":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self.files:
            file.close()

    def count(self, keys: Iterable[str]) -> int:
        """Return the number of rows that have sampled log-probabilities."""
        return sum(any(file.width(key) >= self.top_k for file in self.files) for key in keys)

    def rows(self, keys: Iterable[str]) -> Iterator[tuple[str, RowTargets]]:
        """Yield (key, targets) of the rows that have sampled log-probabilities."""
        for key in keys:
            found = next((file.get(key) for file in self.files if file.width(key) >= self.top_k), None)
            if found is not None:
                token_ids, logits, log_tails = found
                yield key, narrowed(RowTargets(token_ids, logits, log_tails[:, None], AT), self.top_k)


def narrowed(row: RowTargets, top_k: int) -> RowTargets:
    """Cut a row at T = 1 to its `top_k` most probable tokens; the tail takes the mass of the others."""
    cut_N = np.exp(row.logits[:, top_k:].astype(np.float64)).sum(axis=1)
    with np.errstate(divide="ignore"):
        tails_N = np.logaddexp(row.log_tails[:, 0].astype(np.float64), np.log(cut_N)).astype(np.float32)
    return RowTargets(row.token_ids[:, :top_k], row.logits[:, :top_k], tails_N[:, None], AT)
