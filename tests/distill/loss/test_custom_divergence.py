"""The example of a custom divergence runs and agrees with the dense computation."""

import runpy
from pathlib import Path

import pytest

from distill.loss.divergences import DIVERGENCES

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/custom_loss/custom_loss.py"


def test_the_example_agrees_with_the_dense_loss(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(DIVERGENCES, "squared_hellinger", DIVERGENCES["forward_kl"])  # removed after the test
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["online", "stored,"]
