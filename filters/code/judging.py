"""Judging of a program by test code: plain asserts by calls alone, other code apart from the program or with it.

Apart, the program cannot reach the tests. Tests that act on their own process (`one_process.act_on_process`) say
nothing there of a right program; they run in the program's, if that can reach nothing of theirs. Tests that accept
programs that compute nothing are no tests.
"""

import ast
import functools
from dataclasses import replace

from filters.code.asserts import PlainAssert, plain_asserts
from filters.code.names import parsed
from filters.code.one_process import act_on_process, acts_on_mocks, imports_beyond
from filters.code.reference import Reference
from filters.code.results import REASON_CHARS, limit_broken, read_lines, said_error
from filters.code.vacuity import nothing, say_nothing, with_messages_judged
from filters.code.ways_out import reaches_out
from filters.sandbox.program import Program, Sandbox
from filters.sandbox.rpc import request_line
from filters.sandbox.values import encode
from filters.verification.verdicts import Judgement, broken, correct, wrong

MOST_COMPARED = 1 << 16
VACUOUS = "the tests accept a program that computes nothing"
ACROSS = (
    "which is not a plain value",
    "'Proxy'",
    "an object of the program's",
    "object has no attribute",
)  # in reasons of tests that run apart
TRESPASS = "the program reached for "  # what is not its own
POSING = "is not what the tests ask for"  # of an object that would stand in for a builtin one
LOOPS = ast.For | ast.While | ast.comprehension


def run_test_code(sandbox: Sandbox, source: str, reference: Reference) -> Judgement:
    """Judge by calls alone if the test code is plain; run it if it is not, or if the calls decide nothing."""
    asserts = plain_asserts(reference.tests or "", reference.entry_point)
    judgement = run_plain_asserts(sandbox, source, reference, asserts) if asserts else None
    if judgement is not None:
        return (
            broken(VACUOUS)
            if judgement.status == "correct" and hold_for_nothings(reference.tests or "", asserts or [])
            else judgement
        )
    judgement = run_tests(sandbox, source, reference)
    return broken(VACUOUS) if judgement.status == "correct" and accept_nothings(sandbox, reference) else judgement


def run_plain_asserts(
    sandbox: Sandbox, source: str, reference: Reference, asserts: list[PlainAssert]
) -> Judgement | None:
    """Return the judgement; None if a value cannot be compared here."""
    calls = b"".join(request_line(each.name, each.arguments) for each in asserts)
    result = sandbox.run(Program(source, calls=calls), reference.limits)
    replies = list(read_lines(result.replies))
    if len(result.replies) > MOST_COMPARED:  # it could consist of colliding keys
        return None
    for each, reply in zip(asserts, replies[1:], strict=False):
        try:
            if "error" in reply:
                break
            if not each.holds(reply["value"]):
                return wrong(f"AssertionError: {each.source[:REASON_CHARS]}")
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return None
    else:
        if len(replies) > len(asserts):
            return correct(f"all {len(asserts)} asserts passed")
    failure = next((said_error(reply) for reply in replies if "error" in reply), "")
    if problem := limit_broken(result, reference.limits, failure, "in the assert block"):
        return problem
    return wrong(failure or f"it ended with exit code {result.exit_code} before the tests did")


def run_tests(sandbox: Sandbox, source: str, reference: Reference) -> Judgement:
    """Return the verdict of the test code, which runs with the program if it must and may, and else apart."""
    tests = reference.tests or ""
    act = act_on_process(tests, reference.asked)
    may_share = reference.packages_opened or not imports_beyond(tests)
    way_out = (reaches_out(source) or acts_on_mocks(source, tests)) if may_share else None
    if act and may_share and not way_out:
        judgement = run_one_way(sandbox, source, reference, together=True)
        if not judgement.reason.startswith(TRESPASS):
            return judgement
        way_out = judgement.reason.removeprefix(TRESPASS)
    judgement = run_one_way(sandbox, source, reference, together=False)
    if act and way_out and judgement.status in ("wrong", "error"):
        return broken(
            f"the tests act on the program's process (by {act}), where the program could reach them (by {way_out}); "
            f"apart from it they say: {judgement.reason}"
        )
    if may_share and not way_out and is_too_much_apart(judgement, tests):
        return run_one_way(sandbox, source, reference, together=True)
    return judgement


def is_too_much_apart(judgement: Judgement, tests: str) -> bool:
    """Return whether a verdict may be due to running apart: objects on their way across, or thousands of calls."""
    if judgement.status != "timeout":
        return any(said in judgement.reason for said in ACROSS) and POSING not in judgement.reason
    tree = parsed(tests)
    return tree is not None and any(isinstance(node, LOOPS) for node in ast.walk(tree))


def run_one_way(sandbox: Sandbox, source: str, reference: Reference, together: bool) -> Judgement:
    """Return the verdict of the test code, run in the program's process or apart from it."""
    program = Program(
        source,
        tests=reference.tests,
        prelude=reference.prelude,
        entry_point=reference.entry_point,
        discover=reference.discover,
        together=together,
    )
    result = sandbox.run(program, reference.limits)
    verdict = next(read_lines(result.replies), {})
    if verdict.get("passed") is True:
        return correct("all asserts passed" + (" in the program's process" if together else ""))
    failure = str(verdict.get("failure", ""))
    if problem := limit_broken(result, reference.limits, failure, "in the assert block"):
        return problem
    if "trespass" in verdict:
        return broken(f"{TRESPASS}{verdict['trespass']}")
    if "invalid" in verdict:
        return broken(f"the tests cannot judge the program: {verdict['invalid']}")
    if not verdict and not together:
        return broken(f"the tests ended with exit code {result.exit_code} and no verdict")
    return wrong(failure or f"it ended with exit code {result.exit_code} before the tests did")


def accept_nothings(sandbox: Sandbox, reference: Reference) -> bool:
    """Return whether the tests accept programs that compute nothing; it is found out once per reference."""
    known = remembered(reference)
    if not known:
        tests = reference.tests or ""
        judged = replace(reference, tests=with_messages_judged(tests, reference.asked))
        known.append(
            say_nothing(
                tests, lambda value: run_tests(sandbox, nothing(reference.asked, value), judged).status == "correct"
            )
        )
    return known[0]


@functools.lru_cache(maxsize=4096)
def remembered(reference: Reference) -> list[bool]:
    """Return the place of what is known of a reference's tests: empty at first."""
    return []


def hold_for_nothings(tests: str, asserts: list[PlainAssert]) -> bool:
    """Return the same of plain asserts."""
    return say_nothing(tests, lambda value: all(each.holds(encode(ast.literal_eval(value))) for each in asserts))
