"""The shape of the code: which package may import which, where heavy libraries live, how long functions are."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("distill", "generators", "filters", "pipelines")
CONTRACT = "generators.contract."
HOMES = {
    "ray": [f"pipelines/executors/{name}.py" for name in ("__init__", "stream", "fleet")],
    "vllm": ["generators/engines/vllm.py", "distill/models/vllm_forward.py"],  # siblings, each with an engine
}
PUBLIC = {
    "distill": [
        *("Head", "LossOutput", "OnlineTeacher", "RowTargets", "SampledTargets", "StoreMetadata", "StoredTargets"),
        *("TargetStore", "distillation_loss", "target_key"),
    ],
    "filters": ["Item", "Judgement", "Pool", "Verdict", "grade_file", "load_verifier"],
    "generators": ["Engine", "EngineOptions", "Outcome", "SampleRequest", "SamplingConfig"],
    "pipelines": ["Recipe", "load_recipe", "run_recipe"],
}
RIDDLES = ("Of", "What", "Those", "How", "Where", "Whether", "Which", "Who", "Whose")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_FILE, MAX_FUNCTION, MAX_MODULES = 400, 80, 12
PLUGINS = {
    "filters/verifiers": "verify",
    "generators/tasks": "make",
    "generators/engines": "Options",
    "pipelines/export/formats": "parts",
}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_up(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imports_of(path):
        target = name.split(".")[0]
        if target not in PACKAGES or target == package or package == "pipelines":
            continue
        assert package in ("filters", "distill") and name.startswith(CONTRACT), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_have_one_home(path: Path) -> None:
    for name in imports_of(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or str(path.relative_to(ROOT)) in homes, f"{name} belongs in {homes}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, node.name


@pytest.mark.parametrize(
    "module", ["filters.verify", "filters.select", "filters.grade", "pipelines.run", "pipelines.standalone"]
)
def test_light_modules_load_neither_torch_nor_ray(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('torch', 'ray', 'vllm', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'ray', 'polars', 'pydantic'}"
    code = f"import pipelines.cli.main as c, sys; c.parser(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


FOLDERS = sorted({path.parent for path in FILES})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    assert len([file for file in folder.glob("*.py") if file.stem != "__init__"]) <= MAX_MODULES


@pytest.mark.parametrize(("folder", "entry"), PLUGINS.items())
def test_a_plugin_folder_holds_plugins_alone(folder: str, entry: str) -> None:
    modules = [info.name for info in pkgutil.iter_modules([str(ROOT / folder)])]
    assert modules
    for name in modules:
        assert hasattr(importlib.import_module(f"{folder.replace('/', '.')}.{name}"), entry), name


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_these_and_lead_somewhere(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == PUBLIC[package]
    for name in module.__all__:
        assert getattr(module, name).__doc__, f"{package}.{name}"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(module, "nothing")  # noqa: B009 - the attribute is looked up for its error


@pytest.mark.parametrize("package", PACKAGES)
def test_types_travel_with_the_packages(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_open_in_plain_english(path: Path) -> None:
    """No docstring opens with a word that leaves its subject to be guessed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            opening = (ast.get_docstring(node) or "").split(" ")[0].rstrip(",.:")
            assert opening not in RIDDLES, f"{path.name}: {ast.get_docstring(node)!r}"


def test_every_setting_has_a_meaning() -> None:
    """`distill settings` prints a meaning for each key of each section and engine."""
    from pipelines.cli.settings import tables

    mute = [row.key for _, rows in tables(None) for row in rows if not row.about.strip()]
    assert mute == []
