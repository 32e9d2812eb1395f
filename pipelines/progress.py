"""The progress bar of a stage: rate and time left, one line that moves on a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from generators.contract.stage_protocol import Bar

LOG_EVERY_S = 15.0


def quiet_libraries() -> None:
    """Silence the bars of loading and saving models: the stage's own bar tells what goes on."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@contextmanager
def bar(stage: str, unit: str, total: int, done: int = 0) -> Iterator[Bar]:
    """A bar from `done` to `total`; what an earlier run finished does not count into the rate."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    options: dict[str, Any] = {} if terminal else {"mininterval": LOG_EVERY_S, "ncols": 100, "miniters": 1}
    with tqdm(total=total, initial=done, unit=f" {unit}", desc=stage, leave=True, file=sys.stderr, **options) as shown:
        yield shown
