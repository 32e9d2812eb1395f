"""Model names: the folder that each stands for, and the revision of its contents."""

import hashlib
import json
import socket
import threading
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from generators.contract.errors import RecipeError

TOY = Path(__file__).resolve().parents[1] / "toy"
EMBEDDED = "embedded:"
HUB_S = 5.0  # to open a connection to the hub
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


def check_hub(name: str, kind: Literal["model", "dataset"] = "model") -> None:
    """Raise a RecipeError within seconds if a hub name is not in the cache and the hub cannot be reached.

    The hub's own libraries retry for a minute before they say so. Folders and embedded models are not looked for.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    if name.startswith(EMBEDDED) or Path(name).expanduser().exists():
        return
    file = "config.json" if kind == "model" else "README.md"
    tried = (file, "tokenizer_config.json") if kind == "model" else (file,)
    if any(isinstance(try_to_load_from_cache(name, each, repo_type=kind), str) for each in tried):
        return
    what = f"the {kind} {name!r} is no folder here and not in the cache {constants.HF_HUB_CACHE}"
    if constants.HF_HUB_OFFLINE:
        raise RecipeError(f"{what}, and HF_HUB_OFFLINE is set")
    if reason := _unreachable(constants.ENDPOINT):
        raise RecipeError(
            f"{what}, and the hub {constants.ENDPOINT} cannot be reached ({reason}); give a folder, or fetch it first"
        )


@lru_cache
def _unreachable(endpoint: str) -> str:
    """Return why no connection to a URL, or to the proxy before it, opens within HUB_S; empty: it opens."""
    parts = urlsplit(endpoint)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    parts = urlsplit(proxy) if proxy else parts
    port = parts.port or (443 if parts.scheme == "https" else 80)
    said = [f"it takes longer than {HUB_S:g} s"]

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname or "", port), timeout=HUB_S).close()
            said.append("")
        except OSError as error:
            said.append(error.strerror or str(error))

    thread = threading.Thread(target=connect, daemon=True)  # resolving a name has no time limit of its own
    thread.start()
    thread.join(HUB_S)
    return said[-1]


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
