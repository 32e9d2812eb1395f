"""The schema of a recipe: its sections and its students."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from distill.settings import ScoreConfig, TrainConfig
from filters.select import SelectConfig
from filters.verify import VerifyConfig
from generators.contract.config import Config
from generators.contract.errors import RecipeError
from generators.prompt_settings import PromptsConfig
from generators.sampling.settings import GenerateConfig
from pipelines.executors import ExecutionConfig
from pipelines.judge.stage import JudgeConfig
from pipelines.recipe.keys import known_keys, sentences
from pipelines.stages.corpus import CorpusConfig
from pipelines.stages.evaluate import EvaluateConfig
from pipelines.stages.rewrite import RewriteConfig

C = TypeVar("C", bound=BaseModel)


class StudentConfig(TrainConfig):
    """Settings of one student: those of `[train]`, overridden by the keys of its table."""

    label: str = Field("", description="name in the report's tables; empty: the table's key")
    rows: Literal["corpus", "unfiltered"] = Field("corpus", description="rows that the student is trained on")
    seeds: tuple[int, ...] = Field((), description="one training per seed, with averaged scores; empty: `seed` alone")

    EXECUTION = TrainConfig.EXECUTION | {"label", "seeds"}


class Sections(Config):
    """All sections of a recipe; a single stage needs only some of them."""

    name: str = Field("run", description="name of the run, and of its folder below runs/")
    description: str = Field("", description="purpose of the run, in one line")
    execution: ExecutionConfig = Field(ExecutionConfig(), description="where the work runs; changes no result")
    prompts: PromptsConfig | None = Field(None, description="where the questions come from")
    generate: GenerateConfig | None = Field(None, description="the model that samples traces, and how it is asked")
    verify: VerifyConfig = Field(VerifyConfig(), description="how rules verify the traces")
    judge: JudgeConfig | None = Field(None, description="a model that judges what the rules refused")
    select: SelectConfig = Field(SelectConfig(), description="which correct traces are kept")
    rewrite: RewriteConfig | None = Field(None, description="a model that rewrites kept traces into readable form")
    corpus: CorpusConfig = Field(CorpusConfig(), description="how the corpus is mixed and split")
    score: ScoreConfig | None = Field(None, description="the teacher's soft targets")
    train: StudentConfig | None = Field(None, description="the students' common settings")
    students: dict[str, dict[str, Any]] = Field(
        {}, description="tables of keys that override [train], by name; none: one student"
    )
    evaluate: EvaluateConfig | None = Field(None, description="how models are measured")

    def all_students(self) -> dict[str, StudentConfig]:
        """Return the students to train, in the recipe's order; an error names a wrong key as the recipe writes it."""
        if self.train is None:
            return {}
        base = self.train.model_dump(exclude_unset=True)
        if not self.students:
            return {"student": self.train}
        return {
            name: parse_config(StudentConfig, base | table, prefix=f"students.{name}.")
            for name, table in self.students.items()
        }


class Recipe(Sections):
    """The recipe of a whole run; a missing section leaves out its stage and the stages that need it."""

    name: str = Field(description="name of the run, and of its folder below runs/")
    prompts: PromptsConfig = Field(description="where the questions come from")
    generate: GenerateConfig = Field(description="the model that samples traces, and how it is asked")


def parse_config(model: type[C], values: Mapping[str, Any], prefix: str = "") -> C:
    """Return `values` as `model`; RecipeError has one sentence for each wrong key."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        known = list(known_keys(model))
        raise RecipeError("\n".join(sentences(error.errors(), model, known, prefix))) from None
