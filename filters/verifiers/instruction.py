"""Every instruction of the prompt must be followed, as IFEval checks it (`filters.text.ifeval` has the 25 kinds).

The reference is an unchanged IFEval row: {"instruction_id_list": [KIND, ...], "kwargs": [{...}, ...]}. The score is the
share of instructions that are followed. The reading is strict unless the option `loose` is true; then a response also
counts without its emphasis, its first line or its last line. Deterministic, and nothing is downloaded.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from filters.text.final_answer import after_thinking
from filters.text.ifeval import bind, loosened
from filters.verification.verdicts import Item, Judgement, broken, correct, unparseable
from generators.contract.completions.marks import ANY_OPENED

NEEDS_REFERENCE = True  # imported rows without one have no verifier


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError if an option is unknown or its value is not accepted."""
    for key, value in options.items():
        if key != "loose" or not isinstance(value, bool):
            raise ValueError(f"instruction.{key} is {value!r}; the only option is `loose`, true or false")


def verify(item: Item) -> Judgement:
    """Name every instruction that is not followed and why, and whether the loose reading accepts it."""
    text = after_thinking(item.answer).strip().replace("\r\n", "\n")
    try:
        checks = read_checks(item.reference or "")
        strict = {kind: check(text) for kind, check in checks}
        loose = {kind: None if followed_loosely(check, text) else strict[kind] for kind, check in checks}
    except (ValueError, TypeError) as error:
        return broken(f"the reference's instructions: {error}")
    if not text or ANY_OPENED.match(text):
        return unparseable("thinking never ended" if item.reasoning or text else "the answer is empty")
    return judged(strict, loose, bool(item.options.get("loose", False)))


def read_checks(reference: str) -> list[tuple[str, Callable[[str], str | None]]]:
    """Return (label, check) of each instruction; the label's number distinguishes repeated instructions."""
    try:
        row = json.loads(reference)
        kinds, arguments = row["instruction_id_list"], row["kwargs"]
        pairs = list(zip(kinds, arguments, strict=True))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"it must be JSON with instruction_id_list and as many kwargs ({error})") from None
    if not pairs:
        raise ValueError("instruction_id_list is empty")
    return [(f"{place} {kind}", bind(kind, dict(given or {}))) for place, (kind, given) in enumerate(pairs, 1)]


def followed_loosely(check: Callable[[str], str | None], text: str) -> bool:
    """Return whether one of the loose readings follows the instruction."""
    return any(version.strip() and check(version) is None for version in loosened(text))


def judged(strict: dict[str, str | None], loose: dict[str, str | None], accept_loose: bool) -> Judgement:
    """Return the judgement on all instructions."""
    deciding = loose if accept_loose else strict
    amiss = {kind: problem for kind, problem in deciding.items() if problem is not None}
    if not amiss:
        only_loosely = any(problem is not None for problem in strict.values())
        return correct(f"all {len(strict)} instructions followed" + (", read loosely" if only_loosely else ""))
    reasons = "; ".join(f"{kind}: {problem}" for kind, problem in amiss.items())
    hint = "" if accept_loose or any(loose.values()) else " (followed when read loosely)"
    return Judgement("wrong", 1 - len(amiss) / len(strict), f"not followed: {reasons}{hint}")
