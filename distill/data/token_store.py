"""The tokens of a corpus file: made once, kept on disk by content, and read from there one document at a time.

A store is a folder below `$DISTILL_CACHE/tokens` (~/.cache/distill/tokens), named by a hash of the corpus file, the
tokenizer with its chat template, the longest row and the code that renders rows. It appears complete or not at all;
processes that want the same one wait for the first of them. A store may be deleted whenever no training reads it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

import generators.contract.chat as chat
import generators.contract.completions as completions
from distill.training import examples as rendering
from distill.training.examples import Dropped, Example, kept_examples
from generators.contract.errors import InputError
from generators.contract.ids import content_id

PLACE = "DISTILL_CACHE"  # the environment variable that names the folder of all stores
# One entry per document: where its tokens and its name end, where its targets start, and its largest token.
INDEX = np.dtype([("end", "<i8"), ("name_end", "<i8"), ("target_start", "<i4"), ("largest", "<i4")])
TOKENS, NAMES, ENTRIES, ABOUT = "tokens.bin", "names.bin", "index.bin", "about.json"


class TokenStore(Sequence[Example]):
    """The documents of a corpus as a sequence; each is read from the mapped files when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Map the files of a complete store."""
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self.folder = folder
        self.dropped = Dropped(Counter(about["dropped"]), about["refused"])
        self.tokens = _mapped(folder / TOKENS, np.dtype("<i4"))
        self.names = _mapped(folder / NAMES, np.dtype("u1"))
        self.entries = _mapped(folder / ENTRIES, INDEX)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        if isinstance(place, slice):
            return [self[i] for i in range(len(self))[place]]
        i = range(len(self))[place]
        start, name_start = (self.entries[i - 1][name] if i else 0 for name in ("end", "name_end"))
        entry = self.entries[i]
        name = self.names[name_start : entry["name_end"]].tobytes().decode("utf-8")
        return Example(name, self.tokens[start : entry["end"]], int(entry["target_start"]))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The tokens of each document [documents]."""
        lengths: NDArray[np.int64] = np.diff(self.entries["end"], prepend=0)
        return lengths

    @property
    def largest(self) -> NDArray[np.int32]:
        """The largest token id of each document [documents]."""
        largest: NDArray[np.int32] = self.entries["largest"]
        return largest


def lengths_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Return the tokens of each document; no token of a store is read."""
    if isinstance(examples, TokenStore):
        return examples.lengths
    return np.array([len(example.token_ids) for example in examples], dtype=np.int64)


def largest_of(examples: Sequence[Example]) -> NDArray[np.int32]:
    """Return the largest token id of each document; no token of a store is read."""
    if isinstance(examples, TokenStore):
        return examples.largest
    return np.array([example.token_ids.max() for example in examples], dtype=np.int32)


def stored_examples(path: Path, tokenizer: Any, max_tokens: int) -> tuple[Sequence[Example], Counter[str]]:
    """Return what `load_examples` returns, from the store of these tokens, which is made if there is none."""
    store = open_tokens(path, tokenizer, max_tokens)
    store.dropped.warn(path)
    return store, store.dropped.reasons


def open_tokens(path: Path, tokenizer: Any, max_tokens: int) -> TokenStore:
    """Return the store of a corpus file's tokens, and make it first if there is none.

    A folder that cannot be written to is an InputError.
    """
    folder = cache_folder() / "tokens" / store_key(path, tokenizer, max_tokens)
    if _complete(folder):
        return TokenStore(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder.with_name(folder.name + ".lock")):
            if not _complete(folder):
                _make(folder, path, tokenizer, max_tokens)
    except OSError as error:
        raise InputError(
            f"the tokens of {path} cannot be kept in {folder.parent} ({error.strerror or error}); set the environment "
            f"variable {PLACE} to a folder with room for 4 bytes a token"
        ) from error
    return TokenStore(folder)


def cache_folder() -> Path:
    """Return the folder of all stores: $DISTILL_CACHE, else ~/.cache/distill."""
    given = os.environ.get(PLACE)
    return Path(given).expanduser() if given else Path.home() / ".cache" / "distill"


def store_key(path: Path, tokenizer: Any, max_tokens: int) -> str:
    """Return the name of the store: a hash of all that decides its tokens."""
    with open(path, "rb") as file:
        corpus = hashlib.file_digest(file, "blake2b").hexdigest()
    libraries = [version(name) for name in ("tokenizers", "transformers", "jinja2")]
    return content_id([corpus, _tokenizer_digest(tokenizer), _code_digest(), libraries, max_tokens])


def _tokenizer_digest(tokenizer: Any) -> str:
    """Return a hash of the files that the tokenizer saves, its chat template among them."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return _digest(sorted(path for path in Path(folder).rglob("*") if path.is_file()))


def _code_digest() -> str:
    """Return a hash of the modules that turn rows into tokens."""
    files: list[Path] = [Path(__file__)]
    for module in (rendering, chat, completions):
        assert module.__file__ is not None
        file = Path(module.__file__)
        files += sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return _digest(files)


def _digest(files: Sequence[Path]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for file in files:
        total.update(file.name.encode() + b"\0" + hashlib.blake2b(file.read_bytes()).digest())
    return total.hexdigest()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock file; the system frees it when the process ends, however it ends."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _complete(folder: Path) -> bool:
    """Return whether the folder is there with files as long as they were; a power cut can leave shorter ones."""
    try:
        sizes = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["bytes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def _make(folder: Path, path: Path, tokenizer: Any, max_tokens: int) -> None:
    """Tokenize a corpus file into a store, in memory for a few hundred rows and an index entry for each row."""
    partial = folder.with_name(folder.name + ".partial")
    for left in (partial, folder):  # by a process that was killed, or by a power cut
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    dropped = Dropped()
    end = name_end = 0
    with (
        open(partial / TOKENS, "wb") as tokens,
        open(partial / NAMES, "wb") as names,
        open(partial / ENTRIES, "wb") as entries,
    ):
        for example in kept_examples(path, tokenizer, max_tokens, dropped):
            ids, name = example.token_ids.astype("<i4", copy=False), example.trace_id.encode("utf-8")
            end, name_end = end + len(ids), name_end + len(name)
            tokens.write(ids.tobytes())
            names.write(name)
            entries.write(np.array((end, name_end, example.target_start, ids.max()), dtype=INDEX).tobytes())
    about = {
        "bytes": {name: (partial / name).stat().st_size for name in (TOKENS, NAMES, ENTRIES)},
        "dropped": dropped.reasons,
        "refused": dropped.refused,
    }
    (partial / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    partial.rename(folder)


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a file as a read-only array; an empty file cannot be mapped."""
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
