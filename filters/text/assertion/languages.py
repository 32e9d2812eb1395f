"""Patterns of the words that deny, doubt or take back an answer, in all languages at once."""

# ruff: noqa: E501, RUF001  (patterns, one alternative a line; words of other scripts)

import re

from filters.text.assertion import words


def any_of(listed: str) -> str:
    """Return the pattern of one of the words, the longest first; `_` stands for a blank."""
    several = sorted(set(listed.split()), key=len, reverse=True)
    return "|".join(re.escape(word).replace("_", r"\s+") for word in several)


def word(listed: str) -> str:
    """Return the pattern of one of the words as a whole word."""
    return rf"(?<!\w)(?:{any_of(listed)})(?!\w)"


NEGATIONS, WRONG, ENDINGS = words.NEGATIONS, words.WRONG, words.ENDINGS
NOT = " ".join(NEGATIONS.values())
FINAL_NOT = " ".join(NEGATIONS[name] for name in words.FINAL)
NOT_RIGHT = f"{' '.join(WRONG.values())} {words.WRONG_AFTER}"
EDGE = r"(?:[\s$*_.)\]}]|\\[)\]])*"
OPENED = r"(?:\\[(\[]|[\s$*(:\"«„“¥€£₹])*(?:\\?[A-Za-z]+(?:_\w|\(\w\))?\s*=\s*)?\$?"  # what may stand between a word and the value behind it
VERBS = r"(?:\s*(?:ist|war|es|est|è|é|är|er|jest|to|is|это|είναι|هو|είν|adalah|là|était|kann|sein)\s+)?(?:\w+\s+)?"
COPULA = rf"(?:{word(words.COPULAS)}\W+)"
# "答案不是", "no puede ser igual a", "wrong answer:"; the value follows.
NEGATED_BEFORE = re.compile(
    rf"(?:{word(NOT)}\W+{COPULA}{{0,4}}|{word(NOT)}|{word(' '.join(WRONG.values()))}\W*(?:{word(words.ANSWERS)}\W*)?{COPULA}{{0,2}}"
    rf"|{word(words.ANSWERS)}\W+{word(' '.join(WRONG.values()))}\W*{COPULA}{{0,2}}){OPENED}$"
    r"|(?:不是|非|不会是|不可能是?|不可能为|不等于|不等於|不为|不應(?:该|當)?是?|不应(?:该|当)?是?|绝不是?|絕不是?|不能(?:是|等于))\s*"
    rf"(?:等于|是|为)?{OPENED}$|(?:错误|錯誤|不正确|不正確|错)的?(?:答案|结果|解|值|回答)(?:是|为)?\W*$|不存在[^,;]{{0,20}}$|ไม่(?:ใช่|เท่ากับ)\s*{OPENED}$",
    re.IGNORECASE,
)
# "No es cierto que la respuesta sea".
UNTRUE = re.compile(rf"{word(NOT)}\W+{COPULA}{{0,2}}{word(words.RIGHT)}|不(?:能|可)说", re.IGNORECASE)
# Directly behind a letter or value.
NEGATED_AFTER = re.compile(
    rf"{EDGE}(?:(?:[이가는은]|が|は|で|是)?\s*(?:{any_of(ENDINGS)})"
    rf"|(?:{any_of(FINAL_NOT)})(?!\w)"
    rf"|{VERBS}(?:{any_of(f'{NOT_RIGHT} {FINAL_NOT}')})(?!\w))",
    re.IGNORECASE,
)
FILLER = rf"(?:(?!{word(words.CLAUSES)}|{word(words.OR)})[^\s\d.,;:!?$*(){{}}\\]+\s+)"
# "ist nicht richtig", "не является ответом", "정답이 아닙니다": within the clause behind a value.
NEGATED_REST = re.compile(
    rf"{EDGE}[\s—–-]*(?:(?:[이가는은을를是]|が|は|も|で)?\s*(?:正解|答え|정답이|답이)?(?:では?)?\s*(?:{any_of(ENDINGS)})"
    rf"|是?(?:有误|並?并?不(?:正确|正確|对|對|符合|满足))|{FILLER}{{0,2}}{word(f'{NOT} {NOT_RIGHT}')}(?!\W*\d))",
    re.IGNORECASE,
)
# Denials in scripts without blanks, wherever they stand in a short text.
DENIAL = re.compile(any_of(ENDINGS.replace("不存在", "").replace("不能", "")))
CONTRAST = re.compile(rf"(?:(?<=[\s,;]){word(words.BUT)}|{any_of(words.BUT_CJK)}|değil,)", re.IGNORECASE)
NEGATION_FIRST = re.compile(rf"\W*(?:{word(NOT)}|不是|并非|並非)|[^,]*?ではなく", re.IGNORECASE)
# Before a stated value; "no" may be an answer of its own.
NOT_THE_VALUE = re.compile(word(" ".join(one for one in NOT.split() if one not in ("no", "si", "ni"))), re.IGNORECASE)
OR_AFTER = re.compile(
    rf"{EDGE}(?:{word(words.OR)}|{any_of(words.OR_CJK)})\s*(?:\w\s*=\s*)?[\s$*]*(?:\\[(\[]|\\boxed|-)*\d", re.IGNORECASE
)
OR_BEFORE = re.compile(rf"[\d}}$)]\W*(?:{word(words.OR)}|{any_of(words.OR_CJK)})\W*$", re.IGNORECASE)
DOUBTED = re.compile(
    rf"(?<!не\s){word(' '.join(one for one in words.MAYBE.split() if one[0] < '฀'))}|^\W*{word(words.MAYBE_FIRST)}"
    rf"|{any_of(' '.join(one for one in words.MAYBE.split() if one[0] >= '฀'))}|(?:{words.BOUNDS})\W*$",
    re.IGNORECASE,
)
DOUBTED_AFTER = re.compile(rf"{EDGE}(?:では?|이|가)?\s*(?:{any_of(words.MAYBE_AFTER)})")
# "erfüllt die Bedingung nicht": behind a value that fails a condition.
FAILS = re.compile(rf"{EDGE}(?:{words.FAILS})", re.IGNORECASE)
UNSURE_AFTER = re.compile(words.UNSURE_AFTER, re.IGNORECASE)
# "If the coin were fair, it would be 9, but it is not."
COUNTERFACTUAL = re.compile(r"(?:如果|若|假如|要是).*(?:会是|將是|将是|就是|应是)\W*$")
BUT_NOT = re.compile(r"(?:但|可是)[^\d]{0,14}(?:不|没|沒)")
# A short sentence without a number that calls the answer wrong: "Espera, eso no es correcto."
CALLED_WRONG = re.compile(
    rf"^\W*(?:{word(words.WAIT)}\W*)*(?:{word(words.THIS)}\W+(?:{FILLER}{{0,2}})?(?:{word(NOT_RIGHT)}|{word(NOT)}\W+(?:{FILLER}{{0,2}})?{word(words.RIGHT)}"
    rf"|stimmt\s+nicht|klopt\s+niet)|{word(NOT_RIGHT)})|^\W*(?:{word(words.WAIT)}\W*)*(?:{any_of(words.THIS_CJK)})[^\d]{{0,12}}(?:{any_of(ENDINGS)}|有误|有誤)|^\W*(?:不对|不對)",
    re.IGNORECASE,
)
# A later sentence that takes an answer back.
WITHDRAWN = re.compile(
    r"(?:等等|等一下|我(?:之前)?(?:算|弄|搞|看)错|有误|更正|计算错误|答案(?:应该|应当|应)是|実は|間違え|訂正|잠깐|틀렸|정정"
    r"|(?<!\w)(?:espera|me equivoqué|corrección|espere|errei|correção|moment mal|moment,|warte|korrektur|ich habe mich"
    r"|attends|attendez|je me suis trompée?|aspetta|mi sono sbagliato|correzione|подожди\w*|стоп|я ошиб\w+|исправ\w+"
    r"|wacht|vänta|czekaj|bekle|hata yaptım|tunggu)(?!\w))",
    re.IGNORECASE,
)
ANSWER_NOUN = re.compile(rf"{word(words.ANSWERS)}|答案|答え|解答|정답|답은|คำตอบ", re.IGNORECASE)


def after_contrast(statement: str) -> str:
    """Return the part of a statement that it asserts: `8` of "nicht 7, sondern 8"."""
    return CONTRAST.split(statement)[-1].strip() if NEGATION_FIRST.match(statement) else statement
