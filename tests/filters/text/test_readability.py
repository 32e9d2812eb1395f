"""Tests of the readability filters: texts that each must flag, and similar texts that it must not."""
# ruff: noqa: RUF001 - the texts are in several scripts

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.readability_rows import ROWS
from benchmarks.readability_texts import LANGUAGES, LOOKALIKES, MENTIONS
from filters.select import SelectConfig, select
from filters.text.readability import READABLE, TEXTS, ReadabilityConfig, reason_against, reasons_against
from generators.contract.files import frame, write_frame
from generators.contract.records import PROMPT, TRACE, VERDICT

ENGLISH, CHINESE = "How many apples are there in total?", "一共有多少个苹果？请写出计算过程。"
PROSE = "First we count the apples in each basket, then we add the baskets up and check the sum once more. "
LOOP = "Wait, let me check that once more by adding the two numbers again before I answer. "


def against(reasoning: str | None, answer: str = r"\boxed{5}", question: str = ENGLISH, **config: Any) -> str | None:
    return reason_against(reasoning, answer, ReadabilityConfig(**config), question=question)


@pytest.mark.parametrize(
    ("question", "reasoning", "mixed"),
    [
        (ENGLISH, PROSE, False),
        (ENGLISH, f"{PROSE} 然后我们把两个篮子加起来。", True),
        (ENGLISH, f"{PROSE} Therefore, ответ равен пяти.", True),
        (ENGLISH, f"{PROSE} This is the Chinese remainder theorem (孙子定理), by Sun Zi (孙子).", False),
        (ENGLISH, f"{PROSE} The sign reads “苹果五个” and 「苹果」.", False),
        (ENGLISH, rf"{PROSE} $\text{{苹果}} = 5$ and \[ \text{{总数}} = \alpha + β \]", False),
        (ENGLISH, f"{PROSE} ```\nprint('苹果')\n```", False),
        (ENGLISH, f"{PROSE} With α = 2, β = 3 and ∠ABC = θ, Δ > 0.", False),
        ("Translate 苹果 into English.", f"{PROSE} The word 苹果 means apple.", False),
        (CHINESE, "我们先数每个篮子里的苹果，再把它们加起来，得到 x = 5。", False),
        (CHINESE, "我们先数苹果，then we add them together, 最后 check the answer again carefully。", True),
        (CHINESE, PROSE, True),
        (CHINESE, "由 Newton 和 Euler 的公式，sin x 的最大值是 1，长度 5 cm，\\frac{1}{2} 因此 \\boxed{5}。", False),
        ("りんごはいくつありますか。全部で何個か答えてください。", "まず各かごのりんごを数え、次に足します。", False),
        ("3 + 2 = ?", "三加二等于五。", False),
        ("3 + 2 = ?", "Three plus two makes five, 也就是 five.", True),
    ],
)
def test_a_script_that_the_prompt_lacks_is_mixed_language(question: str, reasoning: str, mixed: bool) -> None:
    assert against(reasoning, question=question, mixed_language=0) == ("mixed_language" if mixed else None)


def test_mixed_language_is_tolerated_up_to_a_share() -> None:
    text = PROSE * 10 + "总数"
    assert against(text, mixed_language=0.001) == "mixed_language"
    assert against(text, mixed_language=0.05) is None


@pytest.mark.parametrize(
    ("question", "reasoning", "mixed"),
    [
        (ENGLISH, f"{PROSE} The mathematician 祖冲之 found it.", False),
        (ENGLISH, f"{PROSE} The idea is due to Чебышёв.", False),
        (ENGLISH, f"{PROSE} It costs $5 因此我们把它们加起来 and then $10.", True),
        (ENGLISH, f"{PROSE} So the 答案 is 5.", True),
        (CHINESE, "我们先数苹果，这个定理（Chinese remainder theorem）说明 total = 5。", False),
        (CHINESE, "我们先数苹果，so the total is five。", True),
        (
            "把 apple 翻译成中文，并说明这个词的意思。",
            "First we look at the word, then we translate it.",
            True,
        ),
    ],
)
def test_names_and_terms_are_tolerated_but_function_words_are_not(question: str, reasoning: str, mixed: bool) -> None:
    assert against(reasoning, question=question, mixed_language=0) == ("mixed_language" if mixed else None)


@pytest.mark.parametrize("code", LANGUAGES)
def test_reasoning_is_in_the_language_of_the_prompt(code: str) -> None:
    sentences = LANGUAGES[code]
    prompt, reasoning = " ".join(sentences[:3]), " ".join(sentences[3:])
    english = " ".join([PROSE, "The remainder is zero, so this is what we have to find for each of them."])
    asked = "How many apples are there in each of the baskets, and which of them is the largest?"
    assert against(reasoning, question=asked, same_language=True) == "other_language"
    assert against(english, question=prompt, same_language=True) == "other_language"
    assert against(reasoning, question=prompt, same_language=True) is None
    assert against(reasoning, question=CHINESE, same_language=True) == "other_language"
    assert against(reasoning, question="3 + 2 = ?", same_language=True) is None


def test_chinese_reasoning_for_an_english_prompt_and_vice_versa() -> None:
    chinese = "我们先数每个篮子里的苹果，再把它们加起来。"
    assert against(chinese, question="What is (11 + 2) * 7?", same_language=True) == "other_language"
    assert against(PROSE, question=CHINESE, same_language=True) == "other_language"
    assert against(chinese, question=CHINESE, same_language=True) is None
    assert against(PROSE, question="Translate 苹果 into English.", same_language=True) is None


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_harmless_lookalikes_are_readable(kind: str) -> None:
    language, form = LOOKALIKES[kind]
    host = PROSE if language == "en" else "我们先数每个篮子里的苹果，再把它们加起来。"
    asked = ENGLISH if language == "en" else CHINESE
    assert against(f"{host}\n{form(30, '禁止在这里喂鸭子。')}", question=asked, **READABLE.model_dump()) is None


@pytest.mark.parametrize("mention", MENTIONS)
def test_reasoning_may_mention_tags(mention: str) -> None:
    assert against(f"{PROSE}\n{mention}", "<answer>5</answer>", tags=True) is None


@pytest.mark.parametrize(
    ("reasoning", "answer", "broken"),
    [
        (PROSE, "5", False),
        (f"<think>{PROSE}", "5", True),
        (PROSE, "so</think> 5", True),
        (rf"{PROSE}\end{{think}}", "5", True),
        (PROSE, "<answer>5</answer>", False),
        (PROSE, "<answer> 5", False),  # its closing tag was the stop string
        (PROSE, "5</answer>", True),
        (PROSE, "<answer>5<summary>so it is</summary>", True),
        (PROSE, "</answer>5<answer>", True),
        (PROSE, "<summary>It is <answer>5</answer></summary>", False),
        (PROSE, "<summary>It is <answer>5</summary></answer>", True),
        (PROSE, "<answer>5</answer><reasoning>because</reasoning>", True),
        (f"{PROSE}<answer>5</answer>", "", True),
        (f"{PROSE}I put it in <answer> tags, between <answer> and </answer>.", "<answer>5</answer>", False),
        (f"{PROSE}The format is `<think>`, then `<answer>`.", "<answer>5</answer>", False),
        (PROSE, "5<|im_end|>", True),
        (f"{PROSE}<|begin_of_thought|>", "5", True),
        (PROSE, "For 0<|x|<1 and <x|y> it is 5", False),
        (PROSE, "<answer>5</answer><answer>6</answer>", True),
        (None, f"<reasoning>{PROSE}</reasoning> 5</summary>", True),
        (None, f"<reasoning>{PROSE}</reasoning><summary>5</summary>", False),
        ("For 1 <think of a number>, x < 3", "5", False),
    ],
)
def test_tags_occur_once_and_in_pairs(reasoning: str | None, answer: str, broken: bool) -> None:
    assert against(reasoning, answer, tags=True) == ("bad_tags" if broken else None)


def test_loops_and_repetition() -> None:
    table = "\n".join(f"If n = {n}, then n^2 = {n * n} and n^3 = {n**3}, which is not divisible." for n in range(40))
    assert against(PROSE + table, repeats=8, repetition=0.3) is None
    varied = " ".join(f"word{i}" for i in range(3000))
    assert against(varied + LOOP * 12, repeats=8, repetition=0.3) == "loop"
    assert against(varied + LOOP * 12, repetition=0.3) is None
    assert against(f"{varied} {varied}", repeats=8, repetition=0.3) == "repetition"
    assert against(PROSE, LOOP * 12, repeats=8) == "loop"
    assert against("我们再检查一遍这个答案是否正确。" * 12, question=CHINESE, repeats=8) == "loop"
    assert against("", "", repeats=2, repetition=0.1) is None


@pytest.mark.parametrize(
    ("said", "looped"),
    [
        ("and so on, " * 20, True),
        ("\n".join([LOOP] * 5), True),
        ("\n".join([PROSE + LOOP] * 3), True),
        ("\n".join([PROSE + LOOP] * 2), False),  # repeated only once
        ("我们再检查一遍这个答案是否正确。" * 6, True),
        ("我们再检查一遍这个答案是否正确。" * 2, False),
        ("12 + 13 = 25\n" * 20, True),
        ("2 * " * 60, False),
        (" ".join(f"{LOOP} {n}" for n in range(9)), False),
    ],
)
def test_a_loop_repeats_itself_three_times_or_more_in_a_row(said: str, looped: bool) -> None:
    assert against(f"{PROSE}\n{said}\n{PROSE}", loop_words=30) == ("loop" if looped else None)
    assert against(PROSE, said, loop_words=30) == ("loop" if looped else None)


def test_paragraphs_code_summaries_and_lengths() -> None:
    assert against(PROSE * 20, paragraph_characters=1000) == "long_paragraph"
    assert against("\n".join([PROSE] * 20), paragraph_characters=1000) is None
    code = f"{PROSE}\n```python\nprint(5)\n```"
    assert against(code, code_blocks=True) == "code_block"
    assert reason_against(code, "5", ReadabilityConfig(code_blocks=True), domain="code") is None
    assert against(f"{PROSE}\ndef f(x):\n    return x + 1\n", code_blocks=True) == "code_block"
    assert against(f"{PROSE}\nreturn to this later.\nFor x in S: it holds.", code_blocks=True) is None
    assert against("```math\nx^2 = 5\n```", code_blocks=True) is None
    assert against(code, question="Write it in Python.", code_blocks=True) is None
    assert against("我们先数苹果再相加" * 80, paragraph_characters=1000) == "long_paragraph"
    assert reason_against("", f"```\n{PROSE * 20}\n```", ReadabilityConfig(paragraph_characters=1000)) is None
    for nothing in ("**", "<answer> </answer>", "---\n", "$$"):
        assert against(PROSE, nothing, summary_characters=1) == "no_summary"
    assert against(PROSE, "<answer>5", summary_characters=1) is None
    assert against(PROSE, " ", summary_characters=1) == "no_summary"
    assert against(PROSE, "5", summary_characters=20) == "no_summary"
    assert against("5", min_characters=2) == "too_short"
    assert against(PROSE, max_characters=50) == "too_long"
    assert against(None, PROSE, min_characters=50, max_characters=200) is None


def test_every_check_is_off_by_default() -> None:
    awful = LOOP * 90 + "<think>因为```"
    assert against(awful, "") is None
    assert reason_against(awful, "", READABLE, question=ENGLISH) == "bad_tags"
    assert reason_against(PROSE, "5", READABLE, question=ENGLISH) is None


def test_a_batch_gets_the_same_reasons_as_single_texts() -> None:
    rows = [
        {"question": question, "domain": domain, "reasoning": reasoning, "answer": answer}
        for question in (ENGLISH, CHINESE, "1+1")
        for domain in ("math", "code")
        for reasoning in (None, PROSE, LOOP * 12, "先数苹果，再相加。", f"{PROSE}```x```")
        for answer in ("", "5", "<answer>5", "5</answer>")
    ]
    config = READABLE.model_copy(update={"min_characters": 1})
    together = reasons_against(pl.DataFrame(rows, schema=TEXTS), config).to_list()
    alone = [
        reason_against(r["reasoning"], r["answer"], config, question=r["question"], domain=r["domain"]) for r in rows
    ]
    assert together == alone
    assert reasons_against(pl.DataFrame(rows, schema=TEXTS), ReadabilityConfig()).to_list() == [None] * len(rows)
    assert reasons_against(pl.DataFrame(schema=TEXTS), config).to_list() == []
    assert {None, "bad_tags", "no_summary", "code_block", "mixed_language", "loop"} <= set(alone)


def test_vectorized_checks_agree_with_row_by_row_rules() -> None:
    said = [
        PROSE,
        LOOP * 9,
        f"{PROSE}\n```x```",
        "我们先数苹果，then we add them。",
        f"{PROSE} 然后加起来。",
        PROSE * 30,
    ]
    said += [form(9, "禁止在这里喂鸭子。") for _, form in LOOKALIKES.values()]
    rows = [
        {"question": question, "domain": "math", "reasoning": reasoning, "answer": answer}
        for question in (ENGLISH, CHINESE, "1+1")
        for reasoning in (None, *said)
        for answer in ("", "5</answer>", *MENTIONS, LOOP * 9)
    ]
    keys = {"bad_tags": ["tags"], "no_summary": ["summary_characters"], "code_block": ["code_blocks"]}
    keys |= {"long_paragraph": ["paragraph_characters"], "loop": ["loop_words", "repeats"]}
    for reason, check in ROWS.items():
        asked = {key: getattr(READABLE, key) for key in keys.get(reason, [reason])}
        found = reasons_against(pl.DataFrame(rows, schema=TEXTS), ReadabilityConfig(**asked)).is_not_null()
        assert found.to_list() == [check(row) for row in rows], reason
        assert found.any(), reason


def test_select_labels_unreadable_traces_with_a_reason(tmp_path: Path) -> None:
    texts = [PROSE, f"{PROSE} 然后加起来", LOOP * 12, f"{PROSE} and once more with other words"]
    rows = [
        {"trace_id": f"t{i}", "prompt_id": "p", "sample_index": i, "reasoning": text, "answer": "5"}
        for i, text in enumerate(texts)
    ]
    traces = frame(({"finish_reason": "stop", "completion_tokens": 9, **row} for row in rows), TRACE)
    verdicts = [{"trace_id": f"t{i}", "verifier": "exact", "status": "correct"} for i in range(3)]
    verdicts.append({"trace_id": "t3", "verifier": "exact", "status": "wrong"})
    asked = {"prompt_id": "p", "messages": [{"role": "user", "content": ENGLISH}], "verifier": "exact"}
    tables = (("traces", traces), ("verdicts", frame(verdicts, VERDICT)), ("prompts", frame([asked] * 2, PROMPT)))
    for name, table in tables:
        write_frame(table, tmp_path / f"{name}.parquet")
    inputs = [tmp_path / f"{name}.parquet" for name in ("traces", "verdicts", "prompts")]
    counts = select(*inputs, tmp_path, SelectConfig(readability=READABLE))
    reasons = pl.read_parquet(tmp_path / "selected.parquet")["drop_reason"].to_list()
    assert reasons == [None, "mixed_language", "loop", "wrong"]
    assert (counts.rows_kept, counts.dropped) == (1, {"mixed_language": 1, "loop": 1, "wrong": 1})
