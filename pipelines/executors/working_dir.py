"""The files that Ray workers get: our four packages and the user's plug-ins."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from generators.contract.plugins import plugin_files
from pipelines.doctor import PACKAGES, check_origin


def fill_working_dir(folder: Path) -> None:
    """Copy our packages and the plug-ins that are loaded so far into `folder`."""
    home = check_origin()
    for package in PACKAGES:
        shutil.copytree(home / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    _add_plugins(folder, home)


def _add_plugins(folder: Path, home: Path) -> None:
    """Copy the user's plug-ins into `folder` under every path by which a name may find them.

    A file is named by its path in the working folder, a module by its path below an entry of the import path. A module
    of a package comes with the package's top folder, and so do modules that were imported from the working folder:
    plug-ins import their neighbors.
    """
    plugins = plugin_files()
    bases = {Path(entry).resolve() for entry in ("", *sys.path)}
    for file in {*plugins, *_imported_here(home)} if plugins else ():
        top = file
        while (top.parent / "__init__.py").exists():
            top = top.parent
        for base in (base for base in bases if file.is_relative_to(base)):
            source = top if base in top.parents else file
            _copy(source, folder / source.relative_to(base))


def _imported_here(home: Path) -> Iterator[Path]:
    """Yield the files of imported modules below the working folder that are neither ours nor installed."""
    here, ours = Path.cwd(), [home / package for package in PACKAGES]
    for module in list(sys.modules.values()):
        file = Path(getattr(module, "__file__", None) or "/").resolve()
        outside = not file.is_relative_to(here) or file.is_relative_to(sys.prefix)
        # torch registers modules whose `__file__` is a bare name, which is no file here
        if (
            not outside
            and file.suffix == ".py"
            and file.is_file()
            and not any(file.is_relative_to(folder) for folder in ours)
        ):
            yield file


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
