"""Train the embedded teacher and student on problems of generators/tasks, all of the split `teacher`.

    python -m generators.toy.train_toy --out generators/toy        # one GPU, minutes
    python -m generators.toy.train_toy --out /tmp/toy --smoke      # a CPU, under a minute

The teacher learns from traces of a scribe that slips now and then and mostly does not notice, so it reasons like
R1-like models: step by step, in several orders and wordings, with an occasional check or correction, and sometimes
wrong. The student is smaller and learns from a scribe that slips often and rarely checks: it knows the format and can
calculate, but carelessly. Both share one tokenizer.
"""

import argparse
import json
import multiprocessing
import platform
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from generators.problems import Scribe, family_names, load_family, split_of, trace

PAD, END, SYSTEM, USER, ASSISTANT = "<|endoftext|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VOCABULARY = 512
LEVELS = (1, 2, 3)


@dataclass(frozen=True)
class Habits:
    """A scribe's chances per calculation."""

    slip: float
    noticed: float
    check: float


@dataclass(frozen=True)
class Size:
    """The size of a model and the length of its training."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    steps: int
    learning_rate: float


TEACHER = Size(hidden=192, layers=6, heads=6, mlp=512, steps=2500, learning_rate=2e-3)
STUDENT = Size(hidden=128, layers=4, heads=4, mlp=320, steps=2000, learning_rate=3e-3)
SMOKE = Size(hidden=64, layers=2, heads=2, mlp=128, steps=10, learning_rate=2e-3)
TEACHER_HABITS = Habits(slip=0.06, noticed=0.04, check=0.08)
STUDENT_HABITS = Habits(slip=0.20, noticed=0.02, check=0.02)
EXAMPLES, SHARES, SEED = 360_000, 16, 1
ROWS_PER_STEP = 448


@dataclass(frozen=True)
class Rows:
    """All examples on the model's device: ids [N, longest] int16, lengths and prompt lengths [N]."""

    ids: Tensor
    lengths: Tensor
    prompts: Tensor

    @classmethod
    def of(cls, encoded: Sequence[tuple[int, list[int]]], device: torch.device) -> "Rows":
        lengths = torch.tensor([len(ids) for _, ids in encoded])
        flat = torch.tensor([i for _, ids in encoded for i in ids], dtype=torch.int16)
        ids = torch.zeros(len(encoded), int(lengths.max()), dtype=torch.int16)
        ids[torch.arange(ids.shape[1]) < lengths[:, None]] = flat
        prompts = torch.tensor([prompt for prompt, _ in encoded])
        return cls(ids.to(device), lengths.to(device), prompts.to(device))

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return (ids, labels) of some rows, right-padded to the longest."""
        width = int(self.lengths[rows].max())
        ids, place = self.ids[rows, :width].long(), torch.arange(width, device=self.ids.device)
        learned = (place >= self.prompts[rows, None]) & (place < self.lengths[rows, None])
        return ids, ids.masked_fill(~learned, -100)


def main() -> None:
    """Make the tokenizer, the teacher and the student."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true", help="tiny and short, to see that it runs")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = 2000 if options.smoke else EXAMPLES
    tokenizer = None
    facts: dict[str, Any] = {"versions": versions(), "examples_each": count}
    for name, size, habits in (("teacher", TEACHER, TEACHER_HABITS), ("student", STUDENT, STUDENT_HABITS)):
        chosen = SMOKE if options.smoke else size
        texts = write_examples(count, habits)
        tokenizer = tokenizer or train_tokenizer(texts[:50_000])
        model = build(chosen, tokenizer, device)
        trained = train(model, Rows.of(encode(tokenizer, texts), device), chosen, name)
        facts[name] = {**asdict(chosen), **asdict(habits), **trained}
        save(model, tokenizer, options.out / name)
    (options.out / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def write_examples(count: int, habits: Habits) -> list[tuple[str, str]]:
    """Return (question, completion) pairs of the split `teacher`, families in turn, made in parallel."""
    shares = [(i, count // SHARES + 1, habits) for i in range(SHARES)]
    with multiprocessing.Pool() as pool:
        return [pair for part in pool.starmap(_examples, shares) for pair in part][:count]


def _examples(seed: int, count: int, habits: Habits) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    families = [load_family(name) for name in family_names()]
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        problem = families[len(pairs) % len(families)].make(rng, rng.choice(LEVELS))
        if split_of(problem.key) == "teacher":
            scribe = Scribe(rng, habits.slip, habits.noticed, habits.check)
            pairs.append((problem.question, trace(problem, scribe)[0]))
    return pairs


def train_tokenizer(texts: Sequence[tuple[str, str]], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with Qwen2's pre-tokenizer; every digit is a separate token.

    Libraries give any folder of model type qwen2 the pre-tokenizer of Qwen2 and its `<|endoftext|>`, whatever its
    tokenizer.json says; with another one, ids at inference would differ from those in training.
    """
    qwen = Qwen2Tokenizer().backend_tokenizer
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = qwen.normalizer, qwen.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, END, SYSTEM, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    cleaned = (part.replace("<think>", "").replace("</think>", "") for pair in texts for part in pair)
    tokenizer.train_from_iterator(cleaned, trainer)
    # Not special: they must stay in the decoded text.
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in ("<think>", "</think>")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=PAD,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
    )
    fast.chat_template = TEMPLATE
    fast.model_max_length = 1024
    fast.padding_side = "left"
    return fast


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[tuple[str, str]]) -> list[tuple[int, list[int]]]:
    """Return (length of the prompt, token ids) of each example."""
    prompts = tokenizer([f"{USER}{question}{END}{ASSISTANT}" for question, _ in texts], add_special_tokens=False)
    completions = tokenizer([completion + END for _, completion in texts], add_special_tokens=False)
    pairs = zip(prompts["input_ids"], completions["input_ids"], strict=True)
    return [(len(prompt), prompt + completion) for prompt, completion in pairs]


def build(size: Size, tokenizer: PreTrainedTokenizerFast, device: torch.device) -> Any:
    """Return an untrained Qwen2-architecture model with tied embeddings."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads // 2,
        intermediate_size=size.mlp,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model: Any = Qwen2ForCausalLM(config)
    return model.to(device)


def train(model: Any, rows: Rows, size: Size, name: str) -> dict[str, Any]:
    """Train with AdamW, warm-up and cosine decay to a tenth, on completions only; return tokens, minutes and losses."""
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=size.learning_rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    batches = batches_of(rows, SEED)
    clock, tokens, losses = time.time(), 0, []
    for step in range(size.steps):
        ids, labels = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * lr_schedule(step, size.steps)
        with torch.autocast(rows.ids.device.type, torch.bfloat16):
            logits = model(input_ids=ids).logits
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += ids.numel()
        if step % 500 == 499 or step == size.steps - 1:
            losses.append(round(loss.item(), 4))
            print(
                f"{name} step {step + 1} loss {losses[-1]} {tokens / (time.time() - clock):,.0f} tokens/s", flush=True
            )
    return {"tokens": tokens, "minutes": round((time.time() - clock) / 60, 2), "losses": losses}


def lr_schedule(step: int, steps: int) -> float:
    """Return the factor of the peak learning rate."""
    warm = min(1.0, (step + 1) / max(1, steps // 20))
    return warm * (0.1 + 0.45 * (1 + torch.cos(torch.tensor(step / steps * torch.pi)).item()))


def batches_of(rows: Rows, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield right-padded batches of ROWS_PER_STEP rows of similar length, without end."""
    random_order = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(rows.lengths), generator=random_order).to(rows.ids.device)
        for window in order.split(20_000):
            alike = window[rows.lengths[window].argsort()]
            groups = alike.split(ROWS_PER_STEP)
            for i in torch.randperm(len(groups), generator=random_order).tolist():
                yield rows.batch(groups[i])


def save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a Hugging Face folder with bf16 weights."""
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.to("cpu", torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def versions() -> dict[str, str]:
    """Return the library versions and the device."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {"torch": torch.__version__, "transformers": transformers.__version__, "device": device}


if __name__ == "__main__":
    main()
