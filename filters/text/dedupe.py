"""Exact and near duplicates among the samples of one prompt.

Near duplicates are texts whose sets of 5-word shingles have a Jaccard similarity of at least `threshold` (Broder
1997). Up to INDEXED texts, an index of their shingles finds every pair that is similar enough, and faster than hashing
does; beyond that its memory would grow with their length, and MinHash with locality-sensitive hashing (datasketch)
proposes pairs. Every proposal is checked against the true similarity, so nothing is merged that is not similar.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

SHINGLE_WORDS = 5
PERMUTATIONS = 128
INDEXED = 256  # texts of one prompt
# A word, or one character of a script that is written without spaces.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
MIX = np.uint64(0x9E3779B97F4A7C15)

Shingles = npt.NDArray[np.uint64]  # sorted, without repeats


def exact_duplicates(texts: Sequence[str]) -> list[int]:
    """For each text the index of the first that is equal to it but for white space (its own where it is new)."""
    first: dict[str, int] = {}
    return [first.setdefault(" ".join(text.split()), index) for index, text in enumerate(texts)]


def near_duplicates(texts: Sequence[str], threshold: float) -> list[int]:
    """For each text the index of the first of its cluster (its own where it starts one).

    Texts are taken in order; each joins the earliest cluster whose first text it resembles. So a text is never further
    than `threshold` from the one that stands for it, which chains of resemblance do not promise.
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
    """A 64-bit hash of each run of 5 words, case folded; equal within one call, whatever the machine."""
    vocabulary: dict[str, int] = {}
    hashed = []
    for text in texts:
        words = [vocabulary.setdefault(sys.intern(word), len(vocabulary) + 1) for word in WORD.findall(text.casefold())]
        words += [0] * (SHINGLE_WORDS - len(words))
        ids = np.array(words, dtype=np.uint64)
        code = np.zeros(len(ids) - SHINGLE_WORDS + 1, dtype=np.uint64)
        for offset in range(SHINGLE_WORDS):
            code = (code ^ ids[offset : offset + len(code)]) * MIX
            code ^= code >> np.uint64(29)
        hashed.append(np.unique(code))
    return hashed


def jaccard(one: Shingles, other: Shingles, threshold: float = 0.0) -> float:
    """Size of the intersection over size of the union; 0 without counting where the sizes rule `threshold` out."""
    if min(len(one), len(other)) < threshold * max(len(one), len(other)):
        return 0.0
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


Propose = Callable[[int], Iterable[int]]  # earlier cluster starts that a text may resemble, in order
Add = Callable[[int], None]


def shared_shingles(shingles: Sequence[Shingles], threshold: float) -> tuple[Propose, Add]:
    """Proposes the clusters that share enough shingles; a Jaccard of t needs t times the larger set in common."""
    starts_with: defaultdict[int, list[int]] = defaultdict(list)

    def propose(index: int) -> list[int]:
        own = shingles[index].tolist()
        shared = Counter(chain.from_iterable(starts_with[code] for code in own if code in starts_with))
        return sorted(start for start, count in shared.items() if count >= threshold * len(own))

    def add(index: int) -> None:
        for code in shingles[index].tolist():
            starts_with[code].append(index)

    return propose, add


def shared_bands(shingles: Sequence[Shingles], threshold: float) -> tuple[Propose, Add]:
    """Proposes clusters that share a band of the MinHash signature."""
    from datasketch import MinHash, MinHashLSH

    # Bands are chosen for a lower threshold: a false proposal costs one comparison, a missed one a duplicate.
    index_of = MinHashLSH(threshold=max(0.1, threshold - 0.15), num_perm=PERMUTATIONS)
    signatures: dict[int, Any] = {}

    def propose(index: int) -> list[int]:
        signature = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
        signature.update_batch(shingles[index] & np.uint64(0xFFFFFFFF))
        signatures[index] = signature
        return sorted(index_of.query(signature))

    return propose, lambda index: index_of.insert(index, signatures.pop(index))
