"""Alignment of two tokenizations of one text: tokens that both vocabularies share, and spans between boundaries.

A span is the shortest run of text that consists of whole tokens on both sides. Text is compared as bytes, so a
character that byte-level BPE splits is no obstacle. The two end-of-turn tokens count as one symbol, however they are
spelled.

Shape suffixes: V vocabulary of either side, B buckets, S spans.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

from distill.training.examples import Example

Ints = NDArray[np.int64]
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # byte fallback of SentencePiece
METASPACE = "\u2581"
END = "end of turn"  # the key of both end-of-turn tokens


@dataclass(frozen=True)
class Side:
    """One vocabulary expressed in the buckets that both share.

    Each of the buckets 0 to B - 1 has one root, a token of both vocabularies; bucket B holds the tokens without a root.
    texts: [V], the bytes of each token. roots: [B], the ids of the roots. buckets: [V], the bucket of each token.
    matched: [V], whether a token is a root.
    """

    texts: list[bytes]
    end_id: int | None
    roots: Ints
    buckets: Ints
    matched: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """V."""
        return len(self.texts)


@dataclass(frozen=True)
class SharedVocabulary:
    """The vocabularies of a student and a teacher, mapped to shared buckets."""

    student: Side
    teacher: Side


@dataclass(frozen=True)
class Spans:
    """The ends of spans: student [S] and teacher [S], as counts of preceding target tokens; aligned [S].

    Spans tile both sides. A span that is not aligned is text of one side alone, or has different bytes on the two
    sides.
    """

    student: Ints
    teacher: Ints
    aligned: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence["Spans"]) -> "Spans":
        """Concatenate the spans of consecutive documents."""
        students = np.cumsum([0, *(int(part.student[-1]) for part in parts)])
        teachers = np.cumsum([0, *(int(part.teacher[-1]) for part in parts)])
        return cls(
            np.concatenate([part.student + start for part, start in zip(parts, students, strict=False)]),
            np.concatenate([part.teacher + start for part, start in zip(parts, teachers, strict=False)]),
            np.concatenate([part.aligned for part in parts]),
        )


@dataclass(frozen=True)
class PairedExample(Example):
    """A document as the student reads it and as the teacher reads it, and the spans of their target tokens."""

    teacher: Example
    spans: Spans


def pair(student: Example, teacher: Example, shared: SharedVocabulary) -> PairedExample:
    """Pair two tokenizations of one document; their prompts may differ, as chat templates do."""
    ours, theirs = (example.token_ids[example.target_start :].tolist() for example in (student, teacher))
    spans = align(ours, theirs, shared)
    return PairedExample(student.trace_id, student.token_ids, student.target_start, teacher, spans)


def align(student_ids: Sequence[int], teacher_ids: Sequence[int], shared: SharedVocabulary) -> Spans:
    """Return the spans of two tokenizations of one text.

    Bytes may differ, for example after different normalization or if one template opens `<think>`. Text before the
    first and after the last difference is still aligned.
    """
    sides = (shared.student, student_ids), (shared.teacher, teacher_ids)
    ended = [side.end_id is not None and len(ids) > 0 and ids[-1] == side.end_id for side, ids in sides]
    bodies = [ids[: len(ids) - end] for (_, ids), end in zip(sides, ended, strict=True)]
    texts = [[side.texts[i] for i in body] for (side, _), body in zip(sides, bodies, strict=True)]
    spans = _align_texts(*texts)
    if not any(ended):
        return spans
    last = [len(body) + end for body, end in zip(bodies, ended, strict=True)]
    return Spans(
        np.append(spans.student, last[0]), np.append(spans.teacher, last[1]), np.append(spans.aligned, all(ended))
    )


def _align_texts(student: Sequence[bytes], teacher: Sequence[bytes]) -> Spans:
    ours, theirs = b"".join(student), b"".join(teacher)
    head, tail = _common(ours, theirs)
    ends_s, ends_t = (np.cumsum([0, *map(len, texts)], dtype=np.int64) for texts in (student, teacher))
    before = _shared_places(ends_s, ends_t, head)
    after = _shared_places(len(ours) - ends_s, len(theirs) - ends_t, tail)
    counts = np.concatenate([before, after])
    widths = np.diff(counts, axis=0, prepend=0)
    same = np.arange(len(counts)) != len(before)  # the span up to the first place after the difference contains it
    used = (widths > 0).any(axis=1)
    return Spans(counts[used, 0], counts[used, 1], (same & (widths > 0).all(axis=1))[used])


def _shared_places(student: Ints, teacher: Ints, limit: int) -> Ints:
    """Return the tokens before each place [P, 2] that is a boundary on both sides, up to the place `limit`.

    Of several tokens that end at one place, because they have no bytes, the last one counts.
    """
    ours, theirs = ({int(place): i for i, place in enumerate(ends) if place <= limit} for ends in (student, teacher))
    both = sorted((ours[place], theirs[place]) for place in ours.keys() & theirs.keys())
    return np.array(both, dtype=np.int64).reshape(-1, 2)


def _common(a: bytes, b: bytes) -> tuple[int, int]:
    """Return the lengths of the common prefix and, after it, of the common suffix."""
    if a == b:
        return len(a), 0
    shorter = min(len(a), len(b))
    x, y = (np.frombuffer(text, dtype=np.uint8) for text in (a, b))
    differ = np.flatnonzero(x[:shorter] != y[:shorter])
    head = int(differ[0]) if differ.size else shorter
    left = shorter - head
    differ = np.flatnonzero(x[::-1][:left] != y[::-1][:left])
    return head, int(differ[0]) if differ.size else left


def share_vocabularies(student: Any, teacher: Any) -> SharedVocabulary:
    """Map the vocabularies of two fast tokenizers to shared buckets.

    Tokens are matched by their bytes, special tokens by their spelling, end-of-turn tokens with each other. Any other
    token belongs to the matched token with which the other tokenizer starts to write its text: a teacher's ` then`
    belongs to ` th` if the student writes ` th` `en`.
    """
    tokenizers = student, teacher
    keys = [_keys(tokenizer) for tokenizer in tokenizers]
    roots = _matched(*keys)
    bucket_of = [{int(i): b for b, i in enumerate(side)} for side in roots]
    firsts = [_first_tokens(keys[side], bucket_of[side], tokenizers[1 - side]) for side in (0, 1)]
    sides = []
    for whose, (tokenizer, key) in enumerate(zip(tokenizers, keys, strict=True)):
        matched = np.zeros(len(key), dtype=bool)
        matched[roots[whose]] = True
        buckets = _rooted(keys, firsts, bucket_of, whose)
        sides.append(Side([text for _, text in key], tokenizer.eos_token_id, roots[whose], buckets, matched))
    return SharedVocabulary(*sides)


Key = tuple[str, bytes]  # kind of token, bytes


def _keys(tokenizer: Any) -> list[Key]:
    """Return kind and bytes of every id; each id without a token gets a kind of its own."""
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
    plain = [token for token in vocabulary if token not in added]
    alphabet = _byte_alphabet()
    byte_level = all(alphabet.keys() >= set(token) for token in plain)
    keys: list[Key] = [(f"no token {i}", b"") for i in range(max(vocabulary.values()) + 1)]
    for token, i in vocabulary.items():
        if token == tokenizer.eos_token:
            keys[i] = (END, token.encode())
        elif token in added:
            keys[i] = ("special" if added[token] else "text", token.encode())
        else:
            keys[i] = ("text", bytes(map(alphabet.__getitem__, token)) if byte_level else _piece_bytes(token))
    return keys


def _byte_alphabet() -> dict[str, int]:
    """Map each character of byte-level BPE to its byte: printable Latin-1 as it is, other bytes from U+0100 on."""
    known = set(pre_tokenizers.ByteLevel.alphabet())
    shown = [b for b in range(256) if chr(b) in known]
    hidden = [b for b in range(256) if chr(b) not in known]
    return {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}


def _piece_bytes(piece: str) -> bytes:
    """Return the bytes of a SentencePiece token."""
    byte = BYTE_TOKEN.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(METASPACE, " ").encode()


def _matched(student: Sequence[Key], teacher: Sequence[Key]) -> tuple[Ints, Ints]:
    """Return the ids of the tokens of both vocabularies, in pairs; tokens with the same text are paired in order."""
    if list(student) == list(teacher):
        return np.arange(len(student)), np.arange(len(student))
    theirs: dict[Key, list[int]] = defaultdict(list)
    for i, key in reversed(list(enumerate(teacher))):
        theirs[_matching(key)].append(i)
    pairs = [(i, ids.pop()) for i, key in enumerate(student) if (ids := theirs.get(_matching(key)))]
    ours, others = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ours, others


def _matching(key: Key) -> Key:
    return (END, b"") if key[0] == END else key


def _rooted(
    keys: Sequence[Sequence[Key]],
    firsts: Sequence[Mapping[int, int]],
    bucket_of: Sequence[Mapping[int, int]],
    whose: int,
) -> Ints:
    """Return the bucket of each token of one side; the number of roots stands for no bucket."""
    none = len(bucket_of[0])
    by_text = {keys[0][i][1]: b for i, b in bucket_of[0].items() if keys[0][i][0] == "text"}
    buckets = np.full(len(keys[whose]), none, dtype=np.int64)
    for i, key in enumerate(keys[whose]):
        side, token = whose, i
        while token not in bucket_of[side]:  # each step's text is a shorter prefix of the one before
            first = firsts[side].get(token)
            if first is None or not _starts(keys[side][token], keys[1 - side][first]):
                break
            side, token = 1 - side, first
        if token in bucket_of[side]:
            buckets[i] = bucket_of[side][token]
        elif key[0] == "text":
            starts = (by_text.get(key[1][:n]) for n in range(len(key[1]), 0, -1))
            buckets[i] = next((b for b in starts if b is not None), none)
    return buckets


def _starts(whole: Key, start: Key) -> bool:
    return start[0] == "text" and 0 < len(start[1]) < len(whole[1]) and whole[1].startswith(start[1])


def _first_tokens(keys: Sequence[Key], matched: Mapping[int, int], other: Any) -> dict[int, int]:
    """Map each unmatched token that is text by itself to the first token with which the other tokenizer writes it."""
    texts = {i: text for i, key in enumerate(keys) if i not in matched and (text := _decoded(key))}
    if not texts:
        return {}
    rows = other(list(texts.values()), add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return {i: row[0] for i, row in zip(texts, rows, strict=True) if row}


def _decoded(key: Key) -> str | None:
    try:
        return key[1].decode() if key[0] == "text" else None
    except UnicodeDecodeError:
        return None
