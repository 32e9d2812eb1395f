"""Writes measured tables into the README and the toy's model card: no figure in them is typed.

    python -m pipelines.benchmarks.readme toy=runs/toy toy-large=runs/toy-large ablation=runs/toy
    python -m pipelines.benchmarks.readme agreement=labelled_outputs_dev.jsonl.gz

Each NAME=SOURCE fills the place between `<!-- table: NAME -->` and `<!-- end -->`. A source is a run's folder (its
report/report.json), or for `agreement` a file of outputs with labels, which is graded.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from filters.grade import Agreement, grade, sum_of
from pipelines.progress import bar

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = (ROOT / "README.md", ROOT / "generators" / "teachers" / "toy" / "README.md")


def main(arguments: Sequence[str]) -> None:
    """Fill every named place, in every file that has it."""
    for argument in arguments:
        name, _, source = argument.partition("=")
        if name == "agreement":
            fill(name, agreement_table(Path(source)))
            continue
        report = json.loads((Path(source) / "report" / "report.json").read_text(encoding="utf-8"))
        fill(name, ablation_table(report) if name == "ablation" else results_table(report))
        if name == "toy-large":
            fill("groups", groups_table(report))


def fill(name: str, table: str) -> None:
    """Put a table into its place; a name that no file has is a ValueError."""
    place = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    found = False
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        changed, times = place.subn(lambda match: f"{match[1]}{table}\n{match[2]}", text)
        found = found or times > 0
        path.write_text(changed, encoding="utf-8")
    if not found:
        raise ValueError(f"no file has a place for {name}: <!-- table: {name} -->")


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, first column left, the others right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rule, *rows])


def measured(report: dict[str, Any]) -> str:
    """When, how long and on what a run was made."""
    about = report["overview"]
    hardware = about["hardware"].removesuffix(" (where this report was made)")
    return f"Measured {about['finished'][:10]}: {about['seconds'] / 60:.1f} minutes on {hardware}."


def results_table(report: dict[str, Any]) -> str:
    """The models of a run."""
    rows = []
    for row in report["results"]:
        low, high = row["ci95"]
        votes = "-" if row["cons@k"] is None else f"{row['cons@k']:.1%} (k={row['k']})"
        tokens = f"{row['train_tokens']:,}" if row["train_tokens"] else "-"
        size = f"{row['problems']:,} x {row['samples']}"
        rows.append([row["label"], f"{row['pass@1']:.1%}", f"{low:.1%} to {high:.1%}", votes, size, tokens])
    headings = ["model", "pass@1", "95% interval", "cons@k", "problems x samples", "training tokens"]
    return f"{markdown(headings, rows)}\n\n{measured(report)}"


def groups_table(report: dict[str, Any]) -> str:
    """pass@1 of every model by task family."""
    names = [group["name"] for group in report["groups"]]
    rows = [[r["label"], *(f"{r['by_group'][name]['pass@1']:.1%}" for name in names)] for r in report["results"]]
    return markdown(["model", *(name.removeprefix("tasks/") for name in names)], rows)


def ablation_table(report: dict[str, Any]) -> str:
    """The cells of an ablation."""
    cells = report["ablation"]["cells"]
    swept = list(cells[0]["values"])
    rows = []
    for cell in cells:
        score, (low, high) = cell["scores"]["pass@1"], cell["scores"]["ci95"]
        rows.append([*(f"{cell['values'][key]}" for key in swept), f"{score:.1%}", f"{low:.1%} to {high:.1%}"])
    return markdown([*swept, "pass@1", "95% interval"], rows)


def agreement_table(file: Path) -> str:
    """How often verdicts and labels agree, by suite."""
    with tempfile.TemporaryDirectory() as folder:
        summary = grade(file, Path(folder) / "verdicts.jsonl", progress=partial(bar, "grade"))
    lines = {**summary.agreement, "all": sum_of(summary.agreement.values())}
    return markdown(
        ["suite", "rows", "agree", "correct here, label false", "label true, not correct here"],
        [[suite, *_cells(agreement)] for suite, agreement in lines.items()],
    )


def _cells(found: Agreement) -> list[str]:
    share = f"{found.agree / found.rows:.2%}"
    return [f"{found.rows:,}", share, str(found.correct_only_here), str(found.correct_only_there)]


if __name__ == "__main__":
    main(sys.argv[1:])
