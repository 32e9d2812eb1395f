"""The documents do as they say: recipes parse, commands parse, Python runs, links lead somewhere."""

import ast
import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from filters.grade import grade
from pipelines.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<key>\w+): (?P<value>[^\n]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")

# Sections of a small complete recipe. `<!-- completes: prompts generate -->` before a block: it is laid over these.
SECTIONS: dict[str, dict[str, Any]] = {
    "prompts": {"source": "file", "path": "problems.jsonl", "verifier": "math_answer", "fields": {"reference": "sum"}},
    "generate": {"engine": "vllm", "model": "Qwen/Qwen2.5-7B-Instruct"},
    "train": {"student": "Qwen/Qwen2.5-1.5B"},
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment that stands before it."""

    page: str
    line: int
    kind: str
    text: str
    key: str | None
    value: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text"))
            yield Block(page.name, line, match["kind"], match["text"], match["key"], match["value"] or "")


BLOCKS = list(blocks())


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def files() -> dict[str, str]:
    """Return the files that pages write out: name -> text."""
    return {block.value: block.text for block in BLOCKS if block.key == "file"}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents speak of."""
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    rows = [{"response": "So it is \\boxed{7}.", "reference": "7"}, {"response": "\\boxed{8}", "reference": "9"}]
    write_lines(tmp_path / "outputs.jsonl", rows)
    write_lines(tmp_path / "problems.jsonl", [{"question": f"What is {a} + 2?", "sum": a + 2} for a in range(5)])
    write_lines(tmp_path / "solved.jsonl", [{"question": "1 + 1?", "reasoning": "1 + 1 = 2", "answer": "2"}] * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def completed(block: Block) -> dict[str, Any]:
    """Return the tables of a block, laid over the sections that its comment names."""
    from pipelines.recipe.loading import merged

    tables = tomllib.loads(block.text)
    if block.key != "completes":
        return tables
    return merged({"name": "page", **{name: SECTIONS[name] for name in block.value.split()}}, tables)


@pytest.mark.parametrize("block", of_kind("toml"), ids=str)
def test_recipes_parse(block: Block, workplace: Path) -> None:
    from pipelines import load_recipe
    from pipelines.recipe.toml import as_toml

    (workplace / "page.toml").write_text(as_toml(completed(block)), encoding="utf-8")
    load_recipe("page.toml")


def commands() -> list[tuple[str, str]]:
    found = []
    for block in BLOCKS:
        if block.kind in ("", "bash", "sh"):
            found += [(str(block), line) for line in block.text.splitlines() if line.startswith("distill ")]
    return found


@pytest.mark.parametrize(("place", "line"), commands(), ids=lambda text: text)
def test_commands_parse(place: str, line: str) -> None:
    for command in re.split(r" && | > ", line):
        if command.startswith("distill "):
            assert cli.parse(shlex.split(command, comments=True)[1:]).command


def test_commands_are_found() -> None:
    assert len(commands()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in of_kind("python") if b.key is None], ids=str)
def test_python_runs(block: Block, workplace: Path) -> None:
    if "read_parquet" in block.text:
        (workplace / "runs/small/select").mkdir(parents=True)
        pl.DataFrame({"drop_reason": [None, "wrong"]}).write_parquet("runs/small/select/selected.parquet")
    done = subprocess.run(
        [sys.executable, "-c", block.text], capture_output=True, text=True, env={**environment(), "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr


def environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("block", [b for b in of_kind("python") if b.key == "needs"], ids=str)
def test_python_that_cannot_run_here_compiles(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert all(importlib.util.find_spec(alias.name) for alias in node.names), ast.unparse(node)


def test_custom_verifier(workplace: Path) -> None:
    write_lines(workplace / "o.jsonl", [{"response": text, "reference": ""} for text in ("4", "7", "four")])
    summary = grade(Path("o.jsonl"), Path("v.jsonl"), verifier="./even.py")
    assert summary.by_status == {"correct": 1, "unparseable": 1, "wrong": 1}


def test_custom_engine(workplace: Path) -> None:
    block = next(block for block in of_kind("toml") if "./adder.py" in block.text)
    assert answers(completed(block)) == {f"\\boxed{{{a + 3}}}" for a in range(5)}


def test_custom_task_family(workplace: Path) -> None:
    block = next(block for block in of_kind("toml") if "./doubles.py" in block.text)
    recipe = completed(block)
    recipe["generate"] = {"engine": "./adder.py", "model": "adder", "sampling": {"n": 1}}
    folder = run(recipe, until="prompts")
    prompts = pl.read_parquet(folder / "prompts" / "prompts.parquet")
    assert len(prompts) == 20
    for messages, reference in prompts.select("messages", "reference").iter_rows():
        assert 2 * int(re.findall(r"\d+", messages[-1]["content"])[0]) == int(reference)


def answers(recipe: dict[str, Any]) -> set[str]:
    return set(pl.read_parquet(run(recipe, until="generate") / "generate" / "traces.parquet")["answer"])


def run(recipe: dict[str, Any], until: str) -> Path:
    from pipelines import run_recipe
    from pipelines.recipe.toml import as_toml

    Path("mine.toml").write_text(as_toml(recipe), encoding="utf-8")
    folder: Path = run_recipe("mine.toml", until=until, out=Path("run"), say=lambda line: None)
    return folder


def test_custom_divergence_has_the_gradient_of_its_value(workplace: Path) -> None:
    import torch

    done = subprocess.run([sys.executable, "total_variation.py"], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    code: dict[str, Any] = {"__name__": "page"}
    exec(files()["total_variation.py"], code)
    logits, log_q = torch.randn(5, 9, dtype=torch.float64), torch.randn(5, 9, dtype=torch.float64).log_softmax(-1)

    def value(z: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = code["total_variation"](log_q, z.log_softmax(-1), 0.5)[0]
        return result

    wanted = torch.func.grad(value)(logits)
    torch.testing.assert_close(code["total_variation"](log_q, logits.log_softmax(-1), 0.5)[1], wanted)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in (a or b for a, b in LINK.findall(text)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert page.name == "README.md" or file.is_relative_to(ROOT / "docs"), f"{target} is not on the site"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}: {file.name} has no such heading"


def test_every_page_is_in_the_site_and_in_the_index() -> None:
    names = {page.name for page in PAGES[1:]}
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert {name for name in names if f": {name}" not in site} == set()
    assert {name for name in names - {"index.md"} if f"({name})" not in index} == set()


def test_the_readme_fits_on_a_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_named_files_exist() -> None:
    """Paths in backticks that begin with a folder of the repository."""
    rooms = "benchmarks|distill|docs|examples|filters|generators|pipelines|tests"
    for page in PAGES:
        for path in re.findall(rf"`((?:{rooms})/[\w./-]+)`", page.read_text(encoding="utf-8")):
            assert "NAME" in path or (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", ["configuration", "cli"])
def test_generated_pages_are_current(page: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipelines.cli.reference", str(tmp_path)], check=True, cwd=ROOT, env={**environment()}
    )
    made = (tmp_path / f"{page}.md").read_text(encoding="utf-8")
    assert made == (ROOT / f"docs/{page}.md").read_text(encoding="utf-8"), (
        f"docs/{page}.md is not what the code says: python -m pipelines.cli.reference docs"
    )
