"""The score stage: the teacher's soft targets for every corpus row, from one forward pass over the kept traces.

Rows whose log-probabilities were stored while sampling need no forward pass."""

import functools
import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.loss.distillation_loss import default_chunk
from distill.models.forward import Forward, load_forward
from distill.models.loading import (
    check_tokens,
    check_vocabularies,
    head_rows,
    load_tokenizer,
    longest_row,
    tokenizer_fingerprint,
)
from distill.settings import ScoreConfig
from distill.soft_targets.captured import SampledLogprobsRows
from distill.soft_targets.repair import repair_store
from distill.soft_targets.sampled_targets import sample_tokens, sampling_points
from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore, target_key
from distill.training.examples import Example, load_examples
from distill.training.packing import groups_by_length
from generators.contract.errors import DamagedStore
from generators.contract.models import model_path, model_revision
from generators.contract.stage_protocol import IN_PROCESS, Bar, Runtime, StageCounts, Worker

log = logging.getLogger(__name__)
Keyed = tuple[str, Example]
ROWS_MEASURED = 500  # rows of the store that the notes are measured on
ROWS_WAITING = 256  # scored rows that may wait to be written
BLOCK = 32  # vocabulary tokens in one block of `largest`, which compares the blocks' maxima first


def score(
    corpus: Sequence[Path],
    out: Path,
    config: ScoreConfig,
    *,
    revision: str | None = None,
    sampled_logprobs: Sequence[Path] | None = None,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write `out/targets`, a TargetStore with every row of the `corpus` files except those that are too long.

    Rows that the store or `sampled_logprobs` (folders of generators.contract.sampled_logprobs) already hold are not
    scored. `revision` is the teacher's; None derives it from the teacher's files. The notes hold the bytes per token,
    the mean tail mass at each temperature and, if `sampled_logprobs` has files, the number of rows taken from them.
    """
    metadata, tokenizer = _store_metadata(config, revision)
    examples, dropped = _examples(corpus, tokenizer, longest_row(config.teacher, config.sequence_tokens))
    check_tokens(examples, metadata.vocab_size, config.teacher, tokenizer)
    keyed = {target_key(e.token_ids, e.target_start, metadata.teacher, metadata.revision): e for e in examples}
    with (
        SampledLogprobsRows(sampled_logprobs or (), config, metadata.top_k) as captured,
        open_store(out / "targets", metadata, keyed) as store,
    ):
        for key, row in captured.rows(key for key in keyed if not store.has(key)):
            store.append(key, row)
        todo = {key: example for key, example in keyed.items() if not store.has(key)}
        with runtime.progress("rows", len(keyed), len(keyed) - len(todo)) as bar:
            build = functools.partial(build_scorer, config, metadata.vocab_size)
            write_all(store, runtime.stream(build, _shards(todo, config.batch_tokens)), bar)
        notes = _notes(store, list(keyed)) | ({"captured": captured.count(keyed)} if captured.files else {})
    targets = sum(example.targets for example in examples)
    rows_in = len(examples) + sum(dropped.values())
    return StageCounts(rows_in, len(examples), dict(sorted(dropped.items())), targets, notes)


def open_store(folder: Path, metadata: StoreMetadata, wanted: Iterable[str]) -> TargetStore:
    """Return the store, open for appending; a damaged or complete store is first checked block by block and repaired.

    A store that lacks rows comes from an interrupted run, which continues without this check.
    """
    try:
        store = TargetStore(folder, "a", metadata)
        if not all(store.has(key) for key in wanted) or not len(store):
            return store
        store.close()
    except DamagedStore as damage:
        log.warning("%s", damage)
    for sentence in repair_store(folder):
        log.warning("%s; it is taken out, and the row scored again", sentence)
    return TargetStore(folder, "a", metadata)


def write_all(store: TargetStore, rows: Iterable[tuple[str, RowTargets]], bar: Bar) -> None:
    """Encode and write the rows in a separate thread while the teacher computes the next ones."""
    with ThreadPoolExecutor(1) as writer:
        waiting: deque[Future[None]] = deque()
        try:
            for key, row in rows:
                waiting.append(writer.submit(store.append, key, row))
                while len(waiting) > ROWS_WAITING or (waiting and waiting[0].done()):
                    waiting.popleft().result()
                    bar.update(1)
        finally:  # scored rows are written even if the run is interrupted
            for future in waiting:
                future.result()
                bar.update(1)


def build_scorer(config: ScoreConfig, vocab_size: int) -> Worker:
    """Return a worker that holds the teacher; it maps the (key, example) pairs of one pass to (key, RowTargets)."""
    return functools.partial(_score_shard, load_forward(config), config, vocab_size)


def _score_shard(
    forward: Forward, config: ScoreConfig, vocab_size: int, shard: Sequence[Keyed]
) -> Iterator[tuple[str, RowTargets]]:
    targets = row_targets(forward, config, vocab_size, [example for _, example in shard], [key for key, _ in shard])
    yield from zip([key for key, _ in shard], targets, strict=True)


@torch.inference_mode()
def row_targets(
    forward: Forward, config: ScoreConfig, vocab_size: int, examples: Sequence[Example], keys: Sequence[str]
) -> list[RowTargets]:
    """Return the teacher's targets for each example, from one forward pass; logits beyond `vocab_size` are cut off.

    The sampled tokens of a row depend on its key, not on the other rows of the pass.
    """
    hidden_NH, head = forward(examples), forward.head.first(vocab_size)
    size = default_chunk(vocab_size, hidden_NH.device)
    lengths = [example.targets for example in examples]
    where_NS = np.concatenate([sampling_points(key, n, config.sampled) for key, n in zip(keys, lengths, strict=True)])
    parts = zip(hidden_NH.split(size), torch.from_numpy(where_NS).to(hidden_NH.device).split(size), strict=True)
    chunks = [summarize(head.logits(hidden_CH), config, where_CS) for hidden_CH, where_CS in parts]
    arrays = [torch.cat(parts).cpu().numpy() for parts in zip(*chunks, strict=True)]
    rows = zip(*(np.split(array, np.cumsum(lengths)[:-1]) for array in arrays), strict=True)
    grid, drawn_at = config.temperatures, config.sampled_temperature
    if config.sampled:
        return [RowTargets(ids, logits, tails, grid, draws, drawn_at) for ids, logits, tails, draws in rows]
    return [RowTargets(ids, logits, tails, grid) for ids, logits, tails, _ in rows]


def summarize(logits_CV: Tensor, config: ScoreConfig, places_CS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (token ids [C, K+S] int32, logits minus the largest [C, K+S] fp16, log tails [C, T] fp32, draws [C, S]).

    The K tokens with the largest logits come first, then the S tokens sampled at the points `places_CS`. The draws are
    int32, as `sample_tokens` returns them. The logits are overwritten, which saves memory.
    """
    kept_CK, ids_CK = largest(logits_CV, min(config.top_k, logits_CV.shape[1]))
    top_C1 = kept_CK[:, :1] if config.top_k else logits_CV.amax(dim=1, keepdim=True)
    bound_C1 = kept_CK[:, -1:] if config.top_k else top_C1  # upper bound of the logits that are not kept
    rest_CV, kept_CK = logits_CV.scatter_(1, ids_CK, -torch.inf), kept_CK - top_C1
    tails_CT = tails(rest_CV, top_C1, bound_C1, config.temperatures)
    more_CS, logits_CS, draws_CS = places_CS.long(), kept_CK[:, :0], places_CS.long()
    if config.sampled:
        lowest_C1 = bound_C1 - top_C1
        more_CS, logits_CS, draws_CS = sample_tokens(rest_CV - top_C1, config.sampled_temperature, places_CS, lowest_C1)
    return (
        torch.cat([ids_CK, more_CS], dim=1).to(torch.int32),
        torch.cat([kept_CK, logits_CS], dim=1).to(torch.float16),
        tails_CT.to(torch.float32),
        draws_CS.to(torch.int32),
    )


def tails(rest_CV: Tensor, top_C1: Tensor, bound_C1: Tensor, temperatures: Sequence[float]) -> Tensor:
    """Return the log-sum-exp of (logit - top) / T over each row, [C, T].

    Tokens that are kept elsewhere are -inf in `rest_CV`; no logit of a row exceeds its `bound_C1`.
    """
    if rest_CV.is_cuda:
        from distill.soft_targets.tail_kernels import log_tails

        return log_tails(rest_CV, top_C1.squeeze(1), bound_C1.squeeze(1), temperatures)
    below_CV = rest_CV - top_C1
    return torch.stack([torch.logsumexp(below_CV / t, dim=-1) for t in temperatures], dim=1)


def largest(logits_CV: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return (values [C, k], ids [C, k]) as `topk` does, but faster on long rows.

    The k largest logits lie within the k blocks with the largest maxima, so only these blocks are sorted.
    """
    rows, size = logits_CV.shape
    whole = size // BLOCK
    if whole < 2 * k or not k:
        return logits_CV.topk(k, dim=-1)
    if logits_CV.is_cuda:
        from distill.soft_targets.tail_kernels import block_maxima

        maxima = block_maxima(logits_CV, BLOCK)
    else:
        maxima = logits_CV[:, : whole * BLOCK].unflatten(1, (whole, BLOCK)).amax(dim=-1)
    within = torch.arange(BLOCK, device=logits_CV.device)
    ids = (maxima.topk(k, dim=-1).indices[:, :, None] * BLOCK + within).flatten(1)
    rest = torch.arange(whole * BLOCK, size, device=logits_CV.device).expand(rows, -1)
    ids = torch.cat([ids, rest], dim=1)
    values, places = logits_CV.gather(1, ids).topk(k, dim=-1)
    return values, ids.gather(1, places)


def _store_metadata(config: ScoreConfig, revision: str | None) -> tuple[StoreMetadata, Any]:
    """Return the metadata of the store, and the tokenizer that renders the rows."""
    teacher = load_tokenizer(config.teacher)
    tokenizer = load_tokenizer(config.tokenizer) if config.tokenizer else teacher
    rows = head_rows(config.teacher)
    vocab_size = check_vocabularies(tokenizer, teacher, head_rows(config.tokenizer or config.teacher), rows)
    metadata = StoreMetadata(
        teacher=config.teacher,
        revision=revision or model_revision(model_path(config.teacher)) or "unknown",
        tokenizer=tokenizer_fingerprint(tokenizer),
        vocab_size=vocab_size,
        top_k=min(config.top_k, vocab_size),
        temperatures=config.temperatures,
        sampled=config.sampled,
        sampled_temperature=config.sampled_temperature if config.sampled else None,
    )
    return metadata, tokenizer


def _examples(corpus: Sequence[Path], tokenizer: Any, max_tokens: int) -> tuple[list[Example], Counter[str]]:
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    for path in corpus:
        more, reasons = load_examples(path, tokenizer, max_tokens)
        examples += more
        dropped += reasons
    return examples, dropped


def _shards(todo: Mapping[str, Example], batch_tokens: int) -> Iterable[list[Keyed]]:
    """Yield the rows of each forward pass; their lengths are similar, which keeps the padding small."""
    rows = list(todo.items())
    for group in groups_by_length([len(example.token_ids) for _, example in rows], batch_tokens):
        yield [rows[i] for i in group]


def _notes(store: TargetStore, keys: Sequence[str]) -> dict[str, Any]:
    """Return the store's bytes per token and tail mass, measured on rows spread evenly over the corpus."""
    some = keys[:: max(1, len(keys) // ROWS_MEASURED)]
    sample = [store.get(key) for key in some]
    tokens = sum(len(row.logits) for row in sample)
    if not tokens:
        return {}
    stored = sum(map(store.stored_bytes, some))
    tails = {
        f"{t:g}": sum(float(np.exp(row.log_tail(t)).sum()) for row in sample) / tokens
        for t in store.metadata.temperatures
    }
    return {"bytes_per_token": stored / tokens, "mean_tail_mass": tails, "rows_measured": len(sample)}
