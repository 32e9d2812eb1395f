"""Tests of `choice`: forms that commit to a letter in many wordings and languages, and texts that commit to none."""

# ruff: noqa: RUF001  (letters of other scripts)

import json

import pytest

from filters.verification.verdicts import Item, Judgement
from filters.verifiers.choice import verify

FORMS = [  # {} is a letter that the text commits to
    "{}", "({})", "{}.", "**{}**", "**({})**", "{}) 12 m", "({}) 12 m", "**{}. Mitochondria**", "Option {}",
    "\\boxed{{{}}}", "\\boxed{{({})}}", "\\boxed{{\\text{{{}}}}}", "\\boxed{{\\textbf{{({})}}}}",
    "\\boxed{{\\text{{Option {}}}}}", "$\\boxed{{\\mathrm{{{}}}}}$", "\\boxed{{{}) 12}}", "\\boxed{{{}: 12}}",
    "\\boxed{{\\text{{({}) }} 12}}", "\\boxed{{\\text{{The answer is {}.}}}}", "<answer>{}</answer>",
    "<answer>({})</answer>", "<answer>**{}**</answer>", "<answer>{}. Mitochondria</answer>",
    "<answer>The answer is {}</answer>", "<answer>\\boxed{{{}}}</answer>", "<answer>Option {}</answer>",
    "So.\n#### {}", "The answer is {}.", "The answer is ({}).", "The answer is **{}**.", "The answer is: {}",
    "Answer: {}", "ANSWER: {}", "**Answer:** {}", "**Answer: {}**", "**Final Answer**: **{}**",
    "Answer: ({}) 12 m/s", "The final answer is $\\text{{{}}}$.", "The answer is $\\boxed{{{}}}$.",
    "### Final Answer\n\n**{}**", "## Answer\n{}", "Answer {}", "The correct answer is {}.",
    "The correct option is {}.", "The correct choice is ({}).", "The best answer is {}",
    "The correct answer is option {}.", "Therefore, the answer is {}.", "Thus the answer must be {}.",
    "The answer is clearly {}.", "The answer is for sure {}.", "Hence the correct option is **{}**.",
    "The answer to the question is {}.", "The answer, therefore, is {}.",
    "The answer should be {}, because it is hot.", "I think the answer is {}.", "The answer is {}: it grows.",
    "The answer is {} because it grows.", "The answer is {} - it grows.", "The answer is {}; the rest are false.",
    "{} is correct.", "Option {} is correct.", "{} is the correct answer.", "Only {} is correct.",
    "{} is the best answer.", "Let us see. I choose {}.", "I'd go with {}.", "I would select option {}.",
    "So it is {}.", "It must be {}.", "That leaves {}.", "Therefore, {}.", "Hence ({}).", "So, option {}.", "∴ {}",
    "The correct answer is:\n\n{}) 12 m", "Reasoning.\n\n{}", "Reasoning.\n\n({})", "{}\n\nExplanation: it grows.",
    "**{}**\n\nIt grows because it is warm.", "The statement given by {} is true, so the answer is {}.",
    "答案是{}。", "答案：{}", "答案为{}", "故选：{}", "故选{}。", "正确答案是 {}。", "因此选{}。",
    "所以答案是{}，因为它是对的", "选项{}正确。", "本题选择{}。", "La respuesta correcta es {}.",
    "La respuesta es la {}", "Respuesta: {}", "La opción correcta es la {}.", "Réponse : {}",
    "La bonne réponse est {}.", "La réponse correcte est la {}.", "Die richtige Antwort ist {}.", "Antwort: {}",
    "A resposta correta é a letra {}.", "Resposta: {}", "La risposta corretta è {}.", "Ответ: {}",
    "Правильный ответ: {}.", "Ответ: **{}**", "Відповідь: {}", "উত্তর: **{}**", "সঠিক উত্তর হল {}।",
    "সঠিক উত্তর: {}) জিন", "**উত্তর: ({}) জিন**", "উত্তরঃ {}", "উত্তর- {}", "**সঠিক উত্তর: {}. জিন**",
    "সঠিক উত্তর হচ্ছে **বিকল্প {}**।", "**{} (পদ্মা)**", "উত্তর: {}।", "**{}. বেসোফিল**", "**{}: Ca(OCl)Cl**",
    "তাই সঠিক উত্তর হলো **{}**।", "सही उत्तर {} है।", "उत्तर: {}", "सही विकल्प {} है", "الإجابة الصحيحة هي {}.",
    "الجواب: {}", "پاسخ: {}", "答えは{}です。", "正解は{}です。", "正解：{}", "정답은 {}입니다.", "정답: {}",
    "Đáp án đúng là {}.", "Đáp án: {}", "Jawaban yang benar adalah {}.", "Jawaban: {}", "Doğru cevap: {}",
    "Doğru cevap {}'dir.", "Odpowiedź: {}", "Prawidłowa odpowiedź to {}.", "Antwoord: {}", "คำตอบ: {}",
    "คำตอบคือ {}", "Απάντηση: {}", "תשובה: {}", "விடை: {}", "సమాధానం: {}", "જવાબ: {}", "Jibu sahihi ni {}.",
    "**Mtindo wa {}**", "Konklusio: {}",
    "La opción {} es correcta", "L'option {} est correcte", "Die Antwort lautet {}", "La risposta giusta è {}",
    "({}).", "I would go for {}", "I am going with {}.", "Only option {} satisfies it.", "Letter {}", "Ans. {}",
    "The ans is {}", "The letter is {}", "The answer is \u201c{}\u201d.", "The answer is '{}'.", "The answer is <{}>.",
    '{{"answer": "{}"}}', "The answer is `{}`.", "The answer is {} rather than E.", "It cannot be E, so it must be {}.",
    "✅ {}", "{} ✓",
]  # fmt: skip
NOT_MARKS = ("**Mtindo wa {}**",)  # a name that ends in a letter
SEVERAL = [  # {0} and {1} are two letters; neither is committed to
    "The answer is {0} or {1}.", "Answer: {0}/{1}", "\\boxed{{{0}, {1}}}", "\\boxed{{\\text{{{0} or {1}}}}}",
    "<answer>{0} {1}</answer>", "<answer>({0}) ({1})</answer>", "\\boxed{{{0}{1}}}", "The answer is {0} and {1}.",
    "Both {0} and {1} are correct.", "答案是{0}和{1}", "The answer is either {0} or {1}.",
    "The answer is {0}, or maybe {1}.", "\\boxed{{{0}}} and \\boxed{{{1}}}", "Answer: {0} & {1}",
    "{0} is correct. {1} is correct.", "**{0}** works while **{1}** does too.", "**{0}** is close to **{1}**",
]  # fmt: skip
NONE = [  # {} is a letter that the text does not commit to
    "The answer is not {}.", "The answer isn't {}.", "The answer cannot be {}.", "I don't think the answer is {}.",
    "Is the answer {}?", "The answer is {}?", "If the answer is {}, then it grows.", "The answer is {} if x > 0.",
    "{} is not correct.", "{} is wrong.", "It is not {}.", "The wrong answer is {}.",
    "The answer is {}, but I am not sure.", "The answer is {}. Wait, that is wrong.", "\\boxed{{{} = 12}}",
    "\\boxed{{{}+1}}", "\\boxed{{{}^2}}", "\\boxed{{{}_6}}", "\\boxed{{{}(x)}}", "\\boxed{{2{}}}", "\\boxed{{-{}}}",
    "\\boxed{{{} \\cdot 3}}", "\\boxed{{{} \\leq 3}}", "\\boxed{{f({})}}", "\\boxed{{\\vec{{{}}}}}",
    "\\boxed{{{}'}}", "\\boxed{{{}x}}", "<answer>not {}</answer>", "<answer>neither {}</answer>",
    "<answer>{} is wrong</answer>", "<answer>I considered {}.</answer>", "The answer is {} = 5.",
    "The answer is {}'s.", "The answer is {}x.", "Option {} fails because it is small.", "Consider option {}.",
    "We know that {} is small.", "Choice {} would need friction",
    "**A.** one\n**B.** two\n**C.** three\n**D.** four\n\nLook at {} again.", "A) 1\nB) 2\nC) 3\nD) 4",
    "答案不是{}。", "不选{}。", "选项{}不正确。", "La respuesta no es {}.", "La réponse n'est pas {}.",
    "Die Antwort ist nicht {}.", "Ответ не {}.", "उत्तर {} नहीं है।", "答えは{}ではない。",
    "Whether {} is correct is unclear.", "I doubt that {} is correct.", "We are eliminating {}.", "**{}** is wrong.",
    "**{}.** It fails.", "It is not **{}**", "**{}** নয়", "First line.\n{}) 12\nIt goes on.", "{}) is incorrect",
    "The answer is any value except {}",
    "The answer is not \\boxed{{{}}}.", "\\boxed{{{}}} is wrong.", "I am not sure, maybe \\boxed{{{}}}",
    "Some say the answer is {}.", "The answer could be {}.", "\\boxed{{{}!}}", "\\boxed{{{} \\to F}}", "Plan {}", "{}-",
    "Answer: anything but {}", "\\boxed{{|{}|}}", "\\boxed{{{}^{{-1}}}}",
    "{}? Perhaps.", "The answer is none of E, {}.",
    "I guess it is \\boxed{{{}}}.", "A wrong answer is **{}**", "We ruled out **{}**", "Perhaps **{}**",
]  # fmt: skip
DENIED = [  # {} is a letter that the text denies, doubts, takes back or leaves to others
    "คำตอบไม่ใช่ {}", "คำตอบที่ถูกต้องไม่ใช่ {}", "{} ไม่ใช่คำตอบ", "{} ผิด", "התשובה אינה {}.",
    "התשובה היא לא {}.", "{} שגויה", "پاسخ {} نیست.", "گزینه {} غلط است", "정답은 {}가 아닙니다.",
    "정답이 {}는 아니다", "정답: {} 또는 B", "정답은 {}가 아니라 C입니다.", "답은 {} 아님", "{}는 틀렸습니다",
    "**{}** ist falsch.", "**{}** est faux.", "**{}** est incorrect", "**{}** неверно",
    "**{}** is een fout antwoord", "**{}** es incorrecta", "**{}** è sbagliata", "**{}** é falsa",
    "**{}** là sai", "**{}** salah", "**{}** yanlıştır", "**{}** جواب غلط ہے", "**{}** خاطئة", "**{}** गलत है",
    "**{}** ভুল", "**{}** 错误", "**{}** は間違い", "**{}** 不正确",
    "\\boxed{{{}}}\n\nWait, actually it should be C.", "\\boxed{{{}}}\n\nHold on, that can't be right.",
    "\\boxed{{{}}} Oops, I mean C.", "\\boxed{{{}}}\n\nNo, C.", "\\boxed{{{}}}. Correction: the answer is C.",
    "\\boxed{{{}}} 不对，应该是C。", "\\boxed{{{}}} ist falsch.", "\\boxed{{{}}} est faux.",
    "The most common mistake is to answer \\boxed{{{}}}.", "A common wrong answer is \\boxed{{{}}}.",
    "If forced to choose: {}.", "If I had to guess: {}", "Forced to choose, I'd say {}.",
    "Students often choose {}.", "Many people would pick {}.", "Most students say {}.",
    "Nobody would choose {}.", "One might choose {}.", "It is tempting to choose {}.",
    "You might think the answer is {}.", "At first I thought the answer is {}.", "My first guess: {}.",
    "A random guess would be {}.", "The least likely answer is {}.", "The worst answer is {}.",
    "The most tempting answer is {}.", "The distractor answer is {}.", "The only wrong answer is {}.",
    "The incorrect option is {}.", "The trap answer is {}.", "It is false that the answer is {}.",
    "The answer is anything but {}.", "The answer is hardly {}.", "The answer is certainly not {}.",
    "La respuesta no puede ser {}.", "La respuesta nunca es {}.", "La respuesta incorrecta es {}.",
    "La réponse {} est fausse.", "La réponse ne peut pas être {}.", "La mauvaise réponse est {}.",
    "Die falsche Antwort ist {}.", "Die Antwort {} ist falsch.", "Die Antwort kann nicht {} sein.",
    "La risposta non è {}.", "La risposta sbagliata è {}.", "Het antwoord is niet {}.", "Svaret är inte {}.",
    "Svaret er ikke {}.", "Odpowiedź to nie {}.", "Odpověď není {}.", "Cevap {} değil.", "Cevap {} olamaz.",
    "Đáp án không phải là {}.", "Đáp án sai là {}.", "Jawabannya bukan {}.", "Jawaban: bukan {}",
    "Ответ не {}.", "Ответ: не {}", "Неправильный ответ: {}", "Ответ {} неверен.", "Відповідь не {}.",
    "Правильна відповідь не {}.", "Απάντηση δεν είναι {}.", "Η απάντηση δεν είναι {}.", "الإجابة ليست {}.",
    "الجواب ليس {}", "جواب {} نہیں ہے", "उत्तर {} नहीं है।", "उत्तर: {} नहीं", "উত্তর {} নয়।",
    "答案绝对不是{}", "答案并非{}", "正确答案不可能是{}", "错误答案是{}", "答案不应该是{}", "答案是{}吗？",
    "答案是{}的说法是错误的", "不应选{}", "答えは{}じゃありません", "答えは{}ではない",
    "正解は{}ではなく、Cです", "{}は不正解です", "~~{}~~", "The answer is ~~{}~~.", "\\boxed{{{}}} ✗",
    "**{}** ✗", "❌ {}", "- {} ❌", "The answer is {} (incorrect).", "Answer: {} (wrong)",
    "Answer: {} (not sure)", "Answer: {} (guess)", "Answer: {}?", "Answer: {} or C", "Answer: {} oder C",
    "Answer: {} hoặc C", "Respuesta: {} o C", "Réponse : {} ou C", "Ответ: {} или C", "Cevap: {} veya C",
    "الجواب: {} أو C", "答案：{}或C", "答え：{}またはC", "उत्तर: {} या C", "คำตอบ: {} หรือ C", "پاسخ: {} یا C",
    "תשובה: {} או C", "Απάντηση: {} ή C", "Odpowiedź: {} lub C", "Antwoord: {} of C", "Svar: {} eller C",
    "Odpověď: {} nebo C", "Jawaban: {} atau C", "Відповідь: {} або C", "উত্তর: {} অথবা C",
    "{}, I guess.", "Is it {}?", "The answer is {}?", "答案是{}还是E？", "<answer>{}, I guess</answer>", "{}?",
    "{} is false.", "{} is not correct.", "({}) is eliminated.", "Everything but {} is right.", "<s>{}</s>",
    "My friend says the answer is {}.", "{}是错误的", "{}不正确", "Plan {} is best", "Vitamin {} is best",
    "If the question were about mass, the answer would be {}.", "The answer is {}... no, wait.",
]  # fmt: skip
AFTER_A_DENIAL = [  # {} is a letter other than A that the text commits to, in spite of denials around it
    "答案不是A，而是{}", "정답은 A가 아니라 {}입니다.", "La respuesta no es A, sino {}.",
    "Die Antwort ist nicht A, sondern {}.", "La réponse n'est pas A mais {}.", "正解はAではなく、{}です",
    "The answer is not A but {}.", "The answer is {}, not A.", "Ответ не A, а {}.", "不选A，选{}",
    "答案不是A，是{}。", "A is wrong. B is wrong. So the answer is {}.",
    "\\boxed{{{}}}\n\nWait, no further checks are needed.", "The answer is {}. A is wrong because x is not y.",
    "故选{}。A错误，B错误", "**{}**\n\nWhy the others are wrong:\n- A is not",
    "Let me think. It should be B? Wait, actually the answer is {}.", "答案：{}。选项A不正确。",
    "Answer: {}\n\nA common mistake is to choose A.", "Richtige Antwort: {} (A ist falsch)",
    "Most students choose A, but the correct answer is {}.",
    "\\boxed{{{}}}\n\nOption A is incorrect since it is not.",
    "A common mistake is A. The correct answer is \\boxed{{{}}}.",
]  # fmt: skip
WORDS = [  # an article, a pronoun or a name in place of a letter
    ("A", "The answer is a number."), ("A", "The answer is A number."), ("A", "<answer>A rectangle</answer>"),
    ("A", "\\boxed{\\text{a triangle}}"), ("A", "Answer: A careful reading is needed"),
    ("A", "The correct choice is a triangle"), ("A", "So it is A triangle."), ("I", "Answer: I don't know"),
    ("I", "The answer is I think so"), ("I", "<answer>I cannot say</answer>"), ("D", "ANSWER: Don't know"),
    ("C", "The answer is C++."), ("C", "\\boxed{CO_2}"), ("B", "The answer is B cells"), ("E", "\\boxed{e^x}"),
    ("E", "\\boxed{\\Delta E}"), ("A", "\\boxed{a+b}"), ("C", "\\boxed{c^2 = a^2+b^2}"), ("A", "The answer is AB."),
    ("B", "The answer is vitamin B."),
]  # fmt: skip


def judged(text: str, reference: str, question: str = "") -> Judgement:
    return verify(Item(text, reference, messages=[{"role": "user", "content": question}] if question else ()))


@pytest.mark.parametrize("form", FORMS)
def test_a_committed_letter_counts_in_any_wording_and_language(form: str) -> None:
    expected = "unparseable" if form in NOT_MARKS else "correct"
    for letter in "BCD":
        text = form.format(letter, letter)
        assert judged(text, letter).status == expected, (text, judged(text, letter))
        assert judged(text, "E" if letter == "B" else "B" if letter != "B" else "C").status != "correct"


@pytest.mark.parametrize("form", [form for form in FORMS if "Mitochondria" not in form])
def test_the_letter_a_is_a_letter_where_it_stands_alone(form: str) -> None:
    if form not in NOT_MARKS:
        text = form.format("A", "A")
        assert judged(text, "A").status == "correct", (text, judged(text, "A"))


@pytest.mark.parametrize("form", SEVERAL)
def test_several_letters_commit_to_none(form: str) -> None:
    for one, two in (("A", "C"), ("C", "A"), ("B", "D")):
        for reference in (one, two):
            assert judged(form.format(one, two), reference).status != "correct", form.format(one, two)


@pytest.mark.parametrize("form", NONE)
def test_denials_doubts_formulas_and_mentions_are_no_choice(form: str) -> None:
    for letter in "ABCDE":
        assert judged(form.format(letter), letter).status != "correct", form.format(letter)


@pytest.mark.parametrize(("letter", "text"), WORDS)
def test_words_are_no_letters(letter: str, text: str) -> None:
    assert judged(text, letter).status != "correct"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: A\nAfter checking I need to correct this.\nAnswer: B", "B"),
        ("The answer is not A; it is B.", "B"),
        ("The answer is A. Wait, no. It is B.", "B"),
        ("The answer is B. Option C is wrong.", "B"),
        ("The answer is A. We rule out B, C and option D.", "A"),
        ("Answer: D, though A is also true", "D"),
        ("I considered (A), but it is incorrect. Final answer: D.", "D"),
        ("A is correct for ice. Still, the answer is C.", "C"),
        ("We need \\boxed{\\Delta E}.\n\n**Answer: D**", "D"),
        ("**A.** no\n**B.** yes\n**C.** no\n**D.** no\n\n**B. yes**", "B"),
        ("**B. yes**\n\n**A.** no\n**C.** no\n**D.** no", "B"),
        ("The correct answer is d.", "D"),
        ("\\boxed{a}", "A"),
        ("The statement that is not true is **B**.", "B"),
        ("I was not sure at first. The answer is \\boxed{B}.", "B"),
        ("Answer: A careful reading shows C is right", "C"),
    ],
)
def test_the_last_statement_counts(text: str, letter: str) -> None:
    assert judged(text, letter).status == "correct"
    for other in set("ABCDE") - {letter}:
        assert judged(text, other).status != "correct"


ACD = [
    "{A, C, D}",
    "\\boxed{A, C, D}", "\\boxed{DCA}", "\\boxed{ACD}", "\\boxed{A} , \\boxed{C}, \\boxed{D}",
    "The answers are A, C and D.", "<answer>A C D</answer>", "Answer: A, C, D", "A, C and D are correct.",
    "答案是A、C、D。", "The answer is ACD.", "故选ACD。", "**ACD**", "A, C and D", "\\boxed{\\{A, C, D\\}}",
    "\\boxed{\\text{A, C, and D}}",
]  # fmt: skip


@pytest.mark.parametrize(
    "reference",
    ["ACD", "A, C, D", "A, C and D", "(A), (C), (D)", '{"answer": ["A", "C", "D"]}', "DCA", "A;C;D", "{A, C, D}"],
)
def test_a_reference_of_several_letters_wants_all_of_them(reference: str) -> None:
    for text in ACD:
        assert judged(text, reference).status == "correct", (text, judged(text, reference))
    for text in ("\\boxed{A}", "\\boxed{AC}", "\\boxed{ABCD}", "The answer is A or C or D.", "\\boxed{A, C}"):
        assert judged(text, reference).status != "correct", text


def test_of_alternatives_either_is_right() -> None:
    for text, status in (
        ("\\boxed{A}", "correct"),
        ("\\boxed{B}", "correct"),
        ("\\boxed{C}", "wrong"),
        ("\\boxed{B, C}", "wrong"),
    ):
        assert judged(text, "A or B").status == status


def test_an_option_with_a_unit_in_latex_is_the_same_value() -> None:
    reference = json.dumps({"answer": "B", "options": ["10 m", "20 m"]})
    assert judged("\\boxed{20\\text{ m}}", reference).status == "correct"
    assert judged("\\boxed{10\\text{ m}}", reference).status == "wrong"


OPTIONS = json.dumps({"answer": "B", "options": ["Apple", "Banana", "12 m", "CO", "Co"]})


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("\\boxed{Banana}", "correct"), ("<answer>a banana</answer>", "correct"),
        ("\\boxed{\\text{banana}}", "correct"), ("B", "correct"), ("\\boxed{B) Banana}", "correct"),
        ("The answer is banana.", "correct"), ("The answer is B Banana", "correct"),
        ("So.\n\n**Banana**", "correct"), ("\\boxed{B) Apple}", "unparseable"),
        ("\\boxed{A) Banana}", "unparseable"), ("\\boxed{A banana}", "correct"), ("\\boxed{Apple}", "wrong"),
        ("\\boxed{A Apple}", "wrong"), ("<answer>not a banana</answer>", "unparseable"),
        ("<answer>Bananas</answer>", "unparseable"),
    ],
)  # fmt: skip
def test_values_of_options(text: str, status: str) -> None:
    assert judged(text, OPTIONS).status == status, judged(text, OPTIONS)


def test_options_that_differ_in_a_symbol_stay_apart() -> None:
    reference = json.dumps({"answer": "CO", "options": ["Apple", "Banana", "CO", "Co"]})
    assert judged("\\boxed{CO}", reference).status == "correct"
    assert judged("\\boxed{Co}", reference).status == "wrong"


def test_an_option_whose_value_is_a_letter_is_named_by_its_own_letter() -> None:
    reference = json.dumps({"answer": "A", "options": ["B", "A", "D", "C"]})
    assert judged("\\boxed{A}", reference).status == "correct"
    assert judged("\\boxed{B}", reference).status == "wrong"


def test_options_are_read_from_the_prompt() -> None:
    question = "Which fruit?\nA. Apple\nB) Banana\n(C) 12 m"
    assert judged("\\boxed{banana}", "B", question).status == "correct"
    assert judged("\\boxed{B}", "Banana", question).status == "correct"
    assert judged("\\boxed{B}", "D", question).status == "error"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "is not a letter"), ("12", "is not a letter"), ("A rectangle", "is not a letter"),
        ("BAB", "is not a letter"), ('{"answer": "E", "options": ["1", "2"]}', "names E, but there are 2 options"),
        ('{"options": []}', "no JSON with `answer`"), ("{", "no JSON with `answer`"),
    ]
)  # fmt: skip
def test_a_reference_that_names_no_option_is_an_error(reference: str, reason: str) -> None:
    found = judged("\\boxed{A}", reference)
    assert found.status == "error" and reason in found.reason, found


PIECES = [
    "A",
    "A ",
    "A, ",
    "answer is ",
    "The answer ",
    "**A**\n",
    "A)\n",
    "उत्तर ",
    "the ",
    "\\text{",
    "$",
    "A or ",
    "**",
]


@pytest.mark.parametrize(
    "piece", [*PIECES, "x: ", "答案是", "( ", "is: ", "not ", "[A] ", "A\n", "`", "*a", "####", "।"]
)
def test_degenerate_text_takes_little_time(piece: str) -> None:
    judged(piece * 20_000, "B")
    judged(f"\\boxed{{{piece * 2_000}}}", "B")


@pytest.mark.parametrize("form", DENIED)
def test_a_letter_that_is_denied_doubted_or_left_to_others_is_no_choice(form: str) -> None:
    for letter in "AD":
        assert judged(form.format(letter), letter).status != "correct", form.format(letter)


@pytest.mark.parametrize("form", AFTER_A_DENIAL)
def test_a_choice_stands_in_spite_of_denials_around_it(form: str) -> None:
    assert judged(form.format("C"), "C").status == "correct", judged(form.format("C"), "C")
    assert judged(form.format("C"), "A").status != "correct"


def test_both_letters_are_not_either_of_them() -> None:
    assert judged("The answer is A and B.", "A or B").status == "wrong"
    assert judged("The answer is B.", "A or B").status == "correct"


@pytest.mark.parametrize(
    "text",
    (
        "可能选B。",
        "答えはBかもしれません。",
        "정답은 아마 B일 것입니다.",
        "**B** — неправильный ответ.",
        "Respuesta: A o B",
        "Vitamin **B** is water soluble.",
        "Let **B** denote the circle.",
        "x^2/2 + **B**",
        "**B**? No, D.",
    ),
)
def test_a_doubted_letter_or_the_name_of_a_thing_is_no_choice(text: str) -> None:
    assert verify(Item(text, "B")).status != "correct"
