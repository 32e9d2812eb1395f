"""The judge stage: a model looks at answers that the rules refused or could not read, and may accept them.

The stage is a cascade. Rules are exact, free and cannot be persuaded, so they go first, and an answer that they accept
stays accepted. The judge compares final answers with references (llm_judge/prompts.py), behind a guard against answers
that address it. Its questions are prompts and its replies are samples of the generate stage's engines, scheduler and
ledger. They are keyed by content, so that equal answers to one question are one sample, which is paid for once.

The judge's agreement with the rule is measured on control rows: answers about which the rule is sure, both right and
wrong ones.
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
from generators.contract.config import ModelName
from generators.contract.engine import SamplingConfig
from generators.contract.files import frame, write_frame
from generators.contract.ids import content_id, prompt_id_of
from generators.contract.records import JUDGED, PROMPT
from generators.contract.stage_protocol import IN_PROCESS, Runtime, StageCounts
from generators.generate import generate
from generators.sampling.settings import GenerateConfig, SamplerConfig

Refused = Literal["wrong", "unparseable", "timeout", "error"]

WITH_REFERENCE = ("math_answer", "exact", "choice", "judge")  # verifiers whose references are answers
READ_ROWS = 2000
SCRATCH = ("requests.parquet", "traces.parquet")
TRACE_COLUMNS = ("trace_id", "prompt_id", "reasoning", "answer", "finish_reason")
SPOKEN = {"trace_id": pl.String, "judge_status": pl.String, "judge_reason": pl.String}


class JudgeConfig(SamplerConfig):
    """The judging model, and the rows that it is shown."""

    model: ModelName = Field(description="a model folder, or the name of a model on the Hugging Face hub or a server")
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, top_p=1.0, max_new_tokens=4096), description="decoding parameters"
    )
    when: tuple[Refused, ...] = Field(
        default=("wrong", "unparseable"),
        min_length=1,
        description="statuses of the rule's verdicts that it may overrule",
    )
    verifiers: tuple[str, ...] = Field(
        default=WITH_REFERENCE, min_length=1, description="rules whose refusals it sees: those with a reference answer"
    )
    control_rows: int = Field(
        default=100,
        ge=0,
        description="rows about which the rule is sure, half of them right, on which agreement is measured",
    )

    @model_validator(mode="after")
    def _check(self) -> "JudgeConfig":
        if "n" in self.sampling.model_fields_set and self.sampling.n != 1:
            raise ValueError(
                f"sampling.n is {self.sampling.n}; the judge is asked each question once: leave n out, or set 1"
            )
        return self

    def generation(self) -> GenerateConfig:
        """Return the settings by which the model is sampled."""
        kept = {key: getattr(self, key) for key in ("engine", "model", "options", "max_attempts", "give_up_after_s")}
        return GenerateConfig(**kept, sampling=self.sampling.model_copy(update={"n": 1}))

    def identity(self) -> dict[str, Any]:
        """Return the values that decide the result, our instructions included."""
        own = {"when": sorted(self.when), "verifiers": sorted(self.verifiers), "control_rows": self.control_rows}
        return self.generation().identity() | own | {"instructions": content_id(COMPARE)}


@dataclass(frozen=True, slots=True)
class Reply:
    """The judge's reply to a question: its text where the judge ended by itself, and the tokens spent."""

    text: str | None
    failure: str  # why there is no text
    prompt_tokens: int
    completion_tokens: int

    @property
    def failed(self) -> bool:
        """True where sampling failed; the question is asked again when the stage runs again."""
        return self.text is None and self.failure != "cut off"


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """A row for the judge: its question, or the reason why it has none."""

    row: str  # trace_id
    question: str | None = None  # prompt_id of the question's messages
    case: Case | None = None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """All replies by the prompt_id of their question."""

    replies: Mapping[str, Reply]
    sampled: int = 0  # in this run; the others were in the ledger

    def notes(self) -> dict[str, Any]:
        """Return the numbers of questions and tokens."""
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
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write `out`/verdicts.parquet (records.JUDGED): the rows of `verdicts`, in order, with the judge's verdicts.

    A row with a status in `when` takes the judge's status where that is correct or wrong; otherwise it keeps the rule's
    status. Rows kept are the correct ones. Notes: rows for the judge, rows it recovered, its agreement with the rule,
    and tokens.
    """
    ruled = pl.read_parquet(verdicts)
    questions = prompts_by_id(prompts, verifying)
    rows_of = partial(trace_rows, traces, questions)
    judged, answers = overrule(ruled, rows_of, out, config, verifying, runtime=runtime)
    write_frame(judged, out / "verdicts.parquet")
    return counts(judged, config, answers)


def overrule(
    ruled: pl.DataFrame,
    rows_of: Callable[[pl.Series], Iterable[JudgeRow]],
    out: Path,
    config: JudgeConfig,
    verifying: VerifyConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> tuple[pl.DataFrame, Answers]:
    """Return the rule's verdicts (records.VERDICT) with the judge's (records.JUDGED), and the judge's replies.

    rows_of: returns the rows of the trace_ids that the judge is to see.
    """
    asking = ruled.filter(pl.col("status").is_in(config.when) & pl.col("verifier").is_in(config.verifiers))
    shown = pl.concat([asking, controls(ruled, config)])["trace_id"].unique()
    rows = list(rows_of(shown))
    asked = {one.question: one.case.messages() for one in rows if one.case and one.question}
    answers = consult(asked, out, config, runtime=runtime)
    said = pl.DataFrame([spoken_row(one, answers, config.model) for one in rows], schema=SPOKEN, orient="row")
    return label(ruled, said, config, verifying), answers


def controls(ruled: pl.DataFrame, config: JudgeConfig) -> pl.DataFrame:
    """Return rows about which the rule is sure, half right and half wrong, drawn by a hash of their ids."""
    half = config.control_rows // 2
    drawn: list[str] = []
    for status, many in (("correct", config.control_rows - half), ("wrong", half)):
        rows = ruled.filter(pl.col("verifier").is_in(config.verifiers), status=status)
        drawn += sorted(rows["trace_id"], key=lambda trace_id: content_id([config.sampling.seed, trace_id]))[:many]
    return ruled.filter(pl.col("trace_id").is_in(drawn))


def trace_rows(traces: Path, questions: Mapping[str, Mapping[str, Any]], trace_ids: pl.Series) -> Iterator[JudgeRow]:
    """Yield the traces with these ids, without holding all their texts in memory."""
    wanted = pl.LazyFrame({"trace_id": trace_ids})
    rows = pl.scan_parquet(traces).select(TRACE_COLUMNS).join(wanted, on="trace_id", how="semi", maintain_order="left")
    for batch in rows.collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        for row in batch.iter_rows(named=True):
            item = item_of({**row, **questions[row["prompt_id"]]})
            yield judge_row(row["trace_id"], case_of(question_text(item.messages), item))


def judge_row(row: str, case: Case | str) -> JudgeRow:
    """Return a row with its case, or with the reason why it has none."""
    if isinstance(case, str):
        return JudgeRow(row, withheld=case)
    return JudgeRow(row, prompt_id_of(case.messages()), case)


def consult(
    questions: Mapping[str, Sequence[Message]],
    out: Path,
    config: JudgeConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> Answers:
    """Ask the judge `questions`, keyed by the prompt_id of their messages; those in `out`/ledger are not sampled."""
    asked = ({"prompt_id": name, "messages": messages} for name, messages in questions.items())
    write_frame(frame(asked, PROMPT), out / "requests.parquet")
    sampled = generate(out / "requests.parquet", out, config.generation(), runtime=runtime, thinking=False)
    rows = pl.read_parquet(out / "traces.parquet").drop("token_ids").iter_rows(named=True)
    replies = {row["prompt_id"]: reply_of(row) for row in rows}
    for name in SCRATCH:  # the ledger has the replies verbatim
        (out / name).unlink(missing_ok=True)
    assert len(replies) == len(questions), f"{len(questions)} questions have {len(replies)} replies"
    return Answers(replies, sampled.notes["sampled"])


def reply_of(row: Mapping[str, Any]) -> Reply:
    """Return the reply in a trace row; one that was cut off has no text, even where it holds a verdict."""
    failure = {"length": "cut off", "error": row["error"] or "it failed"}.get(row["finish_reason"], "")
    tokens = row["prompt_tokens"] or 0, row["completion_tokens"] or 0
    return Reply(None if failure else row["answer"], failure, *tokens)


def spoken_row(one: JudgeRow, answers: Answers, model: str) -> tuple[str, str, str]:
    """Return a SPOKEN row: the judge's status and reason for one trace."""
    if one.case is None or one.question is None:
        return one.row, "withheld", one.withheld
    return one.row, *status_of(answers.replies[one.question], one.case, model)


def status_of(reply: Reply, case: Case, model: str) -> tuple[str, str]:
    """Return (status, reason) of a reply."""
    if reply.text is None:
        return ("error" if reply.failed else "unparseable"), f"{model}: {reply.failure}"
    equivalent = read_pointwise(reply.text)
    if equivalent is None:
        return "unparseable", f"{model}: its reply holds no one verdict"
    return ("correct" if equivalent else "wrong"), f"{model}: {case.says(equivalent)}"


def label(ruled: pl.DataFrame, said: pl.DataFrame, config: JudgeConfig, verifying: VerifyConfig) -> pl.DataFrame:
    """Return the rule's verdicts, with the judge's where it has one and may decide."""
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
    """Return the rule's score, with the whole share of accuracy where the judge accepted the answer."""
    recovered = row["decides"] and row["status"] == "correct"
    return with_accuracy(row["score"], verifying.rewards, row["verifier"]) if recovered else row["score"]


def counts(judged: pl.DataFrame, config: JudgeConfig, answers: Answers) -> StageCounts:
    """Return the counts: correct rows are kept, the others are dropped by status."""
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
    """Return the tokens read and written for each recovered trace; None where none was recovered."""
    found = sum(notes["recovered"].values())
    return round((notes["prompt_tokens"] + notes["completion_tokens"]) / found) if found else None


def agreement(judged: pl.DataFrame, config: JudgeConfig) -> dict[str, dict[str, int]]:
    """Return rule's status -> control rows that the judge was shown, and those on which it agrees."""
    rule = judged.with_columns(status=pl.col("rule_status"))
    sample = controls(rule, config).filter(pl.col("judge_status") != "withheld")
    return {
        status: {"rows": rows.height, "agree": rows.filter(judge_status=status).height}
        for status in ("correct", "wrong")
        for rows in [sample.filter(status=status)]
    }
