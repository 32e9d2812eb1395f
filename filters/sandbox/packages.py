"""Packages that programs may import, given by name or as a folder.

A name opens the files of that installed package and of those that it requires, one by one: the folder around them, such
as site-packages, holds much that no program should read.
"""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions

REQUIRED = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Packages:
    """The opened packages: `folders` to import from, and the `files` of packages given by name."""

    folders: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def places(self) -> dict[str, str]:
        """The file or folder of each module that is opened by name."""
        return {os.path.basename(file).partition(".")[0]: file for file in self.files if is_module(file)}


def open_packages(packages: Sequence[str]) -> Packages:
    """Return what to open; raise ValueError for a name that is no installed package and no folder."""
    folders = tuple(os.path.realpath(package) for package in packages if os.path.isdir(package))
    named = [file for package in packages if not os.path.isdir(package) for file in files_of(package)]
    return Packages(folders, tuple(dict.fromkeys(named)))


def is_module(file: str) -> bool:
    """Return whether Python can import a file or folder."""
    return os.path.isfile(f"{file}/__init__.py") or file.endswith((".py", ".so"))


@functools.cache
def files_of(package: str) -> tuple[str, ...]:
    """Return the top-level files and folders of an installed package and of those that it requires."""
    try:
        found = [distribution(package)]
    except PackageNotFoundError:
        found = [distribution(name) for name in packages_distributions().get(package, ())[:1]]
    except ValueError:  # an empty name
        found = []
    files = tuple(file for each in family(found) for file in top_level(each))
    if not any(map(is_module, files)):
        raise ValueError(f"{package!r} is neither an installed package nor a folder")
    return files


def family(found: list[Distribution]) -> Iterator[Distribution]:
    """Yield the distributions and all that they require, extras left out; the queue grows while it is read."""
    seen = set()
    for each in found:
        if each.name not in seen:
            seen.add(each.name)
            yield each
            for requirement in each.requires or ():
                if (name := REQUIRED.match(requirement)) and "extra" not in requirement.partition(";")[2]:
                    try:
                        found.append(distribution(name[0]))
                    except PackageNotFoundError:
                        continue  # required elsewhere, by another system or version of Python


def top_level(package: Distribution) -> list[str]:
    """Return the files and folders that the distribution put into the installation's folder."""
    names = dict.fromkeys(file.parts[0] for file in package.files or ())
    kept = [name for name in names if name not in ("..", "__pycache__") and not name.endswith((".dist-info", ".pth"))]
    return [os.path.realpath(str(package.locate_file(name))) for name in kept]
