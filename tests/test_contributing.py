"""The documents for contributors name paths that exist, and versions that agree."""

import re
import tomllib
from pathlib import Path

import pytest

from pipelines.recipe.keys import RENAMED

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


def test_the_changelog_names_every_renamed_key() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    slips = {"prompts.fields.gold"}  # answered with the right key, but never a key itself
    keys = {key.rpartition(".")[2] for both in RENAMED.items() if both[0] not in slips for key in both}
    assert not [key for key in keys if f"`{key}`" not in text and f".{key}`" not in text and f".{key}." not in text]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/README.md")), ids=lambda path: path.parent.name)
def test_examples_name_paths_that_exist(path: Path) -> None:
    missing = [name for name in PATH.findall(path.read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert not [name for name in missing if not name.startswith("generate/")], f"{path} names {missing}"
