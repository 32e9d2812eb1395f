"""The progress bar of a stage, with rate and time left: one moving line on a terminal, a line every 15 s in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from generators.contract.stage_protocol import Bar

LOG_EVERY_S = 15.0


def quiet_libraries() -> None:
    """Silence the progress bars of loading and saving models: the stage has a bar of its own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@contextmanager
def bar(stage: str, unit: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Open a bar from `done` to `total`; what an earlier run finished does not count into the rate."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    options: dict[str, Any] = {} if terminal else {"mininterval": LOG_EVERY_S, "ncols": 100, "miniters": 1}
    with tqdm(total=total, initial=done, unit=f" {unit}", desc=stage, leave=True, file=sys.stderr, **options) as shown:
        yield _Shown(shown)


class _Shown:
    """A bar of tqdm; facts appear when it is drawn next."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.update = bar.update

    def show(self, **facts: object) -> None:
        self.bar.set_postfix(facts, refresh=False)
