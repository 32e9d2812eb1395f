"""The command `distill`. Nothing heavy is imported before the command is known: `distill --help` answers at once."""

import argparse
import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from pipelines.cli import about, export, grading, imports, judge, runs, stages
from pipelines.cli.help import add_command, examples
from pipelines.doctor import WrongPackage, check_origin, own_version
from pipelines.hardware import let_threads_sleep

ABOUT = "Turn a reasoning teacher into a verified corpus and smaller students."
EXAMPLES = (
    "distill run toy",
    "distill init my.toml && distill run my.toml --dry-run",
    "distill grade outputs.jsonl --out verdicts.jsonl",
)
# Renamed words of the command line; an old one still works, and a message names the new one.
RENAMED = {"check-prompts": "check-references", "--gold-field": "--reference-field", "--captures": "--sampled-logprobs"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 (done), 1 (failed), 2 (wrong request) or 130 (stopped)."""
    options = parse(arguments)
    let_threads_sleep()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop ends the command as Ctrl-C does
    try:
        check_origin()
        options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("stopped; the same command goes on from here", 130)
    except BrokenPipeError:  # the reader of the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.traceback:
            traceback.print_exception(error)
        return failed(error)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command and its options; key=value and --traceback may stand anywhere."""
    words = [_today(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    shown = "--traceback" in words
    top = parser()
    check_command(top, words)
    options, rest = top.parse_known_args([word for word in words if word != "--traceback"])
    # argparse collects positional words in one place only; those elsewhere come back in `rest`.
    for word in rest:
        free = "=" in word or getattr(options, "takes_file", False)
        if not hasattr(options, "overrides") or word.startswith("-") or not free:
            top.error(f"unrecognized argument {word!r}")
        options.overrides.append(word)
    options.traceback = shown
    return options


def check_command(top: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """End with the nearest command where the first word is none."""
    known = next(action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))
    first = next((word for word in words if not word.startswith("-")), None)
    if first is not None and first not in known:
        from pipelines.recipe.keys import nearest

        top.error(f"there is no command {first!r}{nearest(first, list(known))}; `distill --help` lists them")


def _today(word: str) -> str:
    name, equals, value = word.partition("=")
    if name not in RENAMED:
        return word
    print(f"distill: {name} is now called {RENAMED[name]}", file=sys.stderr)
    return RENAMED[name] + equals + value


def failed(error: Exception) -> int:
    """Print the error and return the exit code.

    An error that a user can act on is printed as a sentence. Any other one is a fault of the toolkit, a plug-in or a
    library: it is printed with its traceback and its notes, which name the plug-in.
    """
    if isinstance(error, WrongPackage):
        return _fail(str(error), 2)
    from generators.contract.errors import DistillError

    if isinstance(error, DistillError):
        return _fail(str(error), error.exit_code)
    if isinstance(error, OSError) and error.errno:
        return _fail(_os_sentence(error), 1)
    traceback.print_exception(error)
    return _fail("; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]), 1)


def _fail(sentence: str, code: int) -> int:
    print(f"distill: {sentence}", file=sys.stderr)
    return code


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"no space left on the disk{where}; what was finished is kept: free some space and run the command again"
    return str(error)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="distill",
        description=ABOUT,
        epilog=examples(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"distill {own_version()}")
    top.add_argument("--traceback", action="store_true", help="show the traceback of any error; may stand anywhere")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    runs.add(commands)
    stages.add(commands)
    judge.add(commands)
    grading.add(commands)
    imports.add(commands)
    export.add(commands)
    about.add(commands)
    completion = add_command(
        commands,
        "completion",
        "print the completion script of a shell",
        ('eval "$(distill completion bash)"', "distill completion zsh > ~/.zfunc/_distill"),
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    completion.set_defaults(command=_completion)
    return top


def _completion(options: argparse.Namespace) -> None:
    import shtab

    print(shtab.complete(parser(), shell=options.shell))
