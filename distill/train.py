"""Full fine-tuning of a student on a corpus, with hard labels, the teacher's soft targets, or both.

The loss of an optimizer step is the sum over its target tokens divided by their number; the split into micro-batches
does not change it. Weights and optimizer state are fp32 (on a GPU next to weights in bf16, see training/masters.py),
matrix products run in `dtype`. An interrupted run continues
from its checkpoint and ends with the same bits as an uninterrupted one.
"""

import io
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributed.tensor import DTensor

from distill.cross_tokenizer.paired_corpus import PairedCorpus, open_span_teacher
from distill.cross_tokenizer.span_loss import SPAN_DIVERGENCES
from distill.data.token_store import lengths_of, stored_examples
from distill.loss.distillation_loss import OnlineTeacher
from distill.models.loading import (
    architecture,
    check_tokens,
    check_vocabularies,
    head_rows,
    hidden_states,
    load_model,
    load_tokenizer,
    longest_row,
    output_head,
    padding_id,
    pick_device,
    pick_dtype,
    save_model,
    stored_dtype,
)
from distill.parallel.checkpoints import drop_sharded, load_sharded_checkpoint, save_sharded, there_is_one
from distill.parallel.launch import launch
from distill.parallel.ranks import Ranks, join, launched
from distill.parallel.sharding import Sharded, load_sharded, mesh_of, save_gathered
from distill.settings import SpanSettings, TrainConfig
from distill.soft_targets.lookup import check_store, stored_targets
from distill.soft_targets.store import TargetStore
from distill.training.adapters import four_bits, freeze, merged, save_adapter, with_adapters
from distill.training.checkpoint import (
    drop_checkpoint,
    load_checkpoint,
    refuse_other_form,
    save_checkpoint,
    seed_everything,
    stopping,
)
from distill.training.examples import Example
from distill.training.lr_schedule import learning_rate
from distill.training.masters import Masters
from distill.training.packing import Batch, plan_steps
from distill.training.reports import check_installed, reports
from distill.training.span_weights import SpanWeights
from distill.training.speed import Speed
from distill.training.trainer import TeacherOf, Trainer, flat
from generators.contract.errors import Failed, InputError, RecipeError
from generators.contract.stage_protocol import IN_PROCESS, Progress, Runtime, StageCounts, no_progress

DEFAULT_EPOCHS = 2  # DeepSeek-R1's students were trained for 2 to 3 epochs (arXiv 2501.12948)
MOST_SKIPPED = 10  # steps in a row without a finite gradient; then training stops


def train(
    corpus: Path,
    validation: Path | None,
    targets: Path | None,
    out: Path,
    config: TrainConfig,
    *,
    runtime: Runtime = IN_PROCESS,
) -> StageCounts:
    """Write `out/model` (Hugging Face format) and `out/log.jsonl` (one line per step and one per validation).

    corpus, validation: parquet with records.CORPUS columns; without `validation` nothing is held out. targets: the
    TargetStore that `score` wrote, for soft_targets = stored. A corpus without a usable row, a row without targets and
    a teacher with another vocabulary raise ValueError.
    """
    check_installed(config.report_to)
    if config.ranks > 1 and not launched():
        return launch(corpus, validation, targets, out, config, runtime.progress)
    ranks = join(pick_device(config.device).type == "cuda")
    device = own_device(config, ranks)
    seed_everything(config.seed, deterministic=config.deterministic)
    tokenizer = load_tokenizer(config.student)
    longest = longest_row(config.student, config.sequence_tokens)
    paired_corpus = PairedCorpus.of(config, tokenizer) if config.divergence in SPAN_DIVERGENCES else None
    load = paired_corpus.load if paired_corpus else partial(stored_examples, tokenizer=tokenizer)
    examples, dropped = load(corpus, max_tokens=longest)
    held_out: Sequence[Example] = load(validation, max_tokens=longest)[0] if validation else []
    if not examples:
        raise InputError(f"{corpus} has no row to train on; dropped: {dict(dropped) or 'none, it is empty'}")
    is_flat = flat(config, architecture(config.student), device, quiet=not ranks.first)
    rows = head_rows(config.student)
    for part in (examples, held_out):
        check_tokens(part, rows, config.student, tokenizer)
    vocab_size, teacher_of = (
        (None, open_span_teacher(config, paired_corpus, device))
        if paired_corpus
        else open_teacher(config, tokenizer, targets, device, (examples, held_out), flat=is_flat)
    )
    student, adapted, whole = open_student(config, device, ranks, flat=is_flat)
    trainer = Trainer(
        config, student, teacher_of, vocab_size, padding_id(tokenizer, rows), ranks=ranks, whole=whole,
        weigh=SpanWeights(config.spans, tokenizer) if config.spans != SpanSettings() else None,
    )  # fmt: skip
    trainer.prepare()
    tokens, seconds = fit(trainer, examples, held_out, out, runtime.progress)
    save_student(trainer, adapted, tokenizer, out, tokens)
    if ranks.first:
        drop_checkpoint(out)
        drop_sharded(out)
    rows_in = len(examples) + sum(dropped.values())
    notes = {"tokens_per_second": round(tokens / seconds), "device": str(device)} if seconds else {}
    return StageCounts(rows_in, len(examples), dict(sorted(dropped.items())), tokens, notes)


def own_device(config: TrainConfig, ranks: Ranks) -> torch.device:
    """Return the device of this process: that of the settings, or on several ranks the GPU that it joined with."""
    device = pick_device(config.device)
    return device if ranks.count == 1 or device.type == "cpu" else torch.device("cuda", torch.cuda.current_device())


def open_student(
    config: TrainConfig, device: torch.device, ranks: Ranks, *, flat: bool
) -> tuple[Any, Any, Sharded | None]:
    """Return the student, peft's model around it if adapters are trained, and FSDP2's if it is spread over ranks."""
    lower = pick_dtype(config.dtype, device) == torch.bfloat16
    if ranks.count > 1:
        if config.lora:
            raise RecipeError(f"train.lora is set and train.ranks is {ranks.count}; adapters train on one GPU")
        compiled = config.compile and device.type == "cuda"
        frozen = partial(freeze, patterns=config.freeze)
        mesh = mesh_of(device, ranks.count)
        whole = load_sharded(config.student, mesh, flat=flat, lower=lower, compiled=compiled, before=frozen)
        return whole.model.train(), None, whole
    if config.lora is None:
        student = load_model(config.student, torch.float32, device, flat=flat)
        freeze(student, config.freeze)
        return student.train(), None, None
    quantization = four_bits() if config.lora.quantize == "nf4" else None
    dtype = torch.bfloat16 if lower and device.type == "cuda" else torch.float32
    student = load_model(config.student, dtype, device, flat=flat, quantization=quantization)
    return student.train(), with_adapters(student, config.lora, config.student), None


def save_student(trainer: Trainer, adapted: Any, tokenizer: Any, out: Path, tokens: int) -> None:
    """Write `out/model`, and adapters in peft's form to `out/adapter` if they were trained."""
    config = trainer.config
    dtype = stored_dtype(config.student)
    about = card(config, tokens)
    if trainer.whole:
        write = partial(save_gathered, trainer.model, dtype=dtype, write=trainer.ranks.first)
        save_model(trainer.model, tokenizer, out / "model", about, write=write, first=trainer.ranks.first)
        return
    if adapted is not None:
        if trainer.masters:
            trainer.masters.unround()
        save_adapter(adapted, out / "adapter")
        student = merged(config.student, out / "adapter", dtype)
    else:
        if trainer.masters:
            trainer.masters.restore(dtype)
        student = trainer.model.to(dtype)
    save_model(student, tokenizer, out / "model", about)


def open_teacher(
    config: TrainConfig,
    tokenizer: Any,
    targets: Path | None,
    device: torch.device,
    corpora: Sequence[Sequence[Example]],
    *,
    flat: bool = False,
) -> tuple[int | None, TeacherOf]:
    """Return (size of the shared vocabulary or None, a function from a batch to its teacher)."""
    if config.soft_targets == "none":
        return None, lambda batch: None
    if config.soft_targets == "online":
        assert config.teacher is not None  # TrainConfig checks it
        rows = head_rows(config.student), head_rows(config.teacher)
        size = check_vocabularies(tokenizer, load_tokenizer(config.teacher), *rows)
        for examples in corpora:
            check_tokens(examples, size, config.teacher, tokenizer)
        model = load_model(config.teacher, pick_dtype(config.dtype, device), device, flat=flat)
        model.eval().requires_grad_(False)
        return size, lambda batch: OnlineTeacher(_teacher_hidden(model, batch), output_head(model))
    if targets is None:
        raise InputError("soft_targets is stored, but there is no store of targets; run score first")
    store = TargetStore(targets)
    for examples in corpora:
        check_store(store, tokenizer, config, examples)
    return store.metadata.vocab_size, lambda batch: stored_targets(store, batch, config.temperature)


@torch.no_grad()
def _teacher_hidden(model: Any, batch: Batch) -> torch.Tensor:
    with torch.autocast(batch.labels.device.type, enabled=False):  # the teacher's weights already have its dtype
        return hidden_states(model, batch)


def fit(
    trainer: Trainer, examples: Sequence[Example], held_out: Sequence[Example], out: Path, progress: Progress
) -> tuple[int, float]:
    """Take the optimizer steps that remain; return (tokens of the whole run, seconds of this call)."""
    config, ranks = trainer.config, trainer.ranks
    plan = plan_of(config, examples)
    optimizer = make_optimizer(trainer.weights, config)
    keeper = Keeper(out, trainer, optimizer, config.checkpoint_every_s)
    done = keeper.load() or {"step": 0, "tokens": 0, "log_bytes": 0}
    total = int(lengths_of(examples)[np.concatenate(plan)].sum())
    clock = time.perf_counter()
    with (
        open_log(out / "log.jsonl", done["log_bytes"]) if ranks.first else io.StringIO() as log,
        reports(config, out, done["step"], silent=not ranks.first) as shown,
        (progress if ranks.first else no_progress)("tokens", total, done["tokens"]) as bar,
    ):
        first, tokens = done["step"], done["tokens"]
        speed = Speed(trainer, pick_dtype(config.dtype, trainer.device))
        if ranks.first:
            print(f"train: {speed}", file=sys.stderr)
        if not first and held_out:
            _write(log, {"step": 0, "tokens": 0, **trainer.validate(held_out)})
        with stopping() as stop:
            for step, indices in enumerate(plan[first:], start=first + 1):
                chosen = [examples[i] for i in indices]
                facts = take_step(trainer, optimizer, chosen, learning_rate(step, len(plan), config))
                new = sum(len(example.token_ids) for example in chosen)
                tokens += new
                done["skipped_in_row"] = done.get("skipped_in_row", 0) + 1 if "skipped" in facts else 0
                _write(log, {"step": step, "tokens": tokens, **facts})
                shown.write(step, {"tokens": tokens, **facts, **speed.facts(chosen)})
                if held_out and (step % config.validate_every == 0 or step == len(plan)):
                    found = trainer.validate(held_out)
                    _write(log, {"step": step, "tokens": tokens, **found})
                    shown.write(step, found)
                    speed.restart()
                bar.show(step=f"{step}/{len(plan)}", loss=_short(facts["loss"]))
                bar.update(new)
                done |= {"step": step, "tokens": tokens, "log_bytes": log.tell()}
                hopeless = done["skipped_in_row"] >= MOST_SKIPPED
                asked, due = ranks.any([stop.asked, keeper.due()])
                if step < len(plan) and (due or asked or hopeless):
                    keeper.save(done)
                if hopeless:
                    raise Diverged(
                        f"no finite gradient in {MOST_SKIPPED} steps in a row, the last {step}; {out / 'log.jsonl'} "
                        "names their rows: lower train.learning_rate, or look at these rows"
                    )
                if asked and step < len(plan):
                    raise KeyboardInterrupt
    return tokens, time.perf_counter() - clock


class Diverged(Failed):
    """A training whose gradients are no longer finite."""


class Keeper:
    """The checkpoints of a training, at most one in `every_s` seconds unless asked for."""

    def __init__(self, out: Path, trainer: Trainer, optimizer: torch.optim.Optimizer, every_s: float) -> None:
        self.out, self.trainer, self.optimizer, self.every_s = out, trainer, optimizer, every_s
        self.saved_at = time.perf_counter()

    def due(self) -> bool:
        """Return whether the last checkpoint is old enough."""
        return time.perf_counter() - self.saved_at >= self.every_s

    def load(self) -> dict[str, int] | None:
        """Restore the last checkpoint; return how far it is, or None without one."""
        if self.trainer.ranks.count > 1 or there_is_one(self.out):
            refuse_other_form(self.out)
            return load_sharded_checkpoint(self.out, self._named(), self.optimizer, self.trainer.ranks)
        return load_checkpoint(self.out, self.trainer.weights, self.optimizer)

    def save(self, advance: dict[str, int]) -> None:
        """Write a checkpoint."""
        if self.trainer.ranks.count > 1:
            save_sharded(self.out, self._named(), self.optimizer, advance, self.trainer.ranks)
        else:
            save_checkpoint(self.out, self.trainer.weights, self.optimizer, advance)
        self.saved_at = time.perf_counter()

    def _named(self) -> dict[str, torch.Tensor]:
        masters = self.trainer.masters
        named = masters.of.items() if masters else self.trainer.model.named_parameters()
        return {name: weight for name, weight in named if masters or weight.requires_grad}


def plan_of(config: TrainConfig, examples: Sequence[Example]) -> list[NDArray[np.int64]]:
    """Return the document indices of every optimizer step."""
    epochs = None if config.tokens is not None else config.epochs or DEFAULT_EPOCHS
    return plan_steps(lengths_of(examples), config.batch_tokens, config.seed, epochs=epochs, tokens=config.tokens)


def make_optimizer(weights: Any, config: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW for a model or its masters, with weight decay on matrices and none on norms and biases."""
    weights = [weight for weight in weights.parameters() if isinstance(weights, Masters) or weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def take_step(
    trainer: Trainer, optimizer: torch.optim.Optimizer, examples: Sequence[Example], rate: float
) -> dict[str, Any]:
    """Take one optimizer step; return its loss, ce, kl, gradient norm before clipping and learning rate.

    Without a finite loss and gradient the weights stay as they are, and `skipped` lists the trace ids of the step.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    facts = trainer.gradients(examples)
    clipped = torch.nn.utils.clip_grad_norm_(trainer.weights.parameters(), trainer.config.grad_clip)
    norm = float(clipped.full_tensor() if isinstance(clipped, DTensor) else clipped)
    finite = math.isfinite(norm) and math.isfinite(facts["loss"])
    if finite:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if not finite:
        values = {key: value if math.isfinite(value) else None for key, value in facts.items()}  # JSON has no NaN
        return {**values, "grad_norm": None, "learning_rate": rate, "skipped": [e.trace_id for e in examples]}
    if trainer.masters:
        trainer.masters.publish()
    return {**facts, "grad_norm": norm, "learning_rate": rate}


def open_log(path: Path, valid_bytes: int) -> Any:
    """Open the log for appending after `valid_bytes`: steps after the checkpoint are taken again, with their lines."""
    path.touch()
    log = open(path, "r+", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    log.truncate(valid_bytes)
    log.seek(valid_bytes)
    return log


def _short(loss: float | None) -> str:
    return "not finite" if loss is None else f"{loss:.3f}"


def _write(log: Any, line: Mapping[str, Any]) -> None:
    log.write(json.dumps(line) + "\n")
    log.flush()


def card(config: TrainConfig, tokens: int) -> str:
    """Return the model card of a trained student."""
    loss = (
        "hard labels (SFT)" if config.alpha == 1.0 else f"alpha {config.alpha:g} x CE + KL at T {config.temperature:g}"
    )
    facts = json.dumps(config.model_dump(mode="json"), indent=1)
    return (
        f"---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- distillation\n---\n\n"
        f"# A distilled student\n\nTrained from `{config.student}` with distill-toolkit: {loss}, {tokens:,} tokens.\n\n"
        f"```json\n{facts}\n```\n"
    )
