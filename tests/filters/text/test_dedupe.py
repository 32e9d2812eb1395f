import random

import pytest

from filters.text import dedupe
from filters.text.dedupe import all_shingles, exact_duplicates, jaccard, near_duplicates


def planted(texts: int, words: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Return random texts, every third followed by a copy with one word in fifty changed, and the cluster of each."""
    draw = random.Random(seed)
    found: list[list[str]] = []
    clusters: list[int] = []
    for _ in range(texts):
        if len(found) % 3 == 1:
            copy = list(found[-1])
            for place in range(0, words, 50):
                copy[(place + 7) % words] = "changed"
            found.append(copy)
            clusters.append(clusters[-1])
        else:
            clusters.append(len(found))
            found.append([draw.choice("abcdefghijklmnop") * draw.randint(1, 9) for _ in range(words)])
    return [" ".join(text) for text in found], clusters


@pytest.mark.parametrize("indexed", [0, 256])
def test_planted_near_duplicates_are_found_and_nothing_else(indexed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "INDEXED", indexed)
    texts, clusters = planted(40, 200)
    assert near_duplicates(texts, 0.7) == clusters


@pytest.mark.parametrize("indexed", [0, 256])
def test_no_text_is_below_the_threshold_of_its_cluster(indexed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "INDEXED", indexed)
    base = [f"w{i}" for i in range(100)]
    chain = [" ".join(base[5 * i :] + [f"new{j}" for j in range(5 * i)]) for i in range(10)]  # each resembles the next
    shingles = all_shingles(chain)
    leaders = near_duplicates(chain, 0.8)
    assert len(set(leaders)) > 1
    for index, leader in enumerate(leaders):
        assert leader == index or jaccard(shingles[leader], shingles[index]) >= 0.8


def test_jaccard_counts_word_shingles() -> None:
    one, other = "a b c d e f g h", "a b c d e f x h"
    sets = [{tuple(text.split()[i : i + 5]) for i in range(4)} for text in (one, other)]
    first, second = all_shingles([one, other])
    assert jaccard(first, second) == len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_short_empty_and_unspaced_texts() -> None:
    assert near_duplicates(["", "four", "Four", " ", "one two"], 0.8) == [0, 1, 1, 0, 4]
    chinese = "因为小明每天吃三个苹果所以一个星期一共吃二十一个苹果答案是二十一"
    assert near_duplicates([chinese, chinese.replace("小明", "小红"), chinese[::-1]], 0.5) == [0, 0, 2]


def test_exact_duplicates_may_differ_in_white_space_only() -> None:
    assert exact_duplicates(["a b", "a  b\n", "A b", "a b"]) == [0, 0, 2, 0]
