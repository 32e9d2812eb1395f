"""Broken plug-ins of every kind: one sentence that names the plug-in and the cause."""

import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from generators.contract import plugins
from generators.contract.engine import load_engine
from generators.contract.errors import PluginError, RecipeError
from generators.contract.plugins import ENGINE, KINDS, TASK_FAMILY, VERIFIER, PluginKind, load_plugin

GOOD = {
    VERIFIER: "def verify(item):\n    return item\n",
    ENGINE: (
        "from generators.contract.engine import EngineOptions\n"
        "class Options(EngineOptions):\n    pass\n"
        "def build(model, sampling, options):\n    return None\n"
    ),
    TASK_FAMILY: "def make(rng, level):\n    return None\n",
}
NEEDED = {
    VERIFIER: "function verify(item)",
    ENGINE: "class Options(EngineOptions)",
    TASK_FAMILY: "function make(rng, level)",
}
NEAR = {VERIFIER: ("math_anwser", "math_answer"), ENGINE: ("vlm", "vllm"), TASK_FAMILY: ("arithmetics", "arithmetic")}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; imported modules and changes of the import path are undone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(plugins, "FOREIGN", {})
    return tmp_path


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def refusal(kind: PluginKind, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        load_plugin(kind, name)
    said = str(caught.value)
    assert repr(name) in said and kind.title in said and "\n" not in said
    return said


@every_kind
def test_an_unknown_name_gets_the_nearest_one(kind: PluginKind) -> None:
    wrong, right = NEAR[kind]
    said = refusal(kind, wrong)
    assert said.startswith(f"there is no {kind.title} {wrong!r}: did you mean {right!r}? shipped are ")
    assert f"did you mean {right!r}?" in refusal(kind, f"{kind.package}.{wrong}")
    assert "did you mean" not in refusal(kind, "zzzz")


@every_kind
@pytest.mark.parametrize(
    ("files", "name", "sentence"),
    [
        ({}, "nobody.knows", r"there is no {kind} 'nobody\.knows'.* \(no module 'nobody' was found\)$"),
        ({"mine/__init__.py": ""}, "mine.even", r"there is no .* \(the package 'mine' has no module 'even'\)$"),
        ({}, "no such name", "there is no {kind} 'no such name'"),
        ({}, "./even.py", r"the {kind} '\./even\.py': .*/even\.py does not exist$"),
        ({"even/x.txt": ""}, "./even", r"the {kind} '\./even': .*/even is a folder; write the path of a \.py file$"),
        ({"even.txt": ""}, "./even.txt", r"the {kind} '\./even\.txt': .* is no Python file; write the path of"),
        ({"even/x.txt": ""}, "even", "the {kind} 'even': the module even has no {needed}$"),
        ({"even.py": ""}, "even", r"the {kind} 'even': the module .*/even\.py has no {needed}$"),
        ({"even.py": "x = (\n"}, "even", r"the {kind} 'even': .*/even\.py, line 1 is not valid Python: '\(' was"),
        ({"even.py": "x = (\n"}, "./even.py", r"the {kind} '\./even\.py': .*/even\.py, line 1 is not valid Python: "),
        ({"even.py": "import absent.deep\n"}, "even", "the {kind} 'even' imports the module 'absent', which is not"),
        ({"even.py": "import absent\n"}, "./even.py", r"the {kind} '\./even\.py' imports the module 'absent', which"),
        ({"foo_helpers/x.py": "import foo\n"}, "foo_helpers.x", r"the .* 'foo_helpers\.x' imports the module 'foo'"),
        ({"mine/x.py": "import mine.y\n"}, "mine.x", r"the {kind} 'mine\.x' imports the module 'mine\.y', which"),
        (
            {"even.py": "from json import absent\n"},
            "even",
            "the {kind} 'even' cannot be imported: cannot import name 'absent' from 'json'",
        ),
    ],
)  # fmt: skip
def test_a_plug_in_that_cannot_be_loaded_is_one_sentence(
    kind: PluginKind, files: dict[str, str], name: str, sentence: str, folder: Path
) -> None:
    write(folder, files)
    pattern = sentence.replace("{kind}", kind.title).replace("{needed}", re.escape(NEEDED[kind]))
    assert re.match(pattern, said := refusal(kind, name)), said


@every_kind
@pytest.mark.parametrize("name", ["even", "./even.py", "mine.even"])
def test_a_plug_in_is_found_in_the_working_folder_and_imports_its_neighbors(
    kind: PluginKind, name: str, folder: Path
) -> None:
    text = "import neighbor\n" + GOOD[kind]
    write(folder, {"even.py": text, "mine/even.py": text, "neighbor.py": ""})
    module = load_plugin(kind, name)
    assert module is load_plugin(kind, name)
    assert {name: Path(module.__file__ or "")} == plugins.FOREIGN
    assert plugins.plugin_files() == [folder.resolve() / ("mine/even.py" if name == "mine.even" else "even.py")]


@every_kind
def test_a_file_does_not_replace_a_module_of_its_name(kind: PluginKind, folder: Path) -> None:
    import random

    write(folder, {"random.py": GOOD[kind]})
    assert load_plugin(kind, "./random.py") is not random
    assert sys.modules["random"] is random


@every_kind
@pytest.mark.parametrize("name", ["even", "./even.py", "mine.even"])
def test_an_exception_at_import_keeps_its_traceback_and_names_the_plug_in(
    kind: PluginKind, name: str, folder: Path
) -> None:
    text = "def fail():\n    raise KeyError('no table')\nfail()\n"
    write(folder, {"even.py": text, "mine/even.py": text})
    with pytest.raises(KeyError, match="no table") as caught:
        load_plugin(kind, name)
    assert caught.value.__notes__ == [f"raised while the {kind.title} {name!r} was imported"]
    assert traceback.extract_tb(caught.tb)[-1].name == "fail"
    with pytest.raises(KeyError):  # a failed import leaves no half of a module behind
        load_plugin(kind, name)


@pytest.mark.parametrize(("old", "new"), ENGINE.renamed)
def test_an_old_name_of_an_engine_is_answered_with_the_new_one(old: str, new: str) -> None:
    assert refusal(ENGINE, old) == f"the engine {old!r} is now called {new!r}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class Options: pass\n", "its Options must be a class that inherits from generators.contract.engine.EngineOp"),
        (
            "from generators.contract.config import Config\nclass Options(Config): pass\n",
            "its Options must be a class ",
        ),
        ("Options = 3\n", "its Options must be a class that inherits from .*; it is 3$"),
    ],
)
def test_options_of_a_wrong_base_are_refused(text: str, sentence: str, folder: Path) -> None:
    write(folder, {"even.py": text + "def build(model, sampling, options): pass\n"})
    with pytest.raises(PluginError, match=f"^the engine 'even': {sentence}"):
        load_engine("even", {})


def test_an_engine_without_build_or_import_traces_is_refused(folder: Path) -> None:
    write(folder, {"even.py": "class Options: pass\n"})
    assert refusal(ENGINE, "even").endswith("even.py has no function build(model, sampling, options)")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"slot": 8},
            "the engine transformers: no option slot; its options are chat_template_kwargs, slots, device, dtype",
        ),
        ({"slots": 0}, "the engine transformers: option slots = 0: it must be greater than or equal to 1; its"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(RecipeError, match=f"^{sentence}"):
        load_engine("transformers", options)


@pytest.mark.parametrize(("old", "new"), [("engine", "vllm_args"), ("capture_top_k", "sampled_logprobs")])
def test_an_old_name_of_an_option_is_answered_with_the_new_one(old: str, new: str) -> None:
    with pytest.raises(RecipeError, match=rf"no option {old} \(it is now called {new}\)"):
        load_engine("vllm", {old: 1})
