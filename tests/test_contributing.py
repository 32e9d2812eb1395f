"""The documents for contributors name paths that exist, and versions that agree."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
ROOMS = ("benchmarks", "distill", "docs", "examples", "filters", "generators", "pipelines", "tests", ".github")
PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, ROOMS))})/[\w./-]*)`")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_paths_exist(name: str) -> None:
    paths = [path for path in PATH.findall((ROOT / name).read_text(encoding="utf-8")) if "NAME" not in path]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing, f"{name} names {missing}"


def test_contributing_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_citation_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
