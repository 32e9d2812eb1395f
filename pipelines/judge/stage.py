"""The judge stage: a model sees what the rules refused or could not read, and says whether it is right after all.

A cascade: rules are exact, free and cannot be talked round, so they go first, and what they accept stays accepted. The
judge compares final answers with references (llm_judge/prompts.py), behind a guard against what speaks to it. Its
questions are prompts and its replies samples: of the generate stage's engines, queue and ledger, keyed by content, so
that equal answers to one question are one sample, and none is ever paid for twice.

How far it can be trusted is measured on rows about which the rule was sure, both right and wrong ones.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from filters.llm_judge.prompts import COMPARE, Case, Message, case_of, question_text, read_pointwise
from filters.verification.rewards import with_accuracy
from filters.verify import VerifyConfig, item_of, prompts_by_id
from generators.contract.config import Config
from generators.contract.engine import Fleet, SamplingConfig, local_fleet
from generators.contract.files import frame, write_frame
from generators.contract.ids import content_id, prompt_id_of
from generators.contract.records import JUDGED, PROMPT
from generators.contract.stage_protocol import Progress, StageCounts, no_progress
from generators.generate import generate
from generators.sampling.settings import GenerateConfig, load_teacher

Refused = Literal["wrong", "unparseable", "timeout", "error"]

WITH_GOLD = ("math_answer", "exact", "choice", "judge")  # verifiers whose references are answers
READ_ROWS = 2000
SCRATCH = ("requests.parquet", "traces.parquet")
TRACE_COLUMNS = ("trace_id", "prompt_id", "reasoning", "answer", "finish_reason")
SAID = {"trace_id": pl.String, "judge_status": pl.String, "judge_reason": pl.String}


class JudgeConfig(Config):
    """Who judges, and what it is shown."""

    teacher: str = Field(description="module name in generators/teachers, or a dotted path")
    model: str = Field(description="model folder, or a Hugging Face or server's name")
    sampling: SamplingConfig = SamplingConfig(temperature=0.0, top_p=1.0, max_new_tokens=4096)
    options: dict[str, Any] = Field(default={}, description="the teacher's own settings")
    when: tuple[Refused, ...] = Field(
        default=("wrong", "unparseable"), min_length=1, description="verdicts of the rule that it may overrule"
    )
    verifiers: tuple[str, ...] = Field(
        default=WITH_GOLD, min_length=1, description="rules whose refusals it sees: those with a gold answer"
    )
    control_rows: int = Field(
        default=100, ge=0, description="rows about which the rule is sure, half of them right, to measure agreement on"
    )
    attempts: int = Field(default=5, ge=1, description="as in [generate]")
    patience_s: float = Field(default=900, gt=0, description="as in [generate]")

    @model_validator(mode="after")
    def _check(self) -> "JudgeConfig":
        if "n" in self.sampling.model_fields_set and self.sampling.n != 1:
            raise ValueError(f"sampling.n is {self.sampling.n}; a question is put to the judge once")
        return self

    def generation(self) -> GenerateConfig:
        """How the model is sampled."""
        kept = {key: getattr(self, key) for key in ("teacher", "model", "options", "attempts", "patience_s")}
        return GenerateConfig(**kept, sampling=self.sampling.model_copy(update={"n": 1}))

    def check_teacher(self) -> None:
        """A teacher that answers nothing is a ValueError."""
        if hasattr(load_teacher(self.teacher, self.options)[0], "import_traces"):
            raise ValueError(f"a judge answers questions, and the teacher {self.teacher} makes no samples")

    def identity(self) -> dict[str, Any]:
        """What decides what comes out, our instructions included."""
        own = {"when": sorted(self.when), "verifiers": sorted(self.verifiers), "control_rows": self.control_rows}
        return self.generation().identity() | own | {"instructions": content_id(COMPARE)}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question: its text where the judge ended by itself, and what was spent."""

    text: str | None
    failure: str  # why there is no text
    prompt_tokens: int
    completion_tokens: int

    @property
    def failed(self) -> bool:
        """Whether the teacher did not deliver; it is asked again when the stage runs again."""
        return self.text is None and self.failure != "cut off"


@dataclass(frozen=True, slots=True)
class Brought:
    """A row for the judge: the question that it makes, or why it makes none."""

    row: str  # trace_id
    question: str | None = None  # prompt_id of what is asked
    case: Case | None = None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """All replies by the prompt_id of what was asked."""

    replies: Mapping[str, Reply]
    sampled: int = 0  # now; the others were in the ledger

    def notes(self) -> dict[str, Any]:
        """What it cost."""
        spent = {
            name: sum(getattr(reply, name) for reply in self.replies.values())
            for name in ("prompt_tokens", "completion_tokens")
        }
        return {
            "questions": len(self.replies),
            **spent,
            "sampled": self.sampled,
            "reused": len(self.replies) - self.sampled,
        }


def judge(
    traces: Path,
    verdicts: Path,
    prompts: Path,
    out: Path,
    config: JudgeConfig,
    verifying: VerifyConfig,
    *,
    fleet: Fleet = local_fleet,
    progress: Progress = no_progress,
) -> StageCounts:
    """Write `out`/verdicts.parquet (records.JUDGED): the rows of `verdicts`, in their order, with the judge's word.

    A row of `when` takes the judge's status where that is correct or wrong, else it keeps the rule's. Rows kept are the
    correct ones. Notes: rows for the judge, what it recovered, its agreement with the rule, and tokens.
    """
    ruled = pl.read_parquet(verdicts)
    questions = prompts_by_id(prompts, verifying)
    bring = partial(bring_traces, traces, questions)
    judged, answers = overrule(ruled, bring, out, config, verifying, fleet=fleet, progress=progress)
    write_frame(judged, out / "verdicts.parquet")
    return counts(judged, config, answers)


def overrule(
    ruled: pl.DataFrame,
    bring: Callable[[pl.Series], Iterable[Brought]],
    out: Path,
    config: JudgeConfig,
    verifying: VerifyConfig,
    *,
    fleet: Fleet = local_fleet,
    progress: Progress = no_progress,
) -> tuple[pl.DataFrame, Answers]:
    """The rule's verdicts (records.VERDICT) with the judge's word (records.JUDGED), and its replies.

    `bring` is given the trace_ids that the judge is to see.
    """
    asking = ruled.filter(pl.col("status").is_in(config.when) & pl.col("verifier").is_in(config.verifiers))
    shown = pl.concat([asking, controls(ruled, config)])["trace_id"].unique()
    brought = list(bring(shown))
    asked = {one.question: one.case.messages() for one in brought if one.case and one.question}
    answers = consult(asked, out, config, fleet=fleet, progress=progress)
    said = pl.DataFrame([word_on(one, answers, config.model) for one in brought], schema=SAID, orient="row")
    return label(ruled, said, config, verifying), answers


def controls(ruled: pl.DataFrame, config: JudgeConfig) -> pl.DataFrame:
    """Rows about which the rule is sure, half right and half wrong, drawn by a hash of their ids."""
    half = config.control_rows // 2
    drawn: list[str] = []
    for status, many in (("correct", config.control_rows - half), ("wrong", half)):
        rows = ruled.filter(pl.col("verifier").is_in(config.verifiers), status=status)
        drawn += sorted(rows["trace_id"], key=lambda trace_id: content_id([config.sampling.seed, trace_id]))[:many]
    return ruled.filter(pl.col("trace_id").is_in(drawn))


def bring_traces(traces: Path, questions: Mapping[str, Mapping[str, Any]], trace_ids: pl.Series) -> Iterator[Brought]:
    """These traces, without holding their texts in memory."""
    wanted = pl.LazyFrame({"trace_id": trace_ids})
    rows = pl.scan_parquet(traces).select(TRACE_COLUMNS).join(wanted, on="trace_id", how="semi", maintain_order="left")
    for batch in rows.collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        for row in batch.iter_rows(named=True):
            item = item_of({**row, **questions[row["prompt_id"]]})
            yield as_question(row["trace_id"], case_of(question_text(item.messages), item))


def as_question(row: str, case: Case | str) -> Brought:
    """A row with its case, or with why it has none."""
    if isinstance(case, str):
        return Brought(row, withheld=case)
    return Brought(row, prompt_id_of(case.messages()), case)


def consult(
    questions: Mapping[str, Sequence[Message]],
    out: Path,
    config: JudgeConfig,
    *,
    fleet: Fleet = local_fleet,
    progress: Progress = no_progress,
) -> Answers:
    """Put questions (by the prompt_id of their messages) to the judge; what `out`/ledger has is not asked again."""
    asked = ({"prompt_id": name, "messages": messages} for name, messages in questions.items())
    write_frame(frame(asked, PROMPT), out / "requests.parquet")
    sampled = generate(
        out / "requests.parquet", out, config.generation(), fleet=fleet, progress=progress, thinking=False
    )
    rows = pl.read_parquet(out / "traces.parquet").drop("token_ids").iter_rows(named=True)
    replies = {row["prompt_id"]: reply_of(row) for row in rows}
    for name in SCRATCH:  # the ledger has the replies as they came
        (out / name).unlink(missing_ok=True)
    assert len(replies) == len(questions), f"{len(questions)} questions have {len(replies)} replies"
    return Answers(replies, sampled.notes["sampled"])


def reply_of(row: Mapping[str, Any]) -> Reply:
    """One sample of the judge; one that was cut off says nothing, whatever stands in it."""
    failure = {"length": "cut off", "error": row["error"] or "it failed"}.get(row["finish_reason"], "")
    tokens = row["prompt_tokens"] or 0, row["completion_tokens"] or 0
    return Reply(None if failure else row["answer"], failure, *tokens)


def word_on(one: Brought, answers: Answers, model: str) -> tuple[str, str, str]:
    """A SAID row."""
    if one.case is None or one.question is None:
        return one.row, "withheld", one.withheld
    return one.row, *word_of(answers.replies[one.question], one.case, model)


def word_of(reply: Reply, case: Case, model: str) -> tuple[str, str]:
    """(status, reason) of a reply."""
    if reply.text is None:
        return ("error" if reply.failed else "unparseable"), f"{model}: {reply.failure}"
    equivalent = read_pointwise(reply.text)
    if equivalent is None:
        return "unparseable", f"{model}: its reply holds no one verdict"
    return ("correct" if equivalent else "wrong"), f"{model}: {case.says(equivalent)}"


def label(ruled: pl.DataFrame, said: pl.DataFrame, config: JudgeConfig, verifying: VerifyConfig) -> pl.DataFrame:
    """The rule's verdicts with the judge's word, where it has one and may decide."""
    may = pl.col("status").is_in(config.when) & pl.col("verifier").is_in(config.verifiers)
    decides = pl.col("judge_status").is_in(["correct", "wrong"]) & may
    rows = ruled.join(said, on="trace_id", how="left", maintain_order="left").with_columns(
        decides.fill_null(False).alias("decides"), rule_status=pl.col("status"), rule_reason=pl.col("reason")
    )
    decided = pl.when("decides")
    rows = rows.with_columns(
        decided.then(pl.lit("judge")).otherwise(pl.lit("rule")).alias("decided_by"),
        decided.then("judge_status").otherwise("status").alias("status"),
        decided.then("judge_reason").otherwise("reason").alias("reason"),
    )
    scores = [score_of(row, verifying) for row in rows.iter_rows(named=True)]
    return rows.with_columns(score=pl.Series(scores, dtype=pl.Float64)).select(*JUDGED).cast(pl.Schema(JUDGED))


def score_of(row: Mapping[str, Any], verifying: VerifyConfig) -> float:
    """The rule's, and the whole of the accuracy where the judge found it right."""
    recovered = row["decides"] and row["status"] == "correct"
    return with_accuracy(row["score"], verifying.rewards, row["verifier"]) if recovered else row["score"]


def counts(judged: pl.DataFrame, config: JudgeConfig, answers: Answers) -> StageCounts:
    """Correct rows are kept, the others counted by status."""
    by_status = Counter(judged["status"])
    kept = by_status.pop("correct", 0)
    may = judged.filter(pl.col("rule_status").is_in(config.when) & pl.col("verifier").is_in(config.verifiers))
    words = Counter(may["judge_status"])
    recovered = Counter(may.filter(status="correct")["rule_status"])
    notes = {
        "rows": may.height,
        "withheld": dict(Counter(may.filter(judge_status="withheld")["judge_reason"]).most_common()),
        "recovered": {status: recovered[status] for status in config.when},
        "refused": words["wrong"],
        "unclear": words["unparseable"],
        "failed": words["error"],
        "agreement": agreement(judged, config),
        **answers.notes(),
    }
    notes["tokens_per_recovered"] = per_recovered(notes)
    tokens = notes["completion_tokens"]
    return StageCounts(judged.height, kept, dict(sorted(by_status.items())), tokens, notes)


def per_recovered(notes: Mapping[str, Any]) -> int | None:
    """Tokens read and written for each trace that was recovered; None where there is none."""
    found = sum(notes["recovered"].values())
    return round((notes["prompt_tokens"] + notes["completion_tokens"]) / found) if found else None


def agreement(judged: pl.DataFrame, config: JudgeConfig) -> dict[str, dict[str, int]]:
    """Of the control rows, by what the rule says: how many the judge was shown, and on how many it says the same."""
    rule = judged.with_columns(status=pl.col("rule_status"))
    sample = controls(rule, config).filter(pl.col("judge_status") != "withheld")
    return {
        status: {"rows": rows.height, "agree": rows.filter(judge_status=status).height}
        for status in ("correct", "wrong")
        for rows in [sample.filter(status=status)]
    }
