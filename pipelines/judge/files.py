"""`distill judge` on a file of model outputs: graded by a rule as by `distill grade`, then by a judging model."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group

from filters.audit import ErrorRates, rates_table
from filters.grade import grade, suite_table
from filters.llm_judge.prompts import case_of
from filters.outputs import MISSING, Fields, Output, outputs, value_at
from filters.verify import VerifyConfig
from generators.contract.errors import RecipeError
from generators.contract.files import frame, write_text
from generators.contract.records import STATUSES, VERDICT
from generators.contract.stage_protocol import IN_PROCESS, Runtime
from pipelines.judge.stage import JudgeConfig, JudgeRow, counts, judge_row, overrule
from pipelines.judge.summary import judge_note

USUAL = Fields()
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


@dataclass
class JudgeSummary:
    """Statuses by the rule and by both, the stage's notes, and error rates where rows have a `label`."""

    before: dict[str, int]
    after: dict[str, int]
    notes: dict[str, Any]
    rates: dict[str, ErrorRates] = field(default_factory=dict)

    def table(self) -> Group:
        """Return the tables of statuses and error rates, and the cost, for a terminal."""
        lines = [
            (name, *(str(found.get(status, 0)) for status in STATUSES))
            for name, found in (("rule", self.before), ("rule, then judge", self.after))
        ]
        rates = [rates_table(self.rates)] if self.rates else []
        return Group(suite_table(STATUSES, lines), *rates, judge_note(self.notes))


def judge_file(
    file: Path,
    out: Path,
    config: JudgeConfig,
    *,
    verifier: str = "math_answer",
    fields: Fields = USUAL,
    verifying: VerifyConfig | None = None,
    runtime: Runtime = IN_PROCESS,
) -> JudgeSummary:
    """Write `out`/verdicts.jsonl: a line for each row of `file`, as `grade` does, with both verdicts and the decider.

    The verifier `judge` leaves everything to the judge. The ledger in `out` keeps its replies, so that the same command
    continues where it was stopped. Errors are those of filters.grade.grade.
    """
    check_verifier(verifier, config)
    verifying = verifying or VerifyConfig()
    grade(
        file,
        out / RULE,
        verifier=verifier,
        options=verifying.options.get(verifier, {}),
        reference_field=fields.reference,
        response_field=fields.response,
        answer_only=fields.answer_only,
        timeout_s=verifying.timeout_s,
        memory_mib=verifying.memory_mib,
        workers=runtime.verify_workers,
        progress=runtime.progress,
    )
    ruled = frame(rule_rows(out / RULE, verifier), VERDICT)
    (out / RULE).unlink()
    found = partial(outputs, file, fields, verifier)
    rows_of = partial(file_rows, found, fields)
    judged, answers = overrule(ruled, rows_of, out, config, verifying, runtime=runtime)
    write_text("".join(verdict_lines(found, judged)), out / VERDICTS)
    before, after = (dict(Counter(judged[name])) for name in ("rule_status", "status"))
    return JudgeSummary(before, after, counts(judged, config, answers).notes, rates_of(found, judged, verifier))


def check_verifier(verifier: str, config: JudgeConfig) -> None:
    """Raise a RecipeError for a rule whose refusals the judge does not see."""
    if verifier not in config.verifiers:
        known = ", ".join(config.verifiers)
        raise RecipeError(
            f"--verifier {verifier}: the judge sees only what {known} refuse; list {verifier} in judge.verifiers too"
        )


def rule_rows(file: Path, verifier: str) -> Iterator[dict[str, Any]]:
    """Yield VERDICT rows of the lines that `grade` wrote; the name of a completion is its trace_id."""
    with file.open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            said = {name: line[name] for name in ("status", "score", "reason", "seconds")}
            name = f"{line['row']}.{line['completion']}" if "completion" in line else str(line["row"])
            yield {"trace_id": name, "verifier": verifier, **said}


def file_rows(found: Callable[[], Iterator[Output]], fields: Fields, names: pl.Series) -> Iterator[JudgeRow]:
    """Yield the completions with these names."""
    wanted = set(names)
    for one in found():
        if one.name in wanted:
            question = value_at(one.row, fields.question)
            question = one.question if question is MISSING else question
            text = "" if question is None else str(question)
            yield judge_row(one.name, one.fault if one.item is None else case_of(text, one.item))


def verdict_lines(found: Callable[[], Iterator[Output]], judged: pl.DataFrame) -> Iterator[str]:
    """Yield a JSON line for each completion."""
    for one, verdict in zip(found(), judged.iter_rows(named=True), strict=True):
        yield json.dumps(one.named() | {name: verdict[name] for name in WRITTEN}) + "\n"


def rates_of(found: Callable[[], Iterator[Output]], judged: pl.DataFrame, verifier: str) -> dict[str, ErrorRates]:
    """Return the error rates of the rule alone and of both, against the rows' labels."""
    rates = {"rule_status": ErrorRates(), "status": ErrorRates()}
    for one, verdict in zip(found(), judged.iter_rows(named=True), strict=True):
        if one.label is not None:
            for name, counted in rates.items():
                counted.add(verdict[name] == "correct", one.label)
    labelled = rates["status"].labelled_true + rates["status"].labelled_false
    return {verifier: rates["rule_status"], f"{verifier}, then judge": rates["status"]} if labelled else {}
