"""The whole path, one call a stage.

prompts -> generate -> verify (-> judge) -> select (-> rewrite) -> corpus (-> score) -> train -> evaluate -> report
"""

from pathlib import Path

from pipelines.recipe.schema import Recipe, StudentConfig
from pipelines.reference_check import check_before_sampling
from pipelines.report.page import report
from pipelines.session import Session, Until
from pipelines.stages.evaluate import EvaluateConfig, write_scores
from pipelines.stages.table import (
    CORPUS,
    EVALUATE,
    GENERATE,
    JUDGE,
    PROMPTS,
    REWRITE,
    SCORE,
    SELECT,
    TRAIN,
    VERIFY,
)

EXAMS = "prompts/eval_prompts.parquet"
VALIDATION, TARGETS = "corpus/validation.parquet", "score/targets"
ROWS = {"corpus": "corpus/train.parquet", "unfiltered": "corpus/unfiltered.parquet"}


def run(recipe: Recipe, do: Session) -> None:
    """Run what is not finished, in order, up to the session's last stage."""
    try:
        build_corpus(do)
        train_students(recipe, do)
        evaluate_models(recipe, do)
    except Until:
        return
    if not do.runner.dry:
        write_report(do.runner.folder)


def build_corpus(do: Session) -> None:
    """Run the stages up to the corpus and its soft targets; those whose section is left out are passed over."""
    do(PROMPTS)
    check_before_sampling(do)
    do(GENERATE)
    do(VERIFY)
    do(JUDGE)
    do(SELECT)
    do(REWRITE)
    do(CORPUS)
    do(SCORE)


def train_students(recipe: Recipe, do: Session) -> None:
    """Train every student, once a seed."""
    for name, student in recipe.all_students().items():
        for folder, seeded in trainings(name, student):
            train_student(f"train/{folder}", seeded, do)
    do.past(TRAIN.name)


def trainings(name: str, student: StudentConfig) -> list[tuple[str, StudentConfig]]:
    """Return (folder below train/ and evaluate/, settings) of each training of a student."""
    if not student.seeds:
        return [(name, student)]
    return [(f"{name}/seed-{seed}", student.model_copy(update={"seed": seed, "seeds": ()})) for seed in student.seeds]


def train_student(folder: str, student: StudentConfig, do: Session) -> None:
    """Train one student on the corpus, or on the unfiltered traces that it is compared with."""
    targets = TARGETS if student.soft_targets == "stored" else None
    inputs = {"corpus": ROWS[student.rows], "validation": VALIDATION, "targets": targets}
    do(TRAIN, at=folder, config=student, inputs=inputs)


def evaluate_models(recipe: Recipe, do: Session) -> None:
    """Evaluate the teacher, the student before training, and every trained student, on the same problems."""
    if recipe.evaluate is None:
        return
    if recipe.generate.model:
        evaluate_model("evaluate/teacher", recipe.generate.model, do, recipe.evaluate.like(recipe.generate))
    if recipe.train:
        evaluate_model("evaluate/start", recipe.train.student, do)
    for name, student in recipe.all_students().items():
        evaluate_student(name, student, do)
    do.past(EVALUATE.name)


def evaluate_student(name: str, student: StudentConfig, do: Session) -> None:
    """Evaluate one trained student; with several seeds each of them, then all together."""
    folders = [folder for folder, _ in trainings(name, student)]
    for folder in folders:
        evaluate_model(f"evaluate/{folder}", f"train/{folder}", do)
    if student.seeds:
        runs = {"runs": [f"evaluate/{folder}" for folder in folders], "prompts": EXAMS}
        do.step(f"evaluate/{name}", lambda: write_scores, None, runs)


def evaluate_model(folder: str, model: str, do: Session, config: EvaluateConfig | None = None) -> None:
    """Sample and verify `model`, a training stage of this run or a model's name, on the evaluation problems."""
    do(EVALUATE, at=folder, config=config, model=model)


def write_report(run_folder: Path) -> Path:
    """Make the report, which is cheap and shows everything there is, and return its page."""
    folder = run_folder / "report"
    folder.mkdir(exist_ok=True)
    report(run_folder, folder)
    return folder / "report.html"
