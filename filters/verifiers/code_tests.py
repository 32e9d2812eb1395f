"""The answer's program must pass the problem's tests (forms in `filters.code.reference`), run in a sandbox.

The program receives inputs alone. Its output, bytes or values as JSON, is compared here. An assert block that is more
than calls and comparisons runs in a second sandbox, and its requests to the program go over a connection that carries
only values (`filters.sandbox.testing`). A program that exits, prints a verdict, patches a library or returns an object
that equals everything therefore does not pass. Every verdict on a program that ran names its isolation level.

Tests that act on their own process (they patch a module, capture output, write files, seed a generator, use a class of
the program's) run in the program's, if a look at its source finds no way from it to the tests
(`filters.code.ways_out`), and the verdict says so; for a program with such a way out it is `error`, and names both.

What it cannot detect: a program that returns the right values for the tested inputs and no others. Tests that compare
two values that both come from the program (`assert f(x) == g(x)`) say little. Where tests run apart, an object whose
class extends a builtin one arrives as the builtin, without its own methods. In one process nothing is proven: the look
at the source is a filter for what is known.

To use another sandbox, write a verifier of three lines in your own module that calls `verify_in(sandbox, item)`.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypedDict

from filters.code.extract import Wanted, complete, placed_before, program_of
from filters.code.judging import run_test_code
from filters.code.names import piece_of
from filters.code.outputs import brief, same_output, same_value
from filters.code.reference import Case, Reference, limits_of, names_asked, number, read_reference
from filters.code.results import after, last_line, limit_broken, read_lines, said_error, timed_out
from filters.code.usual_names import USUAL_NAMES
from filters.code.vacuity import NOTHING, nothing
from filters.sandbox.local import LocalSandbox
from filters.sandbox.packages import files_of
from filters.sandbox.program import WALL_PER_CPU, Program, Sandbox
from filters.sandbox.rpc import request_line
from filters.sandbox.values import encode
from filters.verification.verdicts import Item, Judgement, broken, correct, wrong

PATIENCE = WALL_PER_CPU
NEEDS_REFERENCE = True  # imported rows without one have no verifier
PACKAGES = ("numpy",)  # the toolkit itself requires it
NO_NAME = re.compile(r"NameError: name '(\w+)' is not defined")
NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)")


class Options(TypedDict, total=False):
    """The settings in `[verify.options.code_tests]`."""

    time_limit_s: float  # CPU time; used if the reference has none
    memory_mib: int
    tolerance: float  # between numbers; used if the reference has none
    packages: list[str]  # what programs may import: installed packages by name, or folders; numpy by default
    run_programs_without_isolation: bool  # if the kernel allows none: with your rights, files and network


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError if an option is unknown or its value is not accepted."""
    if unknown := sorted(set(options) - set(Options.__annotations__)):
        known = ", ".join(Options.__annotations__)
        raise ValueError(f"verifier 'code_tests' has no option {unknown[0]!r}; it has {known}")
    limits_of(options)
    if number(options, "tolerance", 0.0) < 0:
        raise ValueError(f"code_tests.tolerance is {options['tolerance']!r}; it must not be below 0")
    packages = options.get("packages", [])
    if not isinstance(packages, list | tuple) or not all(isinstance(package, str) for package in packages):
        raise ValueError(f"code_tests.packages is {packages!r}; it must be a list of names or folders")
    for package in packages:
        files_of(package)
    alone = options.get("run_programs_without_isolation", False)
    if not isinstance(alone, bool):
        raise ValueError(f"code_tests.run_programs_without_isolation is {alone!r}; it must be true or false")


def verify(item: Item) -> Judgement:
    """Judge in this machine's sandbox; if the kernel allows no isolation, nothing runs and the status is `error`."""
    alone = item.options.get("run_programs_without_isolation", False)
    packages = item.options.get("packages")
    try:
        sandbox = local_sandbox(None if packages is None else tuple(packages), alone)
    except OSError as error:
        return broken(f"{error}; the option run_programs_without_isolation runs programs with all your rights")
    return verify_in(sandbox, item)


@functools.cache
def local_sandbox(packages: tuple[str, ...] | None, without_isolation: bool) -> LocalSandbox:
    """Return this process's sandbox.

    Programs choose their libraries, and numpy is there for them, as on judges. Tests are data: what they need beyond
    Python is for the recipe to say.
    """
    if packages is None:
        return LocalSandbox(packages=PACKAGES, test_packages=(), without_isolation=without_isolation)
    return LocalSandbox(packages=packages, without_isolation=without_isolation)


def verify_in(sandbox: Sandbox, item: Item) -> Judgement:
    """Judge in the given sandbox; its failure is an `error`, not the program's fault."""
    try:
        tolerance = number(item.options, "tolerance", 0.0)
        reference = read_reference(item.reference or "", limits_of(item.options), tolerance)
        reference = replace(reference, packages_opened="packages" in item.options)
    except ValueError as error:
        return broken(str(error))
    has_input = any(case.given for case in reference.cases)
    code = program_of(item, Wanted(reference.asked, has_input, bool(reference.prelude.strip())))
    if isinstance(code, Judgement):
        return code
    source = complete(reference.prelude, code, reference.entry_point)
    if reference.function is not None:
        source = placed_before(USUAL_NAMES, source)
    try:
        judgement = run_reference(sandbox, source, reference)
    except OSError as error:
        judgement = broken(f"the sandbox failed: {error}")
    judgement = explained(told_apart(judgement, item, reference, code))
    return replace(judgement, reason=f"{judgement.reason} (isolation: {sandbox.isolation})")


def told_apart(judgement: Judgement, item: Item, reference: Reference, code: str) -> Judgement:
    """Return the judgement; `error` if the program has what the tests ask for but a name that no one asked it for."""
    lacks = NO_NAME.match(judgement.reason) if judgement.status == "wrong" and reference.tests else None
    if lacks is None:
        return judgement
    asked, defined = names_asked(reference.tests or "") | reference.asked, piece_of(code).defined
    texts = [message.get("content") or "" for message in item.messages]
    named = any(re.search(rf"\b{lacks[1]}\b", str(text)) for text in (reference.told, *texts))
    if lacks[1] not in asked - defined or named or not asked & defined:
        return judgement
    return broken(f"the tests use the name {lacks[1]!r}, which neither they nor the problem define")


def explained(judgement: Judgement) -> Judgement:
    """Return the judgement; `error` if what was missing is a package that is installed, but not in the sandbox."""
    lacks = NO_MODULE.search(judgement.reason) if judgement.status in ("wrong", "error") else None
    if lacks is None:
        return judgement
    installed = is_installed(lacks[1])
    said = f"{judgement.reason}; the sandbox has no package {lacks[1]!r}: {allowing(lacks[1])}"
    return replace(broken(said) if installed else judgement, reason=said)


def allowing(package: str) -> str:
    """Return how a package is allowed, for programs and for tests."""
    return (
        "the option `packages` of code_tests allows it, to tests too "
        f'([verify.options.code_tests] packages = ["{package}"]; of `distill grade`: --option packages=["{package}"])'
    )


def is_installed(package: str) -> bool:
    """Return whether the option `packages` can open a package."""
    try:
        return bool(files_of(package))
    except ValueError:
        return False


def run_reference(sandbox: Sandbox, source: str, reference: Reference) -> Judgement:
    """Return the judgement for the form of the tests."""
    if reference.tests is not None:
        return run_test_code(sandbox, source, reference)
    if reference.function is not None:
        return run_calls(sandbox, source, reference)
    return run_scripts(sandbox, source, reference)


def run_scripts(sandbox: Sandbox, source: str, reference: Reference) -> Judgement:
    """Run the program once per test until one fails, all within one time limit."""
    left_s = reference.limits.time_s
    for place, case in enumerate(reference.cases, 1):
        if left_s <= 0:
            return timed_out(f"test {place} of {len(reference.cases)}", reference.limits)
        limits = replace(reference.limits, time_s=left_s)
        result = sandbox.run(Program(source, stdin=case.given.encode(errors="surrogateescape")), limits)
        left_s -= result.seconds
        test = f"test {place} of {len(reference.cases)}"
        if problem := limit_broken(result, reference.limits, last_line(result.stderr), test):
            return problem
        if result.exit_code != 0:
            return wrong(f"{test}: exit code {result.exit_code}{after(': ', last_line(result.stderr))}")
        output = result.stdout.decode(errors="replace") if reference.checker else result.stdout
        verdict = judge_case(sandbox, reference, case, output, same_output, test)
        if verdict is not None:
            return verdict
    return passed(len(reference.cases))


def run_calls(sandbox: Sandbox, source: str, reference: Reference) -> Judgement:
    """Run all calls in one process, in order."""
    assert reference.function is not None
    requests = b"".join(request_line(reference.function, case.given) for case in reference.cases)
    result = sandbox.run(Program(source, calls=requests), reference.limits)
    replies = list(read_lines(result.replies))
    failure = next((said_error(reply) for reply in replies if "error" in reply), "")
    if problem := limit_broken(result, reference.limits, failure, f"after {max(0, len(replies) - 1)} calls"):
        return problem
    if len(replies) <= len(reference.cases):
        reason = failure or f"it ended with exit code {result.exit_code} before all tests had run"
        return wrong(f"test {max(1, len(replies))} of {len(reference.cases)}: {reason}")
    first: Judgement | None = None
    for cases in readings(reference.cases):
        verdict = judge_replies(sandbox, reference, cases, replies[1:])
        if verdict.status == "correct":
            return verdict
        first = first or verdict
    assert first is not None
    return first


def readings(cases: tuple[Case, ...]) -> Iterator[tuple[Case, ...]]:
    """Yield the cases as written, then as APPS means them: it writes each value as a list of one."""
    yield cases
    if all(isinstance(case.expected, list) and len(case.expected) == 1 for case in cases):
        yield tuple(Case(case.given, case.expected[0]) for case in cases)


def judge_replies(
    sandbox: Sandbox, reference: Reference, cases: tuple[Case, ...], replies: list[dict[str, Any]]
) -> Judgement:
    """Compare each call's reply with its case."""
    for place, (case, reply) in enumerate(zip(cases, replies, strict=False), 1):
        test = f"test {place} of {len(cases)}"
        if "value" not in reply:
            return wrong(f"{test}: {said_error(reply)}")
        verdict = judge_case(sandbox, reference, case, reply["value"], same_value, test)
        if verdict is not None:
            return verdict
    return passed(len(cases))


def judge_case(
    sandbox: Sandbox, reference: Reference, case: Case, output: Any, same: Any, test: str
) -> Judgement | None:
    """Return None if the output is right, else the judgement."""
    if reference.checker is not None:
        return check(sandbox, reference, case, output, test)
    if same(output, case.expected, reference.tolerance):
        return None
    expected = case.expected.encode() if isinstance(output, bytes) else case.expected
    return wrong(f"{test}: got {brief(output)}, expected {brief(expected)}")


def check(sandbox: Sandbox, reference: Reference, case: Case, output: Any, test: str) -> Judgement | None:
    """Return None if the checker, run in its own sandbox, returns True; else the judgement."""
    assert reference.checker is not None
    said = ask_checker(sandbox, reference, case, output)
    if said is True:
        return None
    if isinstance(said, str):  # whose fault is it? The checker must be able to judge the expected output.
        if isinstance(ask_checker(sandbox, reference, case, encode(case.expected)), str):
            return broken(f"{test}: the reference's checker failed: {said}")
        return wrong(f"{test}: the checker cannot read {brief(output)}: {said}")
    return wrong(f"{test}: the checker refuses {brief(output)}")


def ask_checker(sandbox: Sandbox, reference: Reference, case: Case, output: Any) -> bool | str:
    """Return whether the checker returns True for an encoded output, or how it failed."""
    request = {"call": "check", "arguments": [encode(case.given), output, encode(case.expected)]}
    calls = json.dumps(request).encode() + b"\n"
    result = sandbox.run(Program(reference.checker or "", calls=calls), reference.limits)
    replies = list(read_lines(result.replies))
    if len(replies) < 2 or "value" not in replies[1]:
        return (said_error(replies[-1]) if replies and "error" in replies[-1] else "") or result.ending
    return replies[1]["value"] is True


def passed(tests: int) -> Judgement:
    """Return the judgement that every test passed."""
    return correct(f"{tests} of {tests} tests passed")


def wrong_answer(reference: str) -> str:
    """Return a program that has every name the tests ask for and computes nothing (filters.check_references)."""
    try:
        asked = read_reference(reference).asked
    except ValueError:
        asked = frozenset()
    return f"```python\n{nothing(asked, NOTHING)}\n```"


def reference_answer(reference: str) -> None:
    """Return None: tests are no program (filters.check_references)."""
    return None
