"""Soft targets next to the text: a stored teacher's log-probabilities at each token of a completion.

Shape suffixes: N completion tokens, K stored tokens at each of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from generators.contract.errors import InputError
from pipelines.export.rendering import open_tokenizer

if TYPE_CHECKING:
    from distill.training.examples import Example

MISSING = "no_soft_targets"
NO_LIMIT = 1 << 30  # tokens of a row


class SoftTargets:
    """The columns that a store of soft targets adds to the rows of a corpus.

    prompt_token_ids, completion_token_ids [N]: the tokens that were scored. target_token_ids, target_logprobs [N, K]:
    the teacher's most probable tokens at `temperature`, the first entry for the first completion token.
    target_tail_logprob [N]: log of the mass of all other tokens. target_weights [N, K]: of sampled targets alone; times
    exp(target_logprobs) they estimate the distribution without bias.
    """

    def __init__(self, folder: Path, tokenizer: str | None) -> None:
        """Open the store; `tokenizer`: the one that its tokens are of, by default its teacher's."""
        from distill.models.loading import tokenizer_fingerprint
        from distill.soft_targets.store import TargetStore

        self.store = TargetStore(folder)
        known = self.store.metadata
        name = tokenizer or known.teacher
        self.tokenizer = open_tokenizer(name)
        if tokenizer_fingerprint(self.tokenizer) != known.tokenizer:
            raise InputError(
                f"the soft targets in {folder} are of another tokenizer than {name}'s; give the one they were scored "
                "with by --student"
            )
        self.temperature = 1.0 if 1.0 in known.temperatures else known.temperatures[0]
        ids, floats = pl.List(pl.Int32), pl.List(pl.List(pl.Float32))
        self.schema: dict[str, Any] = {
            "prompt_token_ids": ids,
            "completion_token_ids": ids,
            "target_token_ids": pl.List(ids),
            "target_logprobs": floats,
            "target_tail_logprob": pl.List(pl.Float32),
        } | ({"target_weights": floats} if known.sampled else {})

    def columns(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | str]:
        """Return the columns of corpus rows; MISSING where the store has no targets of a row's tokens."""
        from distill.training.examples import encode

        return [one if isinstance(one, str) else self._row(one) for one in encode(rows, self.tokenizer, NO_LIMIT)]

    def _row(self, example: "Example") -> dict[str, Any] | str:
        from distill.soft_targets.store import target_key

        known = self.store.metadata
        key = target_key(example.token_ids, example.target_start, known.teacher, known.revision)
        if not self.store.has(key):
            return MISSING
        targets = self.store.get(key)
        return {
            "prompt_token_ids": example.token_ids[: example.target_start].tolist(),
            "completion_token_ids": example.token_ids[example.target_start :].tolist(),
            "target_token_ids": targets.token_ids.tolist(),
            "target_logprobs": targets.log_probs(self.temperature).tolist(),
            "target_tail_logprob": targets.log_tail(self.temperature).tolist(),
        } | ({"target_weights": targets.weights().tolist()} if known.sampled else {})
