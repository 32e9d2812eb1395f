"""Screening of texts before a judging model sees them: attempts to address the judge, forged marks, empty answers.

A judge reads what a model under training wrote, and such models discover what pleases judges: strong judges accepted a
lone ":" or "Thought process:" ("One Token to Fool LLM-as-a-Judge", arXiv 2507.08794). A text refused here is never
shown to a judge, so it is never accepted; a harmless answer that is refused keeps the rule's verdict.

There are two levels: `forgery` for whole texts, in which mentioning a judge is no attack, and `reason_against` for
final answers, which should hold an answer and nothing else. Both take linear time.
"""

import re
import unicodedata

from filters.llm_judge.guard_patterns import ADDRESSES, NO_ANSWER, SPELLED, THING, VERDICT
from filters.placeholders import is_placeholder
from filters.text.short_answer import QUOTES

FINAL_CHARS = 1000  # most characters of a final answer
SHORT_CHARS = 60

FORGERIES = {
    "marks of a chat or of a verdict": r"<\|[^|\n]{0,40}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>"
    r"|</?(?:verdict|system|user|assistant|instructions?|candidate|reference)\b"
    r"|\[/?(?:question|reference|candidate|first|second) [0-9a-f]{4,}"
    r"|^[^\w\n]*assistant\s*:|\n[^\w\n]*(?:system|user|human|developer)\s*:|^#+\s*(?:instruction|system)"
    r"|^\W*(?:system|user|human|developer)\s*:[^\n]*\b(?:accept|mark|say|output|approve|ignore|reply|respond|grade|equivalent"
    r"|correct|instructions?|prompt)\b"
    r"|[\"'](?:verdict|equivalent|judge?ment)[\"']\s*:|\bverdict\W{0,4}[:=](?!\W*(?:not\s+)?guilty)"
    r"|\bverdict\W{1,4}(?:is\W+)?(?:equivalent|different|correct|same|first|second|tie)\b",
    "words that lift instructions": r"\b(?:ignor\w*|disregard|forget|override|bypass|olvida\w*|vergiss|oublie\w*)\b"
    r"[^\n]{0,40}\b(?:instruc\w*|anweisung\w*|consigne\w*|prompts?|guidelines?)\b"
    r"|(?:忽略|无视|忽视)[^\n]{0,20}(?:指令|指示|提示|规则|以上|之前)|игнориру\w*[^\n]{0,40}инструкц"
    r"|指示を無視|지시[^\n]{0,10}무시",
}
OPENER = re.compile(
    r"(?:let ?s|let us|let me|here(?: s| is)|(?:we|i) (?:need|have) to|to (?:solve|find|answer)|step by step)\b.*"
    r"|first(?:ly)? (?:we|i|let|note|consider)\b.*|step \d+|sure|ok(?:ay)?|correct"
    r"|(?:the |my |your |a |insert )?(?:final |correct |right )?"
    r"(?:answer|solution|result|response|thought|thinking|reasoning|explanation|analysis|proof)"
    r"(?: process| is| here| below| above| follows)*"
    r"|解|解答|解析|解説|答|答案|思路|思考过程|解题过程|解决方案|かいせつ|回答|풀이|정답|해설"
    r"|respuesta|soluci[oó]n|r[eé]ponse|l[oö]sung|antwort|resposta|solu[cç][aã]o|soluzione|risposta|ответ|решение",
    re.DOTALL,
)
LIKE_LATIN = str.maketrans("αβεζηικμνορτυχ", "abezhikmnoptyx")  # Greek letters, of which words of Latin ones are made
TWO_ALPHABETS = re.compile(r"[a-z][\u0400-\u04ff]|[\u0400-\u04ff][a-z]")
LAYOUT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\b|\\boxed|[\s*_`#$.,!(){}\[\]\"'\u2018-\u201d\u3002:-]+")
_forgeries = {reason: re.compile(pattern, re.MULTILINE) for reason, pattern in FORGERIES.items()}
_addresses = {reason: re.compile(pattern, re.MULTILINE) for reason, pattern in ADDRESSES.items()}
DRESS = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|textit|mathit|emph|boxed|fbox|operatorname)\b\s*|\\[,;: !]|[*_`$#{}~]+"
)
LETTERS = re.compile(r"(?<![^\W_])(?:[^\W_][\W_]{1,3}){4,}[^\W_](?![^\W_])")
_verdict, _no_answer, _thing, _spelled = (re.compile(each) for each in (VERDICT, NO_ANSWER, THING, SPELLED))


def reason_against(answer: str) -> str | None:
    """Return why a final answer must not be shown to a judge; None if it may be."""
    if len(answer) > FINAL_CHARS:
        return f"it is longer than {FINAL_CHARS} characters"
    if not has_content(answer):
        return "it holds no answer"
    plain = normalized(answer)
    if plain.endswith(":") or OPENER.fullmatch(LAYOUT.sub(" ", plain).strip()):
        return "it announces an answer and gives none"
    if spelled_out(plain):
        return "it has the form of a verdict"
    views = {plain, undressed(plain), plain.translate(LIKE_LATIN)}
    return forgery(answer) or next((why for view in views if (why := reason_in(view))), None)


def reason_in(plain: str) -> str | None:
    """Return why a normalized final answer must not be shown to a judge, apart from forged marks."""
    if _thing.fullmatch(plain):
        return None
    if _no_answer.fullmatch(plain) or is_placeholder(plain):
        return "it holds no answer"
    if _verdict.fullmatch(plain):
        return "it has the form of a verdict"
    return next((why for why, pattern in _addresses.items() if pattern.search(plain)), None)


def undressed(plain: str) -> str:
    """Return a normalized text without LaTeX commands, braces and emphasis around its words."""
    return normalized(DRESS.sub(" ", plain))


def spelled_out(plain: str) -> bool:
    """Return whether a word of a verdict is written letter by letter: "e q u i v a l e n t"."""
    return any(
        _spelled.search("".join(filter(str.isalnum, match.group()))) is not None for match in LETTERS.finditer(plain)
    )


def forgery(text: str) -> str | None:
    """Return why even a long text must not be shown to a judge; None if it may be."""
    if any(
        unicodedata.category(letter) in ("Cf", "Co", "Cc") and letter not in "\n\r\t\u200c\u200d" for letter in text
    ):
        return "invisible characters"
    plain = normalized(text)
    if TWO_ALPHABETS.search(plain):
        return "letters of two alphabets in one word"
    return next((reason for reason, pattern in _forgeries.items() if pattern.search(plain)), None)


def has_content(text: str) -> bool:
    """Return whether the text has a letter, a digit, or a symbol such as the empty set, apart from layout."""
    bare = LAYOUT.sub("", text)
    return any(c.isalnum() or (unicodedata.category(c) == "Sm" and not c.isascii()) for c in bare)


def normalized(text: str) -> str:
    """Return the text in lower case and NFKC, with single spaces and without joiners; line breaks are kept."""
    text = unicodedata.normalize("NFKC", text).translate(QUOTES | {0x200C: None, 0x200D: None}).casefold()
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()
