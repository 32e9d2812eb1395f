"""Exact and near duplicates among the samples of one prompt.

Near duplicates are texts whose sets of 5-word shingles have a Jaccard similarity of at least `threshold` (Broder
1997). For up to INDEXED texts histograms of shingles rule out nearly every pair that is not similar enough. Beyond that
the comparisons would grow with the square of the texts, so MinHash with locality-sensitive hashing (datasketch)
proposes pairs instead. Every proposal is checked against the exact similarity,
so dissimilar texts are never merged.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.text.words.hashes import word_hashes

SHINGLE_WORDS = 5
PERMUTATIONS = 128
INDEXED = 256  # most texts of one prompt for which the histograms are used
BINS = 4096  # of a histogram of shingles
OPENING_WORDS = 20
# A word, or one character of a script written without spaces.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
MIX = np.uint64(0x9E3779B97F4A7C15)

Shingles = npt.NDArray[np.uint64]  # sorted and unique


def exact_duplicates(texts: Sequence[str]) -> list[int]:
    """Return, for each text, the index of the first text that equals it except for white space.

    A new text gets its own index. Only texts that begin with the same words are compared as a whole.
    """
    openings = [tuple(text.split(None, OPENING_WORDS)[:OPENING_WORDS]) for text in texts]
    shared = Counter(openings)
    first: dict[Hashable, int] = {}
    return [
        first.setdefault(" ".join(text.split()) if shared[opening] > 1 else opening, index)
        for index, (text, opening) in enumerate(zip(texts, openings, strict=True))
    ]


def near_duplicates(texts: Sequence[str], threshold: float) -> list[int]:
    """Return, for each text, the index of the first text of its cluster (its own index if it starts one).

    Texts are processed in order, and each joins the earliest cluster whose first text it resembles. Every text is
    therefore within `threshold` of the text that represents it; single linkage would not guarantee that.
    """
    shingles = all_shingles(texts)
    propose, add = (shared_shingles if len(texts) <= INDEXED else shared_bands)(shingles, threshold)
    leaders = []
    for index, own in enumerate(shingles):
        leader = next((i for i in propose(index) if jaccard(shingles[i], own, threshold) >= threshold), index)
        if leader == index:
            add(index)
        leaders.append(leader)
    return leaders


def all_shingles(texts: Sequence[str]) -> list[Shingles]:
    """Return the set of 5-word shingles of each text as sorted 64-bit hashes, case folded."""
    return [shingles_of(word_hashes(text.casefold())) for text in texts]


def shingles_of(words: Shingles) -> Shingles:
    """Return the sorted hashes of a text's shingles; a text of fewer words is one shingle."""
    words = np.concatenate([words, np.zeros(max(0, SHINGLE_WORDS - len(words)), dtype=np.uint64)])
    code = np.zeros(len(words) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        code ^= words[offset : offset + len(code)]
        code *= MIX
        code ^= code >> np.uint64(29)
    code.sort()
    distinct: Shingles = code[np.append(True, code[1:] != code[:-1])]
    return distinct


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


def shared_shingles(shingles: Sequence[Shingles], threshold: float) -> tuple[Propose, Add]:
    """Propose the clusters that share enough shingles: a Jaccard of t needs t times the larger set in common.

    Texts share at most as many shingles as their histograms over BINS have in common, so a pair that fails there is
    never intersected.
    """
    histograms = np.zeros((len(shingles), BINS), dtype=np.uint16)
    starts: list[int] = []

    def propose(index: int) -> list[int]:
        own = shingles[index]
        counts = np.bincount((own & np.uint64(BINS - 1)).astype(np.int64), minlength=BINS)
        histograms[len(starts)] = np.minimum(counts, np.iinfo(np.uint16).max)
        least = threshold * len(own)
        if counts.max() > np.iinfo(np.uint16).max:
            return [start for start in starts if common_shingles(shingles[start], own) >= least]
        most = np.minimum(histograms[: len(starts)], histograms[len(starts)]).sum(axis=1, dtype=np.int64)
        near = [start for start, bound in zip(starts, most.tolist(), strict=True) if bound >= least]
        return [start for start in near if common_shingles(shingles[start], own) >= least]

    return propose, starts.append


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
