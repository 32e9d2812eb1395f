import os
from pathlib import Path

import pytest

from generators.contract.errors import RecipeError
from pipelines import hardware, run_recipe


@pytest.mark.parametrize(
    ("stages", "said"),
    [({"until": "selct"}, "--until selct: .* did you mean select"), ({"redo": ["trian/kl"]}, "did you mean train")],
)
def test_run_recipe_names_the_nearest_stage(stages: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        run_recipe("toy", out=tmp_path, **stages)  # type: ignore[arg-type]


def test_run_recipe_lets_waiting_threads_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in hardware.PASSIVE_THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KMP_BLOCKTIME", "7")
    with pytest.raises(RecipeError):
        run_recipe("toy", ["no.such=1"], out=tmp_path)
    assert {name: os.environ[name] for name in hardware.PASSIVE_THREADS} == {
        **hardware.PASSIVE_THREADS,
        "KMP_BLOCKTIME": "7",
    }
