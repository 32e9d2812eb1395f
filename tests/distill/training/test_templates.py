"""Documented chat templates: what is learned is what the template renders, and what a sampled model has to write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from distill.models.loading import save_model
from distill.training.examples import Example, encode
from generators.contract.chat import THINKING_OFF, render_prompt, stop_ids
from generators.contract.errors import RecipeError

TEMPLATES = Path(__file__).resolve().parents[2] / "data" / "templates"
SENTENCE_BEGIN, SENTENCE_END = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
USER, ASSISTANT = "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"
FAMILIES = {  # (tokenizer's end of text, its begin, special tokens of the template)
    "chatml": ("<|endoftext|>", None, ["<|im_start|>", "<|im_end|>", "<|im_sep|>"]),
    "deepseek": (
        SENTENCE_END,
        SENTENCE_BEGIN,
        [USER, ASSISTANT],
    ),
    "llama": ("<|end_of_text|>", "<|begin_of_text|>", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
    "gemma": ("<eos>", "<bos>", ["<start_of_turn>", "<end_of_turn>"]),
    "mistral": ("</s>", "<s>", ["[INST]", "[/INST]", "[THINK]", "[/THINK]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]),
    "harmony": ("<|return|>", None, ["<|start|>", "<|end|>", "<|message|>", "<|channel|>"]),
}
THINK = "<think>\nR\n</think>\n\n"
CLOSED = "<think>\n\n</think>\n\n"
# template -> family, end of turn, text learned with and without reasoning, and the end of each prompt
EXPECTED: dict[str, tuple[str, str, str, str, str, str]] = {
    "qwen2.5": ("chatml", "<|im_end|>", f"{THINK}A", "A", "assistant\n", "assistant\n"),
    "qwen3": ("chatml", "<|im_end|>", f"{THINK}A", "A", "assistant\n", f"assistant\n{CLOSED}"),
    "qwen3.5": ("chatml", "<|im_end|>", "R\n</think>\n\nA", "A", "<think>\n", f"assistant\n{CLOSED}"),
    "qwen3-thinking-2507": (
        "chatml", "<|im_end|>", "R\n</think>\n\nA", "\n</think>\n\nA", "<think>\n", "<think>\n"),
    "qwq-32b": ("chatml", "<|im_end|>", "R\n</think>\n\nA", "\n</think>\n\nA", "<think>\n", "<think>\n"),
    "phi4": ("chatml", "<|im_end|>", f"{THINK}A", "A", "assistant<|im_sep|>", "assistant<|im_sep|>"),
    "r1-distill-qwen": (
        "deepseek", SENTENCE_END, "R\n</think>\n\nA", "\n</think>\n\nA", "<think>\n", "<think>\n"),
    "r1-distill-llama": (
        "deepseek", SENTENCE_END, "R\n</think>\n\nA", "\n</think>\n\nA", "<think>\n", "<think>\n"),
    "deepseek-v3.1": ("deepseek", SENTENCE_END, "\nR\n</think>\n\nA", "A", "<think>", f"{ASSISTANT}</think>"),
    "llama3": ("llama", "<|eot_id|>", f"{THINK}A", "A", "<|end_header_id|>\n\n", "<|end_header_id|>\n\n"),
    "gemma2": ("gemma", "<end_of_turn>", f"{THINK}A", "A", "<start_of_turn>model\n", "<start_of_turn>model\n"),
    "gemma3": ("gemma", "<end_of_turn>", f"{THINK}A", "A", "<start_of_turn>model\n", "<start_of_turn>model\n"),
    "mistral": ("mistral", "</s>", f" {THINK}A", " A", "[/INST]", "[/INST]"),
    "magistral": ("mistral", "</s>", "[THINK]R[/THINK]A", "A", "[/INST]", "[/INST]"),
    "gpt-oss": (
        "harmony", "<|return|>",
        "<|channel|>analysis<|message|>R<|end|><|start|>assistant<|channel|>final<|message|>A",
        "<|channel|>final<|message|>A", "<|start|>assistant", "<|start|>assistant"),
}  # fmt: skip
NO_SYSTEM = ("gemma2",)


def tokenizer_of(name: str, family: str) -> Any:
    """Return a byte-level tokenizer with the special tokens of a model family and a documented template."""
    eos, bos, tokens = FAMILIES[family]
    special = [eos, *([bos] if bos else []), *tokens]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, "<think>", "</think>", *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    made.add_tokens(["<think>", "</think>"])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=eos, bos_token=bos)
    wrapped.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return wrapped


def learned(
    tokenizer: Any, content: str, before: list[dict[str, str]] | None = None, **columns: Any
) -> tuple[str, str]:
    """Return (prompt, target) of one row as texts."""
    messages = [*(before or [{"role": "user", "content": "U"}]), {"role": "assistant", "content": content}]
    (example,) = encode([{"trace_id": "t", "messages": messages, **columns}], tokenizer, 4096)
    assert isinstance(example, Example), example
    ids = example.token_ids.tolist()
    return tokenizer.decode(ids[: example.target_start]), tokenizer.decode(ids[example.target_start :])


def test_every_documented_template_is_tried() -> None:
    assert {file.stem for file in TEMPLATES.glob("*.jinja")} == set(EXPECTED) and len(EXPECTED) >= 13


@pytest.mark.parametrize("name", EXPECTED)
def test_rows_with_and_without_reasoning(name: str) -> None:
    family, end, reasoned, plain, open_prompt, plain_prompt = EXPECTED[name]
    tokenizer = tokenizer_of(name, family)
    for content, target, ending in ((f"{THINK}A", reasoned, open_prompt), ("A", plain, plain_prompt)):
        prompt, written = learned(tokenizer, content)
        assert prompt.endswith(ending) and written == target + end
    prompt, written = learned(tokenizer, f"{CLOSED}A")  # an empty think is a row without reasoning
    assert (prompt + written).endswith(f"{CLOSED}A{end}" if "<think>" in plain_prompt + reasoned[:8] else f"A{end}")


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_learned_is_what_the_template_renders(name: str) -> None:
    tokenizer = tokenizer_of(name, EXPECTED[name][0])
    said = [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
    rendered = tokenizer.apply_chat_template(said, tokenize=False)
    prompt, written = learned(tokenizer, "A")
    opened = name in ("qwq-32b", "r1-distill-qwen", "r1-distill-llama")  # render no thinking, and open it in prompts
    assert rendered.startswith((prompt + written).replace(CLOSED, "") if opened else prompt + written)


@pytest.mark.parametrize("name", EXPECTED)
def test_earlier_turns_and_the_system_message_are_the_template_s(name: str) -> None:
    tokenizer = tokenizer_of(name, EXPECTED[name][0])
    before = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "<think>\nearlier\n</think>\n\ntwo"},
        {"role": "user", "content": "three"},
    ][name in NO_SYSTEM :]
    prompt, written = learned(tokenizer, f"{THINK}A", before)
    kept = name in ("qwen2.5", "phi4", "llama3", "gemma2", "gemma3", "mistral", "magistral")
    assert ("earlier" in prompt) == kept and "two" in prompt and written == EXPECTED[name][2] + EXPECTED[name][1]


def chatml(opened: str = "", said: str = "{{ m.content }}") -> Any:
    """Return a tokenizer whose prompts end with `opened`, and whose assistant's turn is `said`."""
    tokenizer = tokenizer_of("qwen2.5", "chatml")
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}" + said + "{% else %}"
        "{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n" + opened + "{% endif %}"
    )
    return tokenizer


@pytest.mark.parametrize(
    "mark, closing",
    [("<think>", "</think>"), ("<thought>", "</thought>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")],
)
@pytest.mark.parametrize("space", ["", "\n", "\n\n"])
def test_thinking_that_the_prompt_opens_is_closed_by_its_own_mark(mark: str, closing: str, space: str) -> None:
    tokenizer = chatml(mark + space)
    for content in (f"{THINK}A", "A", f"{CLOSED}A"):
        prompt, written = learned(tokenizer, content)
        assert prompt.endswith(mark + space) and written.endswith(f"{closing}\n\nA<|im_end|>")
        assert ("R" in written) == ("R" in content)
        assert all(other not in written for other in ("<think>", "</think>") if other != closing)


@pytest.mark.parametrize("space", ["", "\n", "\n\n"])
def test_thinking_that_the_prompt_closed_is_not_closed_again(space: str) -> None:
    tokenizer = chatml(f"<think>\n\n</think>{space}")
    assert learned(tokenizer, "A")[1] == learned(tokenizer, f"{CLOSED}A")[1] == "A<|im_end|>"


def test_a_template_that_wants_parts_is_refused() -> None:
    tokenizer = chatml(said="{% for part in m.content %}{{ part.text }}{% endfor %}")
    with pytest.raises(RecipeError, match="leaves out the text of messages"):
        learned(tokenizer, "A")


def test_a_refused_row_has_the_template_s_words() -> None:
    tokenizer = tokenizer_of("gemma2", "gemma")
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    rows = [{"trace_id": "a", "messages": turns}, {"trace_id": "b", "messages": turns[1:]}]
    refused, fine = encode(rows, tokenizer, 100)
    assert refused == "template_refuses" and isinstance(fine, Example)
    assert "System role not supported" in refused.said  # type: ignore[union-attr]


def test_a_row_s_own_template_variables_are_obeyed() -> None:
    tokenizer = tokenizer_of("qwen3", "chatml")
    prompt, written = learned(tokenizer, "A", chat_template_kwargs='{"enable_thinking": true}')
    assert prompt.endswith("assistant\n") and written == f"{CLOSED}A<|im_end|>"
    row = {
        "trace_id": "t",
        "messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": f"{THINK}A"}],
    }
    assert encode([{**row, "chat_template_kwargs": '{"enable_thinking": false}'}], tokenizer, 100) == [
        "thinking_closed"
    ]
    assert render_prompt(tokenizer, row["messages"][:1], THINKING_OFF).endswith(CLOSED)  # type: ignore[index]


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = tokenizer_of("qwen2.5", "chatml")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert stop_ids(tokenizer) == [tokenizer.eos_token_id]
    tokenizer.eos_token = None
    with pytest.raises(RecipeError, match="has no end of turn"):
        encode(
            [{"trace_id": "t", "messages": [{"role": r, "content": r} for r in ("user", "assistant")]}], tokenizer, 9
        )


def test_a_saved_student_stops_at_the_learned_end(make_model: Callable[..., Any], tmp_path: Path) -> None:
    tokenizer = tokenizer_of("gemma2", "gemma")
    end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    model = make_model()
    save_model(model, tokenizer, tmp_path / "model", "a card")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert (
        end in loaded.generation_config.eos_token_id and tokenizer.eos_token_id in loaded.generation_config.eos_token_id
    )
    with torch.no_grad():  # a student that has learned to end at once
        loaded.get_output_embeddings().weight.zero_()
        loaded.get_output_embeddings().weight[end] = loaded.model.norm.weight
    out = loaded.generate(torch.tensor([[5, 6, 7]]), do_sample=False, max_new_tokens=20, pad_token_id=0)
    assert out[0, 3:].tolist()[-1] in (end, tokenizer.eos_token_id) and len(out[0]) < 23
