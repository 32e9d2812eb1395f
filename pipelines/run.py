"""The whole path, one call a stage.

prompts -> generate -> verify (-> judge) -> select (-> rewrite) -> corpus -> score -> train -> evaluate -> report
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filters.select import select
from filters.verify import verify
from generators.generate import generate
from generators.prompts import prompts
from pipelines.judge.stage import judge
from pipelines.live_verifier import Judging
from pipelines.recipe import Recipe, StudentConfig
from pipelines.report.page import report
from pipelines.session import Session, Until
from pipelines.stage_folder import read_manifest
from pipelines.stages.corpus import corpus
from pipelines.stages.evaluate import EvaluateConfig, evaluate, write_scores
from pipelines.stages.rewrite import rewrite

# score and train are imported where they are called: torch takes seconds, and bad prompts are told of at once

ASKED, EXAMS = "prompts/prompts.parquet", "prompts/eval_prompts.parquet"
CAPTURES = "generate/ledger/captures"
TRACES, VERDICTS, SELECTED = "generate/traces.parquet", "verify/verdicts.parquet", "select/selected.parquet"
JUDGED, REWRITTEN = "judge/verdicts.parquet", "rewrite/rewritten.parquet"
ROWS, UNFILTERED, VALIDATION = "corpus/train.parquet", "corpus/unfiltered.parquet", "corpus/validation.parquet"


def run(recipe: Recipe, do: Session) -> None:
    """Run what is not finished, in order, up to the session's last stage."""
    try:
        build_corpus(recipe, do)
        train_students(recipe, do)
        evaluate_models(recipe, do)
    except Until:
        return
    write_report(do)


def build_corpus(recipe: Recipe, do: Session) -> None:
    """prompts -> generate -> verify (-> judge) -> select (-> rewrite) -> corpus -> score."""
    exams = recipe.evaluate.prompts if recipe.evaluate else None
    files = [*recipe.prompts.files(), *(exams.files() if exams else [])]
    do.stage("prompts", prompts, recipe.prompts, {}, evaluation=exams, files=files)
    sampler = recipe.generate
    needs: dict[str, Any] = {"models": sampler.models(), "files": sampler.files()}
    if sampler.is_adaptive():
        needs["judge"] = Judging(verify=recipe.verify, workers=recipe.execution.verify_workers)
    do.stage("generate", generate, sampler, {"prompts": ASKED}, **needs)
    judged = {"traces": TRACES, "prompts": ASKED}
    do.stage("verify", verify, recipe.verify, judged, workers=recipe.execution.verify_workers)
    verdicts = judge_refused(recipe, do) if recipe.judge else VERDICTS
    do.past("judge")
    do.stage("select", select, recipe.select, {**judged, "verdicts": verdicts})
    chosen = rewrite_traces(recipe, do) if recipe.rewrite else SELECTED
    do.past("rewrite")
    others = [Path(other.path) for other in recipe.corpus.other]
    do.stage("corpus", corpus, recipe.corpus, {"selected": chosen, "prompts": ASKED}, files=others)
    if recipe.score:
        from distill.score import score

        scored: dict[str, Any] = {"corpus": [ROWS, VALIDATION]}
        if recipe.generate.captures():
            scored["captures"] = [CAPTURES]
        do.stage(
            "score",
            score,
            recipe.score,
            scored,
            models=[m for m in (recipe.score.teacher, recipe.score.tokenizer) if m],
        )
    do.past("score")


def judge_refused(recipe: Recipe, do: Session) -> str:
    """Have a model look at what the rules refused; the verdicts that count then."""
    config = recipe.judge
    assert config
    inputs = {"traces": TRACES, "verdicts": VERDICTS, "prompts": ASKED}
    sources: dict[str, Any] = {"models": config.generation().models(), "files": config.generation().files()}
    do.stage("judge", judge, config, inputs, verifying=recipe.verify, **sources)
    return JUDGED


def rewrite_traces(recipe: Recipe, do: Session) -> str:
    """Put the kept traces into readable form; the file that the corpus is then made of."""
    config = recipe.rewrite
    assert config
    chosen = {"selected": SELECTED, "prompts": ASKED}
    sources: dict[str, Any] = {"models": config.generation().models(), "files": config.generation().files()}
    hands: dict[str, Any] = {"verifying": recipe.verify, "workers": recipe.execution.verify_workers}
    do.stage("rewrite", rewrite, config, chosen, **sources, **hands)
    return REWRITTEN


def train_students(recipe: Recipe, do: Session) -> None:
    """Every student, once a seed."""
    for name, student in recipe.all_students().items():
        for folder, seeded in trainings(name, student):
            train_student(f"train/{folder}", seeded, do)
    do.past("train")


def trainings(name: str, student: StudentConfig) -> list[tuple[str, StudentConfig]]:
    """(folder below train/ and evaluate/, settings) of each training of a student."""
    if not student.seeds:
        return [(name, student)]
    return [(f"{name}/seed-{seed}", student.model_copy(update={"seed": seed, "seeds": ()})) for seed in student.seeds]


def train_student(stage: str, student: StudentConfig, do: Session) -> None:
    """Train one student on the corpus (or on the unfiltered traces it is compared with)."""
    from distill.train import train

    inputs = {
        "corpus": ROWS if student.rows == "corpus" else UNFILTERED,
        "validation": VALIDATION,
        "targets": "score/targets" if student.soft_targets == "stored" else None,
    }
    do.stage(stage, train, student, inputs, models=[model for model in (student.student, student.teacher) if model])


def evaluate_models(recipe: Recipe, do: Session) -> None:
    """The teacher, the student before training, and every trained student, on the same problems."""
    if recipe.evaluate is None:
        return
    if recipe.generate.model:
        by = recipe.evaluate.by_teacher(recipe.generate)
        facts = {"name": "teacher", "label": "teacher"}
        evaluate_model("evaluate/teacher", recipe.generate.model, recipe, do, facts, by)
    if recipe.train:
        facts = {"name": "start", "label": "student before"}
        evaluate_model("evaluate/start", recipe.train.student, recipe, do, facts)
    for name, student in recipe.all_students().items():
        evaluate_student(name, student, recipe, do)
    do.past("evaluate")


def evaluate_student(name: str, student: StudentConfig, recipe: Recipe, do: Session) -> None:
    """One trained student; with several seeds each of them, then all together."""
    folders = [folder for folder, _ in trainings(name, student)]
    facts: dict[str, Any] = {"name": name, "label": student.label or name}
    for folder in folders:
        facts["train_tokens"] = trained_tokens(f"train/{folder}", do)
        evaluate_model(f"evaluate/{folder}", f"train/{folder}", recipe, do, facts)
    if student.seeds:
        runs = {"runs": [f"evaluate/{folder}" for folder in folders], "prompts": EXAMS}
        do.stage(f"evaluate/{name}", write_scores, None, runs, facts=facts)


def evaluate_model(
    stage: str, model: str, recipe: Recipe, do: Session, facts: Mapping[str, Any], by: EvaluateConfig | None = None
) -> None:
    """Sample and verify `model`, a training stage of this run or a model's name, on the evaluation problems."""
    by = by or recipe.evaluate
    hands: dict[str, Any] = {"verifying": recipe.verify, "workers": recipe.execution.verify_workers, "facts": facts}
    if model in do.runner.runs:
        do.stage(stage, evaluate, by, {"model": f"{model}/model", "prompts": EXAMS}, **hands)
    else:
        models = by.generation(model).models() if by else []
        do.stage(stage, evaluate, by, {"prompts": EXAMS}, models=models, model=model, **hands)


def trained_tokens(stage: str, do: Session) -> int:
    """Tokens the student of a training stage has seen."""
    manifest = read_manifest(do.runner.folder / stage)
    assert manifest, f"{stage} has no manifest"
    return int(manifest["counts"]["tokens"])


def write_report(do: Session) -> None:
    """The report is cheap and tells of everything there is, so it is made every time."""
    folder = do.runner.folder / "report"
    folder.mkdir(exist_ok=True)
    report(do.runner.folder, folder)
