"""Download files over HTTP, checked by SHA-256, never leaving half a file behind.

A file is written under a temporary name and renamed when it is complete and its hash is right. A source whose hash is
not known yet is recorded in a lock file at the first download and checked against it from then on.
"""

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ATTEMPTS = 3
PAUSE_S = 1.0  # before the second attempt; twice as long before each further one
TIMEOUT_S = 60.0
BLOCK = 1 << 16
AGENT = {"User-Agent": "distill-toolkit-benchmarks"}  # some hosts refuse Python's own


class DownloadError(RuntimeError):
    """A download that cannot be used; the message names the URL and says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A public file. `sha256` is None where the hash could not be verified when the table was written."""

    url: str
    sha256: str | None
    licence: str


class Lock:
    """The hashes and sizes of sources without a hash in the table, as they were at their first download."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recorded: dict[str, dict[str, str | int]] = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        )

    def check(self, source: Source, content: bytes) -> None:
        """Raise DownloadError if the content has another hash than expected; record the first hash of a source."""
        found = hashlib.sha256(content).hexdigest()
        if source.sha256 is not None:
            expected, where = source.sha256, "the table"
        elif source.url in self.recorded:
            expected, where = str(self.recorded[source.url]["sha256"]), self.path.name
        else:
            self.recorded[source.url] = {"sha256": found, "bytes": len(content)}
            write_whole(self.path, (json.dumps(self.recorded, indent=1, sort_keys=True) + "\n").encode())
            return
        if found != expected:
            raise DownloadError(f"{source.url}: its SHA-256 is {found}, but {where} says {expected}")


def fetch(source: Source, path: Path, lock: Lock) -> bytes:
    """Return the source's content, from `path` if it is there already, else from its URL; check the hash either way."""
    if path.exists():
        content = path.read_bytes()
        lock.check(source, content)
        return content
    content = download(source.url)
    lock.check(source, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return content


def download(url: str) -> bytes:
    """Return the body of a URL; retry what may pass (a broken connection, a server error), at most ATTEMPTS times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return body(url)
        except urllib.error.HTTPError as error:
            reason, passing = f"the server answers {error.code} {error.reason}", error.code >= 500
        except (OSError, http.client.HTTPException) as error:
            reason, passing = f"{type(error).__name__}: {error}", True
        if not passing:
            break
        if attempt < ATTEMPTS:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
    raise DownloadError(f"{url}: {reason} ({attempt} {'attempt' if attempt == 1 else 'attempts'})")


def body(url: str) -> bytes:
    """Return the body of one GET request; ConnectionError where the connection ends before the whole body came."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=AGENT), timeout=TIMEOUT_S) as response:
        announced = response.headers.get("Content-Length")
        blocks = []
        while block := response.read(BLOCK):  # read by blocks, a body that ends early raises nothing
            blocks.append(block)
    content = b"".join(blocks)
    if announced is not None and len(content) != int(announced):
        raise ConnectionError(f"the download was interrupted after {len(content)} of {announced} bytes")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
