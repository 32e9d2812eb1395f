"""Prompt styles: the plain question, the question after solved examples, or a request to reflect and verify.

DeepSeek-R1 collected its cold-start data this way (arXiv 2501.12948, section 2.3.1). A style changes only what the
model reads: the sample answers the plain question and keeps its prompt_id. Style and examples are part of the sample's
id, so one ledger holds samples of several styles.

Examples stand in the user's message: chat templates of reasoning models cut the thinking out of earlier turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal, overload

from generators.contract.completions import CLOSE, OPEN, join_reasoning
from generators.contract.errors import InputError, RecipeError
from generators.contract.ids import content_id
from generators.contract.intake import column, read_file, text_of

StyleName = Literal["plain", "few_shot", "reflect"]
Messages = Sequence[dict[str, str]]

MATHEMATICS = Path(__file__).resolve().parent / "examples" / "mathematics.jsonl"
ENDING = "that ends with the final answer, a number or a formula in \\boxed{}."
BEFORE = "These questions were solved with care: step by step, with doubts, checks and corrections, and then answered."
AFTER = (
    f"Answer the next question in the same form. Think between {OPEN} and {CLOSE}, for as long as the question needs, "
    f"and check your results. After {CLOSE} write a short summary of the solution {ENDING}"
)
REFLECT = (
    f"Solve this in detail. Think between {OPEN} and {CLOSE}: go step by step, reflect on whether each step holds, "
    "look for mistakes and correct them, try another way where you are in doubt, and verify the result before you "
    f"settle on it. After {CLOSE} write a short summary of the solution {ENDING}"
)


@dataclass(frozen=True)
class Example:
    """A solved question."""

    question: str
    reasoning: str
    answer: str

    def text(self) -> str:
        """Return the example as the model reads it."""
        return f"Question: {self.question}\n\n{join_reasoning(self.reasoning, self.answer)}"


@dataclass(frozen=True)
class Style:
    """A prompt style. examples: those that may be shown; shots: how many are shown."""

    name: StyleName = "plain"
    examples: tuple[Example, ...] = ()
    shots: int = 0

    def over(self, conversations: Sequence[Messages]) -> Sequence[Messages]:
        """Return the conversations as the model reads them, each made on access: examples are long."""
        return conversations if self.name == "plain" else _Styled(conversations, self)

    def ask(self, messages: Messages) -> list[dict[str, str]]:
        """Return a conversation with its last user message put in this style."""
        last = max(place for place, message in enumerate(messages) if message["role"] == "user")
        asked = {"role": "user", "content": self.text(messages[last]["content"])}
        return [*messages[:last], asked, *messages[last + 1 :]]

    def text(self, question: str) -> str:
        """Return the user's message. An example is never shown with its own question."""
        if self.name == "plain":
            return question
        if self.name == "reflect":
            return f"{question}\n\n{REFLECT}"
        shown = [example for example in self.examples if example.question.strip() != question.strip()][: self.shots]
        solved = "\n\n".join(f"<example>\n{example.text()}\n</example>" for example in shown)
        return f"{BEFORE}\n\n{solved}\n\n{AFTER}\n\nQuestion: {question}"

    def identity(self) -> dict[str, str]:
        """Return what distinguishes samples of this style: everything the model reads besides the question."""
        if self.name == "plain":
            return {}
        wording = [REFLECT] if self.name == "reflect" else [BEFORE, AFTER, self.shots, *map(astuple, self.examples)]
        return {"style": self.name, "style_id": content_id(wording)}


class _Styled(Sequence[Messages]):
    """Conversations in a style, each made on access."""

    def __init__(self, conversations: Sequence[Messages], style: Style) -> None:
        self.conversations, self.style = conversations, style

    def __len__(self) -> int:
        return len(self.conversations)

    @overload
    def __getitem__(self, place: int) -> Messages: ...
    @overload
    def __getitem__(self, place: slice) -> "Sequence[Messages]": ...
    def __getitem__(self, place: int | slice) -> Messages | Sequence[Messages]:
        if isinstance(place, slice):
            return _Styled(self.conversations[place], self.style)
        return self.style.ask(self.conversations[place])


def style_of(name: StyleName, examples: Path | None, shots: int) -> Style:
    """Return a style with the first `shots` + 1 examples of a file; one is spare, for a question that is an example.

    RecipeError: the file has fewer than `shots` examples. InputError: an example lacks a column or a text.
    """
    if name != "few_shot":
        return Style(name)
    file = examples or MATHEMATICS
    found = list(read_examples(file, shots + 1))
    if len(found) < shots:
        raise RecipeError(f"shots is {shots}, but {file} holds {len(found)} examples")
    return Style(name, tuple(found), shots)


def read_examples(file: Path, most: int) -> Iterator[Example]:
    """Yield the first examples of a file with the columns question, reasoning and answer."""
    for number, row in enumerate(read_file(file, most), start=1):
        place = f"{file}, row {number}"
        yield Example(*(_text(row, name, place) for name in ("question", "reasoning", "answer")))


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    text = (text_of(column(row, name, name, place), f"the {name}", place) or "").strip()
    if not text:
        raise InputError(f"{place}: the {name} of the example is empty")
    return text
