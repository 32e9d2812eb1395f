"""Every equation of docs/equations.md names tests, and the tests exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/equations.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize("file, test", NAMED)
def test_every_named_test_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_equation_names_a_test() -> None:
    items = re.findall(r"^- .*(?:\n  .*)*", TEXT, flags=re.M)
    assert items and not [item for item in items if "::test_" not in item]


@pytest.mark.parametrize("name", re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))
def test_links_lead_somewhere(name: str) -> None:
    assert (ROOT / "docs" / name).exists()
