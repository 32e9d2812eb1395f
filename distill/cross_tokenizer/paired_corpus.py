"""A corpus read by a student and by a teacher with another tokenizer, and that teacher's forward pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.cross_tokenizer.alignment import PairedExample, SharedVocabulary, Spans, pair, share_vocabularies
from distill.cross_tokenizer.span_loss import Sides, SpanTeacher
from distill.models.loading import (
    head_rows,
    hidden_states,
    load_model,
    load_tokenizer,
    longest_row,
    output_head,
    pick_dtype,
)
from distill.settings import TrainConfig
from distill.training.examples import Example, encode_file
from distill.training.packing import Batch, collate
from generators.contract.errors import InputError

LEAST_ALIGNED = 0.5  # share of the target tokens; less means that the tokenizers' texts are not understood


@dataclass(frozen=True)
class PairedCorpus:
    """The two tokenizers of a corpus, the teacher's longest row, and the vocabulary that they share."""

    student: Any
    teacher: Any
    teacher_tokens: int
    shared: SharedVocabulary

    @classmethod
    def of(cls, config: TrainConfig, tokenizer: Any) -> "PairedCorpus":
        """Pair a student's tokenizer with that of the settings' teacher; a head with too few rows is a ValueError."""
        assert config.teacher is not None  # TrainConfig checks it
        teacher = load_tokenizer(config.teacher)
        shared = share_vocabularies(tokenizer, teacher)
        for name, side in ((config.student, shared.student), (config.teacher, shared.teacher)):
            if head_rows(name) < side.size:
                raise InputError(f"{name}'s head has {head_rows(name)} rows for a vocabulary of {side.size} tokens")
        return cls(tokenizer, teacher, longest_row(config.teacher, config.sequence_tokens), shared)

    def load(self, path: Path, max_tokens: int) -> tuple[list[Example], Counter[str]]:
        """Load a corpus like `load_examples`, in pairs; a row that either side drops is dropped."""
        examples: list[Example] = []
        dropped: Counter[str] = Counter()
        limits = ((self.student, max_tokens), (self.teacher, self.teacher_tokens))
        # A row's own token ids belong to one tokenizer, so both sides read its text.
        sides = (encode_file(path, tokenizer, most, own_tokens=False) for tokenizer, most in limits)
        for ours, theirs in zip(*sides, strict=True):
            if isinstance(ours, Example) and isinstance(theirs, Example):
                examples.append(pair(ours, theirs, self.shared))
            else:
                dropped[theirs if isinstance(ours, Example) else ours] += 1
        check_aligned(examples, path)
        return examples, dropped


def check_aligned(examples: Sequence[Example], path: Path) -> None:
    """Raise ValueError if most of a corpus cannot be aligned."""
    whole = sum(example.targets for example in examples)
    within = sum(_aligned_tokens(example.spans) for example in examples if isinstance(example, PairedExample))
    if within < LEAST_ALIGNED * whole:
        raise InputError(
            f"{path}: only {within} of {whole} target tokens lie in text that both tokenizers read the same; "
            "byte-level BPE and SentencePiece tokenizers are supported"
        )


def _aligned_tokens(spans: Spans) -> int:
    starts = [0, *spans.student[:-1]]
    return int((spans.student - starts)[spans.aligned].sum())


def open_span_teacher(
    config: TrainConfig, paired: PairedCorpus, device: torch.device
) -> Callable[[Batch], SpanTeacher]:
    """Return a function that runs the teacher on its own tokens of a batch of paired examples, one document per row."""
    assert config.teacher is not None
    model = load_model(config.teacher, pick_dtype(config.dtype, device), device).eval().requires_grad_(False)
    sides = Sides.of(paired.shared, device)
    pad_id = paired.teacher.pad_token_id or 0

    def teacher_of(batch: Batch) -> SpanTeacher:
        pairs = [example for example in batch.examples if isinstance(example, PairedExample)]
        theirs = collate([[example.teacher] for example in pairs], pad_id).to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):  # the weights already have its dtype
            hidden = hidden_states(model, theirs)
        spans = Spans.joined([example.spans for example in pairs])
        return SpanTeacher(hidden, output_head(model), theirs.labels, spans, sides)

    return teacher_of
