"""The command `distill init`: a commented recipe from three answers."""

import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from generators.contract.errors import InputError, RecipeError
from generators.contract.intake import read_file
from pipelines.recipe.loading import SHIPPED
from pipelines.recipe.toml import as_toml_value

TEMPLATES = SHIPPED / "init"
MACHINES = {
    "api": "one GPU or none here; the teacher is a server or a hosted API",
    "gpus": "one machine with several GPUs; vLLM runs here",
    "ray": "a Ray cluster",
}
QUESTIONS = {
    "machine": "Where does the teacher run? " + "; ".join(f"{name}: {about}" for name, about in MACHINES.items()),
    "prompts": "Which file has the questions (`question`) and reference answers (`answer`)? .jsonl or .parquet",
    "student": "Which model is trained? A folder or a hub name",
}
COLUMNS = {
    "question": ("question", "problem", "prompt", "instruction", "query", "input"),
    "reference": ("answer", "reference", "gold", "solution", "expected_answer", "target"),
}
DEFAULTS = {"machine": "api", "prompts": "problems.jsonl", "student": "Qwen/Qwen2.5-1.5B"}


def answers_of(machine: str | None, prompts: str | None, student: str | None) -> dict[str, str]:
    """Return the answers given by flags; ask for the others on a terminal, and use the defaults elsewhere."""
    given = {"machine": machine, "prompts": prompts, "student": student}
    return {name: answer or _ask(name) for name, answer in given.items()}


def _ask(name: str) -> str:
    default = DEFAULTS[name]
    if not sys.stdin.isatty():
        return default
    print(QUESTIONS[name])
    answer = input(f"[{default}] ").strip() or default
    if name == "machine" and answer not in MACHINES:
        raise RecipeError(f"{answer!r} is not one of {', '.join(MACHINES)}")
    return answer


def write_recipe(file: Path, answers: Mapping[str, str]) -> None:
    """Write the recipe; raise InputError for an existing file, which is not changed."""
    if file.suffix != ".toml":
        raise InputError(f"{file}: a recipe's name ends in .toml")
    if file.exists():
        raise InputError(f"{file} exists already; name another file")
    text = (TEMPLATES / f"{answers['machine']}.txt").read_text(encoding="utf-8")
    values = {"name": file.stem, **{key: answers[key] for key in ("prompts", "student")}}
    quoted = {key: as_toml_value(value) for key, value in values.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    filled = Template(text).substitute(quoted, fields=as_toml_value(columns_of(Path(answers["prompts"]))))
    file.write_text(filled, encoding="utf-8")


def columns_of(prompts: Path) -> dict[str, str]:
    """Return the columns of question and reference answer: those of the file's first row, or the usual ones."""
    usual = {name: names[0] for name, names in COLUMNS.items()}
    if not prompts.exists():
        return usual
    row = next(iter(read_file(prompts, 1)), {})
    return {name: next((column for column in names if column in row), usual[name]) for name, names in COLUMNS.items()}
