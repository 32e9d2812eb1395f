"""Extraction of the program from a completion.

Of several blocks of code the program is one that is Python, defines what the tests ask for (or, if they run it as a
whole, reads the input), is marked as Python rather than not at all, and is not shown as a mistake; of these the last.
Definitions in other blocks that it needs are placed before it.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from filters.code.names import Piece, piece_of
from filters.text.final_answer import ANSWER_CLOSE, ANSWER_OPEN, after_thinking
from filters.verification.verdicts import Item, Judgement, unparseable
from generators.contract.completions.marks import ANY_OPENED

FENCE = re.compile(  # it opens at the start of a line or after a colon, and closes at the end of one
    r"^(?:[^\n`]*[:\uff1a])?([ \t]*)(?:```+|~~~+)[ \t]*([\w+.-]*)[^\n]*\n"
    r"(.*?)(?:(?:^[ \t]*|(?<=\S))(?:```+|~~~+)[ \t]*$|(\Z))",
    re.M | re.S,
)
FENCE_LINE = re.compile(r"^[ \t]*(?:```+|~~~+)([^\n]*)$", re.M)
PYTHON = {"", "python", "python3", "py", "py3"}
STATEMENT = re.compile(r"(?:def|class|import|from|for|while|if|try|with|async|return)\b|@|print\(|[\w, \[\]]+=[^=]")
FUTURE = re.compile(r"^from __future__ import [^\n]*$", re.M)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")
READS = re.compile(r"\binput\b(?!\s*=(?!=))|\bstdin\b|\b(?:open|read)\(\s*0|\bfileinput\b|__stdin__|\bmmap\(0")
WRITES = re.compile(r"\bprint\b|\bwrite\b|\bstdout\b")
MISTAKE = re.compile(
    r"\b(?:do not|don.t|never|avoid|not like this|wrong|incorrect|buggy|bugged|broken|bad|mistaken|flawed|faulty|"
    r"fails|naive|too slow|for comparison|instead of)\b",
    re.I,
)
MENDED = re.compile(r"\b(?:fixed|corrected|fixes|final|improved|works)\b", re.I)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code that may be the program."""

    source: str
    named: bool  # its fence says that it is Python
    closed: bool
    lead: str  # the sentence before it
    piece: Piece

    @property
    def mistaken(self) -> bool:
        """Return whether the sentence before the block warns of it."""
        return MISTAKE.search(self.lead) is not None and MENDED.search(self.lead) is None

    @property
    def reads(self) -> bool:
        """Return whether the block reads standard input."""
        return READS.search(self.source) is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The tests' demands on a program: names that they use; for a whole program, whether it has an input."""

    names: frozenset[str] = frozenset()
    has_input: bool = False
    completes_prompt: bool = False  # the answer may continue the code of the prompt


def program_of(item: Item, wanted: Wanted) -> str | Judgement:
    """Return the program: from the last `<answer>` if there is one in it, else from the whole text after thinking."""
    text = after_thinking(item.answer).replace("\r\n", "\n").replace("\ufeff", "")
    if not text.strip() or ANY_OPENED.match(text.lstrip()):
        return unparseable("thinking never ended" if item.reasoning or text.strip() else "the answer is empty")
    before, opened, tagged = text.rpartition(ANSWER_OPEN)
    if opened and isinstance(program := program_in(tagged.partition(ANSWER_CLOSE)[0], item, wanted), str):
        return program
    return program_in(f"{before}\n{tagged.replace(ANSWER_CLOSE, '')}" if opened else text, item, wanted)


def program_in(text: str, item: Item, wanted: Wanted) -> str | Judgement:
    """Return the program of a text."""
    text = with_first_fence(text, item.bare or wanted.completes_prompt)
    blocks = blocks_of(text)
    if blocks:
        chosen = choose(blocks, wanted, item.finish_reason == "length")
        if not chosen.closed and item.finish_reason == "length":
            return unparseable("cut off within the program")
        return with_definitions(chosen, blocks)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if item.bare or wanted.completes_prompt or STATEMENT.match(first.strip()):
        return text.strip("\n")
    return unparseable("no program found: no block of Python, and the answer is not code")


def with_first_fence(text: str, is_code: bool) -> str:
    """Return the text with the opening fence that the prompt wrote, if a closing one without a partner ends code."""
    fences = list(FENCE_LINE.finditer(text))
    if len(fences) % 2 == 0 or fences[0][1].strip():
        return text
    code = text[: fences[0].start()]
    begins = STATEMENT.match(code.strip()) or (is_code and code.lstrip("\n").startswith((" ", "\t")))
    return f"```python\n{text}" if begins and piece_of(code).valid else text


def blocks_of(text: str) -> list[Block]:
    """Return the blocks that are Python or have no language."""
    blocks = []
    for match in FENCE.finditer(text):
        if match[2].lower() in PYTHON:
            lead = SENTENCE_END.split(text[max(0, match.start() - 400) : match.start()].rstrip())[-1]
            source = textwrap.dedent(match[3]) if match[1] else match[3]
            blocks.append(Block(source, bool(match[2]), match[4] is None, lead, piece_of(source)))
    return blocks


def choose(blocks: list[Block], wanted: Wanted, cut_off: bool) -> Block:
    """Return the block that is the program."""
    unfinished = cut_off and not blocks[-1].closed
    if unfinished and not wanted.names:
        return blocks[-1]
    blocks = preferred(blocks, lambda block: block.piece.valid or (unfinished and not block.closed))
    if wanted.names:
        most = max(len(block.piece.defined & wanted.names) for block in blocks)
        blocks = [block for block in blocks if len(block.piece.defined & wanted.names) == most]
    blocks = preferred(blocks, lambda block: not block.mistaken)
    blocks = preferred(blocks, lambda block: block.named)
    if not wanted.names:
        blocks = preferred(blocks, lambda block: not wanted.has_input or block.reads)
        blocks = preferred(blocks, lambda block: WRITES.search(block.source) is not None)
        blocks = preferred(blocks, lambda block: block.reads or is_whole(block, blocks))
    return blocks[-1]


def preferred(blocks: list[Block], condition: Callable[[Block], bool]) -> list[Block]:
    """Return the blocks that meet the condition; all of them if none does."""
    return [block for block in blocks if condition(block)] or blocks


def is_whole(block: Block, blocks: list[Block]) -> bool:
    """Return whether a block uses no definition of another one, as a usage example does."""
    return not any(block.piece.lacking & other.piece.defined for other in blocks if other is not block)


def with_definitions(chosen: Block, blocks: list[Block]) -> str:
    """Return the program after the definitions in earlier blocks that it needs."""
    source, lacking = chosen.source, chosen.piece.lacking
    for other in reversed(blocks[: blocks.index(chosen)]):
        if other.piece.is_library and not other.reads and lacking & other.piece.defined:
            source = f"{other.source}\n{source}"
            lacking = (lacking - other.piece.defined) | other.piece.lacking
    return source


def complete(prelude: str, code: str, name: str | None) -> str:
    """Return the source to run: the code after the reference's prelude.

    A completion of the prompt's code starts with an indented line, though its first indentation may have been stripped
    with the white space around the answer.
    """
    completes = prelude.strip() and name and not re.search(rf"\b(?:def|class)\s+{re.escape(name)}\b", code)
    if completes and not code.startswith((" ", "\t")):
        code = f"    {code}"
    return placed_before(prelude, code)


def placed_before(prelude: str, code: str) -> str:
    """Return source that runs the prelude first, but for the imports from `__future__`, which must come before it."""
    futures = "".join(f"{line}\n" for line in FUTURE.findall(code)) if prelude else ""
    rest = FUTURE.sub("", code) if futures else code
    return f"{futures}{prelude}{rest}" if prelude.endswith("\n") or not prelude else f"{futures}{prelude}\n{rest}"
