"""The loader of all plug-ins: verifiers, engines and task families.

A plug-in is a module. A recipe names a shipped module (`math_answer`), the dotted path of a user's module
(`my_package.even`), a module in the working folder (`even`), or a file (`./even.py`). Nothing is registered.
"""

import difflib
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from generators.contract.errors import DistillError, PluginError

FOREIGN: dict[str, Path] = {}  # name -> file of each loaded plug-in that is not shipped


@dataclass(frozen=True, slots=True)
class PluginKind:
    """A kind of plug-in: its title in messages, the package of the shipped ones, and the names a module must define.

    needs: (attribute, its form in messages); of alternatives such as `build|import_traces`, one must be defined.
    renamed: (old, new) names of shipped plug-ins.
    """

    title: str
    package: str
    needs: tuple[tuple[str, str], ...]
    renamed: tuple[tuple[str, str], ...] = ()

    def shipped(self) -> list[str]:
        """Return the names of the plug-ins that come with the toolkit."""
        folder = Path(importlib.import_module(self.package).__path__[0])
        return sorted(module.name for module in pkgutil.iter_modules([str(folder)]))

    def summaries(self) -> Iterator[tuple[str, str]]:
        """Yield (name, first line of the docstring) of each shipped plug-in, without importing it."""
        folder = Path(importlib.import_module(self.package).__path__[0])
        for name in self.shipped():
            file = folder / name / "__init__.py" if (folder / name).is_dir() else folder / f"{name}.py"
            yield name, file.read_text(encoding="utf-8").lstrip('"').partition("\n")[0].rstrip('".')


VERIFIER = PluginKind("verifier", "filters.verifiers", (("verify", "function verify(item)"),))
ENGINE = PluginKind(
    "engine",
    "generators.engines",
    (("Options", "class Options(EngineOptions)"), ("build|import_traces", "function build(model, sampling, options)")),
    (("transformers_local", "transformers"), ("vllm_engine", "vllm"), ("openai_http", "openai")),
)
TASK_FAMILY = PluginKind("task family", "generators.tasks", (("make", "function make(rng, level)"),))
KINDS = (VERIFIER, ENGINE, TASK_FAMILY)


def load_plugin(kind: PluginKind, name: str) -> ModuleType:
    """Return the module of the plug-in `name`; PluginError names the cause in one sentence if it cannot be loaded.

    An exception that the module itself raises at import keeps its traceback and gains a note.
    """
    if name in kind.shipped():
        return importlib.import_module(f"{kind.package}.{name}")
    module = _from_file(kind, name) if _is_file(name) else _from_path(kind, name)
    for attributes, written in kind.needs:
        if not any(_usable(module, attribute) for attribute in attributes.split("|")):
            raise PluginError(f"the {kind.title} {name!r}: the module {_place(module)} has no {written}")
    file = getattr(module, "__file__", None)
    if file and not module.__name__.startswith(f"{kind.package}."):
        FOREIGN[name] = Path(file)
    return module


def _usable(module: ModuleType, attribute: str) -> bool:
    """Return whether a module has the attribute, and, where it must be a function, one that can be called."""
    found = getattr(module, attribute, None)
    return hasattr(module, attribute) and (callable(found) or attribute[0].isupper())


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def _from_file(kind: PluginKind, name: str) -> ModuleType:
    file = Path(name).expanduser().resolve()
    if not file.is_file():
        state = "is a folder; write the path of a .py file" if file.is_dir() else "does not exist"
        raise PluginError(f"the {kind.title} {name!r}: {file} {state}")
    # A unique module name: `./random.py` must not replace another module.
    unique = f"plugin_{file.stem}_{hashlib.blake2b(str(file).encode(), digest_size=4).hexdigest()}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"the {kind.title} {name!r}: {file} is no Python file; write the path of a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        with _sentences(kind, name):
            add_working_folder()
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _from_path(kind: PluginKind, name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(_unknown(kind, name))
    try:
        with _sentences(kind, name):
            add_working_folder()
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise PluginError(_unknown(kind, name) + _gap(name, error.name or name)) from None


def _gap(name: str, missing: str) -> str:
    """Return a clause that names the missing part of a dotted path."""
    package, _, module = missing.rpartition(".")
    if "." not in name:
        return ""
    return f" (the package {package!r} has no module {module!r})" if package else f" (no module {missing!r} was found)"


def _unknown(kind: PluginKind, name: str) -> str:
    known = kind.shipped()
    if name in dict(kind.renamed):
        return f"the {kind.title} {name!r} is now called {dict(kind.renamed)[name]!r}"
    nearest = difflib.get_close_matches(name.rpartition(".")[2], known, 1) or difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return (
        f"there is no {kind.title} {name!r}: {hint}shipped are {', '.join(known)}; "
        "your own is named by a module's dotted path or by a file such as ./mine.py"
    )


@contextmanager
def _sentences(kind: PluginKind, name: str) -> Iterator[None]:
    """Turn import problems into a PluginError; other exceptions of the module keep their traceback and gain a note."""
    try:
        yield
    except SyntaxError as error:
        where = f"{error.filename}, line {error.lineno}"
        raise PluginError(f"the {kind.title} {name!r}: {where} is not valid Python: {error.msg}") from None
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}.") and not _is_file(name):
            raise  # the plug-in itself does not exist
        raise PluginError(
            f"the {kind.title} {name!r} imports the module {error.name!r}, which is not installed here"
        ) from None
    except ImportError as error:
        raise PluginError(f"the {kind.title} {name!r} cannot be imported: {error}") from None
    except SystemExit as error:
        raise PluginError(f"the {kind.title} {name!r} exits when it is imported (code {error.code})") from None
    except DistillError:
        raise
    except Exception as error:
        error.add_note(f"raised while the {kind.title} {name!r} was imported")
        raise


@contextmanager
def blaming(kind: PluginKind, name: str) -> Iterator[None]:
    """Add a note that names the plug-in to every exception except a DistillError."""
    try:
        yield
    except DistillError:
        raise
    except Exception as error:
        note = f"raised in the {kind.title} {name!r}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def add_working_folder() -> None:
    """Append the working folder to the import path for good: plug-ins may import neighbors while they run."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__


def plugin_file(kind: PluginKind, name: str) -> Path | None:
    """Return the file of a plug-in that is not shipped; None for a shipped one."""
    if name in kind.shipped():
        return None
    file = load_plugin(kind, name).__file__
    return Path(file) if file else None


def plugin_files() -> list[Path]:
    """Return the files of the loaded plug-ins that belong to the user: neither shipped nor installed."""
    installed = {Path(sysconfig.get_paths()[name]).resolve() for name in ("purelib", "platlib", "stdlib")}
    files = {file.resolve() for file in FOREIGN.values()}
    return sorted(file for file in files if not any(file.is_relative_to(folder) for folder in installed))
