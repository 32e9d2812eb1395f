"""Tiny random models with one vocabulary, and a small corpus for them."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from distill.training.examples import Example
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# transformers loads every Qwen2 folder with Qwen2Tokenizer, which would add a missing <|endoftext|>.
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>"]
PADDING_ROWS = 5  # rows of every head beyond the tokenizer


def _tokenizer(template: str = TEMPLATE, think: str = "<think>") -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per byte, the roles, and the tags of reasoning."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, think, "</think>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([think, "</think>"])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    wrapped.chat_template = template
    return wrapped


def _model(seed: int = 0, hidden_size: int = 32, **more: Any) -> Qwen2ForCausalLM:
    """Return a random Qwen2 whose next-token distributions are neither flat nor certain."""
    torch.manual_seed(seed)
    shape = {"num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    rows = len(_tokenizer()) + PADDING_ROWS
    sizes = {"vocab_size": rows, "hidden_size": hidden_size, "max_position_embeddings": 256, **shape, **more}
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, bos_token_id=None, eos_token_id=0))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    model.eval()
    return model


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    """Return the tokenizer's constructor; `template` and `think`, the tag that opens reasoning, can be set."""
    return _tokenizer


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Qwen2ForCausalLM]:
    """Return the constructor of random models; their heads have five rows more than the tokenizer."""
    return _model


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that saves a model and a tokenizer and returns their folder's name."""

    def save(model: Any, tokenizer: Any) -> str:
        folder = tmp_path_factory.mktemp("models")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return save


@pytest.fixture(scope="session")
def teacher(save: Callable[..., str]) -> str:
    """Return the folder of a random teacher."""
    return save(_model(1, 48), _tokenizer())


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """Return documents of 3 to 40 random tokens; at least the first token is prompt."""
    draw = np.random.default_rng(0)
    documents = []
    for i, length in enumerate([3, 17, 40, 8, 23, 5, 31, 12, 9]):
        ids = draw.integers(0, len(_tokenizer()), length).astype(np.int32)
        documents.append(Example(f"t{i}", ids, int(draw.integers(1, length))))
    return documents


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a corpus file of (question, answer) pairs or whole conversations."""

    def write(rows: Sequence[tuple[str, str] | list[dict[str, str]]], name: str = "corpus.parquet") -> Path:
        written = [{"trace_id": f"t{i}", "messages": _messages(row)} for i, row in enumerate(rows)]
        write_frame(frame(written, CORPUS), tmp_path / name)
        return tmp_path / name

    return write


def _messages(row: tuple[str, str] | list[dict[str, str]]) -> list[dict[str, str]]:
    if isinstance(row, list):
        return row
    return [{"role": "user", "content": row[0]}, {"role": "assistant", "content": row[1]}]


RANK = """
import importlib.util, sys, torch, torch.distributed as dist
file, function, rank, ranks, folder = sys.argv[1:]
torch.set_num_threads(1)
spec = importlib.util.spec_from_file_location("of_ranks", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=int(rank), world_size=int(ranks))
torch.save(getattr(module, function)(), f"{folder}/{rank}.pt")
dist.barrier()
dist.destroy_process_group()
"""


@pytest.fixture(scope="session")
def on_ranks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Any]], list[Any]]:
    """Return a function that runs a test module's function in two gloo processes and returns both results."""

    def run(function: Callable[[], Any]) -> list[Any]:
        folder = tmp_path_factory.mktemp("ranks")
        file = function.__code__.co_filename
        command = [sys.executable, "-c", RANK, file, function.__name__]
        started = [subprocess.Popen([*command, str(rank), "2", str(folder)]) for rank in range(2)]
        try:
            assert [process.wait(300) for process in started] == [0, 0]
        finally:
            for process in started:
                process.kill()
        return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]

    return run


class ActingBar:
    """A progress bar that does something once, at its n-th step, such as stopping the training."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left, self.act = at, act

    def show(self, **facts: object) -> None:
        pass

    def update(self, n: int = 1, /) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()

    @contextmanager
    def __call__(self, unit: str, total: int, done: int = 0) -> Iterator[Any]:
        yield self


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def acting_bar() -> type[ActingBar]:
    """Return the bar's class."""
    return ActingBar


@pytest.fixture(scope="session")
def dying_bar() -> Callable[[int], ActingBar]:
    """Return a progress bar whose n-th step is a Ctrl-C."""
    return lambda at: ActingBar(at, _interrupt)
