"""Exact and near duplicates among the samples of one prompt.

Near duplicates are texts whose sets of 5-word shingles have a Jaccard similarity of at least `threshold` (Broder
1997). For up to INDEXED texts an inverted index of shingles finds every pair that is similar enough, and does so faster
than hashing. Beyond that the index would take memory in proportion to the length of the texts, so MinHash with
locality-sensitive hashing (datasketch) proposes pairs instead. Every proposal is checked against the exact similarity,
so dissimilar texts are never merged.
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
INDEXED = 256  # most texts of one prompt for which the index is used
# A word, or one character of a script written without spaces.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
MIX = np.uint64(0x9E3779B97F4A7C15)

Shingles = npt.NDArray[np.uint64]  # sorted and unique


def exact_duplicates(texts: Sequence[str]) -> list[int]:
    """Return, for each text, the index of the first text that equals it except for white space.

    A new text gets its own index.
    """
    first: dict[str, int] = {}
    return [first.setdefault(" ".join(text.split()), index) for index, text in enumerate(texts)]


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
    """Return the set of 5-word shingles of each text as sorted 64-bit hashes, case folded.

    Hashes are comparable only within one call; the clusters they lead to are the same on every machine.
    """
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
    """Return the size of the intersection over that of the union; 0 early if the sizes rule out `threshold`."""
    if min(len(one), len(other)) < threshold * max(len(one), len(other)):
        return 0.0
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


Propose = Callable[[int], Iterable[int]]  # indices of earlier cluster starts that a text may resemble, in order
Add = Callable[[int], None]


def shared_shingles(shingles: Sequence[Shingles], threshold: float) -> tuple[Propose, Add]:
    """Propose the clusters that share enough shingles: a Jaccard of t needs t times the larger set in common."""
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
