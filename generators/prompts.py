"""The prompts stage: questions from task families, files or datasets, as records.PROMPT rows.

Nothing is left out: a question that is asked twice, is empty, or belongs to the evaluation set keeps its row
and says so in `drop_reason`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, field_validator

from generators.contract.config import Config, FileName, Mark, Named, VerifierName
from generators.contract.files import frame, write_frame
from generators.contract.ids import canonical_json, prompt_id_of
from generators.contract.records import PROMPT
from generators.contract.rows import (
    ABSENT,
    chat_messages,
    chat_of,
    column,
    lookup,
    missing,
    read_dataset,
    read_file,
    reference_text,
    text_of,
)
from generators.contract.stage_protocol import IN_PROCESS, Progress, Runtime, StageCounts, counts_by_reason, no_progress

DOMAINS = ("math", "code", "stem", "logic", "general")
Domain = Literal["math", "code", "stem", "logic", "general"]


class TaskPrompts(Config):
    """Problems made by the built-in task families."""

    source: Literal["tasks"]
    families: tuple[str, ...] = Field(default=(), description="names of modules in generators/tasks; none: all of them")
    count: int = Field(default=600, ge=1, description="problems, spread evenly over families")
    split: Literal["teacher", "demo", "eval"] = Field("demo", description="disjoint parts of each family's problems")
    levels: tuple[int, ...] | None = Field(default=None, description="difficulties; none: all")
    seed: int = Field(default=0, ge=0)
    domain: Domain = "math"
    verifier: VerifierName | None = "math_answer"
    system: str | None = None


class Fields(Config):
    """Which column of the source holds what; dots reach into nested ones. A name left out is looked for as it is."""

    question: str | None = None
    messages: str | None = None
    system: str | None = None
    reference: str | tuple[str, ...] | None = Field(default=None, description="several columns become one JSON object")
    verifier: str | None = None
    domain: str | None = None
    source: str | None = None
    license: str | None = None


class _Mapped(Config):
    """What files and datasets share: columns, and values for what no column holds."""

    fields: Fields = Fields()
    verifier: VerifierName | None = Field(
        default=None, description="module name in filters/verifiers; none: not verifiable"
    )
    domain: Domain = "math"
    license: str | None = None
    system: str | None = Field(default=None, description="system message of prompts that have none")
    prompt_template: str | None = Field(default=None, description="the user's message, with {question} in it")
    limit: int | None = Field(default=None, ge=1, description="rows to read; none: all")

    @field_validator("prompt_template")
    @classmethod
    def _holds_question(cls, template: str | None) -> str | None:
        if template is not None and "{question}" not in template:
            raise ValueError("a prompt template holds {question} where the question goes")
        return template


class FilePrompts(_Mapped):
    """Rows of a .jsonl, .jsonl.gz, .json or .parquet file, or of a folder of them."""

    source: Literal["file"]
    path: FileName = Field(description="a .jsonl, .jsonl.gz, .json or .parquet file, or a folder of them")


class DatasetPrompts(_Mapped):
    """Rows of a Hugging Face dataset: a hub name or a local folder."""

    source: Literal["dataset"]
    path: str = Field(description="name on the Hugging Face hub, or a local folder")
    name: str | None = Field(default=None, description="the dataset's configuration")
    split: str = "train"
    revision: str | None = None

    def named(self, prefix: str = "") -> Iterator[Named]:
        """Yield what the section names; `path` only where it is a local folder."""
        yield from super().named(prefix)
        if Path(self.path).exists():
            yield Named(f"{prefix}path", Mark.FILE, self.path)


PromptsConfig = Annotated[TaskPrompts | FilePrompts | DatasetPrompts, Field(discriminator="source")]


def prompts(
    out: Path,
    config: PromptsConfig,
    *,
    evaluation: PromptsConfig | None = None,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write out/prompts.parquet and, if `evaluation` is given, out/eval_prompts.parquet.

    Training prompts that ask an evaluation question again are dropped as `in_evaluation_set`.
    """
    train = read_prompts(config, progress=runtime.progress)
    notes: dict[str, Any] = {"unverifiable": _kept(train)["verifier"].null_count()}
    if evaluation is not None:
        exam = read_prompts(evaluation, split="eval", progress=runtime.progress)
        train = without_exam(train, exam)
        notes["evaluation_prompts"] = len(_kept(exam))
        notes["evaluation_dropped"] = len(exam) - len(_kept(exam))
        write_frame(exam, out / "eval_prompts.parquet")
    if not len(_kept(train)):
        raise ValueError(f"no prompt is left of {len(train)}: {dict(train['drop_reason'].value_counts().iter_rows())}")
    write_frame(train, out / "prompts.parquet")
    return counts_by_reason(train["drop_reason"], notes=notes)


def read_rows(config: FilePrompts | DatasetPrompts) -> Iterator[dict[str, Any]]:
    """The source's rows as they are; bad input is a ValueError or FileNotFoundError that names file and row."""
    if isinstance(config, FilePrompts):
        return read_file(Path(config.path), config.limit)
    return read_dataset(config.path, config.name, config.split, config.revision, config.limit)


def read_prompts(config: PromptsConfig, *, split: str = "train", progress: Progress = no_progress) -> pl.DataFrame:
    """The prompts of one source, a records.PROMPT frame with repeated and empty questions marked."""
    made = _from_tasks(config) if isinstance(config, TaskPrompts) else _from_rows(config)
    rows = []
    with progress("prompts", 0) as bar:
        for row in made:
            rows.append({"split": split, "drop_reason": None, **row})
            bar.update()
    mark_repeated(rows)
    return frame(rows, PROMPT)


def _from_tasks(config: TaskPrompts) -> Iterator[dict[str, Any]]:
    from generators.problems import draw

    for problem in draw(config.families, config.count, config.split, config.seed, config.levels):
        messages = with_system([{"role": "user", "content": problem.question}], config.system)
        yield {
            "prompt_id": prompt_id_of(messages),
            "messages": messages,
            "domain": config.domain,
            "verifier": config.verifier,
            "reference": problem.answer,
            "source": f"tasks/{problem.family}",
        }


def _from_rows(config: FilePrompts | DatasetPrompts) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(read_rows(config), start=1):
        yield prompt_row(row, config, f"{config.path}, row {number}")


def prompt_row(row: Mapping[str, Any], config: FilePrompts | DatasetPrompts, place: str) -> dict[str, Any]:
    """A source's row as a prompt."""
    fields = config.fields
    messages = prompt_messages(row, config, place)
    domain = text_of(column(row, fields.domain, "domain", place), "the domain", place) or config.domain
    if domain not in DOMAINS:
        raise ValueError(f"{place}: the domain is {domain!r}; accepted are {', '.join(DOMAINS)}")
    return {
        "prompt_id": prompt_id_of(messages),
        "messages": messages,
        "domain": domain,
        "verifier": text_of(column(row, fields.verifier, "verifier", place), "the verifier", place) or config.verifier,
        "reference": _reference(row, fields.reference, place),
        "source": text_of(column(row, fields.source, "source", place), "the source", place) or Path(config.path).name,
        "license": text_of(column(row, fields.license, "license", place), "the license", place) or config.license,
    }


def prompt_messages(row: Mapping[str, Any], config: FilePrompts | DatasetPrompts, place: str) -> list[dict[str, str]]:
    """The messages up to where the assistant answers, from the row's messages or from its question."""
    fields = config.fields
    chat = chat_of(row, fields.messages, place) if fields.question is None else None
    if chat is not None:
        messages = chat_messages(chat, place)
        while messages and messages[-1]["role"] == "assistant":
            messages.pop()
    else:
        question = text_of(column(row, fields.question, "question", place), "the question", place)
        if question is None and lookup(row, fields.question or "question") is ABSENT:
            raise ValueError(
                missing(row, "question", "the prompt (name it in fields.question or fields.messages)", place)
            )
        text = (question or "").strip()
        text = config.prompt_template.replace("{question}", text) if text and config.prompt_template else text
        messages = [{"role": "user", "content": text}]
    system = text_of(column(row, fields.system, "system", place), "the system message", place)
    return with_system(messages, system or config.system)


def with_system(messages: list[dict[str, str]], system: str | None) -> list[dict[str, str]]:
    """Messages with a system message in front, unless there is one or none is wanted."""
    if not system or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def _reference(row: Mapping[str, Any], columns: str | tuple[str, ...] | None, place: str) -> str | None:
    if isinstance(columns, tuple):
        return canonical_json({name: column(row, name, "reference", place) for name in columns})
    return reference_text(column(row, columns, "reference", place))


def mark_repeated(rows: list[dict[str, Any]]) -> None:
    """Give a drop_reason to prompts that ask nothing, or ask again what an earlier row asked."""
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not question_of(row):
            row["drop_reason"] = "empty"
            continue
        earlier = first.setdefault(row["prompt_id"], row)
        if earlier is not row:
            same = same_reference(earlier["reference"], row["reference"])
            row["drop_reason"] = "duplicate" if same else "conflicting_reference"


def same_reference(a: str | None, b: str | None) -> bool:
    """Whether two references say the same: equal text, or the same number."""
    if a == b or a is None or b is None:
        return a == b
    try:
        return float(a) == float(b)
    except ValueError:
        return a.strip() == b.strip()


def question_of(row: Mapping[str, Any]) -> str:
    """The last user message, in lower case and with single spaces: what makes two prompts the same question."""
    asked = [message["content"] for message in row["messages"] if message["role"] == "user"]
    return " ".join(asked[-1].casefold().split()) if asked else ""


def without_exam(train: pl.DataFrame, exam: pl.DataFrame) -> pl.DataFrame:
    """`train` with `in_evaluation_set` on prompts that ask an evaluation question, whatever else stands around it."""
    asked = {question_of(row) for row in exam.iter_rows(named=True)}
    held = pl.Series([question_of(row) in asked for row in train.iter_rows(named=True)], dtype=pl.Boolean)
    mark = pl.when(held & pl.col("drop_reason").is_null()).then(pl.lit("in_evaluation_set"))
    return train.with_columns(mark.otherwise("drop_reason").alias("drop_reason"))


def _kept(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("drop_reason").is_null())
