"""Commands that list settings, recipes and plug-ins, check this machine and write a recipe (`distill init`)."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli.help import add_command, show, show_table


def add(commands: Any) -> None:
    """Add the commands `init`, `settings`, `recipes`, `plugins` and `doctor`."""
    init = add_command(
        commands,
        "init",
        "write a commented recipe after three questions, or after the flags that answer them",
        (
            "distill init my.toml",
            "distill init my.toml --machine ray --prompts in.jsonl --student Qwen/Qwen2.5-7B",
        ),
    )
    init.add_argument("file", type=Path, help="the recipe to write; an existing file is never overwritten")
    init.add_argument("--machine", choices=("api", "gpus", "ray"), help="where the teacher runs")
    init.add_argument("--prompts", metavar="FILE", help="questions and reference answers: .jsonl or .parquet")
    init.add_argument("--student", metavar="MODEL", help="the model to train: a folder or a hub name")
    init.set_defaults(command=_init)
    settings = add_command(
        commands,
        "settings",
        "print every key of a recipe with type, default and meaning",
        ("distill settings", "distill settings train", "distill settings vllm"),
    )
    settings.add_argument("section", nargs="?", help="a section of the recipe, or an engine; default: all of them")
    settings.set_defaults(command=_settings)
    for name, command, text in (
        ("recipes", _recipes, "list the recipes that come with the toolkit"),
        ("plugins", _plugins, "list verifiers, engines and task families"),
        ("doctor", _doctor, "check the installation and the machine"),
    ):
        add_command(commands, name, text).set_defaults(command=command)


def _init(options: argparse.Namespace) -> None:
    from pipelines.cli.init import answers_of, write_recipe

    answers = answers_of(options.machine, options.prompts, options.student)
    write_recipe(options.file, answers)
    if not Path(answers["prompts"]).exists():
        print(f"there is no file {answers['prompts']} yet: put the questions there, or change prompts.path")
    print(f"wrote {options.file}; next: distill run {options.file} --dry-run")


def _settings(options: argparse.Namespace) -> None:
    from pipelines.cli.settings import settings_text

    print(settings_text(options.section))


def _recipes(options: argparse.Namespace) -> None:
    from pipelines.recipe.loading import SHIPPED, read_toml, shipped

    show_table("recipe", [(name, read_toml(SHIPPED / f"{name}.toml").get("description", "")) for name in shipped()])


def _plugins(options: argparse.Namespace) -> None:
    from generators.contract.plugins import KINDS

    for kind in KINDS:
        show_table(kind.title, list(kind.summaries()))
    show("Your own plug-in takes the place of one of these names: a module's dotted path, or a file such as ./mine.py.")


def _doctor(options: argparse.Namespace) -> None:
    from generators.contract.errors import NeedsAttention
    from pipelines.doctor import diagnose

    rows = diagnose()
    show_table("check", [(what, ("" if fine else "PROBLEM: ") + finding) for what, finding, fine in rows])
    if not all(fine for _, _, fine in rows):
        raise NeedsAttention("something needs attention: the lines with PROBLEM say what")
