"""Sampling plans: every prompt n times, held as ids alone and not as a request for each sample."""

import heapq
import math
import time
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.contract.engine import SampleRequest
from generators.contract.ids import seed_of, trace_id_of


@dataclass(frozen=True)
class SamplingPlan:
    """`n` samples of each prompt by one model. columns: teacher, revision and sampling, as in its traces."""

    prompt_ids: Sequence[str]
    messages: Sequence[Sequence[dict[str, str]]]
    columns: Mapping[str, str]
    n: int
    run_seed: int

    @classmethod
    def of(cls, asked: pl.DataFrame, columns: Mapping[str, str], n: int, run_seed: int) -> "SamplingPlan":
        """Return the plan of the kept prompts in a records.PROMPT frame."""
        kept = asked.filter(pl.col("drop_reason").is_null())
        return cls(kept["prompt_id"].to_list(), kept["messages"].to_list(), columns, n, run_seed)

    def __len__(self) -> int:
        return len(self.prompt_ids) * self.n

    @cached_property
    def name(self) -> str:
        """The model's name in ids; empty for a folder, whose content hash identifies it wherever it is moved."""
        model = self.columns["teacher"]
        return "" if Path(model).is_dir() else model

    def ids_of(self, prompt: int) -> list[str]:
        """Return the ids of one prompt's samples."""
        return self.trace_ids[prompt * self.n : (prompt + 1) * self.n]

    def trace_id(self, prompt: int, index: int) -> str:
        """Return the id of one sample of the prompt at a position."""
        columns = self.columns
        return trace_id_of(self.prompt_ids[prompt], self.name, columns["revision"], columns["sampling"], index)

    def request(self, prompt: int, index: int, *, trace_id: str = "", **more: Any) -> SampleRequest:
        """Return the request for one sample of the prompt at a position.

        trace_id: required for an index beyond `n`; elsewhere it saves computing all ids.
        """
        trace_id = trace_id or self.trace_ids[prompt * self.n + index]
        seed = seed_of(self.run_seed, trace_id)
        return SampleRequest(trace_id, self.prompt_ids[prompt], self.messages[prompt], index, seed, **more)

    @cached_property
    def trace_ids(self) -> "Ids":
        """All ids, ordered by prompt and sample."""
        ids = (self.trace_id(prompt, index) for prompt in range(len(self.prompt_ids)) for index in range(self.n))
        return Ids(np.fromiter(ids, "S24", len(self)))


class Ids(Sequence[str]):
    """Ids in a third of the memory of a list; numpy reads it as an array of bytes."""

    def __init__(self, array: NDArray[np.bytes_]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            several: list[str] = self.array[at].astype(str).tolist()
            return several
        one: bytes = self.array[at]
        return one.decode()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.array.astype(dtype or self.array.dtype, copy=bool(copy))


class LongestFirst:
    """A Source of a plan's missing samples, longest expected first, so that no long one ends alone (LPT, Graham 1969).

    Existing completions of a prompt predict the length of further ones. A prompt without any is sampled once before the
    rest of its samples compete; while that first sample runs, it is expected to take as long again as it has taken.
    """

    def __init__(
        self,
        plan: SamplingPlan,
        done: Container[str],
        lengths: Mapping[str, float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """done: ids of samples that are no longer missing. lengths: prompt_id -> mean completion tokens."""
        self.plan, self.done, self.now = plan, done, now
        self.places = {prompt_id: prompt for prompt, prompt_id in enumerate(plan.prompt_ids)}
        self.totals = array("d", [lengths.get(prompt_id, 0.0) for prompt_id in plan.prompt_ids])
        self.counts = array("l", [prompt_id in lengths for prompt_id in plan.prompt_ids])
        self.tried = array("l", [-1]) * len(plan.prompt_ids)  # index of the prompt's first requested sample
        self.running: dict[int, float] = {}  # prompt -> start time of its first sample, oldest first
        self.tokens, self.seconds = 0, 0.0  # of finished first samples
        self.known: list[tuple[int, int]] = []  # heap of (negative length class, prompt)
        self.requests = self._in_order()

    def take(self, most: int) -> list[SampleRequest]:
        """Return the next requests."""
        return list(islice(self.requests, most))

    def settled(self, request: SampleRequest, row: Mapping[str, Any]) -> None:
        """Learn the length of this prompt's completions."""
        tokens = row.get("completion_tokens") or 0
        prompt = self.places[request.prompt_id]
        self.totals[prompt] += tokens
        self.counts[prompt] += 1
        if prompt in self.running:
            self.seconds += self.now() - self.running.pop(prompt)
            self.tokens += tokens
            heapq.heappush(self.known, (-self._length_class(prompt), prompt))

    def undecided(self) -> bool:
        """Return False: the samples are known from the start."""
        return False

    def _in_order(self) -> Iterator[SampleRequest]:
        messages = self.plan.messages
        prompts = range(len(self.plan.prompt_ids))
        self.known = [(-self._length_class(prompt), prompt) for prompt in prompts if self.counts[prompt]]
        heapq.heapify(self.known)
        unknown = [prompt for prompt in prompts if not self.counts[prompt]]
        for prompt in sorted(unknown, key=lambda p: -characters(messages[p])):
            for request in islice(self._missing(prompt), 1):
                self.tried[prompt], self.running[prompt] = request.sample_index, self.now()
                yield request
        while self.known or self.running:
            yield from self._missing(self._longest())

    def _missing(self, prompt: int) -> Iterator[SampleRequest]:
        for index, trace_id in enumerate(self.plan.ids_of(prompt)):
            if index != self.tried[prompt] and trace_id not in self.done:
                yield self.plan.request(prompt, index, trace_id=trace_id)

    def _longest(self) -> int:
        """Remove and return the prompt whose completions are expected to be longest."""
        oldest = next(iter(self.running), None)
        if oldest is not None and (not self.known or length_class(2 * self._passed(oldest)) >= -self.known[0][0]):
            del self.running[oldest]
            return oldest
        return heapq.heappop(self.known)[1]

    def _passed(self, prompt: int) -> float:
        """Estimate how many tokens the prompt's first sample has by now."""
        return (self.now() - self.running[prompt]) * self.tokens / self.seconds if self.seconds else 0.0

    def _length_class(self, prompt: int) -> int:
        return length_class(self.totals[prompt] / self.counts[prompt])


def length_class(tokens: float) -> int:
    """Return a class of lengths within about a tenth: such prompts keep their order, that of the traces file."""
    return round(8 * math.log2(1 + tokens))


def characters(messages: Sequence[Mapping[str, str]]) -> int:
    """Return the length of a conversation in characters."""
    return sum(len(message["content"]) for message in messages)
