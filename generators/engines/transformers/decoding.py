"""Decoding with continuous batching for causal language models of transformers.

A fixed number of slots hold sequences of different lengths. Each step adds one token to every slot, and a finished slot
is refilled at once (iteration-level scheduling, Orca, OSDI 2022), so one long completion never delays the others. Keys
and values are written and read in place in preallocated memory: no step copies the cache, and grouped-query attention
repeats no head.

On a CPU a completion does not depend on the rest of the batch, to the bit: row counts are multiples of 8 and lengths of
16, for which matrix products sum each row in the same order whatever the number of rows. Random numbers depend on
(seed, position) alone. So slots, shards and resuming do not change a completion.

Shapes: B rows in a step, P prompts in a prefill, H heads, G key-value heads, D head size, L positions, V vocabulary.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AttentionInterface

from generators.contract.errors import RecipeError

ATTENTION = "distill_slots"
ROWS, LENGTHS = 8, 16  # row counts and lengths are multiples of these; the module docstring says why
PREFILL_TOKENS = 8192  # padded prompt tokens per prefill; bounds the memory of attention scores


@dataclass(frozen=True)
class Job:
    """One completion to sample: the prompt's token ids and the sample's own seed."""

    key: Any
    prompt: tuple[int, ...]
    seed: int
    max_new_tokens: int
    drawn: int = 0  # tokens at the prompt's end that were sampled earlier; random numbers continue after them


@dataclass(frozen=True)
class Completion:
    """New token ids of one finished sample, with its stop token; finish_reason is stop or length."""

    key: Any
    token_ids: list[int]
    finish_reason: str


def up_to(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple


def uniforms(seeds: NDArray[Any], steps: NDArray[Any], attempt: int = 0) -> NDArray[np.float64]:
    """Return one number in [0, 1) per (seed, step, attempt): SplitMix64 (Steele et al., 2014) as a counter RNG."""
    counter = steps.astype(np.uint64) + np.uint64(1 + (attempt << 32))
    x = seeds.astype(np.uint64) + counter * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform: NDArray[np.float64] = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def draw_tokens(logits: Tensor, seeds: NDArray[Any], steps: NDArray[Any], temperature: float, top_p: float) -> Tensor:
    """Sample token ids (B) from logits (B, V), row i with its own (seed, step); temperature 0 takes the argmax.

    A token is in the nucleus when likelier ones together hold less than `top_p` (Holtzman et al., arXiv 1904.09751).
    Nothing is sorted: a token outside the nucleus is rejected and the next draw is among likelier tokens only, which
    gives the same distribution (as in FlashInfer, arXiv 2501.01005).
    """
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = weights = torch.softmax(logits.float() / temperature, -1)
    rows, tokens = torch.arange(len(logits)), torch.empty(len(logits), dtype=torch.long, device=logits.device)
    for attempt in itertools.count():
        uniform = torch.from_numpy(uniforms(seeds[rows.numpy()], steps[rows.numpy()], attempt))
        drawn = pick(weights, uniform.to(logits.device))
        tokens[rows.to(logits.device)] = drawn
        own = probabilities.gather(-1, drawn[:, None])
        weights = torch.where(probabilities > own, probabilities, 0.0)
        refused = weights.sum(-1) >= top_p
        if top_p == 1 or not refused.any():
            break
        rows, probabilities, weights = rows[refused.cpu()], probabilities[refused], weights[refused]
    return tokens


def pick(weights: Tensor, uniform: Tensor) -> Tensor:
    """Sample indices (B) into weights (B, n), each with probability proportional to its weight."""
    cumulative = weights.cumsum(-1)
    total = cumulative[:, -1]
    # a target rounded up to the total would select the last index, whatever its weight
    target = torch.minimum((uniform * total).to(total.dtype), torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]


@dataclass
class SlotCache:
    """Keys and values of all slots, one (slots, G, capacity, D) pair per layer, and the attention over them."""

    slots: int
    capacity: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    rows: Tensor | None = None  # (P) slots being prefilled; None while decoding
    positions: Tensor | None = None  # (B) position of each slot's new token
    mask: Tensor | None = None  # 0: visible key, -inf: hidden; (B, 1, 1, 1, L) decoding, (L, L) prefilling

    def layer(self, index: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return one layer's memory; it is allocated when the layer first stores keys (B, G, L, D)."""
        if index not in self.keys:
            shape = (self.slots, like.shape[1], self.capacity, like.shape[3])
            # zeros, not empty: a NaN at a masked position would still reach the weighted sum of the values
            self.keys[index], self.values[index] = like.new_zeros(shape), like.new_zeros(shape)
        return self.keys[index], self.values[index]

    def grow(self, slots: int, capacity: int) -> None:
        """Add slots, and positions to each; existing contents stay."""
        for memory in (self.keys, self.values):
            for index, old in memory.items():
                new = old.new_zeros((slots, old.shape[1], capacity, old.shape[3]))
                new[: self.slots, :, : self.capacity] = old
                memory[index] = new
        self.slots, self.capacity = slots, capacity

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of one slot over those of another."""
        for tensor in (*self.keys.values(), *self.values.values()):
            tensor[target, :, :length] = tensor[source, :, :length]

    def store(self, index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values (B, G, L, D), and return those that attention reads."""
        keys, values = self.layer(index, key)
        batch, groups, length, size = key.shape
        if self.rows is not None:
            keys[self.rows, :, :length], values[self.rows, :, :length] = key, value
            return key, value
        assert self.positions is not None and self.mask is not None
        starts = torch.arange(batch * groups, device=key.device).view(batch, groups) * self.capacity
        flat = (starts + self.positions[:, None]).view(-1)
        for memory, new in ((keys, key), (values, value)):
            memory.view(-1, size).index_copy_(0, flat, new.reshape(-1, size))
        span = self.mask.shape[-1]
        return keys[:batch, :, :span], values[:batch, :, :span]

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Return the attention (B, L, H, D) of queries (B, H, L, D) over the contents of their slots."""
        key, value = self.store(index, key, value)
        batch, heads, length, size = query.shape
        groups, share = key.shape[1], heads // key.shape[1]
        # heads that share keys become query rows of one matrix product: no key or value is repeated
        scores = torch.matmul(query.reshape(batch, groups, share * length, size), key.transpose(2, 3)).mul_(scaling)
        assert self.mask is not None
        scores.view(batch, groups, share, length, -1).add_(self.mask)
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(value.dtype)
        return torch.matmul(weights, value).view(batch, heads, length, -1).transpose(1, 2)


def slot_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    slots: SlotCache,
    scaling: float | None = None,
    **features: Any,
) -> tuple[Tensor, None]:
    """Implement transformers' attention interface over a SlotCache, which the forward call passes as `slots=`."""
    window = features.get("sliding_window")
    limited = window is not None and window < slots.capacity
    if limited or features.get("softcap") is not None or features.get("s_aux") is not None:
        raise RecipeError(
            f"{type(module).__name__} limits or caps attention (sliding window, softcap or sinks), which the "
            "engine transformers does not support; use the engine vllm for this model"
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return slots.attend(module.layer_idx, query, key, value, scaling), None


class SlotDecoder:
    """A decoder of any number of jobs in at most `slots` slots; jobs may be added at any time."""

    def __init__(self, model: Any, *, slots: int, stop_ids: Iterable[int], temperature: float, top_p: float) -> None:
        AttentionInterface.register(ATTENTION, slot_attention)
        model.set_attn_implementation(ATTENTION)
        if model.config._attn_implementation != ATTENTION:
            raise RecipeError(
                f"{type(model).__name__} takes no attention function (transformers' AttentionInterface), which the "
                "engine transformers needs; use the engine vllm for this model"
            )
        self.model, self.device = model, model.device
        self.body = getattr(model, model.base_model_prefix)  # without the output head: prefill needs no logits
        self.slots, self.temperature, self.top_p = up_to(slots, ROWS), temperature, top_p
        self.stop_ids = np.array(sorted(set(stop_ids)), dtype=np.int64)
        self.queue: list[Job] = []  # popped from the end: longest prompts first, equal ones together
        self.flight = Flight(self)

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs; equal prompts share one prefill."""
        self.queue = sorted([*self.queue, *jobs], key=lambda job: (len(job.prompt), job.prompt))

    def step(self) -> list[Completion]:
        """Add a token to every sequence, and return the completions that are now finished."""
        return self.flight.step() if self.flight.fill(self.queue) else []

    def busy(self) -> bool:
        """Return whether a job is waiting or being decoded."""
        return bool(self.queue or self.flight.count)

    def run(self, jobs: Iterable[Job]) -> Iterator[Completion]:
        """Decode the jobs and yield completions in the order they finish."""
        self.add(jobs)
        while self.busy():
            yield from self.step()


class Flight:
    """The sequences being decoded, in rows 0 to `count` of the slots, kept dense. Memory grows with demand."""

    def __init__(self, decoder: SlotDecoder) -> None:
        self.decoder, self.cache = decoder, SlotCache(0, 0)
        self.count, self.free = 0, list[int]()  # free: rows below `count` whose sequence has finished
        self.jobs: list[Job | None] = []
        self.held: dict[tuple[int, ...], int] = {}  # prompt -> a slot whose keys start with it (prefix cache)
        self.tokens = np.zeros((0, 0), np.int64)  # prompt and completion
        # per slot: tokens so far, prompt tokens, most tokens allowed, tokens sampled earlier, seed
        self.lengths, self.prompts, self.limits, self.drawn, self.seeds = (np.ones(0, np.int64) for _ in range(5))

    def grow(self, queue: Sequence[Job]) -> None:
        """Allocate slots for the waiting jobs, at most the decoder's number, with room for the longest."""
        wanted = min(self.decoder.slots, up_to(self.count - len(self.free) + len(queue), ROWS))
        longest = max((len(job.prompt) + job.max_new_tokens for job in queue), default=0)
        slots, capacity = max(self.cache.slots, wanted), max(self.cache.capacity, up_to(longest, LENGTHS))
        if (slots, capacity) == (self.cache.slots, self.cache.capacity):
            return
        more = slots - self.cache.slots
        self.tokens = np.pad(self.tokens, ((0, more), (0, capacity - self.cache.capacity)))
        self.lengths, self.prompts, self.limits, self.drawn, self.seeds = (
            np.pad(array, (0, more), constant_values=1)
            for array in (self.lengths, self.prompts, self.limits, self.drawn, self.seeds)
        )
        self.jobs += [None] * more
        self.cache.grow(slots, capacity)

    @torch.inference_mode()
    def fill(self, queue: list[Job]) -> int:
        """Assign free slots to waiting jobs, close the remaining gaps, and return the number of rows in flight."""
        self.grow(queue)
        fresh: dict[int, list[int]] = {}  # row whose prompt must be prefilled -> rows that copy it
        while queue and (self.free or self.count < self.cache.slots):
            row = self.free.pop() if self.free else self.count
            self.count = max(self.count, row + 1)
            self.take(row, queue.pop(), fresh)
        if fresh:
            self.prefill(list(fresh))
            for source, rows in fresh.items():
                for row in rows:
                    self.cache.copy(source, row, int(self.prompts[source]))
        for row in sorted(self.free, reverse=True):
            self.close_gap(row)
        self.free.clear()
        return self.count

    def take(self, row: int, job: Job, fresh: dict[int, list[int]]) -> None:
        """Put a job into a row, and copy its prompt's keys from a slot that holds them, if any."""
        source = self.held.get(job.prompt)
        if source != row:
            self.forget(row)
        self.jobs[row], self.seeds[row], self.drawn[row] = job, job.seed, job.drawn
        length = len(job.prompt)
        self.tokens[row, :length] = job.prompt
        self.lengths[row] = self.prompts[row] = length
        self.limits[row] = length + job.max_new_tokens
        if source is None:
            self.held[job.prompt] = row
            fresh[row] = []
        elif source in fresh:
            fresh[source].append(row)
        elif source != row:
            self.cache.copy(source, row, length)

    def forget(self, row: int) -> None:
        """Drop a slot from the prefix cache before its keys are overwritten."""
        job = self.jobs[row]
        if job is not None and self.held.get(job.prompt) == row:
            del self.held[job.prompt]

    def close_gap(self, row: int) -> None:
        """Move the last row into a free one: rows stay dense, and steps get cheaper towards the end."""
        self.count = last = self.count - 1
        if row == last:
            return
        self.forget(row)
        self.cache.copy(last, row, int(self.lengths[last]))
        for array in (self.tokens, self.lengths, self.prompts, self.limits, self.drawn, self.seeds):
            array[row] = array[last]
        self.jobs[row] = self.jobs[last]

    def prefill(self, rows: list[int]) -> None:
        """Compute the keys and values of these rows' prompts, except the last token, which the next step reads."""
        rows = sorted((row for row in rows if self.prompts[row] > 1), key=lambda row: int(self.prompts[row]))
        while rows:
            width = up_to(int(self.prompts[rows[-1]]) - 1, LENGTHS)
            rows, group = rows[: -max(1, PREFILL_TOKENS // width)], rows[-max(1, PREFILL_TOKENS // width) :]
            device, cache = self.decoder.device, self.cache
            cache.rows = torch.tensor(group, device=device)
            cache.mask = torch.full((width, width), float("-inf"), device=device).triu(1)
            ids = torch.from_numpy(self.tokens[group, :width]).to(device)  # past a prompt's end: never attended to
            positions = torch.arange(width, device=device).expand(len(group), width)
            self.decoder.body(input_ids=ids, position_ids=positions, slots=cache, use_cache=False)
            cache.rows = None

    @torch.inference_mode()
    def step(self) -> list[Completion]:
        """Add a token to every row, and return the completions that are now finished."""
        tokens = self.next_tokens()
        rows = np.arange(self.count)
        self.tokens[rows, self.lengths[: self.count]] = tokens
        self.lengths[: self.count] += 1
        finished = []
        stopped = np.isin(tokens, self.decoder.stop_ids)
        for row in np.nonzero(stopped | (self.lengths[: self.count] >= self.limits[: self.count]))[0].tolist():
            self.free.append(row)
            job = self.jobs[row]
            assert job is not None
            ids = self.tokens[row, self.prompts[row] : self.lengths[row]].tolist()
            finished.append(Completion(job.key, ids, "stop" if stopped[row] else "length"))
        return finished

    def next_tokens(self) -> NDArray[np.int64]:
        """Sample the next token of each row with the row's own seed."""
        decoder, device = self.decoder, self.decoder.device
        rows = up_to(self.count, ROWS)  # rows beyond `count` are padding: computed and dropped
        last = self.lengths[:rows] - 1
        span = up_to(int(self.lengths[: self.count].max()), LENGTHS)
        self.cache.positions = torch.from_numpy(last).to(device)
        hidden = torch.arange(span, device=device) > self.cache.positions[:, None]
        self.cache.mask = torch.zeros(hidden.shape, device=device).masked_fill_(hidden, float("-inf"))[
            :, None, None, None
        ]
        ids = torch.from_numpy(self.tokens[np.arange(rows), last]).to(device)[:, None]
        positions = self.cache.positions[:, None]
        logits = decoder.model(input_ids=ids, position_ids=positions, slots=self.cache, use_cache=False).logits[:, -1]
        live = slice(self.count)
        steps = self.lengths[live] - self.prompts[live] + self.drawn[live]
        tokens = draw_tokens(logits[live], self.seeds[live], steps, decoder.temperature, decoder.top_p)
        return tokens.cpu().numpy()
