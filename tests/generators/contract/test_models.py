"""Names of the hub that cannot be had are said within seconds."""

import socket
from pathlib import Path

import huggingface_hub.constants
import pytest

from generators.contract import models
from generators.contract.errors import RecipeError
from generators.contract.models import check_hub


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_hub_that_cannot_be_reached_is_said(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(models, "getproxies", dict)
    models._unreachable.cache_clear()
    with pytest.raises(
        RecipeError, match=f"the {kind} 'some/name' is no folder .* http://127.0.0.1:9 cannot be reached"
    ):
        check_hub("some/name", kind)  # type: ignore[arg-type]
    for here in (str(tmp_path), "embedded:teacher"):
        check_hub(here)


def test_a_hub_that_answers_is_asked_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(models, "getproxies", dict)
        check_hub("some/name")
