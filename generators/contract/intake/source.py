"""The intake: rows of any source, each with the shape of its file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from generators.contract.intake.files import SAVED, Item, files_of
from generators.contract.intake.joins import joined
from generators.contract.intake.shapes import PROBED, Shape, recognize
from generators.contract.intake.values import BadRow


@dataclass(frozen=True, slots=True)
class Shaped:
    """A row that can be read, with its place and shape, or the fault of one that cannot."""

    place: str
    row: dict[str, object] | BadRow
    shape: Shape


def read_rows(path: str | Path | Iterable[str | Path], limit: int | None = None) -> Iterator[Shaped]:
    """Yield the rows of files, globs and folders; each file is recognized by its first rows.

    MissingFile or InputError: nothing there, nothing readable. A row that cannot be read is yielded as its fault.
    """
    files = files_of(path)
    data = [file for file in files if not any((file / name).is_file() for name in SAVED)]
    found = (shaped for file in files for shaped in shape_rows(joined(file, data)))
    return islice(found, limit)


def shape_rows(items: Iterable[Item]) -> Iterator[Shaped]:
    """Yield rows of one origin with their shape."""
    items = iter(items)
    first = list(islice(items, PROBED))
    shape = recognize([item.row for item in first if not isinstance(item.row, BadRow)])
    for item in chain(first, items):
        yield Shaped(item.place, item.row if isinstance(item.row, BadRow) else dict(item.row), shape)
