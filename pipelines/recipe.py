"""Recipes: one TOML file, overrides as `key.path=value`, everything resolved and checked before any work.

The one place where strings become settings, plug-ins and paths.
"""

import difflib
import importlib
import pkgutil
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from distill.settings import ScoreConfig, TrainConfig
from filters.select import SelectConfig
from filters.verification.rewards import check_rewards
from filters.verification.verdicts import check_options, load_verifier
from filters.verify import VerifyConfig
from generators.contract.config import Config
from generators.contract.models import model_path
from generators.problems import load_family
from generators.prompts import PromptsConfig, TaskPrompts
from generators.sampling.settings import GenerateConfig, load_teacher
from pipelines.executors import ExecutionConfig
from pipelines.judge.stage import JudgeConfig
from pipelines.stages.corpus import CorpusConfig
from pipelines.stages.evaluate import EvaluateConfig
from pipelines.stages.rewrite import RewriteConfig

SHIPPED = Path(__file__).resolve().parent / "recipes"
PLUGINS = {"verifier": "filters.verifiers", "teacher": "generators.engines", "task family": "generators.tasks"}

JUDGE = "judge"  # the verifier that leaves everything to the model of [judge]

C = TypeVar("C", bound=BaseModel)


class RecipeError(ValueError):
    """A recipe or an override is wrong; the text says which key, which value, and what is accepted."""


class StudentConfig(TrainConfig):
    """One student: `[train]` with this table's keys over it."""

    label: str = Field("", description="its name in tables; the table's key when empty")
    rows: Literal["corpus", "unfiltered"] = Field("corpus", description="what it is trained on")
    seeds: tuple[int, ...] = Field((), description="trained once a seed and averaged; empty: `seed` alone")

    EXECUTION = TrainConfig.EXECUTION | {"label", "seeds"}


class Recipe(Config):
    """A whole run. A section left out leaves out its stage and those that need it."""

    name: str
    description: str = ""
    execution: ExecutionConfig = ExecutionConfig()
    prompts: PromptsConfig
    generate: GenerateConfig
    verify: VerifyConfig = VerifyConfig()
    judge: JudgeConfig | None = None
    select: SelectConfig = SelectConfig()
    rewrite: RewriteConfig | None = None
    corpus: CorpusConfig = CorpusConfig()
    score: ScoreConfig | None = None
    train: StudentConfig | None = None
    students: dict[str, dict[str, Any]] = Field({}, description="name -> keys over [train]; none: one student")
    evaluate: EvaluateConfig | None = None

    def all_students(self) -> dict[str, StudentConfig]:
        """The students to train, in the recipe's order."""
        if self.train is None:
            return {}
        base = self.train.model_dump(exclude_unset=True)
        tables = self.students or {"student": {}}
        return {
            name: parse_config(StudentConfig, {**base, "label": name, **table}, prefix=f"students.{name}.")
            for name, table in tables.items()
        }


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe `name` (shipped, or a path ending in .toml) with `key.path=value` overrides, fully checked."""
    recipe = parse_config(Recipe, replay_from_prompts(with_overrides(read_toml(recipe_path(name)), overrides)))
    check(recipe)
    return recipe


def recipe_path(name: str) -> Path:
    """The file of a recipe."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise RecipeError(f"there is no recipe file {name}")
        return Path(name)
    path = SHIPPED / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(f"there is no recipe {name!r}{_nearest(name, shipped())}; shipped: {', '.join(shipped())}")
    return path


def shipped() -> list[str]:
    """Names of the recipes that come with the toolkit."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's tables; a syntax error names the file and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from None


def with_overrides(tables: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`tables` with each `key.path=value` set; values are TOML, or text where that fails."""
    merged: dict[str, Any] = dict(tables)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise RecipeError(f"{override!r} is not an override; write key.path=value, for example train.alpha=0.5")
        _set(merged, path.split("."), parse_value(text), override)
    return merged


def replay_from_prompts(tables: dict[str, Any]) -> dict[str, Any]:
    """`tables` where a replay teacher without `rows` reads the rows that [prompts] reads: they are named once."""
    generate = tables.get("generate")
    if not isinstance(generate, dict) or generate.get("teacher") != "replay" or "prompts" not in tables:
        return tables
    options = {"rows": tables["prompts"], **generate.get("options", {})}
    return {**tables, "generate": {**generate, "options": options}}


def _set(tables: dict[str, Any], keys: Sequence[str], value: Any, override: str) -> None:
    *parents, last = keys
    for key in parents:
        below = tables.get(key, {})
        if not isinstance(below, dict):
            raise RecipeError(f"{override!r}: {key} is a value ({below!r}), not a table")
        tables[key] = tables = dict(below)
    tables[last] = value


def parse_value(text: str) -> Any:
    """A TOML value (0.5, true, [1, 2], "x"), or the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def parse_config(model: type[C], values: Mapping[str, Any], prefix: str = "") -> C:
    """`values` as `model`; RecipeError says every wrong key in a sentence of its own."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise RecipeError("\n".join(_sentence(item, model, prefix) for item in error.errors())) from None


def _sentence(item: Mapping[str, Any], model: type[BaseModel], prefix: str) -> str:
    known = list(known_keys(model))
    key = _without_tags([str(part) for part in item["loc"]], known)
    if item["type"] == "extra_forbidden":
        siblings = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]] or known
        accepted = (
            "" if (hint := _nearest(key, siblings) or _nearest(key, known)) else f"; known here: {', '.join(siblings)}"
        )
        return f"unknown key {prefix}{key}{hint}{accepted}"
    if item["type"] == "missing":
        return f"the key {prefix}{key} is missing: {_description(model, key)}"
    return f"{prefix}{key} = {item['input']!r}: {item['msg'].removeprefix('Value error, ')}"


def _without_tags(loc: list[str], known: Sequence[str]) -> str:
    """A pydantic location without the discriminator tags of unions, which are no keys of the recipe."""
    key = ""
    prefixes = {".".join(k.split(".")[: i + 1]) for k in known for i in range(len(k.split(".")))}
    for i, part in enumerate(loc):
        longer = f"{key}.{part}" if key else part
        last = i == len(loc) - 1
        if longer in prefixes or last or key not in prefixes:
            key = longer
    return key


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key a config accepts."""
    for name, field in model.model_fields.items():
        nested = list(_models_in(field.annotation))
        yield prefix + name
        for inner in nested:
            yield from known_keys(inner, f"{prefix}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            yield from _models_in(argument)


def _description(model: type[BaseModel], key: str) -> str:
    for part in key.split("."):
        field = model.model_fields.get(part)
        inner = next(_models_in(field.annotation), None) if field else None
        if field and inner is None:
            return field.description or "it has no default"
        model = inner or model
    return "it has no default"


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def check(recipe: Recipe) -> None:
    """What no single section can see: plug-ins exist, sections fit each other, temperatures are on the grid."""
    for teacher in recipe.generate.each():
        _resolves("generate.teacher", partial(load_teacher, teacher.teacher, teacher.options))
        _resolves("generate.truncated", teacher.check_truncated)
        _resolves("generate.adaptive", teacher.check_adaptive)
        _resolves("generate.examples", teacher.asking)
    check_judge(recipe)
    if recipe.rewrite:
        _resolves("rewrite.teacher", partial(load_teacher, recipe.rewrite.teacher, recipe.rewrite.options))
        _resolves("rewrite.teacher", recipe.rewrite.generation().check_adaptive)
    if recipe.evaluate:
        _resolves("evaluate.engine", partial(load_teacher, recipe.evaluate.engine, recipe.evaluate.options))
    for section, prompts in _prompts(recipe).items():
        if prompts.verifier:
            _resolves(f"{section}.verifier", partial(load_verifier, prompts.verifier))
        for family in prompts.families if isinstance(prompts, TaskPrompts) else ():
            _resolves(f"{section}.families", partial(load_family, family))
    for name, options in recipe.verify.options.items():
        _resolves(f"verify.options.{name}", partial(check_options, name, options))
    named = [prompts.verifier for prompts in _prompts(recipe).values() if prompts.verifier]
    _resolves("verify.rewards", partial(check_rewards, recipe.verify.rewards, named, recipe.verify.options))
    for key, model in _models(recipe):
        _resolves(key, partial(model_path, model))
    check_captures(recipe)
    if recipe.students and recipe.train is None:
        raise RecipeError("[students] needs a [train] section, whose keys the students share")
    for name, student in recipe.all_students().items():
        check_student(recipe, name, student)


def check_judge(recipe: Recipe) -> None:
    """The judge can be asked, and nothing that knows rules alone is handed prompts that only it can judge."""
    if recipe.judge:
        _resolves("judge.teacher", recipe.judge.check_teacher)
        for name in recipe.judge.verifiers:
            _resolves("judge.verifiers", partial(load_verifier, name))
    if recipe.evaluate and recipe.evaluate.prompts.verifier == JUDGE:
        raise RecipeError(f'evaluate.prompts.verifier = "{JUDGE}": problems are scored by rules; name one')
    if recipe.prompts.verifier != JUDGE:
        return
    if not recipe.judge:
        raise RecipeError(f'prompts.verifier = "{JUDGE}" needs a [judge] section that says which model judges')
    for key, rules_alone in (("rewrite", recipe.rewrite), ("generate.adaptive", recipe.generate.is_adaptive())):
        if rules_alone:
            raise RecipeError(f'{key} asks rules for verdicts, and prompts.verifier = "{JUDGE}" leaves none to them')


def check_files(recipe: Recipe) -> None:
    """Every file that a stage will read is there: the last stage's as well, before the first one starts."""
    files = [(f"{section}.path", file) for section, prompts in _prompts(recipe).items() for file in prompts.files()]
    files += [("generate.examples", Path(one.examples)) for one in recipe.generate.each() if one.examples]
    files += [("corpus.other", Path(other.path)) for other in recipe.corpus.other]
    for key, file in files:
        if not file.exists():
            raise RecipeError(f"{key}: there is no file {file}")


def _prompts(recipe: Recipe) -> dict[str, PromptsConfig]:
    exams = {"evaluate.prompts": recipe.evaluate.prompts} if recipe.evaluate else {}
    return {"prompts": recipe.prompts, **exams}


def _models(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(key, name) of every model that a stage will load."""
    yield from (("generate.model", model) for model in recipe.generate.models())
    if recipe.judge:
        yield from (("judge.model", model) for model in recipe.judge.generation().models())
    if recipe.rewrite:
        yield from (("rewrite.model", model) for model in recipe.rewrite.generation().models())
    if recipe.score:
        yield "score.teacher", recipe.score.teacher
    for name, student in recipe.all_students().items():
        yield f"students.{name}.student", student.student
        if student.teacher:
            yield f"students.{name}.teacher", student.teacher


def check_captures(recipe: Recipe) -> None:
    """What is captured while sampling can be used by [score]."""
    width = recipe.generate.captures()
    if not width:
        return
    key = "generate.options.capture_top_k"
    if recipe.score is None:
        raise RecipeError(f"{key} = {width} needs a [score] section, which takes over what is captured")
    if recipe.score.teacher not in recipe.generate.models():
        raise RecipeError(f"{key} = {width}: score.teacher {recipe.score.teacher!r} is not the model that samples")
    if recipe.score.top_k > width:
        raise RecipeError(f"{key} = {width}: score.top_k = {recipe.score.top_k} tokens are more than are captured")
    _resolves("score", recipe.score.check_captures)


def check_student(recipe: Recipe, name: str, student: StudentConfig) -> None:
    if student.rows == "unfiltered" and not recipe.corpus.unfiltered:
        raise RecipeError(f'students.{name}.rows = "unfiltered" needs corpus.unfiltered = true')
    if student.soft_targets == "stored":
        if recipe.score is None:
            raise RecipeError(f'students.{name}.soft_targets = "stored" needs a [score] section')
        if student.temperature not in recipe.score.temperatures:
            grid = ", ".join(map(str, recipe.score.temperatures))
            raise RecipeError(
                f"students.{name}.temperature = {student.temperature} is not in score.temperatures ({grid}); add it"
            )


def _resolves(key: str, load: Callable[[], object]) -> None:
    try:
        load()
    except ValueError as error:
        raise RecipeError(f"{key}: {error}") from None


def plugins() -> dict[str, list[tuple[str, str]]]:
    """Kind -> (name, first line of its docstring) of the plug-ins that come with the toolkit."""
    return {kind: list(_modules(package)) for kind, package in PLUGINS.items()}


def _modules(package: str) -> Iterator[tuple[str, str]]:
    folder = Path(importlib.import_module(package).__path__[0])
    for info in pkgutil.iter_modules([str(folder)]):
        file = folder / info.name / "__init__.py" if info.ispkg else folder / f"{info.name}.py"
        yield info.name, file.read_text(encoding="utf-8").lstrip('"').partition("\n")[0].rstrip('".')
