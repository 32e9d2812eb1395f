"""The table of stages: the name, purpose, inputs and further arguments of each stage.

A run, the commands of single stages, their arguments and help, `--until` and the order of the report all read this
table. It imports nothing heavy: a stage's function and settings are loaded on first use.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Input:
    """A file or folder that a stage reads."""

    about: str
    made: tuple[str, ...]  # its places in a run; the first one whose stage the run has is used
    several: bool = False  # True: all of these places are used together
    optional: bool = False


Hands = Callable[[Any, Any], dict[str, Any]]  # (the stage's settings, all sections) -> further arguments


def _nothing(config: Any, sections: Any) -> dict[str, Any]:
    return {}


def _verifying(config: Any, sections: Any) -> dict[str, Any]:
    return {"verifying": sections.verify}


def _asking(config: Any, sections: Any) -> dict[str, Any]:
    """Return the evaluation's problems, which no training prompt may repeat, and whether completions are imported."""
    return {
        "evaluation": sections.evaluate.prompts if sections.evaluate else None,
        "imported": sections.generate is not None and sections.generate.loaded().imports_traces,
    }


def _live_verifier(config: Any, sections: Any) -> dict[str, Any]:
    """Return the live verifier that adaptive sampling needs; other sampling does not depend on [verify]."""
    if not config.is_adaptive():
        return {}
    from pipelines.live_verifier import LiveVerifier

    return {"live_verifier": LiveVerifier(verify=sections.verify, workers=sections.execution.verify_workers)}


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline.

    function, settings: "module:name", imported on first use because torch takes seconds. inputs: parameter -> input.
    hands: further arguments of the function; every Config among them decides the result, as the stage's own settings
    do. Models and files outside the recipe that decide the result are marked in the settings themselves
    (generators.contract.config.Mark), so no stage can forget them.
    """

    name: str
    about: str
    function: str
    settings: str
    inputs: Mapping[str, Input] = field(default_factory=dict)
    hands: Hands = _nothing
    optional: bool = False  # a run may leave it out
    samples: bool = False  # its function takes a `model` besides the settings
    verifies: bool = False  # it runs the verifiers that its prompts name
    example: str = ""

    def load(self) -> Callable[..., Any]:
        """Return the stage's function."""
        found: Callable[..., Any] = _named(self.function)
        return found

    def config(self) -> Any:
        """Return the class of the stage's settings."""
        return _named(self.settings)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


ASKED = "prompts/prompts.parquet"
TRACES = "generate/traces.parquet"

PROMPTS = Stage(
    "prompts",
    "read prompts from a file, a dataset or task families into one form",
    "generators.prompts:prompts",
    "generators.prompt_settings:PromptsConfig",
    hands=_asking,
    example="distill prompts --out p source=file path=problems.jsonl verifier=math_answer fields.reference=answer",
)
GENERATE = Stage(
    "generate",
    "sample traces from a model",
    "generators.generate:generate",
    "generators.sampling.settings:GenerateConfig",
    {"prompts": Input("prompts.parquet", (ASKED,))},
    hands=_live_verifier,
    example="distill generate --prompts p/prompts.parquet --out g engine=vllm model=Qwen/QwQ-32B sampling.n=8",
)
VERIFY = Stage(
    "verify",
    "judge every trace by its prompt's verifier",
    "filters.verify:verify",
    "filters.verify:VerifyConfig",
    {"traces": Input("traces.parquet", (TRACES,)), "prompts": Input("prompts.parquet", (ASKED,))},
    verifies=True,
    example="distill verify --traces g/traces.parquet --prompts p/prompts.parquet --out v timeout_s=10",
)
JUDGE = Stage(
    "judge",
    "have a model judge what a rule refused",
    "pipelines.judge.stage:judge",
    "pipelines.judge.stage:JudgeConfig",
    {
        "traces": Input("traces.parquet", (TRACES,)),
        "verdicts": Input("verdicts.parquet", ("verify/verdicts.parquet",)),
        "prompts": Input("prompts.parquet", (ASKED,)),
    },
    hands=_verifying,
    optional=True,
    example="distill judge outputs.jsonl --out j engine=openai model=qwen options.base_urls=http://localhost:8000/v1",
)
SELECT = Stage(
    "select",
    "label duplicates, repeated solutions and all that is not kept",
    "filters.select:select",
    "filters.select:SelectConfig",
    {
        "traces": Input("traces.parquet", (TRACES,)),
        "verdicts": Input("verdicts.parquet", ("judge/verdicts.parquet", "verify/verdicts.parquet")),
        "prompts": Input("prompts.parquet", (ASKED,)),
    },
    example="distill select --traces g/traces.parquet --verdicts v/verdicts.parquet --prompts p/prompts.parquet "
    "--out s max_per_prompt=2",
)
REWRITE = Stage(
    "rewrite",
    "have a model put the kept traces into readable form, and verify them again",
    "pipelines.stages.rewrite:rewrite",
    "pipelines.stages.rewrite:RewriteConfig",
    {
        "selected": Input("selected.parquet", ("select/selected.parquet",)),
        "prompts": Input("prompts.parquet", (ASKED,)),
    },
    hands=_verifying,
    optional=True,
    verifies=True,
    example="distill rewrite --selected s/selected.parquet --prompts p/prompts.parquet --out r engine=vllm "
    "model=Qwen/Qwen2.5-7B-Instruct max_rewrites=2",
)
CORPUS = Stage(
    "corpus",
    "write the kept traces, and rows from elsewhere, as chat rows with a dataset card",
    "pipelines.stages.corpus:corpus",
    "pipelines.stages.corpus:CorpusConfig",
    {
        "selected": Input(
            "selected.parquet or rewritten.parquet", ("rewrite/rewritten.parquet", "select/selected.parquet")
        ),
        "prompts": Input("prompts.parquet", (ASKED,)),
        "evaluation": Input(
            "prompts.parquet of the evaluation, whose questions no other row may ask",
            ("prompts/eval_prompts.parquet",),
            optional=True,
        ),
    },
    example="distill corpus --selected s/selected.parquet --prompts p/prompts.parquet --out c "
    "'other=[{path=\"chat.jsonl\", rows=200000}]'",
)
SCORE = Stage(
    "score",
    "store the teacher's soft targets of a corpus",
    "distill.score:score",
    "distill.settings:ScoreConfig",
    {
        "corpus": Input("corpus parquet files", ("corpus/train.parquet", "corpus/validation.parquet"), several=True),
        "sampled_logprobs": Input(
            "`ledger/sampled_logprobs` folders of generate stages",
            ("generate/ledger/sampled_logprobs",),
            several=True,
            optional=True,
        ),
    },
    example="distill score --corpus c/train.parquet c/validation.parquet --out sc teacher=Qwen/QwQ-32B top_k=50",
)
TRAIN = Stage(
    "train",
    "train a student",
    "distill.train:train",
    "pipelines.recipe.schema:StudentConfig",
    {
        "corpus": Input("train.parquet", ("corpus/train.parquet",)),
        "validation": Input(
            "validation.parquet; without it nothing is held out", ("corpus/validation.parquet",), optional=True
        ),
        "targets": Input("the score stage's `targets` folder", ("score/targets",), optional=True),
    },
    example="distill train --corpus c/train.parquet --validation c/validation.parquet --out t "
    "student=Qwen/Qwen2.5-1.5B learning_rate=1e-4",
)
EVALUATE = Stage(
    "evaluate",
    "measure pass@1 and cons@k of a model",
    "pipelines.stages.evaluate:evaluate",
    "pipelines.stages.evaluate:EvaluateConfig",
    {"prompts": Input("the problems: prompts.parquet, or a file of any form", ("prompts/eval_prompts.parquet",))},
    hands=_verifying,
    samples=True,
    verifies=True,
    example="distill evaluate --prompts aime24.jsonl --model t/model --out e prompts.verifier=math_answer",
)

STAGES: Mapping[str, Stage] = {
    stage.name: stage for stage in (PROMPTS, GENERATE, VERIFY, JUDGE, SELECT, REWRITE, CORPUS, SCORE, TRAIN, EVALUATE)
}  # in the order of the pipeline
ENDS = (*STAGES, "report")  # the stages that a run can stop after
