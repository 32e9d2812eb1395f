"""The command `distill export`, which writes a corpus in the form that another trainer reads."""

import argparse
import pkgutil
from pathlib import Path
from typing import Any

from pipelines.cli.help import add_command, say
from pipelines.export import formats


def add(commands: Any) -> None:
    """Add the command `export`."""
    export = add_command(
        commands,
        "export",
        "write a corpus in the form that another trainer reads, with the settings it needs",
        (
            "distill export runs/toy --to llamafactory --out data/lf",
            "distill export runs/toy --to trl --student deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B --out data/trl",
            "distill export runs/toy --to preference --format parquet --out data/pairs",
        ),
    )
    export.add_argument(
        "corpus", type=Path, metavar="CORPUS", help="a run, the folder of a corpus stage, or a parquet file"
    )
    names = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    export.add_argument("--to", required=True, choices=names, help="who reads it; docs/export.md has each form")
    export.add_argument("--out", type=Path, metavar="DIR", help="the folder to write into; without it, export/FORM")
    export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl", help="of the files")
    export.add_argument(
        "--student",
        "--tokenizer",
        dest="tokenizer",
        metavar="NAME",
        help="the student, whose chat template then renders prompts and completions (trl, axolotl, preference)",
    )
    export.add_argument("--soft-targets", action="store_true", help="add the run's stored soft targets (trl)")
    export.add_argument(
        "--pairs-per-prompt", type=int, metavar="N", help="most pairs of one prompt (preference); without it, 1"
    )
    export.add_argument("--limit", type=int, metavar="N", help="rows to read of each file; without it, all")
    export.add_argument("--replace", action="store_true", help="write over the files of an earlier export")
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> None:
    from functools import partial

    from generators.contract.errors import RecipeError
    from pipelines.export.export import export
    from pipelines.progress import bar

    for name, value in (("--limit", options.limit), ("--pairs-per-prompt", options.pairs_per_prompt)):
        if value is not None and value < 1:
            raise RecipeError(f"{name} is {value}; it must be at least 1")
    done = export(
        options.corpus,
        options.to,
        options.out or Path("export") / options.to,
        ending=options.format,
        tokenizer=options.tokenizer,
        soft_targets=options.soft_targets,
        pairs_per_prompt=options.pairs_per_prompt,
        limit=options.limit,
        replace=options.replace,
        progress=partial(bar, "export"),
    )
    for note in done.notes:
        say(f"note: {note}")
    print("\n".join(done.lines()))
