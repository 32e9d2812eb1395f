"""Write measured tables into the README, the toy's model card and the pages of docs; no figure is typed by hand.

    python -m benchmarks.readme toy=runs/toy toy-large=runs/toy-large ablation=runs/toy
    python -m benchmarks.readme agreement=labelled_outputs_dev.jsonl.gz
    python -m benchmarks.readme sampling=benchmarks/results
    python -m benchmarks.readme cross=benchmarks/results/cross_tokenizer.json
    python -m benchmarks.readme grammar=benchmarks/results/answer_grammar.json

Each NAME=SOURCE fills the place between `<!-- table: NAME -->` and `<!-- end -->`. A source is a run folder (its
report/report.json is read). For `agreement` it is a file of outputs with labels, which is graded; for `sampling` the
folder of the benchmarks' results; for `cross` and `grammar` one file of that folder.
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

ROOT = Path(__file__).resolve().parents[1]
FILES = (ROOT / "README.md", ROOT / "generators" / "toy" / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def main(arguments: Sequence[str]) -> None:
    """Fill every named place in every file that has it."""
    for argument in arguments:
        name, _, source = argument.partition("=")
        if name == "sampling":
            fill(name, sampling_table(Path(source)))
            continue
        if name == "cross":
            fill(name, cross_table(json.loads(Path(source).read_text(encoding="utf-8"))))
            continue
        if name == "grammar":
            fill(name, grammar_table(json.loads(Path(source).read_text(encoding="utf-8"))))
            continue
        if name == "agreement":
            fill(name, agreement_table(Path(source)))
            continue
        report = json.loads((Path(source) / "report" / "report.json").read_text(encoding="utf-8"))
        fill(name, ablation_table(report) if name == "ablation" else results_table(report))
        if name == "toy-large":
            fill("groups", groups_table(report))


def fill(name: str, table: str) -> None:
    """Put a table into its place; ValueError if no file has a place of that name."""
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
    """Return a Markdown table, its first column aligned left and the others right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rule, *rows])


def measured(report: dict[str, Any]) -> str:
    """Return a sentence on date, duration and hardware of a run."""
    about = report["overview"]
    hardware = about["hardware"].removesuffix(" (where this report was made)")
    return f"Measured {about['finished'][:10]}: {about['seconds'] / 60:.1f} minutes on {hardware}."


def results_table(report: dict[str, Any]) -> str:
    """Return the table of a run's models."""
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
    """Return the table of pass@1 by model and task family."""
    names = [group["name"] for group in report["groups"]]
    rows = [[r["label"], *(f"{r['by_group'][name]['pass@1']:.1%}" for name in names)] for r in report["results"]]
    return markdown(["model", *(name.removeprefix("tasks/") for name in names)], rows)


def ablation_table(report: dict[str, Any]) -> str:
    """Return the table of an ablation's cells."""
    cells = report["ablation"]["cells"]
    swept = list(cells[0]["values"])
    rows = []
    for cell in cells:
        score, (low, high) = cell["scores"]["pass@1"], cell["scores"]["ci95"]
        rows.append([*(f"{cell['values'][key]}" for key in swept), f"{score:.1%}", f"{low:.1%} to {high:.1%}"])
    return markdown([*swept, "pass@1", "95% interval"], rows)


def agreement_table(file: Path) -> str:
    """Return the table of agreement between verdicts and labels, by suite."""
    with tempfile.TemporaryDirectory() as folder:
        summary = grade(file, Path(folder) / "verdicts.jsonl", progress=partial(bar, "grade"))
    lines = {**summary.agreement, "all": sum_of(summary.agreement.values())}
    return markdown(
        ["suite", "rows", "agree", "correct here, label false", "label true, not correct here"],
        [[suite, *_cells(agreement)] for suite, agreement in lines.items()],
    )


def sampling_table(results: Path) -> str:
    """Return the table of sampling costs from the benchmarks' results."""
    found = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in results.glob("*.json")}
    rows = [
        *_overhead_rows(found["sampling_overhead"]),
        *_http_rows(found["http_overhead"], found["http_resume"]),
        *_tail_rows(found["long_tail"]),
        *_adaptive_rows(found["adaptive"]),
        _vllm_row(found["vllm_throughput"]),
    ]
    lines = ["| what | here | compared with |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


CHANGES = {
    "rendering": "the same value, written otherwise",
    "statement": "the same value in a sentence that states it, in 28 languages",
    "mutation": "another value",
    "denial": "the right value, denied, doubted, bounded, supposed or taken back, in 60 languages",
}


def grammar_table(found: dict[str, Any]) -> str:
    """Return the table of generated answers by what was done to the reference, with the misses by kind."""
    kinds: dict[str, dict[str, int]] = found["by_kind"]
    rows = []
    for change, about in CHANGES.items():
        pairs = sum(counts.get(change, 0) for counts in kinds.values())
        missed = sum(counts.get(f"{change} missed", 0) for counts in kinds.values())
        right = change in ("rendering", "statement")
        rows.append([about, f"{pairs:,}", f"{pairs - missed if right else missed:,}", "all" if right else "none"])
    misses = {kind: sum(count for name, count in counts.items() if "missed" in name) for kind, counts in kinds.items()}
    listed = ", ".join(f"{kind} {count}" for kind, count in misses.items() if count) or "none"
    return (
        f"{markdown(['answers', 'pairs', 'accepted', 'right would be'], rows)}\n\n{found['pairs']:,} pairs of "
        f"{len(kinds)} kinds of answers; misses: {listed}. Slowest verdict {found['slowest_s']} s on a busy machine. "
        f"Measured {found['date'][:10]} on {found['hardware']}, commit {found['commit'][:7]}."
    )


def cross_table(found: dict[str, Any]) -> str:
    """Return the table of students with their teacher's tokenizer and with another one."""
    size, theirs = found["vocabularies"]
    names = {"same": f"the teacher's, {theirs}", "other": f"another, {size}"}
    rows = [["teacher", names["same"], *_cross_cells(found["before"]["teacher"])]]
    for key, name in names.items():
        rows.append(["student before", name, *_cross_cells(found["before"][key])])
        rows += [[kind, name, *_cross_cells(figures)] for kind, figures in found[key].items()]
    headings = ["trained with", "tokenizer, tokens", "bits a byte", "solved"]
    own, spans = found["held_out_tokens"][0], found["spans"]
    where = f"Measured {found['date'][:10]} on {found['hardware']}."
    return (
        f"{markdown(headings, rows)}\n\n{found['documents']:,} documents once, {found['seeds']} seeds, held-out "
        f"completions; after +/- the standard deviation of one seed. {found['shared_tokens']} tokens are in both "
        f"vocabularies, {own:,} student tokens make {spans:,} spans. {where}"
    )


def _cross_cells(figures: dict[str, float]) -> list[str]:
    bits, right = f"{figures['bits_per_byte']:.4f}", f"{figures['solved']:.1%}"
    if "solved_deviation" not in figures:
        return [bits, right]
    return [
        f"{bits} +/- {figures['bits_per_byte_deviation']:.4f}",
        f"{right} +/- {100 * figures['solved_deviation']:.1f}",
    ]


def _overhead_rows(found: dict[str, Any]) -> list[list[str]]:
    largest = max(found["sizes"], key=lambda size: size["samples"])
    costs = ", ".join(f"{size['us_a_sample']:.0f} us ({size['samples']:,})" for size in found["sizes"])
    peaks = ", ".join(f"{size['peak_mib']} MiB ({size['samples']:,})" for size in found["sizes"])
    peer = found.get("distilabel")
    compared = f"distilabel {peer['us_a_sample']:,.0f} us ({peer['samples']:,})" if peer else "-"
    opened = f"{largest['open_s']} s, {largest['open_peak_mib']} MiB"
    return [
        ["the whole stage with an instant teacher, 24 KB traces, a sample", costs, compared],
        ["its peak memory", peaks, "-"],
        [f"opening a ledger of {largest['opened_samples']:,} samples", opened, "-"],
    ]


def _http_rows(cost: dict[str, Any], kill: dict[str, Any]) -> list[list[str]]:
    most = max(run["samples"] for run in cost["runs"])
    best = {
        client: min(run["us_a_sample"] for run in cost["runs"] if (run["client"], run["samples"]) == (client, most))
        for client in ("stage", "aiohttp")
    }
    again = sorted(run["asked_again"] for run in kill["runs"])
    lost = sum(run["missing"] + run["duplicates"] for run in kill["runs"])
    return [
        [f"the whole stage over HTTP, 24 KB replies without latency, a sample of {most:,}", f"{best['stage']:.0f} us",
         f"a bare aiohttp loop {best['aiohttp']:.0f} us"],
        [f"`kill -9` at half of {kill['samples']:,} requests of {kill['latency_ms']} ms: answered ones asked again",
         f"at most {again[-1]} in each of {len(again)} kills; lost or twice: {lost}", "-"],
    ]  # fmt: skip


def _tail_rows(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for case in found["makespan_over_bound"]:
        ours = (
            f"{case['longest expected first']:.2f}, prompts known {case['longest expected first, prompts known']:.3f}"
        )
        others = f"first in, first out {case['first in, first out']:.2f}, batches of 512 {case['batches of 512']:.1f}"
        share = f"{case['prompt_share_of_variance']:.0%} of the variance the prompt's"
        rows.append([f"10,000 lognormal lengths, {share}: makespan over its lower bound", ours, others])
    return rows


def _adaptive_rows(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for case in found["against_fixed_n"]:
        ours = case["likeliest, correct=4"]["same_yield"]["tokens_a_trace_at_most_4"]
        fixed = case["fixed"]["tokens_a_trace_at_most_4"]
        what = f"simulated tokens a distinct correct trace, as many as n = {case['n']} finds"
        rows.append([what, f"{ours:,} (`likeliest`)", f"{fixed:,} (fixed n)"])
    return rows


def _vllm_row(found: dict[str, Any]) -> list[str]:
    best, machine = found["best"], found["hardware"].rpartition(", ")[2]
    what = f"vLLM {found['versions']['vllm']} at the shape of Qwen2.5-1.5B through Ray and the ledger, {machine}"
    return [what, f"{best['ours']:,} tokens/s", f"`LLM.generate` {best['plain']:,} tokens/s"]


def _cells(found: Agreement) -> list[str]:
    share = f"{found.agree / found.rows:.2%}"
    return [f"{found.rows:,}", share, str(found.correct_only_here), str(found.correct_only_there)]


if __name__ == "__main__":
    main(sys.argv[1:])
