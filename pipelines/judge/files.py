"""Grades a file of model outputs as `distill grade` does, and has a model look at what the rule refused."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group

from filters.audit import ErrorRates, rates_table
from filters.grade import MISSING, Row, grade, item_of, read_rows, suite_table, value_at
from filters.llm_judge.prompts import case_of
from filters.verify import VerifyConfig
from generators.contract.engine import Fleet, local_fleet
from generators.contract.files import frame, write_text
from generators.contract.records import STATUSES, VERDICT
from generators.contract.stage_protocol import Progress, no_progress
from pipelines.judge.stage import Brought, JudgeConfig, as_question, counts, overrule
from pipelines.judge.summary import judging

RULE, VERDICTS = "rule.jsonl", "verdicts.jsonl"
WRITTEN = (
    "status",
    "score",
    "reason",
    "decided_by",
    "rule_status",
    "rule_reason",
    "judge_status",
    "judge_reason",
)


@dataclass(frozen=True)
class Fields:
    """How a row is read; names may be nested: `meta.gold`."""

    gold: str = "gold"
    response: str = "response"
    question: str = "question"  # rows without it are judged by gold and answer alone
    answer_only: bool = False  # the response is the final answer itself


@dataclass
class JudgeSummary:
    """What `judge_file` found: statuses before and after, the stage's notes, and errors where rows have a `label`."""

    before: dict[str, int]
    after: dict[str, int]
    notes: dict[str, Any]
    rates: dict[str, ErrorRates] = field(default_factory=dict)

    def table(self) -> Group:
        """Statuses by the rule and by both, error rates, and what it took."""
        lines = [
            (name, *(str(found.get(status, 0)) for status in STATUSES))
            for name, found in (("rule", self.before), ("rule, then judge", self.after))
        ]
        rates = [rates_table(self.rates)] if self.rates else []
        return Group(suite_table(STATUSES, lines), *rates, judging(self.notes))


def judge_file(
    file: Path,
    out: Path,
    config: JudgeConfig,
    *,
    verifier: str = "math_answer",
    fields: Fields = Fields(),
    verifying: VerifyConfig | None = None,
    workers: int | None = None,
    fleet: Fleet = local_fleet,
    progress: Progress = no_progress,
) -> JudgeSummary:
    """Write `out`/verdicts.jsonl: a line a row of `file`, as `grade` does, with who decided and what each said.

    The verifier `judge` leaves everything to the judge. The ledger in `out` keeps its replies, so that the same command
    goes on where it was stopped. Errors are those of filters.grade.grade.
    """
    check_verifier(verifier, config)
    verifying = verifying or VerifyConfig()
    grade(
        file,
        out / RULE,
        verifier=verifier,
        options=verifying.options.get(verifier, {}),
        gold_field=fields.gold,
        response_field=fields.response,
        answer_only=fields.answer_only,
        timeout_s=verifying.timeout_s,
        memory_mib=verifying.memory_mib,
        workers=workers,
        progress=progress,
    )
    ruled = frame(rule_rows(out / RULE, verifier), VERDICT)
    (out / RULE).unlink()
    bring = partial(bring_rows, file, fields)
    judged, answers = overrule(ruled, bring, out, config, verifying, fleet=fleet, progress=progress)
    write_text("".join(verdict_lines(file, judged)), out / VERDICTS)
    before, after = (dict(Counter(judged[name])) for name in ("rule_status", "status"))
    return JudgeSummary(before, after, counts(judged, config, answers).notes, rates_of(file, judged, verifier))


def check_verifier(verifier: str, config: JudgeConfig) -> None:
    """A rule whose refusals the judge does not see is a ValueError."""
    if verifier not in config.verifiers:
        known = ", ".join(config.verifiers)
        raise ValueError(f"--verifier {verifier}: the judge sees what {known} refuse; name others in judge.verifiers")


def rule_rows(file: Path, verifier: str) -> Iterator[dict[str, Any]]:
    """VERDICT rows of the lines that `grade` wrote; a row's number is its id."""
    with file.open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            said = {name: line[name] for name in ("status", "score", "reason", "seconds")}
            yield {"trace_id": str(line["row"]), "verifier": verifier, **said}


def bring_rows(file: Path, fields: Fields, numbers: pl.Series) -> Iterator[Brought]:
    """The rows with these numbers."""
    wanted = set(numbers)
    for number, row in read_rows(file):
        if str(number) in wanted:
            question = value_at(row, fields.question)
            item = item_of(row, fields.gold, fields.response, fields.answer_only)
            yield as_question(str(number), case_of("" if question in (MISSING, None) else str(question), item))


def with_verdicts(file: Path, judged: pl.DataFrame) -> Iterable[tuple[Row, dict[str, Any]]]:
    """Each row with its verdict."""
    return zip((row for _, row in read_rows(file)), judged.iter_rows(named=True), strict=True)


def verdict_lines(file: Path, judged: pl.DataFrame) -> Iterator[str]:
    """A JSON line a row."""
    for row, verdict in with_verdicts(file, judged):
        named = {"row": int(verdict["trace_id"])} | ({"id": row["id"]} if "id" in row else {})
        yield json.dumps(named | {name: verdict[name] for name in WRITTEN}) + "\n"


def rates_of(file: Path, judged: pl.DataFrame, verifier: str) -> dict[str, ErrorRates]:
    """Errors of the rule by itself and of both, against the labels that rows have."""
    rates = {"rule_status": ErrorRates(), "status": ErrorRates()}
    for row, verdict in with_verdicts(file, judged):
        if isinstance(row.get("label"), bool):
            for name, found in rates.items():
                found.add(verdict[name] == "correct", row["label"])
    labelled = rates["status"].labelled_true + rates["status"].labelled_false
    return {verifier: rates["rule_status"], f"{verifier}, then judge": rates["status"]} if labelled else {}
