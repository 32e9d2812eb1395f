"""Which samples a run wants: every prompt n times, by their ids, without holding a request for each of them."""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from generators.records import seed_of, trace_id_of
from generators.sampling import SampleRequest


@dataclass(frozen=True)
class Plan:
    """`n` samples of each prompt by one teacher. `columns`: teacher, revision and sampling, as its traces have them."""

    prompt_ids: Sequence[str]
    messages: Sequence[Sequence[dict[str, str]]]
    columns: Mapping[str, str]
    n: int
    run_seed: int

    @classmethod
    def of(cls, asked: pl.DataFrame, columns: Mapping[str, str], n: int, run_seed: int) -> "Plan":
        """The kept prompts of a records.PROMPT frame."""
        kept = asked.filter(pl.col("drop_reason").is_null())
        return cls(kept["prompt_id"].to_list(), kept["messages"].to_list(), columns, n, run_seed)

    def __len__(self) -> int:
        return len(self.prompt_ids) * self.n

    @cached_property
    def name(self) -> str:
        """The teacher as ids know it: a folder's contents say which model it is, so that moving it changes nothing."""
        teacher = self.columns["teacher"]
        return "" if Path(teacher).is_dir() else teacher

    def ids_of(self, prompt: int) -> list[str]:
        """Ids of the samples of one prompt."""
        return self.trace_ids[prompt * self.n : (prompt + 1) * self.n]

    def trace_id(self, prompt: int, index: int) -> str:
        """Id of one sample of the prompt at a position."""
        columns = self.columns
        return trace_id_of(self.prompt_ids[prompt], self.name, columns["revision"], columns["sampling"], index)

    def request(self, prompt: int, index: int, *, trace_id: str = "", **more: Any) -> SampleRequest:
        """One sample of the prompt at a position; beyond `n`, or to save the making of all ids, its id is given."""
        trace_id = trace_id or self.trace_ids[prompt * self.n + index]
        seed = seed_of(self.run_seed, trace_id)
        return SampleRequest(trace_id, self.prompt_ids[prompt], self.messages[prompt], index, seed, **more)

    @cached_property
    def trace_ids(self) -> list[str]:
        """All ids, in the order of prompts and samples."""
        return [self.trace_id(prompt, index) for prompt in range(len(self.prompt_ids)) for index in range(self.n)]


class LongestFirst:
    """A plan's missing samples, the longest expected first, so that long ones do not end alone (LPT, Graham 1969).

    What a prompt's completions are like is told by those there are. A prompt without any is asked once, before the
    others are put in order: prompts whose first sample is still running then are the longest of all.
    """

    def __init__(self, plan: Plan, done: Container[str], lengths: Mapping[str, float]) -> None:
        """`done`: ids of samples that are not wanted any more. `lengths`: prompt_id -> mean completion tokens."""
        self.plan, self.done = plan, done
        self.totals, self.counts = dict(lengths), dict.fromkeys(lengths, 1)
        self.requests = self._in_order()

    def take(self, most: int) -> list[SampleRequest]:
        """The next ones."""
        return list(islice(self.requests, most))

    def settled(self, request: SampleRequest, row: Mapping[str, Any]) -> None:
        """Learn how long completions of this prompt are."""
        self.totals[request.prompt_id] = self.totals.get(request.prompt_id, 0) + (row.get("completion_tokens") or 0)
        self.counts[request.prompt_id] = self.counts.get(request.prompt_id, 0) + 1

    def undecided(self) -> bool:
        """Never: what is wanted is known from the start."""
        return False

    def _in_order(self) -> Iterator[SampleRequest]:
        plan = self.plan
        unknown = [p for p, prompt_id in enumerate(plan.prompt_ids) if prompt_id not in self.counts]
        tried = set()
        for prompt in sorted(unknown, key=lambda p: -characters(plan.messages[p])):
            for request in islice(self._missing(prompt), 1):
                tried.add(request.trace_id)
                yield request
        for prompt in sorted(range(len(plan.prompt_ids)), key=self._expected, reverse=True):
            yield from (request for request in self._missing(prompt) if request.trace_id not in tried)

    def _missing(self, prompt: int) -> Iterator[SampleRequest]:
        for index in range(self.plan.n):
            if self.plan.trace_ids[prompt * self.plan.n + index] not in self.done:
                yield self.plan.request(prompt, index)

    def _expected(self, prompt: int) -> float:
        """Length by a tenth: prompts that are about as long keep their order, which is that of the traces' file."""
        prompt_id = self.plan.prompt_ids[prompt]
        if not self.counts.get(prompt_id):
            return math.inf
        return round(8 * math.log2(1 + self.totals[prompt_id] / self.counts[prompt_id]))


def characters(messages: Sequence[Mapping[str, str]]) -> int:
    """Length of a conversation."""
    return sum(len(message["content"]) for message in messages)
