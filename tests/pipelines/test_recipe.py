"""Recipes: every shipped one parses, and a wrong key, value or plug-in is one clear sentence before any work."""

from pathlib import Path

import pytest

from generators.contract.errors import PluginError, RecipeError
from generators.contract.plugins import KINDS
from pipelines.ablate import cells, split_sweeps
from pipelines.recipe.loading import load_recipe, parse_value, shipped


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_parses(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("generate.sampling.temprature=1", "did you mean generate.sampling.temperature?"),
        ("trian.alpha=0.5", "unknown key trian; did you mean train?"),
        ("students.kl.alhpa=0.5", "unknown key students.kl.alhpa; did you mean alpha?"),
        ("generate.sampling.n=0", "generate.sampling.n = 0"),
        ("train.alpha=2", "alpha = 2"),
        ("train.learning_rate=fast", "learning_rate = 'fast'"),
        (
            "generate.engine=tranformers",
            "there is no engine 'tranformers': did you mean 'transformers'?",
        ),
        ("verify.options.math_answer.leniencies=['percents']", "verify.options.math_answer: leniencies"),
        ("generate.engine=vllm_engine", "generate.engine: the engine 'vllm_engine' is now called 'vllm'"),
        ("prompts.verifier=math_anwser", "math_answer"),
        ("students.kl.temperature=3.0", "students.kl.temperature = 3.0 is not in score.temperatures (1.0, 2.0, 4.0)"),
        ('prompts.families=["arithmetik"]', "prompts.families: there is no task family 'arithmetik'"),
        ("train.student=embedded:none", "student: there is no embedded model 'embedded:none'"),
        ("score.teacher=./none", "score.teacher: there is no model folder ./none"),
        ("prompts.cuont=3", "did you mean prompts.count?"),
        ("execution.executor=slurm", "execution.executor = 'slurm': it must be 'local' or 'ray'"),
        ("train=3", "train = 3: accepted is a table of keys"),
        ("corpus.other=[3]", "corpus.other.0 = 3: accepted is a table of keys"),
        ("train.epochs=many", "train.epochs = 'many': accepted is a whole number"),
        ("corpus.unfiltered=often", "corpus.unfiltered = 'often': accepted is true or false"),
        ("alpha", "is not an override"),
    ],
)
def test_a_wrong_setting_says_which_and_what_is_accepted(override: str, sentence: str) -> None:
    with pytest.raises((RecipeError, PluginError)) as failure:
        load_recipe("toy", [override])
    assert sentence in str(failure.value)


KEEPING = ["generate.engine=vllm", "generate.options={sampled_logprobs=16}", "score.temperatures=[1.0]"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("score.temperatures=[1.0, 2.0]", "score: temperatures is [1.0, 2.0] and sampled is 0"),
        ("score.sampled=4", "exact at T = 1 alone"),
        ("score.top_k=17", "sampled_logprobs = 16: score.top_k = 17 tokens are more than are kept"),
        ("score.teacher=embedded:student", "score.teacher 'embedded:student' is not the model that samples"),
    ],
)
def test_sampled_logprobs_that_score_could_not_use_are_refused(override: str, sentence: str) -> None:
    fitting = [*KEEPING, "score.top_k=16", "students={}"]
    assert load_recipe("toy", fitting).generate.sampled_logprobs() == 16
    with pytest.raises(RecipeError) as failure:
        load_recipe("toy", [*fitting, override])
    assert sentence in str(failure.value)


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'toi'; did you mean toy\?"):
        load_recipe("toi")


def test_a_recipe_file_with_a_syntax_error_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'x'\n[prompts\n")
    with pytest.raises(RecipeError, match=r"mine\.toml is not valid TOML: .*line 2"):
        load_recipe(str(path))


def test_overrides_are_toml_values_or_text() -> None:
    assert parse_value("0.5") == 0.5
    assert parse_value("[1, 2]") == [1, 2]
    assert parse_value("true") is True
    assert parse_value("embedded:teacher") == "embedded:teacher"


def test_students_share_the_train_section() -> None:
    students = load_recipe("toy", ["train.learning_rate=0.005", "students.kl.learning_rate=0.002"]).all_students()
    assert {name: student.learning_rate for name, student in students.items()} == {
        "sft_unfiltered": 0.005,
        "sft_rejection": 0.005,
        "kl": 0.002,
    }
    assert {student.student for student in students.values()} == {"embedded:student"}


def test_sweeps_are_told_from_overrides() -> None:
    sweeps, overrides = split_sweeps(["train.alpha=0.25,1", "train.temperature=1,2", "prompts.count=10"])
    assert sweeps == {"train.alpha": [0.25, 1], "train.temperature": [1, 2]}
    assert overrides == ["prompts.count=10"]
    assert [name for name, _ in cells(sweeps)] == [
        "alpha=0.25,temperature=1",
        "alpha=0.25,temperature=2",
        "alpha=1,temperature=1",
        "alpha=1,temperature=2",
    ]


def test_only_training_can_be_swept() -> None:
    with pytest.raises(RecipeError, match=r"only train\.\* keys can be swept"):
        split_sweeps(["generate.sampling.n=1,2"])


def test_plugins_are_found_by_their_files() -> None:
    found = {kind.title: [name for name, _ in kind.summaries()] for kind in KINDS}
    assert "math_answer" in found["verifier"]
    assert {"transformers", "replay"} <= set(found["engine"])
    assert "arithmetic" in found["task family"]


@pytest.mark.parametrize(
    ("section", "own"),
    [
        ("judge={engine='openai',model='m',options={base_urls='http://x'},sampling={seed=3}}", (0.0, 4096)),
        ("rewrite={engine='openai',model='m',options={base_urls='http://x'},sampling={seed=3}}", (0.6, 16384)),
    ],
)
def test_one_key_of_a_sampling_table_leaves_the_sections_other_defaults(section: str, own: tuple[float, int]) -> None:
    sampler = getattr(load_recipe("toy", [section]), section.partition("=")[0])
    assert (sampler.sampling.temperature, sampler.sampling.max_new_tokens, sampler.sampling.seed) == (*own, 3)


def test_an_old_key_is_answered_once_and_a_section_that_does_not_fit_is_not_printed_whole() -> None:
    judge = "judge={teacher='openai',model='m'}"
    with pytest.raises(RecipeError, match=r"^unknown key judge\.teacher: it is now called judge\.engine$"):
        load_recipe("toy", [judge])
    with pytest.raises(
        RecipeError, match=r"^train: alpha is 0\.5, so soft_targets must be stored or online, not none$"
    ):
        load_recipe("toy", ["train.alpha=0.5"])


@pytest.mark.parametrize("other", ["chat.jsonl", "['chat.jsonl']", "{path='chat.jsonl'}", "[{path='chat.jsonl'}]"])
def test_other_rows_are_a_path_a_table_or_a_list(other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chat.jsonl").write_text("{}")
    assert [one.path for one in load_recipe("toy", [f"corpus.other={other}"]).corpus.other] == ["chat.jsonl"]
