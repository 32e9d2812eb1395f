"""Corpus rows as exactly the ids that a model sees and writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import distill.training.examples
from distill.training.examples import Example, encode, encode_file, load_examples
from generators.contract.chat import prompt_ids
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS

OPENS = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}<|assistant|><think>"


def row(*turns: tuple[str, str | None], trace_id: str = "t0") -> dict[str, Any]:
    return {"trace_id": trace_id, "messages": [{"role": role, "content": content} for role, content in turns]}


def one(rows: list[Example | str]) -> Example:
    assert len(rows) == 1 and isinstance(rows[0], Example)
    return rows[0]


def test_ids_are_prompt_completion_and_end_of_turn(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    example = one(encode([row(("user", "2+2?"), ("assistant", "<think>\nsum\n</think>\n4"))], tokenizer, 100))
    prompt = ["<|user|>", *"2+2?", "<|end|>", "<|assistant|>"]
    completion = ["<think>", "Ċ", *"sum", "Ċ", "</think>", "Ċ", "4", "<|end|>"]
    assert tokenizer.convert_ids_to_tokens(example.token_ids.tolist()) == prompt + completion
    assert example.token_ids.dtype == np.int32
    assert (example.trace_id, example.target_start, example.targets) == ("t0", len(prompt), len(completion))


@pytest.mark.parametrize(
    "template, completion", [(OPENS, "\nsum\n</think>\n4"), (OPENS + "{{ '\n' }}", "sum\n</think>\n4")]
)
def test_a_template_that_opens_thinking_leaves_it_to_be_continued(
    make_tokenizer: Callable[..., Any], template: str, completion: str
) -> None:
    tokenizer = make_tokenizer(template)
    example = one(encode([row(("user", "2+2?"), ("assistant", "<think>\nsum\n</think>\n4"))], tokenizer, 100))
    assert tokenizer.decode(example.token_ids) == "<|user|>2+2?<|end|><|assistant|><think>\nsum\n</think>\n4<|end|>"
    assert tokenizer.decode(example.token_ids[example.target_start :]) == completion + "<|end|>"


def test_only_the_last_turn_is_learned_after_the_prompt_that_sampling_sees(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    turns = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    rows = [row(*turns)]
    example = one(encode(rows, tokenizer, 100))
    assert example.token_ids[: example.target_start].tolist() == prompt_ids(tokenizer, rows[0]["messages"][:-1])
    assert tokenizer.decode(example.token_ids[example.target_start :]) == "d<|end|>"


def test_dropped_rows_give_their_reason_in_place(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    rows = [
        row(("user", "a"), ("assistant", "b")),
        row(("user", "a")),
        row(("user", "a"), ("assistant", "")),
        row(("user", "a"), ("assistant", None)),
        row(("assistant", "b")),
        row(("user", "a"), ("assistant", "b" * 20)),
        row(("user", "a"), ("assistant", "b" * 4)),  # 4 of prompt, 4 of text, end of turn: exactly 9
    ]
    encoded = encode(rows, tokenizer, 9)
    reasons = [e if isinstance(e, str) else "kept" for e in encoded]
    nothing = "no_assistant_turn"
    assert reasons == ["kept", nothing, nothing, nothing, nothing, "too_long", "kept"]
    assert encode([], tokenizer, 9) == []


def test_a_completion_of_no_token_is_dropped(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer(OPENS)
    tokenizer.eos_token = None
    assert encode([row(("user", "a"), ("assistant", "<think>"))], tokenizer, 100) == ["no_tokens"]


def test_a_file_gives_its_rows_in_order_and_counts_the_dropped(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    question = [{"role": "user", "content": "no answer"}]
    path = write_corpus([("a", "1"), ("b", "2" * 50), question, ("c", "3"), ("d", "4" * 50), ("e", "5")])
    whole, dropped = load_examples(path, make_tokenizer(), 20)
    assert [example.trace_id for example in whole] == ["t0", "t3", "t5"]
    assert dropped == {"too_long": 2, "no_assistant_turn": 1}
    monkeypatch.setattr(distill.training.examples, "ROWS_AT_ONCE", 2)
    parts, dropped_of_parts = load_examples(path, make_tokenizer(), 20)
    assert dropped_of_parts == dropped
    assert [e.token_ids.tolist() for e in parts] == [e.token_ids.tolist() for e in whole]


def test_a_row_s_own_tokens_are_learned_where_they_say_the_same(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    content = "<think>\nsum\n</think>\n4"

    def learned(ids: list[int] | None, tokenizer: Any = tokenizer) -> str:
        asked = row(("user", "2+2?"), ("assistant", content)) | {"token_ids": ids}
        example = one(encode([asked], tokenizer, 100))
        return str(tokenizer.decode(example.token_ids[example.target_start :]))

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    assert learned(None) == content + "<|end|>"
    assert learned(ids("<think>\nsum\n</think>\n\n4<|end|>")) == "<think>\nsum\n</think>\n\n4<|end|>"
    for others in ("<think>\nsum\n</think>\n5<|end|>", content, content + "<|user|>", ""):
        assert learned(ids(others)) == content + "<|end|>"
    opened = make_tokenizer(OPENS)
    assert learned(ids("\nsum\n</think>\n\n4<|end|>"), opened) == "\nsum\n</think>\n\n4<|end|>"
    assert learned(ids("<think>\nsum\n</think>\n\n4<|end|>"), make_tokenizer(think="<reason>")) != ""


def test_files_with_and_without_own_tokens(make_tokenizer: Callable[..., Any], tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer("<think>\nsum\n</think>\n\n4<|end|>", add_special_tokens=False)["input_ids"]
    rows = [row(("user", "2+2?"), ("assistant", "<think>\nsum\n</think>\n4"), trace_id=f"t{i}") for i in range(2)]
    write_frame(frame([rows[0] | {"token_ids": ids}, rows[1]], CORPUS), tmp_path / "rows.parquet")
    (own, retokenized), _ = load_examples(tmp_path / "rows.parquet", tokenizer, 100)
    assert own.targets == retokenized.targets + 1
    texts = list(encode_file(tmp_path / "rows.parquet", tokenizer, 100, own_tokens=False))
    assert all(isinstance(text, Example) and text.targets == retokenized.targets for text in texts)
    write_frame(frame(rows, CORPUS).drop("token_ids"), tmp_path / "older.parquet")
    assert [example.targets for example in load_examples(tmp_path / "older.parquet", tokenizer, 100)[0]] == [
        retokenized.targets
    ] * 2
