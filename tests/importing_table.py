"""Write the table of shapes in importing.md from tests/data/imports: `python -m tests.importing_table`."""

import json
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "importing.md"
IMPORTS = Path(__file__).resolve().parent / "data" / "imports"
BEGIN, END = "<!-- shapes: begin -->\n", "<!-- shapes: end -->"


def table() -> str:
    """Return a line for each file: what it is, how it is recognized, and what comes out."""
    lines = ["| file | what it is | recognized as | rows | completions |", "| --- | --- | --- | ---: | --- |"]
    for file in sorted(IMPORTS.glob("*.expected.json")):
        lines.append(_line(file.name.removesuffix(".expected.json"), json.loads(file.read_text(encoding="utf-8"))))
    return "\n".join(lines) + "\n"


def _line(name: str, found: dict[str, object]) -> str:
    about = str(found["about"]).replace("|", "\\|")
    if "error" in found:
        key = str(found["error"]).rpartition("; ")[2]
        return f"| `{name}` | {about} | asks: {key} | | |"
    rows, skipped, shapes = found["rows"], found["skipped"], found["shapes"]
    assert isinstance(rows, list) and isinstance(skipped, dict) and isinstance(shapes, list)
    answers = [answer for row in rows for answer in row["answers"]]
    ends = {end: sum(one["finish_reason"] == end for one in answers) for end in ("stop", "length", "error")}
    said = ", ".join(f"{count} {end}" for end, count in ends.items() if count)
    left = f", {sum(skipped.values())} skipped" if skipped else ""
    return f"| `{name}` | {about} | {'; '.join(shapes)} | {len(rows)}{left} | {said} |"


def write() -> None:
    """Replace the table between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
