"""The shape of a file: the columns of its rows by their use, and what to say where one is missing."""

from dataclasses import dataclass, fields, replace
from typing import Any

from generators.contract.intake.shapes.names import ABOUT_ANSWERS, ANSWERS, LIKE_ANSWERS, PAIRS


@dataclass(frozen=True)
class Shape:
    """The columns of a file's rows by their use; None: no column has it.

    questions: their texts are joined. responses: columns of completions, each of which may hold several. spoken: the
    column of a lone answer, too short for a completion. history: earlier turns of a question. left_out: columns of
    tools or images, which are not read. columns: all that the first rows have.

    lone_close: a share of the rows holds a `</think>` without an opening mark, so that a row without one was cut.
    lone_marks: such a mark ends thinking; not where only a row here and there has one.
    """

    name: str
    messages: str | None = None
    questions: tuple[str, ...] = ()
    system: str | None = None
    reasoning: str | None = None
    responses: tuple[str, ...] = ()
    reference: str | tuple[str, ...] | None = None
    verifier: str | None = None
    domain: str | None = None
    source: str | None = None
    license: str | None = None
    teacher: str | None = None
    finish_reason: str | None = None
    complete: str | None = None
    truncated: str | None = None
    history: str | None = None
    left_out: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    spoken: str | None = None
    columns: tuple[str, ...] = ()
    lone_close: bool = False
    lone_marks: bool = True

    def __str__(self) -> str:
        uses = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value and each.name not in ("name", "columns", "lone_close", "lone_marks", "spoken"):
                use = each.name.replace("_", " ") if each.name == "left_out" else each.name
                uses.append(f"{use} = {value if isinstance(value, str) else ' + '.join(value)}")
        return f"{self.name} ({', '.join(uses) or 'no column is known'})"

    def how_to_answer(self) -> str:
        """Return the sentence that no completion is found, with the key to set and the likeliest value."""
        if self.name == "batch requests":
            return (
                "it holds the requests of a batch alone, without their results; name both files: set prompts.path = "
                '["requests.jsonl", "results.jsonl"]'
            )
        free = self._free_column()
        likely = free or self.spoken or (self.reference if self.reference in ANSWERS else None)
        which = " + ".join(self.responses) or self.messages
        fault = f"no row has a completion in {which}" if which else "no column of a completion is known"
        key = f'set generate.options.response = "{likely}"' if likely else "set generate.options.response to its column"
        return f"{fault}; there are {', '.join(map(repr, self.columns)) or 'none'}; {key}"

    def _free_column(self) -> str | None:
        """Return a column without a use that is named like an answer; None: no column is, and a wrong one misleads."""
        uses = [getattr(self, each.name) for each in fields(self) if each.name not in ("name", "spoken", "columns")]
        taken = {name for use in uses for name in (use if isinstance(use, tuple) else (use,))}
        free = [name for name in self.columns if name not in taken]
        return next((name for name in free if LIKE_ANSWERS.search(name) and not ABOUT_ANSWERS.search(name)), None)

    def using(self, **named: Any) -> "Shape":
        """Return the shape with the columns that the settings name; None leaves a column as it was recognized."""
        given = {use: name for use, name in named.items() if name is not None}
        if not given:  # most often, and asked of every row
            return self
        if "messages" in given:
            given["questions"] = ()
        elif "questions" in given:
            given["messages"] = None
        if "responses" in given and self.reasoning and (self.reasoning, given["responses"][0]) not in PAIRS:
            given.setdefault("reasoning", self.reasoning if self.responses == given["responses"] else None)
        return replace(self, **given)
