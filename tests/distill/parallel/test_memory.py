"""The plan of memory: its page is what the script computes, from the slices that ranks hold."""

from pathlib import Path

from benchmarks.training_memory import GIB, RANKS, STATES, held

PAGE = Path(__file__).resolve().parents[3] / "docs" / "training_memory.md"


def test_the_page_says_what_a_70b_needs() -> None:
    ranks = 32
    size, needed = held("Llama-3.3-70B", ranks)
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| Llama-3.3-70B"))
    assert row.split("|")[3 + RANKS.index(ranks)].strip(" *") == f"{needed / GIB:.1f}"
    assert STATES * size / ranks < needed < 2.5 * STATES * size / ranks
