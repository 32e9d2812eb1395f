"""Shapes of rows: which columns hold the question, the completion, the reference, recognized by their names.

A shape is told from the columns of a file's first rows. The names are those of public data sets and of the tools that
write completions; case, blanks and hyphens in them do not count.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from generators.contract.completions import read_text
from generators.contract.intake.values import is_chat, lookup

PROBED = 200  # first rows of a file that decide its shape
SHORT_CHARS = 40  # longest solution that is a reference without \boxed
LONG_CHARS = 160  # mean length from which an `answer` without a number after #### is a completion

CHATS = (
    "messages", "conversations", "conversation", "chat", "dialogue", "dialog", "contents", "turns", "items", "data",
)  # fmt: skip
LIKE_ANSWERS = re.compile(r"resp|answ|compl|outp|gener|solut|repl|pred|text", re.IGNORECASE)
ASKING = re.compile(r"\w+_(?:question|problem|prompt|query|instruction)")  # where no column has a usual name
ANSWERING = re.compile(r"\w+_(?:response|completion|generation|output|reply|trajectory)")
NO_QUESTION = re.compile(r"(?:system|negative|rejected)_\w+")
DIALOGS = ("data", "conversation", "conversations", "dialogue", "dialog", "chat")  # of texts that alternate
QUESTIONS = (
    "question", "problem", "prompt", "instruction", "query", "problem_statement", "question_content", "question_text",
    "user_prompt", "full_prompt", "user", "human", "inputs", "task", "input", "input_text", "message_1", "q",
)  # fmt: skip
PASSAGES = ("input", "context", "passage")  # further text of an instruction
SYSTEMS = ("system", "system_prompt", "system_message", "system_instruction")
PAIRS = (  # (reasoning, answer) in two columns
    ("deepseek_thinking_trajectory", "deepseek_attempt"),
    ("gemini_thinking_trajectory", "gemini_attempt"),
    ("thinking_trajectories", "attempt"),
    ("deepseek_reasoning", "deepseek_solution"),
    ("complex_cot", "response"),
    ("think_content", "answer_content"),
    ("reasoning_content", "content"),
)
REASONINGS = (
    "reasoning_content", "reasoning", "thinking", "thought", "thoughts", "think", "reasoning_details",
    "thinking_content", "reasoning_trace", "reasoning_text", "thinking_trajectory", "model_reasoning",
    "chain_of_thought", "cot",
)  # fmt: skip
RESPONSES = (
    "generations", "responses", "completions", "response", "completion", "generation", "generated_text",
    "generated_solution", "generated_answer", "generated", "model_output", "model_response", "model_answer",
    "llm_response", "model_completion", "r1_generation", "r1_solution", "r1_response", "deepseek_solution",
    "deepseek_response", "deepseek_r1_response", "output", "outputs", "output_text", "prediction", "predictions",
    "choices", "candidates", "samples", "chosen", "assistant", "gpt", "reply", "trajectory", "targets", "message_2",
)  # fmt: skip
NUMBERED = re.compile(r"(?:r1|qwq|deepseek|model)?_?(?:solution|response|generation|completion|output)_?\d+")
ANSWERS = ("answer", "solution", "final_answer")
SPOKEN = ("answer", "solution", "final", "final_answer", "content", "a")  # a completion where nothing else is one
REFERENCES = (
    "reference", "gold", "gold_answer", "reference_answer", "expected_answer", "ground_truth", "groundtruth",
    "ground_truth_answer", "gold_standard_solution", "correct_answer", "final_answer", "reward_model.ground_truth",
    "answer", "target", "ground_truth_solution", "verification_info", "test_cases", "input_output", "test", "tests",
    "solution", "a",
)  # fmt: skip
FINISHES = (
    "finish_reason", "finish_reasons", "stop_reason", "done_reason", "details.finish_reason", "meta_info.finish_reason",
)  # fmt: skip
COMPLETE = ("is_reasoning_complete", "is_complete", "is_finished", "finished", "completed", "done")
TRUNCATED = ("truncated", "is_truncated", "was_truncated", "cut_off")
LEFT_OUT = (
    "tools",
    "functions",
    "images",
    "image",
    "videos",
    "audios",
    "context",
    "passage",
)  # columns that change what a row means
SWITCHES = {"on", "off", "yes", "no", "true", "false", "low", "medium", "high", "none"}  # values that are no reasoning
VERDICTS = (
    "correctness_math_verify",
    "correctness_llama",
    "correctness",
    "is_correct",
    "correct",
    "deepseek_grade",
    "label",
)
TEACHERS = ("teacher", "model", "model_name", "generation_model", "generator")
YES_NO = ("true", "false", "yes", "no")
SOURCES = ("source", "data_source", "problem_source")
NAMES = (  # (name, columns that tell it)
    ("OpenR1-Math", ("generations", "is_reasoning_complete")),
    ("distill traces", ("trace_id", "prompt_id", "sampling", "answer")),
    ("distill corpus", ("trace_id", "messages")),
    ("distill prompts", ("prompt_id", "messages", "verifier", "reference", "drop_reason")),
    ("s1K", ("thinking_trajectories",)),
    ("s1K-1.1", ("deepseek_thinking_trajectory", "deepseek_attempt")),
    ("OpenThoughts metadata", ("deepseek_reasoning", "deepseek_solution")),
    ("medical-o1", ("question", "complex_cot", "response")),
    ("DeepMath", ("r1_solution_1", "r1_solution_2")),
    ("Magpie", ("conversations", "gen_input_configs")),
    ("NuminaMath-1.5", ("problem", "solution", "problem_is_valid")),
    ("NuminaMath", ("problem", "solution", "messages", "source")),
    ("OpenMathReasoning", ("problem", "generated_solution", "generation_model")),
    ("OpenMathInstruct", ("problem", "generated_solution", "expected_answer")),
    ("Llama-Nemotron", ("input", "output", "generator")),
    ("OpenCodeReasoning", ("input", "output", "solution")),
    ("verl", ("prompt", "reward_model")),
    ("OpenOrca", ("system_prompt", "question", "response")),
    ("Dolly", ("instruction", "context", "response")),
    ("batch results", ("custom_id", "generations")),
    ("batch requests", ("custom_id", "messages")),
    ("preference pairs", ("prompt", "chosen", "rejected")),
    ("Alpaca", ("instruction", "output")),
    ("Gemini contents", ("contents",)),
    ("ShareGPT", ("conversations",)),
    ("messages", ("messages",)),
)


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
        likely = self.spoken or (self.reference if self.reference in ANSWERS else self._free_column())
        which = " + ".join(self.responses) or self.messages
        fault = f"no row has a completion in {which}" if which else "no column of a completion is known"
        key = f'set generate.options.response = "{likely}"' if likely else "set generate.options.response to its column"
        return f"{fault}; there are {', '.join(map(repr, self.columns)) or 'none'}; {key}"

    def _free_column(self) -> str | None:
        """Return a column without a use, one named like an answer before others."""
        uses = [getattr(self, each.name) for each in fields(self) if each.name not in ("name", "spoken", "columns")]
        taken = {name for use in uses for name in (use if isinstance(use, tuple) else (use,))}
        free = [name for name in self.columns if name not in taken]
        return next((name for name in free if LIKE_ANSWERS.search(name)), next(iter(free), None))

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


def recognize(rows: Sequence[Mapping[str, Any]]) -> Shape:
    """Return the shape of a file from its first rows; a column of nulls counts only where no other has its use."""
    found = _recognized(rows, _names(rows))
    if found.responses or found.messages or not rows:
        return found
    every = _recognized(rows, _names(rows) | {_plain(name): name for row in rows for name in row})
    return replace(found, responses=every.responses) if found.questions == every.questions else found


def shape_for(row: Mapping[str, Any], shape: Shape) -> Shape:
    """Return the shape of a row: the file's, or its own where it has none of the file's columns but others instead."""
    asked = bool(row.get(shape.messages)) if shape.messages else False
    asked = asked or any(name.partition(".")[0] in row for name in shape.questions)
    answered = not shape.responses or any(name.partition(".")[0] in row for name in shape.responses)
    if asked and (answered or shape.messages):
        return shape
    own = recognize([row])
    known = {shape.system, shape.reference, shape.spoken}  # what is no completion in other rows is none here
    fits = (own.messages or own.questions) and (own.messages or own.responses) and not known & {*own.responses}
    return replace(own, columns=shape.columns) if fits else shape


def _recognized(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Shape:
    shape = Shape(
        name=_name(names),
        system=_first(names, SYSTEMS),
        domain=_first(names, ("domain",)),
        verifier=_first(names, ("verifier",)),
        license=_first(names, ("license",)),
        teacher=_first(names, TEACHERS),
        source=_first(names, SOURCES),
        finish_reason=_first(names, FINISHES) or _nested(rows, FINISHES),
        complete=_first(names, COMPLETE),
        truncated=_first(names, TRUNCATED),
        history=_filled(names, rows, ("history",)),
        left_out=tuple(name for one in LEFT_OUT if (name := _filled(names, rows, (one,)))),
        columns=tuple(dict.fromkeys(name for row in rows for name in row)),
        verdicts=tuple(names[name] for name in VERDICTS if name in names and _judges(names[name], rows)),
        messages=_chat(names, rows),
    )
    shape = replace(shape, questions=_questions(names, shape))
    shape = _with_completions(shape, names, rows)
    taken = {*shape.questions, *shape.responses, shape.reasoning}
    shape = replace(shape, left_out=tuple(name for name in shape.left_out if name not in taken))
    return replace(shape, reference=_reference(names, rows, taken))


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return normalized name -> name of the columns that hold anything."""
    names: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                names.setdefault(_plain(name), name)
    return names


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def _ending(names: Mapping[str, str], pattern: re.Pattern[str]) -> str | None:
    """Return the normalized name of the one column whose name ends in a usual word; None: there are several or none."""
    found = [name for name in names if pattern.fullmatch(name) and not NO_QUESTION.fullmatch(name)]
    return found[0] if len(found) == 1 else None


def _name(names: Mapping[str, str]) -> str:
    return next((name for name, columns in NAMES if all(column in names for column in columns)), "columns")


def _first(names: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _nested(rows: Sequence[Mapping[str, Any]], wanted: Iterable[str]) -> str | None:
    """Return the first nested column that some row has."""
    dotted = [name for name in wanted if "." in name]
    return next((name for name in dotted if any(isinstance(lookup(row, name), str | dict) for row in rows)), None)


def _judges(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a column holds verdicts; `label` and `correct` do only as yes or no, or as one a completion.

    They may be an option otherwise.
    """
    if column.strip().lower() not in ("label", "correct"):
        return True
    return any(
        isinstance(value, bool | list) or str(value).lower() in YES_NO
        for row in rows
        if (value := row.get(column)) is not None
    )


def _filled(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]], wanted: Iterable[str]) -> str | None:
    """Return the first of the columns in which some row holds more than an empty list or text."""
    name = _first(names, wanted)
    return name if name and any(row.get(name) not in (None, [], {}, "", "[]") for row in rows) else None


def _chat(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column of the conversation: one of a usual name, or a question that is a list of messages."""
    asked = ("prompt", "input", "question", "problem")
    for wanted, holds in ((CHATS, is_chat), (asked, is_chat), (DIALOGS, _is_dialog), (CHATS[:8], _is_list)):
        if holds is _is_dialog and any(name in names for name in QUESTIONS):
            continue
        for name in wanted:
            if name in names and any(holds(row.get(names[name])) for row in rows):
                return names[name]
    return names.get("messages")


def _is_dialog(value: Any) -> bool:
    """Return whether a value is a list of texts that may alternate."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _questions(names: Mapping[str, str], shape: Shape) -> tuple[str, ...]:
    found = next((name for name in QUESTIONS if name in names and names[name] != shape.messages), None)
    found = found or (None if shape.messages else _ending(names, ASKING))
    if found is None:
        return ()
    passage = _first(names, PASSAGES) if found == "instruction" else None
    return (names[found], passage) if passage else (names[found],)


def _with_completions(shape: Shape, names: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Shape:
    """Return the shape with the columns of reasoning and completions."""
    for thought, answer in PAIRS:
        if thought in names and answer in names:
            return replace(shape, reasoning=names[thought], responses=(names[answer],))
    numbered = tuple(names[name] for name in names if NUMBERED.fullmatch(name))
    free = {name: column for name, column in names.items() if column not in shape.questions}
    free = {name: column for name, column in free.items() if column != shape.messages}
    reasoning = next((free[name] for name in REASONINGS if name in free and _is_text(rows, free[name])), None)
    ending = _ending(free, ANSWERING)
    response = _first(free, RESPONSES) or (free[ending] if ending and not shape.messages else None)
    spoken = max((free[name] for name in SPOKEN if name in free), key=lambda name: _chars(rows, name), default=None)
    if response is None and not numbered and spoken is not None:
        if reasoning or _is_completion(rows, spoken, shape):
            response = spoken
        else:
            shape = replace(shape, spoken=spoken)
    return replace(shape, reasoning=reasoning, responses=numbered or ((response,) if response else ()))


def _chars(rows: Sequence[Mapping[str, Any]], column: str) -> int:
    return sum(len(text) for row in rows if isinstance(text := row.get(column), str))


def _is_text(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Return whether a column holds texts or parts, not a switch such as on and off."""
    values = [row.get(column) for row in rows if row.get(column) is not None]
    return any(
        isinstance(value, list | dict) or (isinstance(value, str) and value.strip().lower() not in {*SWITCHES, ""})
        for value in values
    )


def _is_completion(rows: Sequence[Mapping[str, Any]], column: str, shape: Shape) -> bool:
    """Return whether an answer is a model's completion: it has thinking marks, or is long and ends in no `####`."""
    if shape.messages:  # the conversation ends with the completion
        return False
    texts = [text for row in rows if isinstance(text := row.get(column), str)]
    if any(read_text(text).reasoning is not None for text in texts):
        return True
    return bool(texts) and sum(map(len, texts)) / len(texts) > LONG_CHARS and not any("####" in one for one in texts)


def _reference(names: Mapping[str, str], rows: Sequence[Mapping[str, Any]], taken: set[str | None]) -> str | None:
    for name in REFERENCES:
        head, _, rest = name.partition(".")
        if head not in names or names[head] in taken:
            continue
        path = f"{names[head]}.{rest}" if rest else names[head]
        if name == "solution" and not any(_ends_in_answer(row.get(path)) for row in rows):
            continue
        if any(isinstance(lookup(row, path), str | int | float | list | dict) for row in rows):
            return path
    return None


def _ends_in_answer(value: Any) -> bool:
    """Return whether a solution is a short answer, or marks one."""
    return not isinstance(value, str) or len(value) <= SHORT_CHARS or "\\boxed" in value or "####" in value
