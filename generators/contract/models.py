"""Model names: the folder that each stands for, and the revision of its contents."""

import hashlib
import json
from pathlib import Path

from generators.contract.errors import RecipeError

TOY = Path(__file__).resolve().parents[1] / "toy"
EMBEDDED = "embedded:"
# The files that decide a model's outputs: weights, configuration, tokenizer, template.
CONTENTS = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.txt")


def model_path(name: str) -> str:
    """Return the folder of an embedded or local model; any other name is a hub name and returned as it is.

    RecipeError: no such embedded model or folder, or a folder without a config.json.
    """
    if name.startswith(EMBEDDED):
        folder = TOY / name.removeprefix(EMBEDDED)
        if not (folder / "config.json").is_file():
            known = sorted(EMBEDDED + path.parent.name for path in TOY.glob("*/config.json"))
            raise RecipeError(f"there is no embedded model {name!r}; there are {', '.join(known) or 'none'}")
        return str(folder)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise RecipeError(f"the folder {name} holds no model: it has no config.json")
        return str(folder)
    if name.startswith(("/", "./", "../", "~")):
        raise RecipeError(f"there is no model folder {name}")
    return name


def model_revision(path: str) -> str | None:
    """Return the content hash of a local folder (24 hex digits), or the cached hub commit; None: not cached."""
    if Path(path).is_dir():
        return folder_hash(Path(path))
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(path, "config.json")  # .../snapshots/<commit>/config.json
    return Path(cached).parent.name if isinstance(cached, str) else None


def folder_hash(folder: Path) -> str:
    """Return the BLAKE2b hash of the names and bytes of a model's files."""
    files = sorted({file for pattern in CONTENTS for file in folder.glob(pattern)})
    digests = [[file.name, _file_hash(file, file.stat().st_size, file.stat().st_mtime_ns)] for file in files]
    return hashlib.blake2b(json.dumps(digests).encode(), digest_size=12).hexdigest()


_hashes: dict[tuple[Path, int, int], str] = {}


def _file_hash(file: Path, size: int, changed_ns: int) -> str:
    """Return the hash of one file, cached by size and modification time: the same weights are hashed often."""
    key = (file.resolve(), size, changed_ns)
    if key not in _hashes:
        with open(file, "rb") as stream:
            _hashes[key] = hashlib.file_digest(stream, "blake2b").hexdigest()
    return _hashes[key]
