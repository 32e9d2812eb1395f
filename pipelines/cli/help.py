"""The format of help texts, and the printing of lines and tables."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """A help formatter that keeps the line breaks of examples and shows the defaults of options that have one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


def add_command(commands: Any, name: str, about: str, example: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Add a command with its help and examples."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=examples(example),
        formatter_class=HelpFormatter,
    )
    return command


def examples(commands: Sequence[str]) -> str | None:
    """Return the epilog of a help text: its examples, or None without any."""
    if not commands:
        return None
    lines = "\n".join(f"  {command}" for command in commands)
    return f"{'examples' if len(commands) > 1 else 'example'}:\n{lines}"


def say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)


def show(what: Any) -> None:
    """Print a table or a text; square brackets are not read as markup."""
    from rich.console import Console

    Console(soft_wrap=False, markup=False).print(what)


def show_table(first: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print two columns under the heading `first`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(first, "", show_edge=False, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    show(table)
