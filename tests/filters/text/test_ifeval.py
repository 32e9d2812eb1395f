# ruff: noqa: RUF001  (letters of other scripts)
import json
from pathlib import Path
from typing import Any

import pytest

from filters.text.ifeval import KINDS, bind, count_sentences
from filters.text.language import language_of
from filters.verification.verdicts import Item, Judgement
from filters.verifiers import instruction

FOLLOWED: list[tuple[str, dict[str, Any], str, str]] = [  # kind, arguments, a response that follows, one that does not
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "NASA and X-RAY",
        "Nasa ONE",
    ),
    ("change_case:english_capital", {}, "THE CAT IS ON THE MAT.", "THE CAT is ON THE MAT"),
    ("change_case:english_lowercase", {}, "the cat is on the mat.", "The cat is on the mat"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. Done", "Done. Say it."),
    ("combination:two_responses", {}, "one\n******\ntwo", "one ****** one"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [street]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP. P. S. Hi", "Bye.\nPS. Hi"),
    ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', 'It is {"a": 1}'),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section 1",
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n- b\n- c"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b c**", "*a* and ** **"),
    ("detectable_format:title", {}, "<<A title>>\ntext", "<< >>\ntext"),
    ("keywords:existence", {"keywords": ["mom", "mother"]}, "Mom is a mother", "mom"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "a rocket", "a Rock."),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": "at least"}, "War is war", "war"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "less than"}, "Oh!", "Oh!!"),
    (
        "language:response_language",
        {"language": "de"},
        "Das ist nicht die Antwort auf eine Frage.",
        "This is not the answer.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
        "a\n\n'Weekend, b",
        "a\n\nb",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n***\n***\nb"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Mr. X paid 3.5 dollars. Why?",
        "A. B. C one. D two. E.",
    ),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one, two three", "one two"),
    ("punctuation:no_comma", {}, "no", "no, no"),
    ("startend:end_checker", {"end_phrase": "Anything else?"}, 'So. "anything else?"', "Anything else? No."),
    ("startend:quotation", {}, ' "all of it" ', '"a" and b'),
]


def judge(text: str, row: dict[str, Any], **fields: Any) -> Judgement:
    return instruction.verify(Item(text, json.dumps(row), **fields))


@pytest.mark.parametrize(("kind", "arguments", "follows", "fails"), FOLLOWED, ids=[row[0] for row in FOLLOWED])
def test_each_kind(kind: str, arguments: dict[str, Any], follows: str, fails: str) -> None:
    row = {"instruction_id_list": [kind], "kwargs": [arguments | {"unused": None}]}
    assert judge(follows, row).status == "correct", judge(follows, row).reason
    judgement = judge(fails, row)
    assert judgement.status == "wrong" and kind in judgement.reason, judgement


def test_every_kind_of_the_paper_is_implemented() -> None:
    assert {row[0] for row in FOLLOWED} == set(KINDS) and len(KINDS) == 25


def test_every_prompt_of_the_benchmark_can_be_checked(shared_data: Path) -> None:
    for line in (shared_data / "ifeval_input_data.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert judge(row["prompt"], row).status in ("correct", "wrong"), row["key"]
        assert judge(row["prompt"], row) == judge(row["prompt"], row)


def test_loose_reading_ignores_emphasis_and_a_first_or_last_line() -> None:
    row = {"instruction_id_list": ["startend:quotation", "punctuation:no_comma"], "kwargs": [{}, {}]}
    text = 'Sure! Here it is:\n**"All of it"**'
    strict, loose = judge(text, row), judge(text, row, options={"loose": True})
    assert (strict.status, strict.score) == ("wrong", 0.5) and "followed when read loosely" in strict.reason
    assert (loose.status, loose.reason) == ("correct", "all 2 instructions followed, read loosely")
    assert judge("a, b", row, options={"loose": True}).score == 0.0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("{", "it must be JSON"),
        ({"instruction_id_list": ["a:b"], "kwargs": [{}]}, "'a:b' is not one of change_case"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"n": 1}]}, "unexpected keyword argument 'n'"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": [{}]}, "'keywords'"),
        ({"instruction_id_list": [], "kwargs": []}, "is empty"),
    ],
)
def test_a_bad_reference_is_an_error(reference: Any, said: str) -> None:
    text = reference if isinstance(reference, str) else json.dumps(reference)
    judgement = instruction.verify(Item("text", text))
    assert judgement.status == "error" and said in judgement.reason, judgement


SIGNS = ["C++", "c++", "(", "[", "a.b", "a|b", "$5", "^", "\\d", "*", "?", "{1}"]


@pytest.mark.parametrize("word", SIGNS)
def test_keywords_are_literal_text(word: str) -> None:
    for kind, arguments in (
        ("keywords:existence", {"keywords": [word]}),
        ("keywords:frequency", {"keyword": word, "frequency": 2, "relation": "at least"}),
    ):
        check = bind(kind, arguments)
        assert check(f"We like {word.upper()} and {word}, too.") is None
        assert check("We like ccc, ab, axb, 11111 and 5") is not None
    forbidden = bind("keywords:forbidden_words", {"forbidden_words": [word]})
    assert forbidden(f"We like {word}, too.") is not None
    assert forbidden("We like ccc, ab, axb, 11111 and 5") is None


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n", "\n\n\n\n", "\n \n", "\n\t\n\n"])
def test_paragraphs_are_counted_and_indexed_alike(gap: str) -> None:
    text = gap + gap.join(("alpha one\nmore", "beta two", "gamma three")) + gap
    for place, word in enumerate(("alpha", "beta", "gamma"), 1):
        arguments = {"num_paragraphs": 3, "nth_paragraph": place, "first_word": word}
        assert bind("length_constraints:nth_paragraph_first_word", arguments)(text) is None
        assert bind("length_constraints:nth_paragraph_first_word", arguments | {"first_word": "one"})(text)
        assert bind("length_constraints:nth_paragraph_first_word", arguments | {"num_paragraphs": 4})(text)


@pytest.mark.parametrize(
    ("first", "text", "follows"),
    [
        ("once upon", "Once upon a time", True),
        ("once upon", "Once by", False),
        ("once upon", "Once", False),
        ("weekend", "'Weekend, b", True),
        ("weekend", '"Weekend" b', True),
        ("weekend", "Weekend's end", True),
        ("don't", "Don't go", True),
        ("don't", "Done", False),
    ],
)
def test_first_words(first: str, text: str, follows: bool) -> None:
    arguments = {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": first}
    assert (bind("length_constraints:nth_paragraph_first_word", arguments)(text) is None) == follows


@pytest.mark.parametrize(
    ("text", "highlights"),
    [
        ("*a* and **b c** and ***d***", 3),
        ("(*a*), *b*.", 2),
        ("* item one\n* item two", 0),
        ("* item with *one* mark", 1),
        ("3*4*5 is 60", 0),
        ("**3*4**", 1),
        ("**a *b* c** and **d**", 2),
        ("2 * 3 * 4", 0),
        ("x*y*z", 0),
        ("** ** and ****", 0),
        ("\u8fd9\u662f*\u91cd\u70b9*\u3002", 1),
    ],
)
def test_highlights_are_emphasis_and_nothing_else(text: str, highlights: int) -> None:
    kind = "detectable_format:number_highlighted_sections"
    assert bind(kind, {"num_highlights": highlights})(text) is None
    assert bind(kind, {"num_highlights": highlights + 1})(text) is not None


@pytest.mark.parametrize(
    ("text", "bullets"),
    [
        ("- a\n- b", 2),
        ("* a\n  * b\n\n- c", 3),
        ("- a\n\n---\n\ntext", 1),
        ("* a\n* * *\n***\n- - -", 1),
        ("Title\n-----\n- a", 1),
        ("*it* text", 0),
        ("*a whole line*", 0),
        ("* *it* text", 1),
        ("**bold** text", 0),
        ("* **bold** text", 1),
        ("*no blank", 1),
        ("-no blank", 1),
        ("", 0),
    ],
)
def test_bullets_are_neither_rules_nor_emphasis(text: str, bullets: int) -> None:
    kind = "detectable_format:number_bullet_lists"
    assert bind(kind, {"num_bullets": bullets})(text) is None


def test_an_empty_answer_is_unparseable() -> None:
    row = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    assert judge("", row, reasoning="so").reason == "thinking never ended"
    assert judge("a, b</think>\nno", row).status == "correct"
    assert judge("[THINK]a, b[/THINK]\nno", row).status == "correct"
    assert judge("<thinking>a, b", row).reason == "thinking never ended"


def test_an_unknown_argument_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'at least' or 'less than'"):
        bind("length_constraints:number_words", {"num_words": 1, "relation": "about"})("a")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("One", 1),
        ("One. Two! Three?", 3),
        ("Dr. Smith paid $3.50, e.g. to J. R. Jones. He left.", 2),
        ('"Is it?" she asked. "It is."', 2),
        ("Wait... what? Yes!", 2),
        ("一句。两句！", 2),
        ("A line\nwithout a stop", 1),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    assert count_sentences(text) == sentences


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "The weather is nice today and we are going to the park with the children."),
        ("es", "El tiempo es bueno hoy y vamos al parque con los niños para jugar un poco más."),
        ("pt", "O tempo está bom hoje e não vamos ao parque com as crianças, mas você pode ir."),
        ("fr", "Le temps est beau aujourd'hui et nous allons au parc avec les enfants pour jouer."),
        ("de", "Das Wetter ist heute schön und wir gehen mit den Kindern in den Park."),
        ("it", "Il tempo è bello oggi e non andiamo al parco con i bambini, ma questo è anche più bello."),
        ("pl", "Pogoda jest dzisiaj ładna i nie idziemy do parku z dziećmi, ale to może się zmienić."),
        ("vi", "Hôm nay thời tiết đẹp và chúng tôi sẽ đi đến công viên với những người bạn của các con."),
        ("sw", "Hali ya hewa ni nzuri leo na watoto wa shule wanaenda kwa bustani katika mji huo."),
        ("fi", "Sää on tänään hyvä ja he menevät puistoon, mutta lapset eivät ole siellä kun sataa."),
        ("ru", "Сегодня хорошая погода, и мы идём в парк с детьми, чтобы они могли играть."),
        ("uk", "Сьогодні гарна погода, і ми йдемо в парк з дітьми, щоб вони могли гратися."),
        ("bg", "Днес времето е хубаво и ние ще отидем в парка с децата, за да се забавляват."),
        ("ar", "الطقس جميل اليوم ونحن نذهب إلى الحديقة مع الأطفال في هذا الصباح."),
        ("fa", "امروز هوا خوب است و ما با بچه‌ها به پارک می رویم که این را دوست دارند."),
        ("ur", "آج موسم اچھا ہے اور ہم بچوں کے ساتھ پارک میں جا رہے ہیں۔"),
        ("hi", "आज मौसम अच्छा है और हम बच्चों के साथ पार्क में जा रहे हैं।"),
        ("mr", "आज हवामान चांगले आहे आणि आम्ही मुलांसोबत बागेत जात आहोत, पण तो येत नाही."),
        ("ne", "आज मौसम राम्रो छ र हामी बच्चाहरूसँग पार्कमा जाँदैछौं, तर यो पनि राम्रो हुन्छ।"),
        ("bn", "আজ আবহাওয়া ভালো।"),
        ("pa", "ਅੱਜ ਮੌਸਮ ਚੰਗਾ ਹੈ।"),
        ("gu", "આજે હવામાન સારું છે."),
        ("ta", "இன்று வானிலை நன்றாக உள்ளது."),
        ("te", "ఈరోజు వాతావరణం బాగుంది."),
        ("kn", "ಇಂದು ಹವಾಮಾನ ಚೆನ್ನಾಗಿದೆ."),
        ("th", "วันนี้อากาศดี"),
        ("ko", "오늘은 날씨가 좋습니다."),
        ("ja", "今日は天気がいいです。"),
        ("zh", "今天天气很好。"),
        (None, "12 + 30 = 42"),
        (None, ""),
    ],
)
def test_languages(code: str | None, text: str) -> None:
    assert language_of(text) == code
