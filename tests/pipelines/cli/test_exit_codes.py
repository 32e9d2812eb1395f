"""Exit codes: 0 done, 1 failed, 2 asked wrongly, 130 stopped; what a user can act on is a sentence, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from generators.contract import errors
from pipelines.cli.main import failed

DISTILL = [sys.executable, "-c", "from pipelines.cli.main import main; raise SystemExit(main())"]
RECIPE = """
name = "mine"
[prompts]
source = "file"
path = "in.jsonl"
verifier = "math_answer"
fields = { question = "question", reference = "answer" }
[generate]
engine = "transformers"
model = "embedded:teacher"
sampling = { n = 1, temperature = 0.0, max_new_tokens = 8 }
[train]
student = "embedded:student"
tokens = 200
"""
BROKEN = """
from generators import EngineOptions
class Options(EngineOptions):
    pass
def build(model, sampling, options):
    return 1 // 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(RECIPE)
    (tmp_path / "in.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "4"}\n')
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "outputs.jsonl").write_text('{"gold": "4", "response": "\\\\boxed{4}"}\n')
    return tmp_path


def distill(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DISTILL, *words], cwd=folder, capture_output=True, text=True, check=False)


RUN = ("run", "mine.toml", "--until", "generate")
WRONGLY = {  # words -> what the sentence names
    ("run", "no.toml"): "there is no recipe file no.toml",
    ("run", "toi"): "did you mean toy?",
    (*RUN, "generate.modle=x"): "did you mean generate.model?",
    (*RUN, "generate.teacher=vllm"): "it is now called generate.engine",
    (*RUN, "generate.attempts=3"): "it is now called generate.max_attempts",
    (*RUN, "generate.engine=vllm_engine"): "is now called 'vllm'",
    (*RUN, "generate.engine=os.path"): "has no class Options",
    (*RUN, "generate.options.device=gpu"): "a device is auto, cpu, cuda or cuda:N",
    (*RUN, "generate.options.device=cuda:9"): "this machine has no such CUDA device",
    (*RUN, "train.device=cuda:9"): "train.device = 'cuda:9': this machine has no such CUDA device",
    (*RUN, "train.device=gpu"): "train.device = 'gpu'",
    (*RUN, "train.student=embedded:studnt"): "train.student: there is no embedded model",
    (*RUN, "prompts.path=none.jsonl"): "prompts.path: there is no file none.jsonl",
    (*RUN, "prompts.fields.reference=gold"): "in.jsonl, row 1",
    ("run", "mine.toml", "--redo", "everything"): "no such stage",
    ("run", "mine.toml", "--redo", "slect"): "did you mean select?",
    ("run", "mine.toml", "--until", "corpsu"): "did you mean corpus?",
    ("exprot", "corpus"): "did you mean export?",
    ("verify", "--traces", "none", "--prompts", "none", "--out", "v"): "--traces: there is no none",
    (
        "verify",
        "--traces",
        "torn.parquet",
        "--prompts",
        "torn.parquet",
        "--out",
        "v",
    ): "torn.parquet is not a parquet file",
    ("train", "--corpus", ".", "--out", "t", "--recipe", "mine.toml", "--student", "kl"): "no such student",
    ("grade", "none.jsonl", "--out", "v.jsonl"): "none.jsonl",
    ("grade", "outputs.jsonl", "--verifier", "math_anser", "--out", "v.jsonl"): "did you mean 'math_answer'?",
    ("judge", "--out", "j"): "judge takes one FILE",
    ("init", "mine.toml"): "mine.toml exists already",
    ("settings", "trian"): "did you mean train?",
    ("report", "nowhere"): "there is no run folder nowhere",
    ("ablate", "mine.toml", "train.alpha=0.5"): "name at least one key to sweep",
}


@pytest.mark.parametrize("words", WRONGLY, ids=" ".join)
def test_what_is_asked_wrongly_is_one_sentence_and_2(folder: Path, words: tuple[str, ...]) -> None:
    done = distill(folder, *words)
    assert done.returncode == 2, done.stderr
    assert WRONGLY[words] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs" / "mine" / "generate").exists()


def test_words_that_do_not_parse_are_2(folder: Path) -> None:
    for words in ((), ("rnu",), ("run",), ("run", "toy", "--utnil", "corpus"), ("run", "toy", "--until", "nothing")):
        assert distill(folder, *words).returncode == 2, words


def test_what_failed_is_1_and_a_bug_keeps_its_traceback_and_names_the_plugin(folder: Path) -> None:
    done = distill(folder, *RUN, "generate.engine=./broken.py")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr
    assert "raised in the engine './broken.py'" in done.stderr.splitlines()[-1]


def test_traceback_is_shown_when_asked_for_anywhere(folder: Path) -> None:
    for words in (("--traceback", "run", "no.toml"), ("run", "no.toml", "--traceback")):
        done = distill(folder, *words)
        assert done.returncode == 2 and "Traceback" in done.stderr


def test_a_check_that_finds_something_is_1(folder: Path) -> None:
    (folder / "references.jsonl").write_text(json.dumps({"reference": ""}) + "\n")
    done = distill(folder, "check-references", "references.jsonl", "--verifier", "math_answer", "--out", "d.jsonl")
    assert done.returncode == 1 and "need attention" in done.stderr


def test_a_run_whose_references_no_verifier_can_read_says_so_before_sampling(folder: Path) -> None:
    rows = [{"question": f"Which is {n}?", "answer": "see solution" if n % 2 else "no letter"} for n in range(6)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = distill(folder, *RUN, "prompts.verifier=choice")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "no verifier can read any of the 6 references checked, so nothing was sampled: " in done.stderr
    assert "is not a letter" in done.stderr and "empty: it says where the answer is" in done.stderr
    assert not (folder / "runs" / "mine" / "generate").exists()
    dry = distill(folder, *RUN, "prompts.verifier=choice", "--dry-run")
    assert dry.returncode == 0, dry.stderr


def test_a_run_whose_references_are_all_mangled_or_empty_is_stopped_with_grouped_reasons(folder: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"\\frac{{{n}}}{{0}}" if n % 3 else "None"} for n in range(6)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = distill(folder, *RUN)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (
        "any of the 6 references checked, so nothing was sampled: mangled: it divides by zero (4); empty: "
        in done.stderr
    )


def test_a_run_with_some_unread_references_says_so_and_goes_on(folder: Path) -> None:
    rows = [{"question": "What is 2 + 2?", "answer": "4"}, {"question": "What is 3 + 2?", "answer": "see solution"}]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = distill(folder, *RUN)
    assert done.returncode == 0, done.stderr
    assert "references: 1 of 2 checked cannot be read by their verifier: empty: it says" in done.stderr
    again = distill(folder, *RUN)
    assert again.returncode == 0 and "references:" not in again.stderr


def test_a_run_that_keeps_nothing_is_1_with_the_reasons_and_makes_no_corpus(folder: Path) -> None:
    (folder / "in.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "987654"}\n')
    done = distill(folder, "run", "mine.toml", "--until", "corpus")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "select kept none of 1 traces: 1 " in done.stderr
    assert not (folder / "runs" / "mine" / "corpus").exists()


def test_old_words_still_work_and_name_the_new_ones(folder: Path) -> None:
    done = distill(folder, "grade", "outputs.jsonl", "--gold-field", "gold", "--out", "v.jsonl")
    assert done.returncode == 0, done.stderr
    assert "--gold-field is now called --reference-field" in done.stderr


def test_every_error_of_the_tree_has_its_code_and_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DistillError)]
    for kind in found:
        assert kind.__name__ in (errors.__doc__ or "")
        code = failed(kind("a sentence"))
        assert code == (2 if issubclass(kind, errors.AskedWrongly) else 1)
        assert capsys.readouterr().err == "distill: a sentence\n"


def test_another_recipe_in_an_old_folder_is_refused(folder: Path) -> None:
    (folder / "other.toml").write_text(RECIPE)
    assert distill(folder, "run", "mine.toml", "--until", "prompts").returncode == 0
    done = distill(folder, "run", "other.toml", "--until", "prompts")
    assert done.returncode == 2 and "runs/mine holds the run 'mine' of the recipe mine" in done.stderr
    assert distill(folder, "run", "other.toml", "--until", "prompts", "--replace").returncode == 0
    assert distill(folder, "run", "mine.toml", "--until", "prompts", "name=own").returncode == 0


def test_a_dry_run_shows_the_recipe_and_what_would_run_and_leaves_nothing(folder: Path) -> None:
    done = distill(folder, "run", "mine.toml", "--dry-run", "generate.sampling.n=3")
    assert done.returncode == 0, done.stderr
    assert "n = 3" in done.stdout and "generate: starts" in done.stderr and "train/student: starts" in done.stderr
    assert not (folder / "runs").exists()
    assert distill(folder, "run", "mine.toml", "--until", "prompts").returncode == 0
    again = distill(folder, "run", "mine.toml", "--dry-run", "prompts.domain=stem")
    assert "prompts: runs again (domain math -> stem)" in again.stderr


def test_nothing_of_the_users_is_overwritten_without_a_word(folder: Path) -> None:
    """The input file, another stage's folder, a run's stage: each is refused and stays as it was."""
    outputs = (folder / "outputs.jsonl").read_bytes()
    for words in (("grade", "outputs.jsonl"), ("check-references", "outputs.jsonl", "--verifier", "math_answer")):
        done = distill(folder, *words, "--out", "outputs.jsonl")
        assert done.returncode == 2 and "is the input file" in done.stderr
        assert (folder / "outputs.jsonl").read_bytes() == outputs
    source = ("source=file", "path=in.jsonl", "verifier=math_answer", "fields.reference=answer")
    assert distill(folder, "prompts", *source, "--out", "p").returncode == 0
    kept = (folder / "p/prompts.parquet").read_bytes()
    verify = ("verify", "--traces", "p/prompts.parquet", "--prompts", "p/prompts.parquet")
    done = distill(folder, *verify, "--out", "p")
    assert done.returncode == 2 and "holds the stage prompts, and this is verify" in done.stderr
    assert (folder / "p/prompts.parquet").read_bytes() == kept
    assert distill(folder, "run", "mine.toml", "--until", "prompts").returncode == 0
    done = distill(folder, "prompts", *source, "--out", "runs/mine/prompts")
    assert done.returncode == 2 and "lies in the run" in done.stderr
    done = distill(folder, "run", "mine.toml", "--out", "in.jsonl")
    assert done.returncode == 2 and "in.jsonl is a file; name a folder" in done.stderr
    done = distill(folder, "report", "p")
    assert done.returncode == 2 and "is the folder of one stage" in done.stderr


def test_further_wrong_requests(folder: Path) -> None:
    """Keys of further models, swept devices, times, empty names, task families that return no problem."""
    (folder / "family.py").write_text("def make(rng, level):\n    return 3\n")
    for words, sentence in (
        ((*RUN, "generate.models.b.modle=x"), "unknown key generate.models.b.modle; did you mean model?"),
        ((*RUN, "generate.models.b.teacher=x"), "generate.models.b.teacher: it is now called generate.models.b.engine"),
        ((*RUN, "train.student="), "train.student"),
        (("ablate", "mine.toml", "train.device=cpu,cuda:9"), "this machine has no such CUDA device"),
        (("grade", "outputs.jsonl", "--out", "v.jsonl", "--timeout-s", "0"), "timeout_s is 0.0; it must be above 0"),
        (("prompts", "source=tasks", "families=['./family.py']", "--out", "f"), "make() returned int, not a Problem"),
    ):
        done = distill(folder, *words)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_byte_order_mark_is_no_part_of_a_recipe_or_a_row(folder: Path) -> None:
    for name in ("mine.toml", "in.jsonl", "outputs.jsonl"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert distill(folder, "run", "mine.toml", "--until", "prompts").returncode == 0
    assert distill(folder, "grade", "outputs.jsonl", "--out", "v.jsonl").returncode == 0
