"""Stage folders: completeness, currency, resuming and protection from a second process.

A stage's folder is complete if and only if its `manifest.json` exists; it is written last, by rename. The folder is
current if the manifest's fingerprint (settings and input files) and upstream runs equal those of the present recipe.
`started.json` holds the settings of an unfinished folder: the same settings resume it, others clear it. A ledger of
samples is never cleared: it is keyed by content, and its samples were paid for.
"""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from generators.contract.errors import InputError, InUse
from generators.contract.files import write_text
from generators.contract.ids import content_id
from generators.contract.stage_protocol import StageCounts

FORMAT = 2  # version of the stage folders; a change reruns everything
MANIFEST, STARTED, LOCK = "manifest.json", "started.json", ".lock"
KEPT = ("ledger",)  # the ledger is keyed by content and was paid for, so it outlives a change of settings
VERSIONED = ("distill-toolkit", "torch", "transformers", "vllm", "ray", "polars", "datasketch", "math-verify")


@dataclass
class Runner:
    """A runner of stages in the folders below `folder`; it skips stages that are complete and current."""

    folder: Path
    recipe: Mapping[str, Any]
    redo: frozenset[str] = frozenset()
    say: Callable[[str], None] = print
    dry: bool = False  # report what would run, and run nothing
    runs: dict[str, str] = field(default_factory=dict)  # stage -> run_id of its current manifest

    def step(
        self,
        name: str,
        identity: Mapping[str, Any],
        work: Callable[[Path], StageCounts],
        *,
        kind: str = "",
        upstream: Sequence[str] = (),
        files: Sequence[Path] = (),
    ) -> Path:
        """Run stage `name` unless it is complete and current, and return its folder.

        `identity`: the settings that decide the result. `files`: inputs from outside the run. `work(folder)` may find
        in its folder the partial results of an interrupted run with the same identity.
        """
        out = self.folder / name
        wanted = {**self._wanted(name, identity, upstream, files), "kind": kind or name}
        manifest = read_manifest(out)
        reason = _why_run(manifest, wanted, redo=bool({name, name.partition("/")[0]} & self.redo))
        if manifest and reason is None:
            self.say(f"{shown(name, kind)}: finished before, skipped")
            self.runs[name] = manifest["run_id"]
            return out
        self.say(f"{shown(name, kind)}: {reason or ('continues' if _unfinished(out, wanted) else 'starts')}")
        if self.dry:
            self.runs[name] = "not made yet"
            return out
        self._make(out, wanted, work)
        return out

    def _wanted(
        self, name: str, identity: Mapping[str, Any], upstream: Sequence[str], files: Sequence[Path]
    ) -> dict[str, Any]:
        inputs: dict[str, str] = {}
        for path in files:  # keyed by name, so that a folder can be moved; a/x.jsonl and b/x.jsonl get two keys
            again = sum(key.partition(" #")[0] == path.name for key in inputs)
            inputs[f"{path.name} #{again + 1}" if again else path.name] = file_digest(path)
        made_of = [FORMAT, name, identity, inputs]
        return {
            "stage": name,
            "fingerprint": content_id(made_of),
            "config": dict(identity),
            "inputs": inputs,
            "upstream": {stage: self.runs[stage] for stage in upstream},
        }

    def _make(self, out: Path, wanted: dict[str, Any], work: Callable[[Path], StageCounts]) -> None:
        if not _unfinished(out, wanted):
            clear_stage(out)
        out.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(wanted), out / STARTED)
        started, clock = datetime.now(UTC), time.perf_counter()
        counts = work(out)
        seconds = time.perf_counter() - clock
        run_id = content_id([wanted["fingerprint"], started.isoformat()])
        manifest = {
            **wanted,
            "run_id": run_id,
            "counts": counts.as_dict(),
            "seconds": round(seconds, 3),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "commit": commit(),
            "outputs": _outputs(out),
            "recipe": dict(self.recipe),
        }
        write_text(json.dumps(manifest, indent=1), out / MANIFEST)
        (out / STARTED).unlink()
        self.runs[wanted["stage"]] = run_id
        self.say(f"{shown(wanted['stage'], wanted['kind'])}: {describe(counts)} in {seconds:.1f} s")


def shown(name: str, kind: str) -> str:
    """Return the name of a stage in its lines: that of its folder within a run, `verify (DIR)` for any other folder."""
    return name if not kind or name.partition("/")[0] == kind else f"{kind} ({name})"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a complete stage folder, or None."""
    path = folder / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def clear_stage(folder: Path) -> None:
    """Empty a stage's folder, manifest first; keep its ledger and the folders of other stages below it.

    A folder that was not made by distill raises InputError and stays as it is.
    """
    if not folder.exists():
        return
    strange = [entry.name for entry in folder.iterdir() if entry.name not in (*KEPT, LOCK) and not _is_stage(entry)]
    if strange and not _is_stage(folder):
        raise InputError(f"{folder} holds {strange[0]!r} and was not made by distill; name an empty or new folder")
    (folder / MANIFEST).unlink(missing_ok=True)
    for entry in folder.iterdir():
        if entry.name not in (*KEPT, LOCK) and not _is_stage(entry):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _is_stage(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or (folder / STARTED).exists()


def _unfinished(out: Path, wanted: Mapping[str, Any]) -> bool:
    started = out / STARTED
    return started.exists() and not (out / MANIFEST).exists() and json.loads(started.read_text()) == wanted


def _why_run(manifest: Mapping[str, Any] | None, wanted: Mapping[str, Any], redo: bool) -> str | None:
    if manifest is None:
        return None
    if redo:
        return "runs again (asked to)"
    if manifest["fingerprint"] != wanted["fingerprint"]:
        return f"runs again ({changes(manifest, wanted)})"
    changed = [stage for stage, run_id in wanted["upstream"].items() if manifest["upstream"].get(stage) != run_id]
    if changed or len(manifest["upstream"]) != len(wanted["upstream"]):
        return f"runs again (made from {', '.join(changed) or 'other stages'}, which ran again)"
    return None


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the settings that differ, for example `max_per_prompt 4 -> 2`."""
    old, new = (_flat({**m["config"], **{f"file {k}": v[:8] for k, v in m["inputs"].items()}}) for m in (before, after))
    parts = [f"{k} {old.get(k)} -> {new.get(k)}" for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)]
    return ", ".join(parts) or "format of stage folders"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def describe(counts: StageCounts) -> str:
    """Return the counts (rows in = kept + dropped by reason) as one clause."""
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in counts.dropped.items())
    return f"{counts.rows_in:,} in, {counts.rows_kept:,} kept" + (f", dropped: {dropped}" if dropped else "")


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Lock `folder` for this process; raise InUse, which names the other process, if it is locked already."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise InUse(f"{folder} is in use by process {lock.read().strip() or 'unknown'}; wait for it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def file_digest(path: Path) -> str:
    """Return the BLAKE2b hash of a file, or of all files below a folder, as 24 hex digits."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.blake2b(digest_size=12)
    for file in files:
        with open(file, "rb") as stream:
            total.update(hashlib.file_digest(stream, "blake2b").digest())
    return total.hexdigest()


def _outputs(out: Path) -> dict[str, dict[str, Any]]:
    """Return size and hash of every file of a stage's folder, and the size alone of a ledger's files.

    A ledger holds all samples ever paid for, so hashing it is slow, and it checks its own rows. Folders of other stages
    below this one are left out.
    """
    outputs: dict[str, dict[str, Any]] = {}
    for file in _files_of(out):
        name = file.relative_to(out).as_posix()
        kept = name.partition("/")[0] in KEPT
        outputs[name] = {"bytes": file.stat().st_size} | ({} if kept else {"blake2b": file_digest(file)})
    return outputs


def _files_of(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and entry.name not in (MANIFEST, STARTED, LOCK):
            yield entry
        elif entry.is_dir() and not _is_stage(entry):
            yield from _files_of(entry)


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the main libraries, without importing them."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str | None:
    """Return the commit of the checkout that holds this code, with "+" if it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "") if head.returncode == 0 else None


def made_by(folder: Path) -> str | None:
    """Return the stage that a folder belongs to, finished or not; None for any other folder."""
    for name in (MANIFEST, STARTED):
        if (folder / name).exists():
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            return str(found.get("kind", found["stage"]))
    return None
