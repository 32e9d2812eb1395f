"""What a recipe may hold: its sections, whole or in part, and its students."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from distill.settings import ScoreConfig, TrainConfig
from filters.select import SelectConfig
from filters.verify import VerifyConfig
from generators.contract.config import Config
from generators.contract.errors import RecipeError
from generators.prompts import PromptsConfig
from generators.sampling.settings import GenerateConfig
from pipelines.executors import ExecutionConfig
from pipelines.judge.stage import JudgeConfig
from pipelines.recipe.keys import known_keys, sentence
from pipelines.stages.corpus import CorpusConfig
from pipelines.stages.evaluate import EvaluateConfig
from pipelines.stages.rewrite import RewriteConfig

C = TypeVar("C", bound=BaseModel)


class StudentConfig(TrainConfig):
    """One student: `[train]` with this table's keys over it."""

    label: str = Field("", description="its name in tables; the table's key when empty")
    rows: Literal["corpus", "unfiltered"] = Field("corpus", description="what it is trained on")
    seeds: tuple[int, ...] = Field((), description="trained once a seed and averaged; empty: `seed` alone")

    EXECUTION = TrainConfig.EXECUTION | {"label", "seeds"}


class Sections(Config):
    """What a recipe may hold; a stage by itself takes the sections it needs and no others."""

    name: str = Field("run", description="of the run, and of its folder below runs/")
    description: str = Field("", description="what the run is for, in one line")
    execution: ExecutionConfig = Field(ExecutionConfig(), description="where the work is done; changes no result")
    prompts: PromptsConfig | None = Field(None, description="where the questions come from")
    generate: GenerateConfig | None = Field(None, description="the model that samples traces, and how it is asked")
    verify: VerifyConfig = Field(VerifyConfig(), description="how traces are judged by rules")
    judge: JudgeConfig | None = Field(None, description="a model that looks at what the rules refused")
    select: SelectConfig = Field(SelectConfig(), description="which correct traces are kept")
    rewrite: RewriteConfig | None = Field(None, description="a model that puts kept traces into readable form")
    corpus: CorpusConfig = Field(CorpusConfig(), description="how the corpus is mixed and split")
    score: ScoreConfig | None = Field(None, description="the teacher's soft targets")
    train: StudentConfig | None = Field(None, description="the students' common settings")
    students: dict[str, dict[str, Any]] = Field({}, description="name -> keys over [train]; none: one student")
    evaluate: EvaluateConfig | None = Field(None, description="how models are measured")

    def all_students(self) -> dict[str, StudentConfig]:
        """Return the students to train, in the recipe's order; a wrong key is named where it was written."""
        if self.train is None:
            return {}
        base = self.train.model_dump(exclude_unset=True)
        if not self.students:
            return {"student": self.train}
        return {
            name: parse_config(StudentConfig, base | table, prefix=f"students.{name}.")
            for name, table in self.students.items()
        }

    def labels(self) -> dict[str, str]:
        """Return the name that tables show for each evaluated model."""
        trained = {name: student.label or name for name, student in self.all_students().items()}
        return {"teacher": "teacher", "start": "student before", **trained}


class Recipe(Sections):
    """A whole run. A section left out leaves out its stage and those that need it."""

    name: str = Field(description="of the run, and of its folder below runs/")
    prompts: PromptsConfig = Field(description="where the questions come from")
    generate: GenerateConfig = Field(description="the model that samples traces, and how it is asked")


def parse_config(model: type[C], values: Mapping[str, Any], prefix: str = "") -> C:
    """Return `values` as `model`; RecipeError says every wrong key in a sentence of its own."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        known = list(known_keys(model))
        raise RecipeError("\n".join(sentence(item, model, known, prefix) for item in error.errors())) from None
