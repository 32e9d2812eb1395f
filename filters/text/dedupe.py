"""Exact and near duplicates among the samples of one prompt.

Near duplicates are texts whose sets of 5-word shingles have a Jaccard similarity of at least `threshold` (Broder
1997). For up to INDEXED texts bitmaps of shingles rule out nearly every pair that is not similar enough. Beyond that
the comparisons would grow with the square of the texts, so MinHash with locality-sensitive hashing (datasketch)
proposes pairs instead. Every proposal is checked against the exact similarity,
so dissimilar texts are never merged.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.text.words.flat import BY_ALL_SPACES, TEXTS_AT_ONCE, flat_words, mixed, run_codes, spaced
from filters.text.words.hashes import word_hashes

SHINGLE_WORDS = 5
PERMUTATIONS = 128
INDEXED = 256  # most texts of one prompt for which the bitmaps are used
BITS_PER_SHINGLE, MOST_BITS = 4, 1 << 18  # of a bitmap
SLACK = 1e-6  # against rounding: the bitmaps only rule out
OUTER_WORDS = 20
MIX = np.uint64(0x9E3779B97F4A7C15)

Codes = npt.NDArray[np.uint64]
Shingles = npt.NDArray[np.uint64]  # sorted and unique


def exact_duplicates(texts: Sequence[str]) -> list[int]:
    """Return, for each text, the index of the first text that equals it except for white space.

    A new text gets its own index. Only texts that begin and end with the same words are compared as a whole.
    """
    if len(texts) == 1:
        return [0]
    outlines = [(*text.split(None, OUTER_WORDS)[:OUTER_WORDS], *text.rsplit(None, OUTER_WORDS)[1:]) for text in texts]
    shared = Counter(outlines)
    first: dict[Hashable, int] = {}
    return [
        first.setdefault(" ".join(text.split()) if shared[outline] > 1 else outline, index)
        for index, (text, outline) in enumerate(zip(texts, outlines, strict=True))
    ]


def near_duplicates(texts: Sequence[str], threshold: float) -> list[int]:
    """Return, for each text, the index of the first text of its cluster (its own index if it starts one).

    Texts are processed in order, and each joins the earliest cluster whose first text it resembles. Every text is
    therefore within `threshold` of the text that represents it; single linkage would not guarantee that.
    """
    if len(texts) <= INDEXED:
        return clusters(shingle_codes(texts), threshold)
    shingles = [shingles_of(word_hashes(text.casefold())) for text in texts]
    propose, add = shared_bands(shingles, threshold)
    leaders = []
    for index, own in enumerate(shingles):
        leader = next((i for i in propose(index) if jaccard(shingles[i], own, threshold) >= threshold), index)
        if leader == index:
            add(index)
        leaders.append(leader)
    return leaders


def clusters(codes: Sequence[Codes], threshold: float) -> list[int]:
    """Return the leader of each text, as `near_duplicates` does, from the codes of their shingles.

    A text has at least as many shingles that another one lacks as its bitmap has bits that the other's lacks.
    """
    if len(codes) == 1:
        return [0]
    maps = bitmaps(codes)
    lacking = np.empty_like(maps)  # the complements of the clusters' starts
    missing = [(1 - threshold) * len(own) + SLACK for own in codes]
    starts: list[int] = []
    shingles: dict[int, Shingles] = {}
    leaders = []

    def resemble(start: int, index: int) -> bool:
        for each in (start, index):
            if each not in shingles:
                shingles[each] = distinct(codes[each])
        return jaccard(shingles[start], shingles[index], threshold) >= threshold

    for index, own in enumerate(maps):
        only_own = np.bitwise_count(own & lacking[: len(starts)]).sum(axis=1, dtype=np.int64)
        near = [starts[place] for place in np.flatnonzero(only_own <= missing[index]).tolist()]
        near = [start for start in near if np.bitwise_count(maps[start] & ~own).sum() <= missing[start]]
        leader = next((start for start in near if resemble(start, index)), index)
        if leader == index:
            lacking[len(starts)] = ~own
            starts.append(index)
        leaders.append(leader)
    return leaders


def bitmaps(codes: Sequence[Codes]) -> npt.NDArray[np.uint64]:
    """Return a bitmap of the codes of each text, [T, bits / 64]."""
    most = max(map(len, codes), default=0)
    bits = min(MOST_BITS, max(64, 1 << (BITS_PER_SHINGLE * most).bit_length()))
    flags = np.zeros((len(codes), bits), dtype=np.bool_)
    for own, each in zip(flags, codes, strict=True):
        own[(each & np.uint64(bits - 1)).astype(np.int64)] = True
    return np.packbits(flags, axis=1).view(np.uint64)


def all_shingles(texts: Sequence[str]) -> list[Shingles]:
    """Return the set of 5-word shingles of each text as sorted 64-bit hashes, case folded."""
    return [distinct(codes) for codes in shingle_codes(texts)]


def shingle_codes(texts: Sequence[str]) -> list[Codes]:
    """Return the hash of each 5-word shingle of each text, case folded; a text of fewer words is one shingle."""
    found: list[Codes] = []
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        folded = [text if text.isascii() else spaced(text.casefold()) for text in texts[first : first + TEXTS_AT_ONCE]]
        words = flat_words(folded, BY_ALL_SPACES)
        codes = run_codes(words.hashes, SHINGLE_WORDS)
        for start, end in pairwise(words.bounds.tolist()):
            last = end - SHINGLE_WORDS + 1
            found.append(codes[start:last] if last > start else lone_shingle(words.hashes[start:end]))
    return found


def lone_shingle(words: Codes) -> Codes:
    """Return the one code of a text of fewer words than a shingle."""
    code = np.array([len(words)], dtype=np.uint64)
    for word in words:
        code = mixed(code ^ word)
    return code


def distinct(codes: Codes) -> Shingles:
    """Return the codes sorted, each of them once."""
    ordered = np.sort(codes)
    found: Shingles = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return found


def shingles_of(words: Codes) -> Shingles:
    """Return the sorted hashes of a text's shingles; a text of fewer words is one shingle."""
    words = np.concatenate([words, np.zeros(max(0, SHINGLE_WORDS - len(words)), dtype=np.uint64)])
    code = np.zeros(len(words) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        code ^= words[offset : offset + len(code)]
        code *= MIX
        code ^= code >> np.uint64(29)
    return distinct(code)


def jaccard(one: Shingles, other: Shingles, threshold: float = 0.0) -> float:
    """Return the size of the intersection over that of the union; 0 early if the sizes rule out `threshold`."""
    if min(len(one), len(other)) < threshold * max(len(one), len(other)):
        return 0.0
    common = common_shingles(one, other)
    return common / (len(one) + len(other) - common)


def common_shingles(one: Shingles, other: Shingles) -> int:
    """Return the size of the intersection."""
    return len(np.intersect1d(one, other, assume_unique=True))


Propose = Callable[[int], Iterable[int]]  # indices of earlier cluster starts that a text may resemble, in order
Add = Callable[[int], None]


def shared_bands(shingles: Sequence[Shingles], threshold: float) -> tuple[Propose, Add]:
    """Propose the clusters that share a band of the MinHash signature."""
    from datasketch import MinHash, MinHashLSH

    # The bands aim at a lower threshold: a false proposal costs one comparison, a missed one leaves a duplicate.
    index_of = MinHashLSH(threshold=max(0.1, threshold - 0.15), num_perm=PERMUTATIONS)
    signatures: dict[int, Any] = {}

    def propose(index: int) -> list[int]:
        signature = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
        signature.update_batch(shingles[index] & np.uint64(0xFFFFFFFF))
        signatures[index] = signature
        return sorted(index_of.query(signature))

    return propose, lambda index: index_of.insert(index, signatures.pop(index))
