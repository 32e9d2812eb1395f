"""A stage alone is the stage in a run, byte for byte, and both run again when a setting, an input or a source changes.

Parametrised over the table of stages and over the settings themselves, so that a new stage, a new key and a new source
are tested by being there.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import polars as pl
import pytest

from generators.contract.config import Config, Mark
from generators.contract.errors import AskedWrongly, OutOfMemory
from generators.contract.models import model_path
from generators.contract.sampled_logprobs import FOLDER
from generators.problems import draw
from pipelines.recipe.keys import models_in
from pipelines.recipe.loading import load_recipe
from pipelines.recipe.toml import as_toml_value
from pipelines.run import run
from pipelines.run_folder import open_run, run_recipe
from pipelines.stages.table import JUDGE, SCORE, SELECT, STAGES, VERIFY, Stage
from pipelines.standalone import full_key, read_sections, run_stage

TESTS = Path(__file__).resolve().parents[1]
RECIPE = """
name = "whole"
[prompts]
source = "file"
path = "problems.jsonl"
verifier = "./mine.py"
fields = { question = "question", reference = "answer" }
[generate]
engine = "transformers"
model = "teacher"
sampling = { n = 2, temperature = 0.8, max_new_tokens = 100 }
[generate.models.shown]
style = "few_shot"
examples = "solved.jsonl"
shots = 1
sampling = { n = 1, temperature = 0.8, max_new_tokens = 8 }
[judge]
engine = "stubs.critic"
model = "critic"
[select]
keep_unverified = true
distinct = "none"
[rewrite]
engine = "./editor.py"
model = "editor"
on_failure = "original"
[corpus]
unfiltered = true
validation_fraction = 0.3
other = [{ path = "chat.jsonl" }]
[score]
teacher = "teacher"
tokenizer = "student"
top_k = 4
temperatures = [1.0, 2.0]
sequence_tokens = 512
[train]
student = "student"
tokens = 400
batch_tokens = 200
sequence_tokens = 512
alpha = 0.5
soft_targets = "stored"
[evaluate]
sampling = { n = 1, max_new_tokens = 8 }
[evaluate.prompts]
source = "file"
path = "exam.jsonl"
verifier = "./mine.py"
fields = { question = "question", reference = "answer" }
"""
EDITOR = """
import re
from generators import EngineOptions, Outcome

class Options(EngineOptions):
    pass

def build(model, sampling, options):
    return Editor()

class Editor:
    def __init__(self):
        self.waiting = []

    def slots(self):
        return 8

    def submit(self, requests):
        self.waiting += requests

    def collect(self, timeout_s):
        done, self.waiting = self.waiting, []
        return [Outcome(request, self.edited(request)) for request in done]

    def edited(self, request):
        asked = request.messages[-1]["content"]
        raw, answer = (re.search(f"<raw_{part}>(.*)</raw_{part}>", asked, re.S)[1] for part in ("reasoning", "answer"))
        reply = f"<reasoning>First, {raw}</reasoning><summary>In short: {answer}</summary>"
        return request.row(reasoning=None, answer=reply, finish_reason="stop", completion_tokens=40)

    def close(self):
        pass
"""
INPUTS = {  # as the run has them
    "train": {
        "corpus": "corpus/train.parquet",
        "validation": "corpus/validation.parquet",
        "targets": "score/targets",
    },
    "score": {"corpus": ["corpus/train.parquet", "corpus/validation.parquet"], "sampled_logprobs": []},
    "evaluate": {"prompts": "prompts/eval_prompts.parquet"},
}
FOLDERS = {"train": "train/student", "evaluate": "evaluate/start"}
MODEL = {"evaluate": "student"}
UNTIMED = ("seconds",)  # columns that differ from call to call


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data, models and a finished run, as the working folder."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(TESTS))
        for name in ("teacher", "student"):
            shutil.copytree(model_path(f"embedded:{name}"), folder / name)
        for file, count, split in (("problems", 8, "demo"), ("exam", 3, "eval")):
            problems = draw(("arithmetic", "units"), count, split, 1, (1,))  # type: ignore[arg-type]
            write(folder / f"{file}.jsonl", [{"question": one.question, "answer": one.answer} for one in problems])
        write(folder / "solved.jsonl", [{"question": "1 + 1?", "reasoning": "1 + 1 = 2", "answer": "\\boxed{2}"}] * 2)
        chat = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello!"}]
        write(folder / "chat.jsonl", [{"messages": chat}])
        (folder / "whole.toml").write_text(RECIPE)
        (folder / "editor.py").write_text(EDITOR)
        (folder / "mine.py").write_text("from filters.verifiers.math_answer import verify\n")
        run_recipe("whole.toml", say=lambda line: None)
        yield folder


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def inputs_of(stage: Stage) -> dict[str, Any]:
    """The stage's inputs in the finished run."""
    made = {name: one.made[0] for name, one in stage.inputs.items()}

    def located(value: Any) -> Any:
        return [located(one) for one in value] if isinstance(value, list) else Path("runs/whole") / value

    return {name: located(value) for name, value in (made | INPUTS.get(stage.name, {})).items()}


def alone(stage: Stage, *overrides: str, dry: bool = False, **inputs: Any) -> str:
    """Run the stage by itself; what it said of itself."""
    said: list[str] = []
    run_stage(
        stage.name,
        inputs_of(stage) | inputs,
        Path("alone") / stage.name,
        overrides,
        recipe="whole.toml",
        model=MODEL.get(stage.name),
        say=said.append,
        dry=dry,
    )
    return said[0].partition(": ")[2]


def in_the_run(stage: Stage, *overrides: str) -> str:
    """What a run would do with the stage."""
    said: list[str] = []
    recipe = load_recipe("whole.toml", overrides)
    with open_run(Path("runs/whole"), recipe, "whole.toml", say=said.append, dry=True) as session:
        run(recipe, session)
    folder = FOLDERS.get(stage.name, stage.name)
    return next(line for line in said if line.startswith(f"{folder}: ")).partition(": ")[2]


@pytest.fixture(scope="module")
def made(here: Path) -> dict[str, Path]:
    """Every stage by itself, finished."""
    for stage in STAGES.values():
        alone(stage)
    return {name: here / "alone" / name for name in STAGES}


BOTH = pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))


@BOTH
def test_a_stage_alone_makes_what_it_makes_in_a_run(here: Path, made: dict[str, Path], stage: Stage) -> None:
    in_run = here / "runs/whole" / FOLDERS.get(stage.name, stage.name)
    ours, theirs = (outputs(folder) for folder in (made[stage.name], in_run))
    assert ours.keys() == theirs.keys() and ours
    for name in ours:
        assert same(made[stage.name] / name, in_run / name), name


def outputs(folder: Path) -> dict[str, Any]:
    """The files that a stage's manifest lists, but for two: the ledger keeps the order in which samples ended, curves
    keep times."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return {
        name: facts for name, facts in manifest["outputs"].items() if not name.startswith(("ledger/", "tensorboard/"))
    }


def same(a: Path, b: Path) -> bool:
    if a.suffix == ".parquet":
        frames = (pl.read_parquet(file) for file in (a, b))
        ours, theirs = (frame.drop(UNTIMED, strict=False) for frame in frames)
        return ours.equals(theirs) and (ours.width < pl.read_parquet(a).width or a.read_bytes() == b.read_bytes())
    return a.read_bytes() == b.read_bytes()


@BOTH
def test_nothing_changed_is_skipped(made: dict[str, Path], stage: Stage) -> None:
    assert alone(stage, dry=True) == "finished before, skipped"
    assert in_the_run(stage) == "finished before, skipped"


@BOTH
def test_every_setting_reruns_the_stage_alone_as_in_a_run(made: dict[str, Path], stage: Stage) -> None:
    config = getattr(read_sections(stage, "whole.toml", []), stage.name)
    tried = 0
    for key, execution, values in settings(config):
        override = next((text for text in (f"{key}={value}" for value in values) if accepted(stage, text)), None)
        if override is None:
            continue
        tried += 1
        ours, theirs = alone(stage, override, dry=True), in_the_run(stage, full_key(stage, override))
        assert ours == theirs, override
        assert (ours == "finished before, skipped") == execution, f"{override}: {ours}"
    assert tried >= 3


def accepted(stage: Stage, override: str) -> bool:
    try:
        load_recipe("whole.toml", [full_key(stage, override)])
        alone(stage, override, dry=True)
    except AskedWrongly:
        return False
    return True


NOT_SETTINGS = ("seeds", "source", "prompts", "rows")  # other folders, other kinds of section, inputs


def settings(config: Config, prefix: str = "", execution: bool = False) -> Iterator[tuple[str, bool, list[str]]]:
    """(key, whether it only says how the work is done, other values as TOML) of every setting."""
    for name, field in type(config).model_fields.items():
        value, how = getattr(config, name), execution or name in config.EXECUTION
        if name in NOT_SETTINGS or any(isinstance(mark, Mark) for mark in field.metadata):
            continue
        if isinstance(value, Config):
            yield from settings(value, f"{prefix}{name}.", how)
        elif not list(models_in(field.annotation)):
            yield prefix + name, how, [as_toml_value(other) for other in others(value, field.annotation)]


def others(value: Any, annotation: Any) -> Iterator[Any]:
    """Values that may be accepted in place of `value`."""
    yield from (choice for choice in choices(annotation) if choice != value)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2, value - 1)
    elif isinstance(value, float):
        yield from (value / 2 or 0.25, value + 1)
    elif value is None:
        yield from (3, 0.5, 400, "something")
    elif isinstance(value, str):
        yield value + "x"


def choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for argument in get_args(annotation):
            yield from choices(argument)


@BOTH
def test_every_input_reruns_the_stage(made: dict[str, Path], stage: Stage) -> None:
    for name, wanted in inputs_of(stage).items():
        files = wanted if isinstance(wanted, list) else [wanted]
        for file in files:
            if file.exists():
                with changed(file if file.is_file() else next(one for one in sorted(file.rglob("*")) if one.is_file())):
                    assert alone(stage, dry=True).startswith("runs again"), name


@BOTH
def test_every_source_reruns_the_stage_alone_as_in_a_run(made: dict[str, Path], stage: Stage) -> None:
    config = getattr(read_sections(stage, "whole.toml", []), stage.name)
    named = [Path(one.value) for one in config.named() if one.mark in (Mark.MODEL, Mark.FILE)]
    named += [Path("mine.py")] if stage.verifies else []
    for source in {*named, *(Path(model) for model in MODEL.values() if stage.name in MODEL)}:
        if source.exists() and source.name != "exam.jsonl":  # the exam is asked for by the prompts stage
            with changed(source / "config.json" if source.is_dir() else source):
                assert alone(stage, dry=True).startswith("runs again"), source
                assert in_the_run(stage).startswith("runs again"), source
    assert named or stage in (VERIFY, SELECT, JUDGE), "the recipe above names no source of the stage"


@contextmanager
def changed(file: Path) -> Iterator[None]:
    """The file with other contents, and as it was afterwards."""
    before = file.read_bytes()
    if file.suffix == ".parquet":
        pl.read_parquet(file).head(-1).write_parquet(file, compression="uncompressed")
    else:
        file.write_bytes(before + b"\n")
    try:
        yield
    finally:
        file.write_bytes(before)


def test_a_changed_source_is_read_again(made: dict[str, Path], here: Path) -> None:
    """Not only said to run again: what comes out is of the new contents."""
    chat = here / "chat.jsonl"
    before = chat.read_text()
    chat.write_text(before.replace("Hello!", "Goodbye!"))
    try:
        assert alone(STAGES["corpus"]).startswith("runs again")
        rows = pl.concat([pl.read_parquet(here / f"alone/corpus/{split}.parquet") for split in ("train", "validation")])
        said = [messages[-1]["content"] for messages in rows["messages"].to_list()]
        assert "Goodbye!" in said and "Hello!" not in said
    finally:
        chat.write_text(before)
        alone(STAGES["corpus"])


def test_manifests_hold_the_hash_of_model_and_soft_targets(made: dict[str, Path]) -> None:
    def hashed(stage: str) -> Mapping[str, Any]:
        return {name: facts["blake2b"] for name, facts in outputs(made[stage]).items()}

    assert "model/model.safetensors" in hashed("train")
    assert any(name.startswith("targets/") for name in hashed("score"))


def test_train_takes_what_a_run_takes(made: dict[str, Path], here: Path) -> None:
    """`seeds`, `label`, `rows` and one of the recipe's students; without validation rows nothing is held out."""
    recipe = RECIPE + "[students.sft]\nlabel = 'SFT'\nrows = 'unfiltered'\nseeds = [1, 2]\nalpha = 1.0\n"
    (here / "students.toml").write_text(recipe + "soft_targets = 'none'\n")
    given = {"corpus": Path("runs/whole/corpus/unfiltered.parquet"), "validation": None, "targets": None}
    said: list[str] = []
    run_stage("train", given, Path("alone/sft"), recipe="students.toml", student="sft", say=said.append)
    for seed in (1, 2):
        folder = here / f"alone/sft/seed-{seed}"
        assert (folder / "model" / "config.json").exists()
        config = json.loads((folder / "manifest.json").read_text())["config"]
        assert (config["seed"], config["rows"], config["alpha"]) == (seed, "unfiltered", 1.0)
        assert "val_ce" not in (folder / "log.jsonl").read_text()
    said.clear()
    labelled = ["label=other"]
    run_stage("train", given, Path("alone/sft"), labelled, recipe="students.toml", student="sft", say=said.append)
    assert said == [f"train (sft/seed-{seed}): finished before, skipped" for seed in (1, 2)]


def test_evaluate_needs_prompts_and_a_model_alone(made: dict[str, Path], here: Path) -> None:
    settings = ["sampling.n=1", "sampling.max_new_tokens=8"]
    inputs = {"prompts": Path("runs/whole/prompts/eval_prompts.parquet")}
    run_stage("evaluate", inputs, Path("alone/bare"), settings, model="student", say=lambda line: None)
    assert (here / "alone/bare/scores.json").read_bytes() == (made["evaluate"] / "scores.json").read_bytes()


def test_out_of_gpu_memory_names_the_key_to_lower(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch's is called."""

    def full(*arguments: Any, **more: Any) -> None:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    for name, key in (
        ("train", r"train\.lora\.rank = 16"),
        ("score", r"score\.batch_tokens = 8192"),
        ("generate", r"generate\.options\.slots = 128"),
    ):
        monkeypatch.setattr(Stage, "load", lambda stage: full)
        with pytest.raises(OutOfMemory, match=f"{name}: out of GPU memory; set {key} and run the command again"):
            alone(STAGES[name], "execution.verify_workers=1", *CHANGED[name])


CHANGED = {"train": ["seed=9"], "score": ["top_k=3"], "generate": ["sampling.seed=9"]}


def test_the_table_names_functions_settings_and_places_that_exist() -> None:
    for stage in STAGES.values():
        assert callable(stage.load())
        assert list(models_in(stage.config())), stage.name
        for one in stage.inputs.values():
            assert all(place.partition("/")[0] in STAGES for place in one.made)
    assert SCORE.inputs["sampled_logprobs"].made == (f"generate/ledger/{FOLDER}",)
