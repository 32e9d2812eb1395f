"""Fetch the labelled sets and benchmark files that tests and benchmarks read, each from its public source.

    python -m benchmarks.data --out ../shared/data            # every file that is missing
    python -m benchmarks.data --out DIR HumanEval.jsonl.gz    # the files named

Tests look for the data in a folder `shared/data` next to the repository and are skipped without it. Every download is
checked by SHA-256. FILES says which sources a file is built from, and SOURCES where each is, under which licence and
with which hash. `sha256 = None` means that the hash could not be verified when the table was written: it is recorded
in DIR/data.lock.json at the first download and checked afterwards. The finished files are compared with the copies on
which the documented figures were measured; a difference is reported and the file is kept.

These files are written by this project and cannot be fetched; tests that need them are skipped where they are missing:
verifier_cases_dev.jsonl, verifier_adversarial_dev.jsonl, sandbox_attacks_dev.jsonl and code_cheats_dev.jsonl (cases of
our own), verifier_pairs_dev.jsonl (pairs taken by hand from the test suite of Math-Verify, Apache-2.0) and
humaneval_codegen_dev.jsonl.gz (completions of microsoft/CodeT, MIT, with labels measured for this project).

Do not train a model that you publish on benchmark questions.
"""

import argparse
import gzip
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.download import DownloadError, Lock, Source, fetch, write_whole

GITHUB = "https://raw.githubusercontent.com"
GSM8K = f"{GITHUB}/openai/grade-school-math"
QWEN = f"{GITHUB}/QwenLM/Qwen2.5-Math/a45202bd16f1ec06f433442dc1152d0074773465/evaluation/data"
DEEPSEEK = f"{GITHUB}/deepseek-ai/DeepSeek-Math/21cc5c6701a708a11cee0af8b1fe884e3294dc7a/evaluation/datasets"
EVALS = f"{GITHUB}/open-thought/reasoning-gym-eval"
RUNS = "reasoninggym-paper-experiments/math-evals"
EVALS_A, EVALS_B = "1c2691a0001277a19a0547f1b584f81423d36fac", "2e641527fb9d3d60cbfad7c3196ebc6118b58048"
EVALS_LLAMA = "293735b50e9aac818c9ba8a5976e3905ff458e18"
QUESTIONS_TERMS = "the benchmark's own terms; repository Apache-2.0"


def qwen_run(commit: str, model: str, suite: str, prompt: str) -> Source:
    """The source of one suite's outputs, labelled by the Qwen2.5-Math grader."""
    return Source(
        f"{EVALS}/{commit}/{RUNS}/{model}/math_eval/{suite}/test_{prompt}_-1_seed0_t0.0_s0_e-1.jsonl",
        None,
        "Apache-2.0",
    )


INSTRUCT = ("Qwen/Qwen2.5-3B-Instruct", "qwen25-math-cot")  # folder of the model, name of its prompt
RLFT = ("starzmustdie/Qwen-2.5-3B-rlft", "qwen25-rg-cot")
SUITES = {  # suite: (commit of the instruct model's outputs, of the other model's)
    "aime24": (EVALS_A, EVALS_B),
    "amc23": (EVALS_B, EVALS_B),
    "carp_en": (EVALS_A, EVALS_A),
    "gaokao2023en": (EVALS_A, EVALS_A),
    "gsm8k": (EVALS_A, EVALS_B),
    "minerva_math": (EVALS_B, EVALS_B),
    "olympiadbench": (EVALS_B, EVALS_A),
}

SOURCES: dict[str, Source] = {
    "gsm8k train": Source(
        f"{GSM8K}/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/train.jsonl",
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
        "MIT",
    ),
    "gsm8k solutions": Source(
        f"{GSM8K}/3ab487330c1f3c28650d4bcd30bb51d33a14d404/grade_school_math/data/example_model_solutions.jsonl",
        None,
        "MIT",
    ),
    "HumanEval": Source(
        f"{GITHUB}/openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d/data/HumanEval.jsonl.gz",
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        "MIT",
    ),
    "MBPP": Source(
        f"{GITHUB}/google-research/google-research/e3937aa2643402c194316d74917acee1dc4e8993/mbpp/sanitized-mbpp.json",
        "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        "CC-BY-4.0",
    ),
    "IFEval": Source(
        f"{GITHUB}/google-research/google-research/041338718b4e8151372fd63677104c65b73a0a4e"
        "/instruction_following_eval/data/input_data.jsonl",
        "67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49",
        "Apache-2.0",
    ),
    "rephrased gsm8k": Source(
        f"{GITHUB}/lm-sys/llm-decontaminator/bdd31e96504880c1860b65b47aed56aee0789ae4"
        "/data/rephrase/rephrase_gsm8k.jsonl",
        None,
        "Apache-2.0",
    ),
    "MATH-500": Source(
        "https://huggingface.co/datasets/HuggingFaceH4/MATH-500/resolve/6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"
        "/test.jsonl",
        "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
        "MIT (openai/prm800k)",
    ),
    "aime24": Source(f"{QWEN}/aime24/test.jsonl", None, QUESTIONS_TERMS),
    "amc23": Source(f"{QWEN}/amc23/test.jsonl", None, QUESTIONS_TERMS),
    "college_math": Source(f"{QWEN}/college_math/test.jsonl", None, QUESTIONS_TERMS),
    "cmath": Source(f"{QWEN}/cmath/test.jsonl", None, QUESTIONS_TERMS),
    "mgsm_zh": Source(f"{DEEPSEEK}/mgsm_zh/mgsm_zh.jsonl", None, "MIT"),
    **{f"instruct {suite}": qwen_run(commits[0], INSTRUCT[0], suite, INSTRUCT[1]) for suite, commits in SUITES.items()},
    **{f"rlft {suite}": qwen_run(commits[1], RLFT[0], suite, RLFT[1]) for suite, commits in SUITES.items()},
    "math_cot_100": Source(f"{QWEN}/eval_rm_maj_example/math_cot_100.jsonl", None, "Apache-2.0"),
    "llama amc23": Source(
        f"{EVALS}/{EVALS_LLAMA}/{RUNS}/llama-3b-instruct/step_400/amc23/vllm_20250502_075952/results.json",
        None,
        "Apache-2.0",
    ),
    "llama aime24": Source(
        f"{EVALS}/{EVALS_LLAMA}/{RUNS}/llama-3b-instruct/step_400/aime2024/vllm_20250502_081607/results.json",
        None,
        "Apache-2.0",
    ),
}

Row = dict[str, Any]
Build = Callable[[Sequence[bytes]], bytes]  # the sources' contents, in the file's order -> the file, uncompressed


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that tests or benchmarks read, and how it is built."""

    sources: tuple[str, ...]
    build: Build
    sha256: str  # of the uncompressed content of the copy on which the documented figures were measured


def json_lines(content: bytes) -> Iterator[Row]:
    """Yield the rows of a JSON lines file. Bytes are split, because text also splits at U+2028 inside a string."""
    return map(json.loads, content.splitlines())


def lines_of(rows: Iterator[Row], ascii_only: bool = False) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()


def as_it_is(contents: Sequence[bytes]) -> bytes:
    """Return the one source unchanged, unpacked if it is compressed."""
    (content,) = contents
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def plain_text(contents: Sequence[bytes]) -> bytes:
    """Return the rows of the one source, with characters written as themselves and not as \\u escapes."""
    return lines_of(json_lines(contents[0]))


def indented(contents: Sequence[bytes]) -> bytes:
    """Return the one source, a JSON document, with an indent of four."""
    return json.dumps(json.loads(contents[0]), indent=4, ensure_ascii=False).encode()


def every_second(contents: Sequence[bytes]) -> bytes:
    """Return lines 1, 3, 5 and so on of the one source."""
    return b"".join(contents[0].splitlines(keepends=True)[::2])


def with_question(contents: Sequence[bytes]) -> bytes:
    """Return the rows of the one source, each with its `problem` under the key `question` too."""
    return lines_of({**row, "question": row.get("question", row["problem"])} for row in json_lines(contents[0]))


def labelled_outputs(contents: Sequence[bytes]) -> bytes:
    """Return the outputs with correctness labels of all suites.

    Rows are numbered over all suites; those whose question has an even SHA-256 are kept, the others are held out.
    """
    solutions, *qwen = contents[: 1 + 2 * len(SUITES)]
    cot_100, llama_amc23, llama_aime24 = contents[1 + 2 * len(SUITES) :]
    models = [name for name in ("qwen25-3b-instruct", "qwen25-3b-rlft") for _ in SUITES]
    graded = [
        grader_rows(content, f"qwen_{suite}", model)
        for content, suite, model in zip(qwen, [*SUITES, *SUITES], models, strict=True)
    ]
    every = itertools.chain(
        solution_rows(solutions),
        *graded,
        grader_rows(cot_100, "qwen_math_cot_100", "qwen2.5-math"),
        sampled_rows(llama_amc23, "llama3b_rlft_amc23_50samples"),
        sampled_rows(llama_aime24, "llama3b_rlft_aime24_50samples"),
    )
    numbered = ({"id": f"{row['suite']}-{number}", **row} for number, row in enumerate(every))
    return lines_of((row for row in numbered if is_even(row["question"])), ascii_only=True)


def is_even(text: str) -> bool:
    """Whether the SHA-256 of a text is an even number."""
    return hashlib.sha256(text.encode()).digest()[-1] % 2 == 0


def solution_rows(content: bytes) -> Iterator[Row]:
    """Yield GSM8K's published solutions: four models a question, labelled by an exact match of `A: n`."""
    for row in json_lines(content):
        reference = row["ground_truth"].rpartition("A: ")[2]
        for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            output = row[model]["solution"], None, row[model]["is_correct"]
            by = 'openai exact-match on "A: n"'
            yield labelled("gsm8k_2021", row["question"], reference, *output, by, model)


def grader_rows(content: bytes, suite: str, model: str) -> Iterator[Row]:
    """Yield the outputs of the Qwen2.5-Math evaluation: one or several samples a question."""
    for row in json_lines(content):
        for response, pred, label in zip(row["code"], row["pred"], row["score"], strict=True):
            yield labelled(suite, row["question"], row["gt"], response, pred, label, "Qwen2.5-Math grader.py", model)


def sampled_rows(content: bytes, suite: str) -> Iterator[Row]:
    """Yield the 50 samples a question of a reasoning-gym evaluation."""
    for row in json.loads(content)["categories"][0]["datasets"][0]["results"]:
        for said in row["completions"]:
            answers = row["question"], row["expected_answer"], said["full_model_response"], said["model_answer"]
            yield labelled(suite, *answers, said["score"] == 1, "reasoning-gym math eval", "llama3.2-3b-rlft")


def labelled(
    suite: str, question: str, reference: str, response: str, pred: str | None, label: bool, label_by: str, model: str
) -> Row:
    """Return a row of labelled_outputs_dev.jsonl.gz without its id."""
    row = {"suite": suite, "question": question, "gold": reference, "response": response}
    return {**row, "pred": pred, "label": label, "label_by": label_by, "model": model}


OUTPUTS = ("gsm8k solutions", *(f"instruct {suite}" for suite in SUITES), *(f"rlft {suite}" for suite in SUITES))
FILES: dict[str, DataFile] = {
    "gsm8k_train.jsonl.gz": DataFile(
        ("gsm8k train",), plain_text, "6043ef64147b59871f4fd3adf669c306fe0a4c27e5a5c4bfb761f3f084895a13"
    ),
    "labelled_outputs_dev.jsonl.gz": DataFile(
        (*OUTPUTS, "math_cot_100", "llama amc23", "llama aime24"),
        labelled_outputs,
        "8622943eea311e133fe700ea75148f51605469129374c440b6ce0539752d771a",
    ),
    "HumanEval.jsonl.gz": DataFile(
        ("HumanEval",), as_it_is, "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2"
    ),
    "sanitized-mbpp.json": DataFile(
        ("MBPP",), indented, "7fec016546acaee11dbe14f9f0bb670e59f41919f7b522a59fba34871da78551"
    ),
    "ifeval_input_data.jsonl": DataFile(
        ("IFEval",), as_it_is, "67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49"
    ),
    "rephrased_gsm8k_dev.jsonl": DataFile(
        ("rephrased gsm8k",), every_second, "74767c1650f39ffd0e358fdd8a9d05d7f59cadf1b72442312fca5fa66248ae5b"
    ),
    "benchmarks/math500.jsonl": DataFile(
        ("MATH-500",), as_it_is, "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132"
    ),
    "benchmarks/aime24.jsonl": DataFile(
        ("aime24",), with_question, "187d08d68441a0bb0d0db8f6e7c5af53dbe0dc7efe9a769cd27f75d8d13f6318"
    ),
    "benchmarks/amc23.jsonl": DataFile(
        ("amc23",), with_question, "5ed21b3a67cdca5ff9d248173c8817fd0f12a42667925f9bdd5f88906bfd699f"
    ),
    "benchmarks/college_math.jsonl": DataFile(
        ("college_math",), plain_text, "66500a6c5294820bcf1bc0e9179ab3e23e5523b00095125786e181179a8b17a5"
    ),
    "benchmarks/cmath.jsonl": DataFile(
        ("cmath",), plain_text, "e2ceabf05d10b37f207eaebbe8db24dbfc961e1a4f07337d2fc4db42a7f44fdb"
    ),
    "benchmarks/mgsm_zh.jsonl": DataFile(
        ("mgsm_zh",), plain_text, "165c3b6753e8a8786183c27b9af7b7590d54dca4d0136edadb24d684c95bb50d"
    ),
}


def make(name: str, file: DataFile, sources: Mapping[str, Source], out: Path, lock: Lock) -> str:
    """Build one file in `out` unless it is there; return a sentence on what was done."""
    path = out / name
    if path.exists():
        return f"there already, {compared(file, as_it_is([path.read_bytes()]))}"
    cache = out / "downloads"
    contents = [fetch(sources[key], cache / key.replace(" ", "_"), lock) for key in file.sources]
    try:
        content = file.build(contents)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DownloadError(f"its sources do not have the expected form: {type(error).__name__}: {error}") from error
    packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    write_whole(path, packed)
    return f"built, {compared(file, content)}"


def compared(file: DataFile, content: bytes) -> str:
    """Return how a content compares with the copy on which figures were measured."""
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return "the same as the copy that the documented figures were measured on"
    return "DIFFERS from the copy that the documented figures were measured on"


def make_all(names: Sequence[str], files: Mapping[str, DataFile], sources: Mapping[str, Source], out: Path) -> int:
    """Build the files, each on its own: one that fails is reported and the others go on. Return how many failed."""
    failed = 0
    lock = Lock(out / "data.lock.json")
    for name in names:
        try:
            print(f"{name}: {make(name, files[name], sources, out, lock)}", flush=True)
        except DownloadError as error:
            failed += 1
            print(f"{name}: FAILED: {error}", file=sys.stderr, flush=True)
    return failed


def main() -> int:
    """Build what is missing; the exit code is 1 where a file could not be built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("names", nargs="*", metavar="FILE", help="files to build; all of them where none is named")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(FILES)):
        parser.error(f"there is no file {unknown[0]!r}; there are {', '.join(FILES)}")
    return 1 if make_all(options.names or list(FILES), FILES, SOURCES, options.out) else 0


if __name__ == "__main__":
    sys.exit(main())
