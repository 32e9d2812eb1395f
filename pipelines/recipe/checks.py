"""Checks of a whole recipe before any work: everything it names exists, and its sections fit together."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from filters.verification.rewards import check_rewards
from filters.verification.verdicts import check_options, load_verifier
from generators.contract.config import Config, Mark, Named
from generators.contract.errors import AskedWrongly, RecipeError
from generators.contract.models import check_hub, model_path
from generators.problems import load_family
from generators.prompt_settings import DatasetPrompts, PromptsConfig, TaskPrompts
from generators.sampling.settings import GenerateConfig
from pipelines.recipe.schema import Recipe, Sections, StudentConfig, parse_config
from pipelines.stages.table import STAGES

JUDGE = "judge"  # the verifier that leaves all verdicts to the model of [judge]


def check(recipe: Recipe) -> None:
    """Check the recipe across its sections; RecipeError names the first wrong key."""
    check_engines(recipe)
    check_prompts(recipe)
    check_named(recipe)
    check_judge(recipe)
    check_sampled_logprobs(recipe)
    if recipe.students and recipe.train is None:
        raise RecipeError("[students] needs a [train] section, whose keys the students share")
    if recipe.evaluate and recipe.evaluate.prompts is None:
        raise RecipeError("the key evaluate.prompts is missing: the problems that models are evaluated on")
    for name, student in recipe.all_students().items():
        check_student(recipe, name, student)


def check_engines(sections: Sections) -> None:
    """Check that each engine exists, accepts its options and supports what its section needs."""
    if sections.generate:
        for key, table in zip(("", *sections.generate.models), sections.generate.tables(), strict=True):
            prefix = f"generate.models.{key}" if key else "generate"
            config = parse_config(GenerateConfig, table, f"{prefix}.")
            _resolves(f"{prefix}.engine", config.loaded)
            _resolves(f"{prefix}.truncated", config.check_truncated)
            _resolves(f"{prefix}.adaptive", config.check_adaptive)
            _resolves(f"{prefix}.examples", config.asking)
    for section, role in (("judge", "a judge"), ("rewrite", "a rewriting model"), ("evaluate", "an evaluated model")):
        sampler = getattr(sections, section)
        if sampler:
            _resolves(f"{section}.engine", partial(sampler.check_samples, role))


def check_named(sections: Sections) -> None:
    """Check that every model folder, verifier and device that a section names exists."""
    for one in named(sections):
        check_one(one, sections)


def check_one(one: Named, sections: Sections) -> None:
    """Check one value that names a model, a verifier or a device."""
    if one.mark is Mark.MODEL:
        _resolves(one.key, partial(model_path, one.value))
    elif one.mark is Mark.VERIFIER:
        _resolves(one.key, partial(load_verifier, one.value))
    elif one.mark is Mark.DEVICE and sections.execution.executor == "local":
        check_device(one)


def named(sections: Sections) -> Iterator[Named]:
    """Yield the models, files, devices and verifiers that the sections and students name."""
    for section in STAGES:
        config: Config | None = getattr(sections, section)
        if config is not None:
            yield from config.named(f"{section}.")
    for name, student in sections.all_students().items() if sections.students else ():
        yield from student.named(f"students.{name}.")


def check_device(device: Named) -> None:
    """Raise a RecipeError for a CUDA device that this machine does not have."""
    kind, _, number = device.value.partition(":")
    if kind != "cuda":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count <= int(number or 0):
        have = f"it has {count}: cuda:0 to cuda:{count - 1}" if count else "it has none; use auto or cpu"
        raise RecipeError(f"{device.key} = {device.value!r}: this machine has no such CUDA device; {have}")


def check_files(sections: Sections) -> None:
    """Check that the files of all stages, the last ones included, exist before the first stage starts."""
    for one in named(sections):
        if one.mark is Mark.FILE and not Path(one.value).exists():
            raise RecipeError(f"{one.key}: there is no file {one.value}")


def check_hub_names(sections: Sections) -> None:
    """Check that models and datasets of the hub can be had; on a cluster its workers may reach more than this machine.

    Separate from the other checks because a recipe may be checked where there is no network. What a user's own engine
    calls its model need not be a name on the hub.
    """
    if sections.execution.executor != "local":
        return
    found = list(named(sections))
    own = {f"{one.key.removesuffix('engine')}model" for one in found if one.key.endswith(".engine")}
    for one in found:
        if one.mark is Mark.MODEL and one.key not in own:
            _resolves(one.key, partial(check_hub, one.value))
    evaluated = sections.evaluate.prompts if sections.evaluate else None
    for key, prompts in (("prompts", sections.prompts), ("evaluate.prompts", evaluated)):
        if isinstance(prompts, DatasetPrompts):
            _resolves(f"{key}.path", partial(check_hub, prompts.path, "dataset"))


def check_prompts(recipe: Recipe) -> None:
    """Check task families, the verifiers' options and the parts of the score."""
    sources = _prompts(recipe)
    for section, prompts in sources.items():
        for family in prompts.families if isinstance(prompts, TaskPrompts) else ():
            _resolves(f"{section}.families", partial(load_family, family))
    for name, options in recipe.verify.options.items():
        _resolves(f"verify.options.{name}", partial(check_options, name, options))
    verifiers = [prompts.verifier for prompts in sources.values() if prompts.verifier]
    _resolves("verify.rewards", partial(check_rewards, recipe.verify.rewards, verifiers, recipe.verify.options))


def check_judge(recipe: Recipe) -> None:
    """Check that prompts for the judge alone meet no section that verifies by rules alone."""
    for name in recipe.judge.verifiers if recipe.judge else ():
        _resolves("judge.verifiers", partial(load_verifier, name))
    if recipe.evaluate and recipe.evaluate.prompts and recipe.evaluate.prompts.verifier == JUDGE:
        raise RecipeError(f'evaluate.prompts.verifier = "{JUDGE}": problems are scored by rules; name one')
    if recipe.prompts.verifier != JUDGE:
        return
    if not recipe.judge:
        raise RecipeError(f'prompts.verifier = "{JUDGE}" needs a [judge] section that says which model judges')
    for key, rules_alone in (("rewrite", recipe.rewrite), ("generate.adaptive", recipe.generate.is_adaptive())):
        if rules_alone:
            raise RecipeError(f'{key} asks rules for verdicts, and prompts.verifier = "{JUDGE}" leaves none to them')


def _prompts(recipe: Recipe) -> dict[str, PromptsConfig]:
    exams = recipe.evaluate.prompts if recipe.evaluate else None
    return {"prompts": recipe.prompts, **({"evaluate.prompts": exams} if exams else {})}


def check_sampled_logprobs(recipe: Recipe) -> None:
    """Check that [score] can use the log-probabilities that are stored while sampling."""
    width = recipe.generate.sampled_logprobs()
    if not width:
        return
    key = f"generate.options.sampled_logprobs = {width}"
    if recipe.score is None:
        raise RecipeError(f"{key} needs a [score] section, which takes the log-probabilities over")
    if recipe.score.teacher not in recipe.generate.model_names():
        raise RecipeError(f"{key}: score.teacher {recipe.score.teacher!r} is not the model that samples")
    if recipe.score.top_k > width:
        raise RecipeError(f"{key}: score.top_k = {recipe.score.top_k} tokens are more than are kept")
    _resolves("score", recipe.score.check_sampled_logprobs)


def check_student(recipe: Recipe, name: str, student: StudentConfig) -> None:
    """Check that the run produces the rows and soft targets that a student is trained on."""
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
    """Call `load`; its error gains the name of the key."""
    try:
        load()
    except AskedWrongly as error:
        raise type(error)(f"{key}: {error}") from None
    except ValueError as error:
        raise RecipeError(f"{key}: {error}") from None
