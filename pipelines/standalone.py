"""One stage by itself, on paths: the same functions, manifests and resuming as in a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.settings import ScoreConfig, TrainConfig
from filters.select import SelectConfig, select
from filters.verify import VerifyConfig, verify
from generators.contract.config import Config
from generators.contract.stage_protocol import StageCounts
from generators.generate import generate
from generators.prompts import PromptsConfig, prompts
from generators.sampling.settings import GenerateConfig
from pipelines.executors import ExecutionConfig
from pipelines.judge.stage import JudgeConfig, judge
from pipelines.live_verifier import Judging
from pipelines.recipe import RecipeError, parse_config, read_toml, recipe_path, with_overrides
from pipelines.session import Session, open_session
from pipelines.stages.corpus import CorpusConfig, corpus
from pipelines.stages.evaluate import EvaluateConfig, evaluate
from pipelines.stages.rewrite import RewriteConfig, rewrite

LIGHT: dict[str, Callable[..., StageCounts]] = {
    "prompts": prompts,
    "generate": generate,
    "verify": verify,
    "judge": judge,
    "select": select,
    "rewrite": rewrite,
    "corpus": corpus,
    "evaluate": evaluate,
}


def stage_function(stage: str) -> Callable[..., StageCounts]:
    """The function of a stage; torch is loaded for those alone that cannot do without."""
    if stage == "score":
        from distill.score import score

        return score
    if stage == "train":
        from distill.train import train

        return train
    return LIGHT[stage]


class Sections(Config):
    """The sections a stage by itself can be given."""

    execution: ExecutionConfig = ExecutionConfig()
    prompts: PromptsConfig | None = None
    generate: GenerateConfig | None = None
    verify: VerifyConfig = VerifyConfig()
    judge: JudgeConfig | None = None
    select: SelectConfig | None = None
    rewrite: RewriteConfig | None = None
    corpus: CorpusConfig | None = None
    score: ScoreConfig | None = None
    train: TrainConfig | None = None
    evaluate: EvaluateConfig | None = None


def run_stage(
    stage: str,
    inputs: Mapping[str, Path | list[Path] | None],
    out: Path,
    overrides: Sequence[str],
    *,
    recipe: str | None,
    model: str | None,
    say: Callable[[str], None],
) -> None:
    """Run `stage` into `out`. Settings: the recipe's section (or the defaults) with overrides, whose
    keys need not repeat the section's name."""
    sections = read_sections(stage, recipe, overrides)
    config = getattr(sections, stage)
    _check_inputs(inputs)
    with open_session(out, {stage: config.model_dump(mode="json")}, sections.execution, say=say) as session:
        session.runner.folder = out.parent
        _call(stage, session, out.name, config, inputs, sections, model)


def read_sections(stage: str, recipe: str | None, overrides: Sequence[str]) -> Sections:
    """The settings of one stage."""
    tables = read_toml(recipe_path(recipe)) if recipe else {}
    known = Sections.model_fields
    tables = {key: value for key, value in tables.items() if key in known} | {stage: tables.get(stage, {})}
    full = [
        text if text.partition(".")[0] in ("execution", "verify", stage) else f"{stage}.{text}" for text in overrides
    ]
    return parse_config(Sections, with_overrides(tables, full))


def _check_inputs(inputs: Mapping[str, Path | list[Path] | None]) -> None:
    for option, value in inputs.items():
        for path in value if isinstance(value, list) else [value]:
            if path is not None and not path.exists():
                raise FileNotFoundError(f"--{option}: there is no {path}")


def _call(
    stage: str,
    session: Session,
    name: str,
    config: Any,
    inputs: Mapping[str, Path | list[Path] | None],
    sections: Sections,
    model: str | None,
) -> None:
    more: dict[str, Any] = {}
    models: list[str] = []
    files: list[Path] = []
    if stage in ("verify", "rewrite", "evaluate"):
        more["workers"] = sections.execution.verify_workers
    if stage == "evaluate":
        assert model
        more |= {"verifying": sections.verify, "model": model, "facts": {"name": name, "label": model}}
        models = [model]
    elif isinstance(config, GenerateConfig):
        models, files = config.models(), config.files()
        if config.is_adaptive():
            more["judge"] = Judging(verify=sections.verify, workers=sections.execution.verify_workers)
    elif isinstance(config, RewriteConfig | JudgeConfig):
        more["verifying"] = sections.verify
        models, files = config.generation().models(), config.generation().files()
    elif stage == "prompts":
        files = config.files()
    elif isinstance(config, ScoreConfig):
        models = [config.teacher]
    elif isinstance(config, TrainConfig):
        models = [m for m in (config.student, config.teacher) if m]
    session.stage(name, stage_function(stage), config, inputs, models=models, files=files, **more)


__all__ = ["RecipeError", "read_sections", "run_stage"]
