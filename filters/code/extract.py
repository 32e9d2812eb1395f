"""Extraction of the program from a completion."""

import re
import textwrap

from filters.text.final_answer import CLOSE
from filters.verification.verdicts import Item, Judgement, unparseable

FENCE = re.compile(
    r"^([ \t]*)(?:```+|~~~+)[ \t]*([\w+.-]*)[^\n]*\n(.*?)(?:^[ \t]*(?:```+|~~~+)[ \t]*$|(\Z))", re.M | re.S
)
PYTHON = {"", "python", "python3", "py", "py3"}
STATEMENT = re.compile(r"(?:def|class|import|from|for|while|if|try|with|async|return)\b|@|print\(|[\w, \[\]]+=[^=]")


def program_of(item: Item, name: str | None, completes_prompt: bool) -> str | Judgement:
    """Return the last Python block, preferring blocks that define `name`; else the whole answer if it is code.

    `completes_prompt`: the answer may continue the code of the prompt.
    """
    text = item.answer.rpartition(CLOSE)[2]
    if not text.strip() or text.lstrip().startswith("<think>"):
        return unparseable("thinking never ended" if item.reasoning or text.strip() else "the answer is empty")
    blocks = [match for match in FENCE.finditer(text) if match[2].lower() in PYTHON]
    if blocks:
        defining = [
            block for block in blocks if name and re.search(rf"\b(?:def|class)\s+{re.escape(name)}\b", block[3])
        ]
        chosen = (defining or blocks)[-1]
        if chosen[4] is not None and item.finish_reason == "length":
            return unparseable("cut off within the program")
        return textwrap.dedent(chosen[3]) if chosen[1] else chosen[3]
    first = next(line for line in text.splitlines() if line.strip())
    if item.bare or completes_prompt or STATEMENT.match(first.strip()):
        return text.strip("\n")
    return unparseable("no program found: no block of Python, and the answer is not code")


def complete(prelude: str, code: str, name: str | None) -> str:
    """Return the source to run: the code after the reference's prelude.

    A completion of the prompt's code starts with an indented line, though its first indentation may have been stripped
    with the white space around the answer. A `from __future__` import would have to come first, so such code is left as
    it is.
    """
    if "from __future__" in code:
        return code
    completes = prelude.strip() and name and not re.search(rf"\b(?:def|class)\s+{re.escape(name)}\b", code)
    if completes and not code.startswith((" ", "\t")):
        code = f"    {code}"
    return f"{prelude}{code}" if prelude.endswith("\n") or not prelude else f"{prelude}\n{code}"
