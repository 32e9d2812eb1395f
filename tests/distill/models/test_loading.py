"""Loading, saving and comparing models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, CohereConfig, Gemma2Config, GraniteConfig, PhiConfig

from distill.loss.distillation_loss import distillation_loss
from distill.models import loading
from distill.models.loading import (
    check_vocabularies,
    head_rows,
    hidden_states,
    load_model,
    load_tokenizer,
    longest_row,
    output_head,
    pick_dtype,
    save_model,
    stored_dtype,
    tokenizer_fingerprint,
    tokenizer_size,
)
from distill.training.examples import Example
from distill.training.packing import collate

CPU = torch.device("cpu")


def test_hidden_states_times_head_are_the_logits_that_predict_the_labels(teacher: str, examples: list[Example]) -> None:
    model = load_model(teacher, torch.float32, CPU)
    batch = collate([[example] for example in examples], 0)
    with torch.no_grad():
        ours = hidden_states(model, batch) @ output_head(model).weight.T
        theirs = [
            model(input_ids=torch.from_numpy(e.token_ids).long()[None]).logits[0, e.target_start - 1 : -1]
            for e in examples
        ]
    torch.testing.assert_close(ours, torch.cat(theirs), atol=1e-4, rtol=1e-4)
    assert not model.training


SHAPE: dict[str, Any] = {
    **{"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16},
    **{"num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0},
}
HEADS: dict[str, Callable[[], Any]] = {
    "bias": lambda: PhiConfig(**SHAPE),
    "soft cap": lambda: Gemma2Config(head_dim=8, final_logit_softcapping=0.5, **SHAPE),
    "divided": lambda: GraniteConfig(logits_scaling=8.0, **SHAPE),
    "multiplied": lambda: CohereConfig(logit_scale=0.25, **SHAPE),
}


@pytest.mark.parametrize("kind", HEADS)
def test_heads_with_bias_scale_or_cap_train_as_the_model_itself_would(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(HEADS[kind]())
    torch.nn.init.normal_(made.get_output_embeddings().weight)
    if kind == "bias":
        torch.nn.init.normal_(made.get_output_embeddings().bias)
    made.save_pretrained(tmp_path)
    model = load_model(str(tmp_path), torch.float32, CPU).double()
    ids = torch.randint(0, 20, (1, 12))
    logits = model(input_ids=ids).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
    hidden = model.base_model(input_ids=ids).last_hidden_state[0, :-1]
    loss = distillation_loss(hidden, output_head(model), ids[0, 1:], chunk_tokens=4).loss
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    theirs, ours = (torch.autograd.grad(value, weights) for value in (expected, loss))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_a_head_of_another_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AutoModelForCausalLM.from_config(HEADS["divided"]()).save_pretrained(tmp_path)
    monkeypatch.setattr(loading, "DIVISORS", ())
    with pytest.raises(ValueError, match="GraniteForCausalLM computes its logits in a way that is not supported"):
        load_model(str(tmp_path), torch.float32, CPU)


def test_a_model_s_own_limits_are_read_without_its_weights(teacher: str, make_tokenizer: Callable[..., Any]) -> None:
    assert (longest_row(teacher, 100), longest_row(teacher, 8192)) == (100, 256)
    assert head_rows(teacher) == len(make_tokenizer()) + 5
    assert tokenizer_size(load_tokenizer(teacher)) == len(make_tokenizer())
    assert stored_dtype(teacher) == torch.float32
    assert pick_dtype("auto", CPU) == torch.float32
    assert pick_dtype("auto", torch.device("cuda")) == pick_dtype("bfloat16", CPU) == torch.bfloat16


def test_vocabularies_agree_up_to_padding_rows_of_either_head(make_tokenizer: Callable[..., Any]) -> None:
    size = len(make_tokenizer())
    assert check_vocabularies(make_tokenizer(), make_tokenizer(), size, size + 128) == size
    with pytest.raises(ValueError, match=f"the teacher's head has {size - 1} rows for a vocabulary of {size} tokens"):
        check_vocabularies(make_tokenizer(), make_tokenizer(), size, size - 1)


class Words:
    """A tokenizer of Qwen2.5's size, with just what the comparison of vocabularies needs."""

    def __init__(self, last: str = "w151664") -> None:
        self.words = {f"w{i}": i for i in range(151_664)} | {last: 151_664}

    def get_vocab(self) -> dict[str, int]:
        return self.words


@pytest.mark.parametrize("rows", [(151_936, 152_064), (152_064, 151_936)])
def test_qwen_s_two_head_sizes_agree_either_way_and_one_other_id_is_refused(rows: tuple[int, int]) -> None:
    assert check_vocabularies(Words(), Words(), *rows) == 151_665
    with pytest.raises(ValueError, match="disagree on token 151664: 'w151664' and '<other>'"):
        check_vocabularies(Words(), Words(last="<other>"), *rows)


def test_the_first_differing_token_is_named(make_tokenizer: Callable[..., Any]) -> None:
    ours, theirs = make_tokenizer(), make_tokenizer(think="<reason>")
    with pytest.raises(ValueError, match="disagree on token 5: '<think>' and '<reason>'; soft targets need one"):
        check_vocabularies(ours, theirs, 500, 500)
    more = make_tokenizer()
    more.add_tokens(["<extra>"])
    with pytest.raises(ValueError, match=f"disagree on token {len(ours)}: None and '<extra>'"):
        check_vocabularies(ours, more, 500, 500)
    assert len({tokenizer_fingerprint(t) for t in (ours, theirs, more)}) == 3
    assert tokenizer_fingerprint(ours) == tokenizer_fingerprint(make_tokenizer())


def test_a_saved_student_is_whole_and_replaces_an_earlier_one(
    tmp_path: Path, make_model: Callable[..., Any], make_tokenizer: Callable[..., Any]
) -> None:
    folder, partial = tmp_path / "model", tmp_path / "model.partial"
    for leftover in (folder, partial):
        leftover.mkdir()
        (leftover / "stale.safetensors").touch()
    model = make_model(3).to(torch.bfloat16)
    save_model(model, make_tokenizer(), folder, "# A student\n")
    assert not partial.exists() and not (folder / "stale.safetensors").exists()
    assert (folder / "README.md").read_text() == "# A student\n"
    assert stored_dtype(str(folder)) == torch.bfloat16
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert loaded.dtype == torch.bfloat16
    for (name, saved), ours in zip(loaded.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(saved, ours), name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == make_tokenizer().chat_template and tokenizer.eos_token == "<|end|>"
