"""The stored soft targets of a training: whether they cover a corpus, and those of a batch."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.data.token_store import TokenStore
from distill.loss.distillation_loss import SampledTargets, StoredTargets
from distill.models.loading import tokenizer_fingerprint
from distill.settings import TrainConfig
from distill.soft_targets.store import TargetStore, target_key
from distill.training.examples import Example
from distill.training.packing import Batch
from generators.contract.errors import InputError
from generators.contract.ids import content_id

KEY_BYTES = 24  # of a key's hex digits


def check_store(store: TargetStore, tokenizer: Any, config: TrainConfig, examples: Sequence[Example]) -> None:
    """Raise InputError if a store is of another tokenizer or another divergence, or lacks a row of `examples`."""
    if store.metadata.tokenizer != tokenizer_fingerprint(tokenizer):
        raise InputError(
            f"the targets in {store.folder} were made with another tokenizer than {config.student}'s; score again "
            f'with score.tokenizer = "{config.student}"'
        )
    if store.metadata.sampled and config.divergence != "forward_kl":
        raise InputError(
            f"divergence is {config.divergence}, and {store.folder} has sampled targets, which estimate forward_kl "
            "alone; score again with score.sampled=0"
        )
    missing = [i for i, key in enumerate(keys_of(store, examples)) if not store.has(key)]
    if missing:
        raise InputError(
            f"{store.folder} has no targets for {len(missing)} rows, first {examples[missing[0]].trace_id}: run score "
            f'again, with score.tokenizer = "{config.student}" if the chat templates of student and teacher differ'
        )


def keys_of(store: TargetStore, examples: Sequence[Example]) -> Iterable[str]:
    """Return the keys of the examples' targets; those of a token store are kept next to it, and not hashed again."""
    if not isinstance(examples, TokenStore):
        return (key_of(store, example) for example in examples)
    file = examples.folder / f"keys-{content_id([store.metadata.teacher, store.metadata.revision])}"
    if not file.exists() or file.stat().st_size != KEY_BYTES * len(examples):
        _write_keys(file, (key_of(store, example) for example in examples))
    text = file.read_text(encoding="ascii")
    return (text[start : start + KEY_BYTES] for start in range(0, len(text), KEY_BYTES))


def _write_keys(file: Path, keys: Iterable[str]) -> None:
    """Write a file of keys at once; another process that does the same writes the same bytes."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with open(partial, "w", encoding="ascii") as stream:
        stream.writelines(keys)
    partial.replace(file)


def key_of(store: TargetStore, example: Example) -> str:
    """Return the key of an example's targets in the store."""
    return target_key(example.token_ids, example.target_start, store.metadata.teacher, store.metadata.revision)


def stored_targets(store: TargetStore, batch: Batch, temperature: float) -> StoredTargets | SampledTargets:
    """Return the stored targets of a batch at `temperature`; documents keep the batch's order."""
    rows = [store.get(key_of(store, example)) for example in batch.examples]
    sampled = store.metadata.sampled > 0
    parts = (
        np.concatenate([row.token_ids for row in rows]).astype(np.int64),
        np.concatenate([row.log_probs(temperature) for row in rows]),
        np.concatenate([row.weights() if sampled else row.log_tail(temperature) for row in rows]),
    )
    kind = SampledTargets if sampled else StoredTargets
    return kind(*(torch.from_numpy(part).to(batch.labels.device) for part in parts))
