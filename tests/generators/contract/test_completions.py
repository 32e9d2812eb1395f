"""Completions in every form give back reasoning and answer; what cannot be told has a fault."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.contract.completions import (
    Completion,
    ends_opened,
    finish_reason,
    is_refusal,
    join_reasoning,
    read_message,
    read_text,
    split_reasoning,
)
from generators.contract.completions.rendered import Rendered, read_rendered

R, A = "First, 2+2.\n\nSo 4.", "It is $4$."
INLINE = {
    "think": "<think>\n{r}\n</think>\n\n{a}",
    "tight": "<think>{r}</think>{a}",
    "blanks": "<think >{r}</ think >\n{a}",
    "capitals": "<Think>\n{r}\n</THINK>\n{a}",
    "thinking": "<thinking>\n{r}\n</thinking>\n\n{a}",
    "thought": "<thought>{r}</thought>{a}",
    "Thinking": "<Thinking>\n{r}\n</Thinking>\n{a}",
    "seed": "<seed:think>{r}</seed:think>{a}<seed:eos>",
    "reasoning": "<reasoning>\n{r}\n</reasoning>\n{a}",
    "scratchpad": "<scratchpad>\n{r}\n</scratchpad>\n{a}",
    "reflection": "<reflection>{r}</reflection>{a}",
    "magistral": "[THINK]{r}[/THINK]{a}</s>",
    "kimi": "◁think▷{r}◁/think▷{a}",
    "openthoughts": (
        "<|begin_of_thought|>\n\n{r}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{a}\n\n<|end_of_solution|>"
    ),
    "cohere": "<|START_THINKING|>{r}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "harmony": ("<|channel|>analysis<|message|>{r}<|end|><|start|>assistant<|channel|>final<|message|>{a}<|return|>"),
    "harmony_opened": "{r}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "harmony_json": (
        "<|start|>assistant<|channel|>analysis<|message|>{r}<|end|>"
        "<|start|>assistant<|channel|>final <|constrain|>json<|message|>{a}<|return|>"
    ),
    "gemma": "<|channel>thought\n{r}<channel|>{a}<turn|>",
    "lone": "{r}\n</think>\n\n{a}",
    "doubled": "<think>\n<think>\n{r}\n</think>\n</think>\n{a}",
    "empty_first": "<think>\n\n</think>\n\n<think>\n{r}\n</think>\n{a}",
    "bos": "<s><think>\n{r}\n</think>\n{a}</s>",
    "chatml": "<|im_start|>assistant\n<think>\n{r}\n</think>\n\n{a}<|im_end|>\n",
    "llama": "<|start_header_id|>assistant<|end_header_id|>\n\n<think>\n{r}\n</think>\n{a}<|eot_id|>",
    "deepseek": "<｜Assistant｜><think>\n{r}\n</think>\n\n{a}<｜end▁of▁sentence｜>",  # noqa: RUF001
    "gemma2": "<start_of_turn>model\n<think>{r}</think>{a}<end_of_turn>\n<eos>",
    "endoftext": "<think>{r}</think>{a}<|im_end|><|endoftext|>",
}
WORDS = st.text(st.sampled_from("abc 1\n$\\{}é中."), max_size=40)
PROSE = WORDS.map(lambda text: f"a{text}z")


@pytest.mark.parametrize("form", INLINE.values(), ids=INLINE)
@given(reasoning=PROSE, answer=PROSE)
def test_every_inline_form_gives_back_reasoning_and_answer(form: str, reasoning: str, answer: str) -> None:
    for r, a in ((R, A), (reasoning, answer)):
        found = read_text(form.format(r=r, a=a))
        assert (found.reasoning, found.answer, found.fault) == (r, a, None)
        joined = join_reasoning(found.reasoning, found.answer, found.wrapping)
        assert joined.startswith("<think>") and joined.count("<think>") == joined.count("</think>") == 1
        assert read_text(joined) == found  # once normalized, always normalized


@given(*(st.text(st.sampled_from("ab \n\t`1"), max_size=12) for _ in range(2)))
def test_the_text_comes_back_as_it_was_written(reasoning: str, answer: str) -> None:
    for text in (f"<think>{reasoning}x</think>{answer}y", f"<think>{reasoning}x", f"{answer}y \n"):
        found = read_text(text)
        assert join_reasoning(found.reasoning, found.answer, found.wrapping) == text
    assert (
        join_reasoning(*split_reasoning(f"<think>\na{reasoning}b\n</think>\nc"))
        == f"<think>\na{reasoning}b\n</think>\nc"
    )


@given(
    st.lists(
        st.sampled_from(
            [*"ab\n`", "<think>", "</think>", "<|im_end|>", "[THINK]", "```\n", "<|channel|>final<|message|>"]
        ),
        max_size=14,
    )
)
def test_any_mixture_of_marks_is_normalized_once_or_has_a_fault(pieces: list[str]) -> None:
    found = read_text("".join(pieces))
    if found.fault is None:
        again = read_text(join_reasoning(found.reasoning, found.answer, found.wrapping))
        assert again.fault is None and (again.reasoning or "", again.answer) == (found.reasoning or "", found.answer)


@pytest.mark.parametrize(
    ("prompt", "text", "joined"),
    [
        ("<|assistant|><think>\n", f"{R}\n</think>\n\n{A}", f"<think>\n{R}\n</think>\n\n{A}"),
        ("<|assistant|><think>", f"{R}</think>{A}", f"<think>{R}</think>{A}"),
        ("<|assistant|><think>\n", f"<think>\n{R}\n</think>\n{A}", f"<think>\n{R}\n</think>\n{A}"),
        ("<|assistant|><think>\n", R, f"<think>\n{R}"),
        ("[THINK]", f"{R}[/THINK]{A}", f"<think>{R}</think>{A}"),
        ("<|channel|>analysis<|message|>", R, f"<think>{R}"),
        ("<|assistant|>", f"<think>\n{R}", f"<think>\n{R}"),
    ],
)
def test_thinking_that_the_template_opened(prompt: str, text: str, joined: str) -> None:
    found = read_text(text, ends_opened(prompt))
    assert found.reasoning == R and found.fault is None
    assert join_reasoning(found.reasoning, found.answer, found.wrapping) == joined


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{R}</think>{A}<think>again</think>{A}",
        f"<think>{R}</think>so</think>{A}",
        f"<think>{R}<think>nested</think>{A}",
        f"Well. <think>{R}</think>{A}",
        f"{A} <think>{R}",
        f"<think>{R}</think>{A}<|im_end|>\n<|im_start|>user\nMore?",
        f"<think>{R}</think><|begin_of_thought|>{A}",
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant to=f.g<|channel|>commentary<|message|>{}<|call|>",
        "<|channel|>final<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b",
    ],
)
def test_what_cannot_be_told_has_a_fault(text: str) -> None:
    assert read_text(text).fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Models think between `<think>` and `</think>`.", (None, "Models think between `<think>` and `</think>`.")),
        ("```\n<think>\nx\n</think>\n```\nis the form.", (None, "```\n<think>\nx\n</think>\n```\nis the form.")),
        ("<think>\nThe tag `</think>` ends it.\n</think>\nYes.", ("The tag `</think>` ends it.", "Yes.")),
        ("<think>\nUse <think>...</think> tags.\n</think>\nYes.", ("Use <think>...</think> tags.", "Yes.")),
        ("<think>\n```\n</think>\n```\nok\n</think>\nYes.", ("```\n</think>\n```\nok", "Yes.")),
        ("<think>\n```python\nf()\n</think>\n```python\nf()\n```", ("```python\nf()", "```python\nf()\n```")),
        ("<think>\n```\nf()\n</think>\n```\nf()\n```", ("```\nf()", "```\nf()\n```")),
        ('The "</think>" mark.', (None, 'The "</think>" mark.')),
        ("Cut: <s>old</s>", (None, "Cut: <s>old</s>")),
        ("a < b and |x| <| y |> z", (None, "a < b and |x| <| y |> z")),
        ("<reasoning>a</reasoning>\n<summary>b</summary>", (None, "<reasoning>a</reasoning>\n<summary>b</summary>")),
    ],
)
def test_texts_about_marks_stay_whole(text: str, expected: tuple[str | None, str]) -> None:
    found = read_text(text)
    assert (found.reasoning, found.answer, found.fault) == (*expected, None)


def part(kind: str, text: Any, key: str = "text") -> dict[str, Any]:
    return {"type": kind, key: text}


TEXT, OUTPUT = part("text", A), part("output_text", A)
MESSAGES: dict[str, dict[str, Any]] = {
    "reasoning_content": {"reasoning_content": R, "content": A},
    "reasoning": {"reasoning": f"\n{R}\n", "content": f"\n\n{A}"},
    "thinking": {"thinking": R, "content": A},
    "thought": {"thought": R, "content": A},
    "closed_in_content": {"reasoning_content": R, "content": f"</think>\n\n{A}"},
    "empty_block_in_content": {"reasoning_content": R, "content": f"<think>\n\n</think>\n\n{A}"},
    "both": {"reasoning_content": R, "content": f"<think>\n{R}\n</think>\n{A}"},
    "marks_in_field": {"reasoning_content": f"<think>\n{R}\n</think>", "content": A},
    "all_in_field": {"reasoning_content": f"<think>{R}</think>{A}", "content": None},
    "null_field": {"reasoning_content": None, "content": f"<think>{R}</think>{A}"},
    "openrouter": {"reasoning_details": [part("reasoning.text", R), part("reasoning.encrypted", "x")], "content": A},
    "openrouter_summary": {"reasoning_details": [part("reasoning.summary", R, "summary")], "content": A},
    "magistral": {"content": [part("thinking", [part("text", R)], "thinking"), TEXT]},
    "anthropic": {"content": [part("thinking", R, "thinking"), part("redacted_thinking", "x", "data"), TEXT]},
    "parts": {"content": [part("text", "<think>\n"), part("text", f"{R}</think>{A}")]},
    "responses": {
        "output": [part("reasoning", [part("summary_text", R)], "summary"), part("message", [OUTPUT], "content")]
    },
    "responses_text": {"content": [part("reasoning", [part("reasoning_text", R)], "content"), OUTPUT]},
    "gemini": {"role": "model", "parts": [{"text": R, "thought": True}, {"text": A}]},
    "gemini_content": {"content": {"parts": [{"text": R, "thought": True}, {"text": A}]}},
    "completion": {"text": f"<think>{R}</think>{A}"},
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_form_of_a_message(message: dict[str, Any]) -> None:
    found = read_message(message)
    assert (found.reasoning, found.answer, found.fault, found.refusal) == (R, A, None, None)
    assert split_reasoning(join_reasoning(R, A, found.wrapping)) == (R, A)


def test_messages_that_are_no_plain_answer() -> None:
    assert read_message({"content": None, "refusal": "No."}).refusal == "No."
    assert read_message({"content": [{"type": "refusal", "refusal": "No."}]}).refusal == "No."
    assert read_message({"content": [{"type": "redacted_thinking", "data": "x"}, TEXT]}).reasoning is None
    assert read_message({"reasoning_content": R, "content": f"<think>else</think>{A}"}).fault
    assert read_message({"content": A, "tool_calls": [{}]}).fault
    assert read_message({"content": [TEXT, {"type": "image_url"}]}).fault == "a part of type image_url"
    assert read_message({"content": None}) == Completion(None, "", ("", "", ""))


REASONS = {
    "stop": "stop STOP Stop eos eos_token end_turn stop_sequence EOS COMPLETE FinishReason.STOP FINISH_REASON_STOP",
    "length": "length LENGTH max_tokens MAX_TOKENS model_length max_output_tokens incomplete FinishReason.MAX_TOKENS",
    "error": (
        "content_filter abort aborted error cancelled canceled SAFETY RECITATION refusal tool_calls function_call "
        "tool_use PROHIBITED_CONTENT insufficient_system_resource timeout failed OTHER whatever 7"
    ),
}


@pytest.mark.parametrize(("kind", "stated"), [(kind, one) for kind, all_ in REASONS.items() for one in all_.split()])
def test_finish_reasons(kind: str, stated: str) -> None:
    found = finish_reason(stated)
    assert found and found.split(":")[0] == kind
    assert kind != "error" or stated in found


def test_finish_reasons_that_are_no_words() -> None:
    assert [finish_reason(stated) for stated in (None, "", " ", float("nan"), "null")] == [None] * 5
    assert finish_reason({"type": "stop", "matched": 7}) == "stop"
    assert finish_reason({"reason": "max_output_tokens"}) == "length"
    assert "unknown finish_reason 'whatever'" in str(finish_reason("whatever"))
    assert is_refusal("SAFETY") and is_refusal("content_filter") and not is_refusal("abort")


PIECES = (
    "<think>",
    "</think>",
    "<think></think>",
    "`</think>",
    "</s>",
    "<s>",
    "`",
    "```\n",
    "<|im_end|>x",
    "<think>\n```\n",
)


@pytest.mark.parametrize("piece", PIECES)
def test_long_texts_of_marks_are_read_in_linear_time(piece: str) -> None:
    read_text(piece * 5_000)
    read_text(f"{piece * 5_000}x", opened=True)


@pytest.mark.parametrize("cut", ["<|begin_of_solution|>\n\nThe ans", "<|begin_of_solution|>"])
def test_a_solution_that_never_ends_is_a_fault(cut: str) -> None:
    found = read_text(f"<|begin_of_thought|>\n\nr\n\n<|end_of_thought|>\n\n{cut}")
    assert found.reasoning == "r" and "<|begin_of_solution|>" in (found.fault or "")


@pytest.mark.parametrize(
    "token", ["<|fim_middle|>", "<|begin_of_box|>", "<|thinking|>", "<|/thinking|>", "<|new_token_7|>"]
)
def test_a_special_token_inside_an_answer_is_a_fault_and_one_in_code_is_not(token: str) -> None:
    assert token in (read_text(f"<think>r</think>The answer {token} is 4.").fault or "")
    assert read_text(f"<think>r</think>The token `{token}` is special.").fault is None


def test_operators_are_no_special_tokens() -> None:
    assert read_text("parse = a <|> b <|> c, x |> f <| y, 1<|x|>2").fault is None


def test_harmony_whose_tokens_a_decoder_dropped_is_split() -> None:
    found = read_text("analysisWe add.assistantfinalans 15")
    assert (found.reasoning, found.answer) == ("We add.", "ans 15")


RENDERED = {
    "chatml": "<|im_start|>system\n{s}<|im_end|>\n<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n",
    "llama": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{s}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{q}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "gemma": (
        "<bos><start_of_turn>system\n{s}<end_of_turn>\n<start_of_turn>user\n{q}<end_of_turn>\n<start_of_turn>model\n"
    ),
    "phi": "<|system|>\n{s}<|end|>\n<|user|>\n{q}<|end|>\n<|assistant|>\n",
    "deepseek": "<｜begin▁of▁sentence｜>{s}<｜User｜>{q}<｜Assistant｜>",  # noqa: RUF001
    "granite": (
        "<|start_of_role|>system<|end_of_role|>{s}<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>{q}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
    ),
    "mistral": "<s>[INST] <<SYS>>\n{s}\n<</SYS>>\n\n{q} [/INST]",
}


@pytest.mark.parametrize("opened", ["", "<think>\n"])
@pytest.mark.parametrize("form", RENDERED.values(), ids=RENDERED)
@given(system=PROSE, question=PROSE, answer=PROSE)
def test_a_rendered_conversation_is_taken_apart(
    form: str, opened: str, system: str, question: str, answer: str
) -> None:
    text = form.format(s=system, q=question)
    asked = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    assert read_rendered(text + opened) == Rendered(asked, opened)
    if not opened:
        assert read_rendered(text + answer) == Rendered([*asked, {"role": "assistant", "content": answer}])


@pytest.mark.parametrize(
    "text",
    [
        "a question",
        "",
        "<|x|> y",
        "a [INST] b [/INST]",
        "Human: hi",
        "<|im_start|>tool\n{}<|im_end|>\n",
        "<|endoftext|>",
    ],
)
def test_other_texts_are_no_rendered_conversation(text: str) -> None:
    assert read_rendered(text) is None
