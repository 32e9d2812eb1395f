"""The command `distill import`: existing completions as prompts and traces, or a look at how they are read."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli.help import add_command, say


def add(commands: Any) -> None:
    """Add the command `import`."""
    command = add_command(
        commands,
        "import",
        "read existing completions of any usual form: show how they are read, or write prompts and traces",
        (
            "distill import outputs.jsonl --dry-run",
            "distill import requests.jsonl results.jsonl --out imported",
            "distill import rows.parquet fields.question=task response=reply verifier=math_answer --out imported",
        ),
    )
    command.add_argument("overrides", nargs="+", metavar="FILE", help="files, globs, folders; and key=value settings")
    command.add_argument("--dry-run", action="store_true", help="show three rows as they were read, and write nothing")
    command.add_argument("--out", type=Path, metavar="DIR", help="folder of prompts.parquet and traces.parquet")
    command.set_defaults(command=_import, takes_file=True)


def _import(options: argparse.Namespace) -> None:
    from generators.contract.errors import RecipeError
    from pipelines.stage_folder import describe

    rows, replay = settings_of(options.overrides)
    if options.dry_run:
        from pipelines.imports import look

        print("\n".join(look(rows, replay).lines()))
        return
    if options.out is None:
        raise RecipeError("import needs --out DIR, or --dry-run to look only")
    from pipelines.imports import import_file, verdict_lines, verdicts_in

    asked, traces = import_file(rows, replay, options.out)
    say(f"prompts: {describe(asked)}")
    say(f"traces: {describe(traces)}")
    for line in verdict_lines(verdicts_in(options.out / "traces.parquet")):
        say(line)
    print(f"{options.out / 'prompts.parquet'}\n{options.out / 'traces.parquet'}")


def settings_of(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """Return the settings of [prompts] and the options of `replay` that the words name."""
    from generators.engines.replay import Options
    from generators.prompt_settings import FilePrompts
    from pipelines.recipe.loading import with_overrides
    from pipelines.recipe.schema import parse_config

    files = [word for word in words if "=" not in word or Path(word).exists()]
    tables = with_overrides({}, [word for word in words if word not in files])
    replay = {key: tables.pop(key) for key in list(tables) if key in Options.model_fields and key != "rows"}
    path = files[0] if len(files) == 1 else files
    return parse_config(FilePrompts, {"source": "file", "path": path, **tables}, ""), replay
