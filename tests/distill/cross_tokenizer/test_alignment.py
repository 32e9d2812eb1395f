"""Alignment: spans tile both tokenizations of any text, and end where both have a boundary."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from distill.cross_tokenizer.alignment import SharedVocabulary, Side, Spans, align, pair, share_vocabularies
from distill.training.examples import Example

LETTERS = [
    "a",
    "b",
    "the",
    " ",
    "  ",
    "\n",
    "é",
    "e\u0301",
    "漢字",
    "😀",
    "👨‍👩‍👧",
    "न्",
    "\u00a0",
    "12",
    "then ",
    "<think>",
]
CORPUS = ["the then there 1212 abab é漢字 😀 then the\n  the", "bathe 漢字 other 😀😀 é the then"] * 4


def trained(vocabulary: int, texts: Sequence[str], end: str = "<|end|>", specials: Sequence[str] = ()) -> Any:
    """Return a byte-level BPE tokenizer of at most `vocabulary` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[end, *specials], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end)


def sentencepiece() -> Any:
    """Return a tokenizer like Llama 2's: whole words after a metaspace, and bytes for everything else."""
    pieces = ["<unk>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581", "\u2581the", "\u2581then", "t", "h"]
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def ids_of(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def random_texts(count: int) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(LETTERS, k=draw.randrange(1, 12))) for _ in range(count)]


def pieces(side: Side, ids: Sequence[int], ends: Any) -> list[bytes]:
    starts = [0, *ends[:-1]]
    return [b"".join(side.texts[i] for i in ids[a:b]) for a, b in zip(starts, ends, strict=True)]


def assert_tiles(spans: Spans, student: Sequence[int], teacher: Sequence[int], shared: SharedVocabulary) -> None:
    assert spans.student[-1] == len(student) and spans.teacher[-1] == len(teacher)
    widths = np.diff(spans.student, prepend=0) + np.diff(spans.teacher, prepend=0)
    assert (widths > 0).all()
    ours, theirs = pieces(shared.student, student, spans.student), pieces(shared.teacher, teacher, spans.teacher)
    end = shared.student.texts[shared.student.end_id or 0], shared.teacher.texts[shared.teacher.end_id or 0]
    for a, b, aligned in zip(ours, theirs, spans.aligned, strict=True):
        assert not aligned or a == b or (a, b) == end


@pytest.mark.parametrize("sizes", [(300, 280), (270, 400), (257, 330)])
def test_spans_tile_any_text_and_are_minimal(sizes: tuple[int, int]) -> None:
    student, teacher = trained(sizes[0], CORPUS[:4]), trained(sizes[1], [t[::-1] for t in CORPUS], "<|eot|>")
    shared = share_vocabularies(student, teacher)
    for text in random_texts(300):
        ours, theirs = ids_of(student, text + "<|end|>"), ids_of(teacher, text + "<|eot|>")
        spans = align(ours, theirs, shared)
        assert_tiles(spans, ours, theirs, shared)
        assert spans.aligned.all()
        ends = [
            set(np.cumsum([len(side.texts[i]) for i in ids[:-1]]).tolist()) for side, ids in sides(shared, ours, theirs)
        ]
        assert len(spans.aligned) == len(ends[0] & ends[1]) + 1  # every common boundary plus the end of the turn


def sides(shared: SharedVocabulary, ours: list[int], theirs: list[int]) -> list[tuple[Side, list[int]]]:
    return [(shared.student, ours), (shared.teacher, theirs)]


def test_one_tokenizer_gives_one_span_a_token() -> None:
    tokenizer = trained(300, CORPUS)
    shared = share_vocabularies(tokenizer, tokenizer)
    assert np.array_equal(shared.student.buckets, np.arange(len(tokenizer)))
    for text in random_texts(100):
        ids = ids_of(tokenizer, text + "<|end|>")
        spans = align(ids, ids, shared)
        assert spans.student.tolist() == spans.teacher.tolist() == list(range(1, len(ids) + 1)) and spans.aligned.all()


def test_sentencepiece_reads_as_bytes_but_for_the_space_it_puts_in_front() -> None:
    student, teacher = trained(300, CORPUS), sentencepiece()
    shared = share_vocabularies(student, teacher)
    for text in ["a the then\n漢字 é the", "then", " the"]:
        ours, theirs = ids_of(student, text + "<|end|>"), ids_of(teacher, text + "</s>")
        assert shared.teacher.texts[theirs[0]].startswith(b" ")
        spans = align(ours, theirs, shared)
        assert_tiles(spans, ours, theirs, shared)
        assert spans.aligned[-1] and spans.aligned.sum() >= min(2, len(ours)) - 1


def test_text_of_one_side_alone_is_left_out() -> None:
    tokenizer = trained(257, CORPUS)
    shared = share_vocabularies(tokenizer, tokenizer)
    ours, theirs = ids_of(tokenizer, "<think>\nab ba<|end|>"), ids_of(tokenizer, "ab ba<|end|>")
    spans = align(ours, theirs, shared)
    assert_tiles(spans, ours, theirs, shared)
    assert spans.aligned.tolist() == [False] + [True] * len(theirs)
    composed, apart = ids_of(tokenizer, "ab \u00e9 ba"), ids_of(tokenizer, "ab e\u0301 ba")
    spans = align(composed, apart, shared)
    assert_tiles(spans, composed, apart, shared)
    assert spans.aligned.tolist() == [True] * 3 + [False] + [True] * 3
    assert align(ours[:-1], theirs, shared).aligned[-1] == False  # noqa: E712 - the student's turn has no end


def test_every_token_belongs_to_the_shared_token_with_which_it_begins() -> None:
    student, teacher = trained(275, CORPUS), trained(330, [t[::-1] for t in CORPUS], "<|eot|>", ["<|tool|>"])
    shared = share_vocabularies(student, teacher)
    roots = [shared.student.texts[i] for i in shared.student.roots]
    assert shared.student.buckets[0] == shared.teacher.buckets[0] == roots.index(b"<|end|>")
    assert shared.teacher.buckets[1] == len(roots)  # a special token of one side alone has no bucket
    folded = 0
    for side in (shared.student, shared.teacher):
        for i, bucket in enumerate(side.buckets):
            if bucket < len(roots) and i:
                assert side.texts[i].startswith(roots[bucket])
                assert side.matched[i] == (side.texts[i] == roots[bucket])
                folded += not side.matched[i]
    assert folded > 20 and len(roots) >= 257


def test_documents_joined_keep_their_spans(examples: list[Example], make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    shared = share_vocabularies(tokenizer, tokenizer)
    pairs = [pair(example, example, shared) for example in examples]
    joined = Spans.joined([example.spans for example in pairs])
    assert joined.student.tolist() == list(range(1, sum(example.targets for example in examples) + 1))
