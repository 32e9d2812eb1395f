"""The step of a student: batches, loss and gradients, in the layout and precision that the device allows."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill.cross_tokenizer.span_loss import SpanTeacher, span_loss
from distill.loss.distillation_loss import LossOutput, Teacher, distillation_loss
from distill.loss.heads import Head
from distill.models import varlen
from distill.models.forward import compile_layers
from distill.models.loading import hidden_states, output_head, pick_dtype
from distill.parallel.ranks import Ranks
from distill.parallel.sharding import Sharded
from distill.settings import MICRO_BATCH_TOKENS, TrainConfig
from distill.training.examples import Example
from distill.training.masters import Masters
from distill.training.packing import Batch, balance, batches, collate, without_targets
from distill.training.span_weights import SpanWeights, equal_weights, total_weight

TeacherOf = Callable[[Batch], Teacher | SpanTeacher | None]
ALONE = Ranks()
SELECTIVE_BUDGET = 0.75  # share of a layer's activations that is kept; the rest is computed again
RECOMPUTED = ("none", "selective", "full")  # from the fastest to the smallest
GRADIENT_SHARE = 0.1  # of a GPU's memory that whole gradients may take, to be summed over the ranks once a step
FLAT_MULTIPLE = 128  # tokens: a GPU's products are slower at odd widths


def flat(config: TrainConfig, architecture: Any, device: torch.device, *, quiet: bool = False) -> bool:
    """Return whether micro-batches are flat rows of whole documents, with attention through `varlen`.

    Where they are not though a GPU could have them, the reason is said on stderr, unless `quiet`.
    """
    if config.layout == "padded":
        return False
    if device.type != "cuda":
        return config.layout == "packed" and varlen.unsupported(architecture) is None
    missing = varlen.unsupported(architecture)
    if missing is None and pick_dtype(config.dtype, device) != torch.bfloat16:
        missing = f"dtype = {config.dtype}"
    if missing and not quiet:
        print(f"train: {missing}: no attention over flat rows, so rows are dense", file=sys.stderr)
    return missing is None


@dataclass
class Trainer:
    """A student, its teacher and the settings that turn a batch into a loss."""

    config: TrainConfig
    model: Any
    teacher_of: TeacherOf
    vocab_size: int | None
    pad_id: int
    masters: Masters | None = None
    limit: int = 0  # tokens of a micro-batch
    laid_out: int = 0  # tokens of the last step's batches, padding included
    ranks: Ranks = ALONE
    weigh: SpanWeights | None = None  # targets by their spans
    recomputed: str = "none"  # activations: none, selective or full
    whole: Sharded | None = None  # around the model, if its weights are spread over ranks
    sync_often: bool = False  # sum gradients over the ranks after each micro-batch, not once a step

    def __post_init__(self) -> None:
        given = self.config.micro_batch_tokens
        self.limit = self.limit or (MICRO_BATCH_TOKENS[self.device.type] if given == "auto" else given)
        self.flat = self.model.config._attn_implementation == varlen.NAME

    def prepare(self) -> None:
        """Set the student up for a GPU: bf16 weights with fp32 masters, compiled layers, checkpointed activations."""
        config = self.config
        self.recompute("none" if config.activation_checkpointing == "auto" else config.activation_checkpointing)
        if self.device.type != "cuda":
            return
        if self.flat:
            kernel = varlen.choose_kernel()
            if self.ranks.first:
                print(f"train: attention by {kernel}", file=sys.stderr)
        if self.whole:
            size = sum(weight.numel() for weight in self.model.parameters())
            self.sync_often = 4 * size > GRADIENT_SHARE * torch.cuda.get_device_properties(self.device).total_memory
            return
        if pick_dtype(config.dtype, self.device) == torch.bfloat16:
            self.masters = Masters(self.model)
        if config.compile:
            compile_layers(self.model)

    def recompute(self, activations: str) -> None:
        """Compute activations again in the backward pass: none, selective (a part of each compiled layer) or full."""
        if activations == "full":
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        torch._functorch.config.activation_memory_budget = SELECTIVE_BUDGET if activations == "selective" else 1.0
        torch._functorch.config.activation_memory_budget_solver = "greedy"  # dp takes a minute more to compile
        self.recomputed = activations

    @property
    def device(self) -> torch.device:
        """Device of the student."""
        device: torch.device = self.model.device
        return device

    @property
    def weights(self) -> Any:
        """Return what the optimizer works on: the masters, or the model itself."""
        return self.masters or self.model

    def loss(self, batch: Batch, denominator: float) -> LossOutput:
        """Return the batch's share of the mean loss over `denominator` target tokens."""
        if self.whole is None:
            return self._loss(batch, denominator)
        return LossOutput(*self.whole(lambda: _parts(self._loss(batch, denominator))))

    def _loss(self, batch: Batch, denominator: float) -> LossOutput:
        groups = list(equal_weights(batch.examples)) if batch.examples else []
        if not groups:
            return self._no_loss(batch)
        dtype = pick_dtype(self.config.dtype, self.device)
        lower = dtype != torch.float32 and self.masters is None and self.whole is None
        usual: dict[str, Any] = {
            "alpha": self.config.alpha,
            "temperature": self.config.temperature,
            "divergence": self.config.divergence,
            "beta": self.config.beta,
        }
        with torch.autocast(self.device.type, dtype) if lower else nullcontext():
            student = hidden_states(self.model, batch), output_head(self.model), batch.labels
            teacher = self.teacher_of(batch)
            if isinstance(teacher, SpanTeacher):
                return span_loss(*student, teacher, denominator=denominator, **usual)
            usual |= {"ignore_index": None, "vocab_size": self.vocab_size, "tolerance": self.config.tolerance}
            parts = []
            for weight, chosen in groups:
                hidden, head, labels, their_own = _rows(chosen, *student, teacher)
                usual |= {"teacher": their_own, "denominator": denominator / weight}
                part = distillation_loss(hidden, head, labels, **usual)
                parts.append((weight, part))
            return _sum_of(parts)

    def _no_loss(self, batch: Batch) -> LossOutput:
        """Return zero after a forward pass, which other ranks wait for, without a target that counts."""
        nothing = 0 * (hidden_states(self.model, batch).sum() + output_head(self.model).weight.sum())
        return LossOutput(nothing, nothing.detach(), nothing.detach(), 0)

    def batches(self, examples: Sequence[Example]) -> Iterator[Batch]:
        """Yield this rank's micro-batches on the student's device; every rank has as many."""
        row = self.config.sequence_tokens if self.config.layout == "packed" else None
        dealt = self.flat or self.ranks.count > 1
        made = self._dealt(examples) if dealt else batches(examples, self.limit, self.pad_id, row)
        for batch in made:
            yield batch.to(self.device)

    def _dealt(self, examples: Sequence[Example]) -> Iterable[Batch]:
        lengths = [len(example.token_ids) for example in examples]
        multiple = FLAT_MULTIPLE if self.device.type == "cuda" else 1
        costs = [self.flops(n) for n in lengths]
        for chosen in balance(lengths, costs, self.limit, self.ranks.count)[self.ranks.rank]:
            documents = [examples[i] for i in chosen]
            if not documents:
                yield without_targets(collate([[min(examples, key=lambda e: len(e.token_ids))]], self.pad_id))
            elif self.flat:
                yield collate([documents], self.pad_id, multiple)
            else:
                yield collate([[document] for document in documents], self.pad_id)

    def flops(self, tokens: int) -> float:
        """Return the floating-point operations of a document's forward and backward pass, recomputation not counted.

        6 for each trained weight of a product and token, 4 for each frozen one, and
        6 * layers * heads * width * tokens for causal attention.
        """
        trained, frozen = self._products
        return tokens * (6.0 * trained + 4.0 * frozen + 6.0 * self._attention * tokens)

    def formula(self) -> str:
        """Return the operations of a document of n tokens as text, with this model's figures."""
        trained, frozen = self._products
        others = f" + 4 n x {frozen:.4g} (frozen weights)" if frozen else ""
        return f"6 n x {trained:.4g} (weights){others} + 6 n^2 x {self._attention} (attention)"

    @cached_property
    def _attention(self) -> int:
        """Layers * heads * width."""
        config = self.model.config.get_text_config()
        heads: int = config.num_attention_heads
        width: int = getattr(config, "head_dim", None) or config.hidden_size // heads
        layers: int = config.num_hidden_layers
        return layers * heads * width

    @cached_property
    def _products(self) -> tuple[int, int]:
        """Trained and frozen weights that take part in products with each token: all but the embedding."""
        embedding, head = self.model.get_input_embeddings().weight, self.model.get_output_embeddings().weight
        counts = [0, 0]
        for weight in self.model.parameters():
            if weight is not embedding or embedding is head:
                counts[not weight.requires_grad] += _size(weight)
        return counts[0], counts[1]

    def gradients(self, examples: Sequence[Example]) -> dict[str, float]:
        """Accumulate the gradient of a step's mean loss per target token; return its loss, ce and kl (without T^2).

        If the GPU runs out of memory, the step starts again with less: with half the tokens of a micro-batch where
        micro_batch_tokens is "auto", down to one document, and then with more activations computed again where
        activation_checkpointing is "auto".
        """
        while True:
            try:
                return self._gradients(examples)
            except torch.OutOfMemoryError:
                longest = max(len(example.token_ids) for example in examples)
                if (lower := self._with_less(longest)) is None:
                    raise
            for weight in (*self.model.parameters(), *self.weights.parameters()):
                weight.grad = None
            said = lower()  # after the error, which holds the tensors of the step
            torch.cuda.empty_cache()
            print(f"train: out of GPU memory; {said} from here on", file=sys.stderr)

    def _with_less(self, longest: int) -> Callable[[], str] | None:
        """Return what makes a step of documents up to `longest` tokens take less memory; None if nothing is left."""
        if self.ranks.count > 1:  # the other ranks would wait for this one
            return None
        if self.config.micro_batch_tokens == "auto" and self.limit > longest:
            return self._halve
        left = RECOMPUTED[RECOMPUTED.index(self.recomputed) + 1 :]
        if self.config.activation_checkpointing != "auto" or not left:
            return None
        compiled = self.config.compile and self.device.type == "cuda"
        return partial(self._recompute_more, left[0] if compiled else "full")

    def _halve(self) -> str:
        self.limit //= 2
        return f"micro_batch_tokens = {self.limit}"

    def _recompute_more(self, activations: str) -> str:
        self.recompute(activations)
        torch._dynamo.reset()  # the layers were compiled with other activations kept
        return f'activation_checkpointing = "{activations}"'

    def _gradients(self, examples: Sequence[Example]) -> dict[str, float]:
        if self.weigh:
            examples = self.weigh(examples)
        tokens = total_weight(examples) or 1.0  # nothing is learned from a step whose targets weigh nothing
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.laid_out = 0
        for batch, last in with_last(self.batches(examples)):
            self.laid_out += batch.token_ids.numel()
            if self.whole:
                self.whole.sync(last or self.sync_often)
            output = self.loss(batch, tokens / self.ranks.count)  # FSDP2 averages the ranks' gradients
            output.loss.backward()
            sums += _sums(output, tokens, self.ranks.count)
        return dict(zip(("loss", "ce", "kl"), self.ranks.total(sums).tolist(), strict=True))

    @torch.no_grad()
    def validate(self, examples: Sequence[Example]) -> dict[str, float | None]:
        """Return the mean CE and divergence per target token of held-out rows; val_kl is None without a teacher."""
        tokens = sum(example.targets for example in examples)
        self.model.eval()
        parts = (_sums(self.loss(batch, tokens), tokens) for batch in self.batches(examples))
        sums = self.ranks.total(sum(parts, torch.zeros(3, dtype=torch.float64, device=self.device)))
        self.model.train()
        if self.whole:
            self.whole.release()
        with_teacher = self.config.soft_targets != "none"
        return {"val_ce": float(sums[1]), "val_kl": float(sums[2]) if with_teacher else None}


def _size(weight: Any) -> int:
    """Return the elements of a weight; one in 4 bits is stored as fewer bytes."""
    shape: torch.Size = weight.quant_state.shape if getattr(weight, "quant_state", None) else weight.shape
    return shape.numel()


def _rows(
    chosen: NDArray[np.int64] | None, hidden: torch.Tensor, head: Head, labels: torch.Tensor, teacher: Teacher | None
) -> tuple[torch.Tensor, Head, torch.Tensor, Teacher | None]:
    """Return the inputs of a loss at some of the targets; None: at all of them."""
    if chosen is None:
        return hidden, head, labels, teacher
    rows = torch.from_numpy(chosen).to(hidden.device, non_blocking=True)
    return hidden[rows], head, labels[rows], teacher and teacher.rows(rows)


def _sum_of(parts: Sequence[tuple[float, LossOutput]]) -> LossOutput:
    """Return the sum of losses; CE and divergence are weighted as the losses are."""
    (weight, first), *others = parts
    if not others:
        return replace(first, ce_sum=weight * first.ce_sum, kl_sum=weight * first.kl_sum)
    return LossOutput(
        sum((part.loss for _, part in others), first.loss),
        sum((by * part.ce_sum for by, part in others), weight * first.ce_sum),
        sum((by * part.kl_sum for by, part in others), weight * first.kl_sum),
        first.tokens + sum(part.tokens for _, part in others),
    )


def _parts(output: LossOutput) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    return output.loss, output.ce_sum, output.kl_sum, output.tokens


def _sums(output: LossOutput, tokens: float, ranks: int = 1) -> torch.Tensor:
    parts = (output.loss.detach() / ranks, output.ce_sum / tokens, output.kl_sum / tokens)
    return torch.stack([part.double() for part in parts])


def with_last(items: Iterable[Batch]) -> Iterator[tuple[Batch, bool]]:
    """Yield each item and whether it is the last one."""
    iterator = iter(items)
    item = next(iterator, None)
    while item is not None:
        after = next(iterator, None)
        yield item, after is None
        item = after
