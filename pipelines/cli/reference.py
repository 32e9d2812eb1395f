"""The generator of docs/cli.md and docs/configuration.md: `python -m pipelines.cli.reference docs`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.cli.main import parser
from pipelines.cli.settings import settings_markdown

HEAD = """# Command line

Every command of `distill`, as `distill COMMAND --help` prints it. `key=value` words set keys of the recipe, which
[configuration](configuration.md) lists; they may stand anywhere. Exit codes: 0 done, 1 failed, 2 wrong request,
130 stopped (the same command continues from there). `--traceback` shows the traceback of any error."""


def main(folder: Path) -> None:
    """Write the generated pages into `folder`."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the texts of the generated pages by file name."""
    return {"cli.md": cli_markdown(), "configuration.md": settings_markdown()}


def cli_markdown() -> str:
    """Return the page of all commands with their arguments, defaults and examples."""
    return "\n\n".join([HEAD, *(_command(name, command) for name, command in commands())]) + "\n"


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield (name, parser) of each command."""
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _command(name: str, command: argparse.ArgumentParser) -> str:
    rows = [_row(action) for action in command._actions if not isinstance(action, argparse._HelpAction)]
    parts = [f"## distill {name}", command.description or ""]
    if rows:
        parts.append("\n".join(["| argument | meaning |", "| --- | --- |", *rows]))
    if command.epilog:
        parts.append("```\n" + "\n".join(line.strip() for line in command.epilog.splitlines()[1:]) + "\n```")
    return "\n\n".join(parts)


def _row(action: argparse.Action) -> str:
    name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)
    takes = action.nargs != 0 and bool(action.option_strings)
    value = f" {action.metavar or action.dest.upper()}" if takes else ""
    if action.choices and action.metavar is None:
        value = " " + "|".join(map(str, action.choices)) if action.option_strings else ""
        name = name if action.option_strings else "|".join(map(str, action.choices))
    several = " ..." if action.nargs in ("+", "*") else ""
    needed = "needed; " if action.required and action.option_strings else ""
    default = f" (default: `{action.default}`)" if action.default not in (None, False, [], argparse.SUPPRESS) else ""
    about = (action.help or "").replace("|", "\\|")
    return f"| `{name}{value}{several}`".replace("|", "\\|").replace("\\|", "|", 1) + f" | {needed}{about}{default} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
