"""The prompts stage: questions from task families, files or datasets become records.PROMPT rows.

A repeated or empty question, or one of the evaluation set, keeps its row with a `drop_reason`. A row that cannot be
read is counted as `unreadable`, and the notes say why.
"""

import hashlib
import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from generators.contract.errors import InputError, PluginError
from generators.contract.files import frame, write_batches
from generators.contract.ids import prompt_id_of
from generators.contract.intake import (
    ABSENT,
    BadRow,
    Conversation,
    Item,
    Shape,
    Shaped,
    logged,
    lookup,
    missing,
    read_dataset,
    read_prompt,
    shape_rows,
)
from generators.contract.intake import read_rows as read_files
from generators.contract.plugins import VERIFIER, load_plugin
from generators.contract.records import PROMPT
from generators.contract.stage_protocol import IN_PROCESS, Progress, Runtime, StageCounts, no_progress
from generators.prompt_settings import (
    DOMAINS,
    DatasetPrompts,
    Fields,
    FilePrompts,
    PromptsConfig,
    TaskPrompts,
)

BATCH = 4096  # rows in memory at once
NAMED_FAULTS = 3  # of each kind of bad row, told with their places
UNREADABLE = "unreadable"
ASKING = re.compile(r"quest|quer|problem|prompt|instruct|ask|user|input", re.IGNORECASE)  # in names of columns
NO_QUESTION = re.compile(r"(?:^|_)(?:id|type|count|len|tokens?|source|date|time|hash)$|Id$|task_?name", re.IGNORECASE)
log = logging.getLogger(__name__)


@dataclass
class Faults:
    """The rows that were skipped: their number by kind, and sentences on the first of each kind."""

    strict: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    def add(self, fault: BadRow) -> None:
        """Count a row; a strict import stops here."""
        if self.strict:
            raise fault
        self.kinds[fault.kind] += 1
        if self.kinds[fault.kind] <= NAMED_FAULTS:
            self.first.append(str(fault))

    def tell(self) -> None:
        """Log a warning that names the kinds and the first rows."""
        if self.kinds:
            kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.kinds.most_common())
            log.warning("%d rows cannot be read and are skipped (%s): %s", self.kinds.total(), kinds, self.first[0])


@dataclass
class Tally:
    """Counts of written prompts by drop reason, and of those without a verifier; the questions that were kept.

    without: verifier -> prompts without the reference that it needs, which is none of theirs.
    """

    reasons: Counter[str | None] = field(default_factory=Counter)
    unverifiable: int = 0
    without: Counter[str] = field(default_factory=Counter)
    questions: set[str] | None = None
    faults: Faults = field(default_factory=Faults)
    imported: bool = False

    def dropped(self) -> dict[str, int]:
        """Return the numbers of dropped rows, the unreadable ones among them."""
        found = {str(reason): n for reason, n in self.reasons.items() if reason is not None}
        bad = {UNREADABLE: self.faults.kinds.total()} if self.faults.kinds else {}
        return dict(sorted((found | bad).items()))


def prompts(
    out: Path,
    config: PromptsConfig,
    *,
    evaluation: PromptsConfig | None = None,
    imported: bool = False,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write out/prompts.parquet and, if `evaluation` is given, out/eval_prompts.parquet.

    Training prompts that repeat an evaluation question are dropped as `in_evaluation_set`, rows that cannot be read are
    counted as `unreadable`. imported: the prompts have their completions already, so that those without the reference
    that their verifier needs have no verifier, and no verdict; prompts to be sampled keep it.

    InputError: no prompt is left, a named column is missing, or a bad row of a strict import.
    """
    exam = Tally(questions=set())
    if evaluation is not None:
        write_prompts(evaluation, out / "eval_prompts.parquet", exam, split="eval", progress=runtime.progress)
    train = Tally(imported=imported)
    write_prompts(config, out / "prompts.parquet", train, exam=exam.questions or (), progress=runtime.progress)
    kept, dropped = train.reasons[None], train.dropped()
    notes: dict[str, Any] = {"unverifiable": train.unverifiable}
    if evaluation is not None:
        notes["evaluation_prompts"] = exam.reasons[None]
        notes["evaluation_dropped"] = sum(exam.dropped().values())
    for name, tally in (("unreadable", train), ("evaluation_unreadable", exam)):
        if tally.faults.kinds:
            notes[name] = {"kinds": dict(tally.faults.kinds), "first": tally.faults.first}
    if not kept:
        (out / "prompts.parquet").unlink(missing_ok=True)
        why = f"; for example {train.faults.first[0]}" if train.faults.first else ""
        raise InputError(f"no prompt is left of {sum(dropped.values())}: {dropped}{why}")
    return StageCounts(kept + sum(dropped.values()), kept, dropped, notes=notes)


def read_rows(config: FilePrompts | DatasetPrompts) -> Iterator[Shaped]:
    """Yield the source's rows, each with the shape of its file and the columns that the settings name."""
    if isinstance(config, FilePrompts):
        found = read_files(config.path, config.limit)
    else:
        rows = read_dataset(config.path, config.name, config.split, config.revision, config.limit)
        numbered = enumerate(rows, start=1)
        found = shape_rows(Item(f"{config.path}, row {number}", logged(row)) for number, row in numbered)
    return (Shaped(one.place, one.row, with_fields(one.shape, config.fields)) for one in found)


def with_fields(shape: Shape, fields: Fields) -> Shape:
    """Return the shape with the columns that the settings name."""
    question = (fields.question,) if fields.question else None
    kept = ("messages", "system", "reference", "verifier", "domain", "source", "license")
    return shape.using(questions=question, **{name: getattr(fields, name) for name in kept})


def write_prompts(
    config: PromptsConfig,
    file: Path,
    tally: Tally,
    *,
    split: str = "train",
    exam: Collection[str] = (),
    progress: Progress = no_progress,
) -> None:
    """Write the prompts of one source as records.PROMPT, repeated and empty ones marked; count them in `tally`.

    exam: questions that training prompts may not ask. Of each row only a short key stays in memory.
    """
    tally.faults.strict = not isinstance(config, TaskPrompts) and config.strict
    made = _from_tasks(config) if isinstance(config, TaskPrompts) else from_rows(config, tally.faults)
    made = verifiable(made, tally) if tally.imported else made
    repeated = Repeated()

    def batches() -> Iterator[pl.DataFrame]:
        with progress("prompts", 0) as bar:
            while batch := list(islice(made, BATCH)):
                yield frame((marked(row) for row in batch), PROMPT)
                bar.update(len(batch))

    def marked(row: dict[str, Any]) -> dict[str, Any]:
        asked = question_of(row)
        reason = repeated.reason(row) if asked else "empty"
        reason = "in_evaluation_set" if reason is None and asked in exam else reason
        tally.reasons[reason] += 1
        tally.unverifiable += reason is None and row["verifier"] is None
        if tally.questions is not None:
            tally.questions.add(asked)
        return {"split": split, **row, "drop_reason": reason}

    write_batches(batches(), file, PROMPT)
    tally.faults.tell()
    for verifier, n in tally.without.items():
        log.warning(
            "%d of %d prompts have no reference, which %s needs: they get no verdict; another column of references is "
            "named with prompts.fields.reference",
            n, tally.reasons.total(), verifier,
        )  # fmt: skip


def verifiable(rows: Iterator[dict[str, Any]], tally: Tally) -> Iterator[dict[str, Any]]:
    """Yield the rows, those without the reference that their verifier needs without a verifier; count these."""
    for row in rows:
        verifier = row["verifier"]
        if verifier is not None and not (row["reference"] or "").strip() and needs_reference(verifier):
            tally.without[verifier] += 1
            row = {**row, "verifier": None}
        yield row


def needs_reference(verifier: str) -> bool:
    """Return whether a verifier says that it can judge nothing without a reference."""
    return getattr(load_plugin(VERIFIER, verifier), "NEEDS_REFERENCE", False) is True


def _from_tasks(config: TaskPrompts) -> Iterator[dict[str, Any]]:
    from generators.problems import draw

    for problem in draw(config.families, config.count, config.split, config.seed, config.levels):
        messages = with_system([{"role": "user", "content": problem.question}], config.system)
        yield {
            "prompt_id": prompt_id_of(messages),
            "messages": messages,
            "domain": config.domain,
            "verifier": config.verifier,
            "reference": problem.answer,
            "source": f"tasks/{problem.family}",
        }


def from_rows(config: FilePrompts | DatasetPrompts, faults: Faults) -> Iterator[dict[str, Any]]:
    """Yield the prompts of a file or dataset, and say of each file what was recognized."""
    verifiers, told, empty, good = Verifiers(), set[str](), True, False
    for one in read_rows(config):
        empty = False
        if str(one.shape) not in told:
            told.add(str(one.shape))
            say_recognized(one)
        try:
            if isinstance(one.row, BadRow):
                raise one.row
            row = prompt_row(prompt_of(one.row, one.shape, config, one.place), config)
            verifiers.check(row["verifier"], one.place)
        except BadRow as fault:
            if fault.kind == "missing_column" and not good:  # a setting is wrong, not a row
                raise
            faults.add(fault)
            continue
        good = True
        yield row
    if empty:
        raise InputError(f"{config.path} is empty")


def say_recognized(one: Shaped) -> None:
    """Log what the columns of a file were recognized as, and how to name others."""
    log.warning("%s: recognized as %s; name others with prompts.fields", one.place.rpartition(", row ")[0], one.shape)


class Verifiers:
    """The verifiers that rows name, each looked up once: an unknown one is told before anything is sampled."""

    def __init__(self) -> None:
        self.known: dict[str, str | None] = {}

    def check(self, name: str | None, place: str) -> None:
        """Raise a BadRow for a verifier that cannot be loaded."""
        if name is None:
            return
        if name not in self.known:
            try:
                load_plugin(VERIFIER, name)
                self.known[name] = None
            except PluginError as error:
                self.known[name] = str(error)
        if fault := self.known[name]:
            raise BadRow("unknown_verifier", f"{place}: {fault}")


def prompt_of(row: Mapping[str, Any], shape: Shape, config: FilePrompts | DatasetPrompts, place: str) -> Conversation:
    """Return a source's row without its completions, with the settings' template and system message."""
    check_columns(row, config.fields, place)
    check_shape(row, shape, place)
    return conversation_of(read_prompt(row, shape, place), shape, config)


def check_shape(row: Mapping[str, Any], shape: Shape, place: str) -> None:
    """Raise an InputError that names the key to set where no column can hold a question."""
    if shape.messages is None and not shape.questions:
        texts = [name for name, value in row.items() if isinstance(value, str)]
        likely = next((name for name in texts if ASKING.search(name) and not NO_QUESTION.search(name)), None)
        named = f'set prompts.fields.question = "{likely}"' if likely else "set prompts.fields.question to its column"
        sentence = missing(row, "question", "the prompt", place)
        raise InputError(f"{sentence}; {named}, or prompts.fields.messages for a chat")


def conversation_of(found: Conversation, shape: Shape, config: FilePrompts | DatasetPrompts) -> Conversation:
    """Return a row's conversation with the settings' template and system message."""
    messages = asked_with(found.messages, shape, config)
    return replace(found, messages=with_system(messages, found.system or config.system))


def check_columns(row: Mapping[str, Any], fields: Fields, place: str) -> None:
    """Raise a BadRow for a column that the settings name and the row lacks."""
    for use, named in fields:
        for name in (named,) if isinstance(named, str) else named or ():
            if lookup(row, name) is ABSENT:
                raise BadRow("missing_column", missing(row, name, f"the {use}", place))


def asked_with(
    messages: list[dict[str, str]], shape: Shape, config: FilePrompts | DatasetPrompts
) -> list[dict[str, str]]:
    """Return the messages, a question of its own column within the settings' template."""
    text = messages[-1]["content"] if shape.messages is None else ""
    if not text or not config.prompt_template:
        return messages
    return [*messages[:-1], {"role": "user", "content": config.prompt_template.replace("{question}", text)}]


def prompt_row(found: Conversation, config: FilePrompts | DatasetPrompts) -> dict[str, Any]:
    """Return a conversation as a prompt."""
    named = (found.domain or "").strip().lower()
    return {
        "prompt_id": prompt_id_of(found.messages),
        "messages": found.messages,
        "domain": named if named in DOMAINS else config.domain,
        "verifier": found.verifier or config.verifier,
        "reference": found.reference,
        "source": found.source or source_of(config.path),
        "license": found.license or config.license,
    }


def source_of(path: str | tuple[str, ...]) -> str:
    """Return the name of the file, of the first one where there are several."""
    return Path(path if isinstance(path, str) else path[0]).name


def with_system(messages: list[dict[str, str]], system: str | None) -> list[dict[str, str]]:
    """Return the messages with a system message in front, unless there is one or `system` is empty."""
    if not system or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


class Repeated:
    """The prompts seen so far and their references, as short keys: a few hundred bytes a row whatever its length."""

    def __init__(self) -> None:
        self.first: dict[bytes, bytes] = {}

    def reason(self, row: Mapping[str, Any]) -> str | None:
        """Return why a row repeats an earlier one; None: it is the first of its question."""
        reference = reference_key(row["reference"])
        earlier = self.first.setdefault(bytes.fromhex(row["prompt_id"]), reference)
        if earlier is reference:
            return None
        return "duplicate" if earlier == reference else "conflicting_reference"


def reference_key(reference: str | None) -> bytes:
    """Return a key that references share if they are equal as text or as numbers; each call makes a new object."""
    text = "none" if reference is None else f"text {reference.strip()}"
    try:
        number = float(reference or "")
        text = text if math.isnan(number) else f"number {number + 0.0}"
    except ValueError:
        pass
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def question_of(row: Mapping[str, Any]) -> str:
    """Return the last user message in lower case with single spaces; equal ones are the same question."""
    asked = [message["content"] for message in row["messages"] if message["role"] == "user"]
    return " ".join(asked[-1].casefold().split()) if asked else ""
