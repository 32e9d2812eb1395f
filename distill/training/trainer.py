"""The step of a student: batches, loss and gradients, in the layout and precision that the device allows."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from distill.cross_tokenizer.span_loss import SpanTeacher, span_loss
from distill.loss.distillation_loss import LossOutput, Teacher, distillation_loss
from distill.models import varlen
from distill.models.forward import compile_layers
from distill.models.loading import hidden_states, output_head, pick_dtype
from distill.settings import MICRO_BATCH_TOKENS, TrainConfig
from distill.training.examples import Example
from distill.training.masters import Masters
from distill.training.packing import Batch, balance, batches, collate

TeacherOf = Callable[[Batch], Teacher | SpanTeacher | None]
FLAT_MULTIPLE = 128  # tokens: a GPU's products are slower at odd widths


def flat(config: TrainConfig, architecture: Any, device: torch.device) -> bool:
    """Return whether micro-batches are flat rows of whole documents, with attention through `varlen`."""
    if config.layout == "padded":
        return False
    if device.type != "cuda":
        return config.layout == "packed" and varlen.unsupported(architecture) is None
    missing = varlen.unsupported(architecture)
    if missing is None and pick_dtype(config.dtype, device) != torch.bfloat16:
        missing = f"dtype = {config.dtype}"
    if missing:
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

    def __post_init__(self) -> None:
        given = self.config.micro_batch_tokens
        self.limit = self.limit or (MICRO_BATCH_TOKENS[self.device.type] if given == "auto" else given)
        self.flat = self.model.config._attn_implementation == varlen.NAME

    def prepare(self) -> None:
        """Set the student up for a GPU: bf16 weights with fp32 masters, compiled layers, checkpointed activations."""
        config = self.config
        if config.activation_checkpointing == "full":
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if self.device.type != "cuda":
            return
        if self.flat:
            print(f"train: attention by {varlen.choose_kernel()}", file=sys.stderr)
        if pick_dtype(config.dtype, self.device) == torch.bfloat16:
            self.masters = Masters(self.model)
        if config.activation_checkpointing == "selective":
            torch._functorch.config.activation_memory_budget = 0.5
        if config.compile:
            compile_layers(self.model)

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
        dtype = pick_dtype(self.config.dtype, self.device)
        lower = dtype != torch.float32 and self.masters is None
        usual: dict[str, Any] = {
            "alpha": self.config.alpha,
            "temperature": self.config.temperature,
            "divergence": self.config.divergence,
            "beta": self.config.beta,
            "denominator": denominator,
        }
        with torch.autocast(self.device.type, dtype) if lower else nullcontext():
            student = hidden_states(self.model, batch), output_head(self.model), batch.labels
            teacher = self.teacher_of(batch)
            if isinstance(teacher, SpanTeacher):
                return span_loss(*student, teacher, **usual)
            return distillation_loss(
                *student, teacher=teacher, ignore_index=None, vocab_size=self.vocab_size,
                tolerance=self.config.tolerance, **usual,
            )  # fmt: skip

    def batches(self, examples: Sequence[Example]) -> Iterator[Batch]:
        """Yield micro-batches on the student's device."""
        row = self.config.sequence_tokens if self.config.layout == "packed" else None
        made = self._flat(examples) if self.flat else batches(examples, self.limit, self.pad_id, row)
        for batch in made:
            yield batch.to(self.device)

    def _flat(self, examples: Sequence[Example]) -> Iterable[Batch]:
        lengths = [len(example.token_ids) for example in examples]
        multiple = FLAT_MULTIPLE if self.device.type == "cuda" else 1
        for chosen in balance(lengths, [self.flops(n) for n in lengths], self.limit)[0]:
            yield collate([[examples[i] for i in chosen]], self.pad_id, multiple)

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

        If the GPU runs out of memory and micro_batch_tokens is "auto", the step starts again with half the tokens.
        """
        while True:
            try:
                return self._gradients(examples)
            except torch.OutOfMemoryError:
                longest = max(len(example.token_ids) for example in examples)
                if self.config.micro_batch_tokens != "auto" or self.limit <= longest:
                    raise
            for weight in (*self.model.parameters(), *self.weights.parameters()):
                weight.grad = None
            self.limit //= 2
            torch.cuda.empty_cache()
            print(f"train: out of GPU memory; micro_batch_tokens = {self.limit} from here on", file=sys.stderr)

    def _gradients(self, examples: Sequence[Example]) -> dict[str, float]:
        tokens = sum(example.targets for example in examples)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.laid_out = 0
        for batch in self.batches(examples):
            self.laid_out += batch.token_ids.numel()
            output = self.loss(batch, tokens)
            output.loss.backward()
            sums += _sums(output, tokens)
        return dict(zip(("loss", "ce", "kl"), sums.tolist(), strict=True))

    @torch.no_grad()
    def validate(self, examples: Sequence[Example]) -> dict[str, float | None]:
        """Return the mean CE and divergence per target token of held-out rows; val_kl is None without a teacher."""
        tokens = sum(example.targets for example in examples)
        self.model.eval()
        parts = (_sums(self.loss(batch, tokens), tokens) for batch in self.batches(examples))
        sums = sum(parts, torch.zeros(3, device=self.device))
        self.model.train()
        with_teacher = self.config.soft_targets != "none"
        return {"val_ce": float(sums[1]), "val_kl": float(sums[2]) if with_teacher else None}


def _size(weight: Any) -> int:
    """Return the elements of a weight; one in 4 bits is stored as fewer bytes."""
    shape: torch.Size = weight.quant_state.shape if getattr(weight, "quant_state", None) else weight.shape
    return shape.numel()


def _sums(output: LossOutput, tokens: int) -> torch.Tensor:
    parts = (output.loss.detach(), output.ce_sum / tokens, output.kl_sum / tokens)
    return torch.stack([part.double() for part in parts])
