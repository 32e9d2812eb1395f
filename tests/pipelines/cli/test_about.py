"""Commands that tell what there is, and those that help a newcomer begin."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipelines.cli.init import MACHINES
from pipelines.cli.main import main, parse
from pipelines.cli.reference import commands
from pipelines.doctor import EXTRAS, own_version
from pipelines.recipe.loading import load_recipe, read_toml
from pipelines.stages.table import STAGES


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_settings_print_type_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "settings", "train")
    assert "train.alpha" in text and "number = 1.0" in text and "weight of the hard labels; 1 = plain SFT" in text
    assert "options.vllm_args" in said(capsys, "settings", "vllm")
    whole = said(capsys, "settings")
    for section in STAGES:
        assert f"[{section}]" in whole or f"[{section}], source" in whole


def test_plugins_show_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(said(capsys, "plugins").split())
    assert "[judge]" in text and "[logic]" in text
    assert "verifier" in text and "engine" in text and "task family" in text


def test_doctor_names_our_version_and_what_each_extra_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(said(capsys, "doctor").split())
    assert f"distill-toolkit {own_version()}" in text
    for extra in EXTRAS:
        assert f"extra {extra}" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"distill {own_version()}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_scripts_know_every_command(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    text = said(capsys, "completion", shell)
    assert all(name in text for name, _ in commands())


def test_bash_completes_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "distill.bash"
    script.write_text(said(capsys, "completion", "bash"))
    ask = f"source {script}; COMP_WORDS=(distill gra); COMP_CWORD=1; _shtab_distill; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["grade"]


@pytest.mark.parametrize("machine", MACHINES)
def test_init_writes_a_recipe_that_parses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], machine: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "mine.toml", "--machine", machine, "--prompts", "in.jsonl", "--student", "some/model"]) == 0
    assert "distill run mine.toml --dry-run" in capsys.readouterr().out
    text = Path("mine.toml").read_text()
    assert text.count("#") >= 8
    recipe = load_recipe("mine.toml")
    assert recipe.name == "mine" and recipe.train and recipe.train.student == "some/model"


def test_init_without_flags_and_terminal_takes_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", open("/dev/null", encoding="utf-8"))  # noqa: SIM115
    assert main(["init", "mine.toml"]) == 0
    assert tomllib.loads(Path("mine.toml").read_text())["generate"]["engine"] == "openai"


def test_extends_lays_tables_over_those_of_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    Path("base/first.toml").write_text('extends = "toy"\n[train]\ntokens = 1000\n')
    Path("mine.toml").write_text('extends = "base/first.toml"\nname = "mine"\n[train]\nlearning_rate = 2e-4\n')
    recipe = load_recipe("mine.toml")
    assert recipe.train
    assert (recipe.name, recipe.train.tokens, recipe.train.learning_rate) == ("mine", 1000, 2e-4)
    assert recipe.train.student == "embedded:student" and list(recipe.students) == [
        "sft_unfiltered",
        "sft_rejection",
        "kl",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('extends = "mine.toml"', "extends itself"),
        ('extends = "none.toml"', "there is no file"),
        ('extends = "toi"', "did you mean toy?"),
        ("extends = 3", "write one recipe"),
    ],
)
def test_a_base_that_cannot_be_extended_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        read_toml(Path("mine.toml"))


def test_help_of_every_command_has_an_example_of_its_own_that_parses() -> None:
    for name, command in commands():
        lines = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
        assert lines or name in ("recipes", "plugins", "doctor"), name
        if name in STAGES:
            assert all(line.startswith(f"distill {name} ") for line in lines), name


def test_help_shows_defaults() -> None:
    grade = dict(commands())["grade"].format_help()
    assert "(default: math_answer)" in grade and "(default: None)" not in grade


def test_help_imports_nothing_heavy() -> None:
    heavy = "('pydantic', 'polars', 'rich', 'torch', 'ray')"
    code = (
        f"import sys; from pipelines.cli.main import parser; parser(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
