"""Rows of Hugging Face datasets: hub names, folders of files, and folders that `save_to_disk` wrote."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from generators.contract.errors import InputError
from generators.contract.intake.files import SAVED, named
from generators.contract.intake.values import plain

log = logging.getLogger(__name__)


def read_dataset(
    path: str, name: str | None, split: str, revision: str | None, limit: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a dataset: a hub name, a folder of files, or one that `save_to_disk` wrote."""
    from datasets import load_dataset

    if any((Path(path) / file).is_file() for file in SAVED):
        yield from islice(read_saved(Path(path), split), limit)
        return
    try:
        dataset = load_dataset(path, name, split=split, revision=revision)
    except Exception as error:  # the library raises a dozen kinds for a missing name, split or network
        raise InputError(
            f"the dataset {path!r} (name {name}, split {split!r}) cannot be loaded: {error}{_splits(path, name, error)}"
        ) from None
    if not len(dataset):
        raise InputError(f"the dataset {path!r} (split {split!r}) is empty")
    yield from islice(_rows(dataset), limit)


def read_saved(folder: Path, split: str | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a folder that `save_to_disk` wrote. split None: train, or the only one there is."""
    from datasets import DatasetDict, load_from_disk

    try:
        saved = load_from_disk(str(folder))
    except Exception as error:  # a missing or damaged file, or another version's
        raise InputError(f"the dataset {str(folder)!r} cannot be loaded: {error}") from None
    if isinstance(saved, DatasetDict):
        if split is None:
            split = "train" if "train" in saved else next(iter(saved))
            if left := [f"{name} ({len(saved[name]):,} rows)" for name in saved if name != split]:
                log.warning(
                    "%s holds several splits: %s is read and left is %s; name another with prompts.source=dataset "
                    "prompts.split=NAME", folder, split, ", ".join(left),
                )  # fmt: skip
        if split not in saved:
            raise InputError(f"the dataset {str(folder)!r} has no split {split!r}; there are {', '.join(saved)}")
        saved = saved[split]
    if not len(saved):
        raise InputError(f"the dataset {str(folder)!r} is empty")
    yield from _rows(saved)


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    labels = {name: each.names for name, each in dataset.features.items() if hasattr(each, "names")}
    for row in dataset:
        yield plain(named(dict(row), labels))


def _splits(path: str, name: str | None, error: Exception) -> str:
    """Return a clause that lists the splits there are, where the one asked for is missing."""
    if "split" not in str(error).lower():
        return ""
    from datasets import get_dataset_split_names

    try:
        return f"; there are {', '.join(get_dataset_split_names(path, name))}"
    except Exception:  # the same dozen kinds
        return ""
