"""The intake: rows of any source, each with the shape of its file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from generators.contract.intake.files import SAVED, Item, files_of
from generators.contract.intake.joins import joined
from generators.contract.intake.lone_marks import LoneMarks
from generators.contract.intake.shapes import PROBED, Shape, recognize, shape_for
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
    """Yield rows of one origin with their shape; what lone closing marks mean is told by the rows up to each one."""
    items = iter(items)
    batch = list(islice(items, PROBED))
    shape = recognize([item.row for item in batch if not isinstance(item.row, BadRow)])
    marks = LoneMarks()
    while batch:
        marks.count([item.row for item in batch if not isinstance(item.row, BadRow)])
        shape = _with_marks(shape, marks)
        for item in batch:
            if isinstance(item.row, BadRow):
                yield Shaped(item.place, item.row, shape)
            else:
                own = shape_for(item.row, shape)
                yield Shaped(item.place, dict(item.row), own if own is shape else _with_marks(own, marks))
        batch = list(islice(items, PROBED))


def _with_marks(shape: Shape, marks: LoneMarks) -> Shape:
    return replace(shape, lone_close=marks.close, lone_marks=marks.end_thinking)
