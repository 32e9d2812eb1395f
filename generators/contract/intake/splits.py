"""Splits of a data set that lie together in a folder or an object: train is read, a line says what is left."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

SPLITS = {"train", "test", "validation", "valid", "dev", "eval"}
NAMED = {  # words in the names of files -> split, as the hub reads them
    **dict.fromkeys(("train", "training"), "train"), **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("eval", "evaluation"), "eval"),
}  # fmt: skip
log = logging.getLogger(__name__)


@lru_cache(maxsize=256)  # a file is read several times, and said once
def tell(sentence: str) -> None:
    """Log a warning, each sentence once."""
    log.warning("%s", sentence)


def rows_of_split(value: Mapping[str, Any], splits: Sequence[str], file: Path) -> list[Any]:
    """Return the rows of the first split that has any, train before others, and say which ones are left."""
    read = min(splits, key=lambda name: (not value[name], name != "train"))
    left = ", ".join(f"{name} ({len(value[name]):,} rows)" for name in splits if name != read)
    tell(f"{file} holds several splits: {read} is read and left is {left}; give each a file of its own")
    rows: list[Any] = value[read]
    return rows


def train_files(folder: Path, files: list[Path]) -> list[Path]:
    """Return the files of a folder without those whose names say that they are of another split than train.

    Where none is of train, the first split is read; files of no split belong to what is read.
    """
    splits = {file: _split_of(file.relative_to(folder)) for file in files}
    there = [split for split in dict.fromkeys(splits.values()) if split is not None]
    if len(there) < 2:
        return files
    read = "train" if "train" in there else there[0]
    left = [file for file, split in splits.items() if split not in (None, read)]
    names = ", ".join(str(file.relative_to(folder)) for file in left[:6]) + (", ..." if len(left) > 6 else "")
    tell(
        f"{folder} holds several splits: {read} is read and left are {', '.join(one for one in there if one != read)} "
        f"({names}); name the files of another split, or a glob, to read it"
    )
    return [file for file in files if file not in left]


def _split_of(file: Path) -> str | None:
    """Return the split that a file's name or its folders say: a word at either end of one of them."""
    for part in (file.name.partition(".")[0], *reversed(file.parts[:-1])):
        words = [word for word in re.split(r"[^a-z]+", part.lower()) if word not in ("", "of")]
        for word in words[:1] + words[-1:]:
            if word in NAMED:
                return NAMED[word]
    return None
