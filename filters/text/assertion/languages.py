"""Words that deny an answer or take it back, by language."""

# ruff: noqa: RUF001, E501  (words of other scripts, a language a line)

import re

# Between a subject and the answer: "la respuesta no es 8". Words of scripts with blanks between them.
NEGATIONS = {
    "Spanish": "no nunca tampoco",
    "Portuguese": "não nunca",
    "German": "nicht kein keine keinesfalls niemals",
    "French": "n'est ne pas jamais",
    "Italian": "non mai",
    "Dutch": "niet geen nooit",
    "Swedish, Danish, Norwegian": "inte ikke ikkje aldrig aldri",
    "Finnish": "ei eivät",
    "Polish, Czech, Slovak": "nie ne není nejest nigdy",
    "Hungarian": "nem sem",
    "Romanian": "nu",
    "Turkish": "değil değildir olamaz",
    "Vietnamese": "không chẳng",
    "Indonesian, Malay": "bukan bukanlah tidak",
    "Tagalog": "hindi",
    "Swahili": "si siyo sio",
    "Russian": "не нет нельзя неверно",
    "Ukrainian": "ні неправильно",
    "Bulgarian, Serbian": "није nije",
    "Greek": "δεν μην όχι",
    "Arabic": "ليس ليست لا لم لن",
    "Persian": "نیست نمی‌باشد نمیباشد",
    "Urdu": "نہیں",
    "Hebrew": "לא אינה אינו איננה איננו",
    "Hindi": "नहीं नही",
    "Bengali": "নয় নয় না নহে",
    "Marathi, Gujarati, Punjabi": "नाही નથી ਨਹੀਂ",
    "Tamil, Telugu, Kannada, Malayalam": "இல்லை அல்ல కాదు ಅಲ್ಲ അല്ല",
    "Catalan, Basque": "pas ez",
    "Czech verbs": "není neni",
}
# In scripts without blanks, or as endings.
ENDINGS = (
    "不是 并不是 并非 不会是 不可能 不等于 不为 不应 绝不 不存在 不正确 不对 错误 是错的 不成立 不能 ではない ではなく ではありません じゃない"
    " でない 間違 誤り 아니 아닙 아닌 틀렸 틀린 ไม่ใช่ ไม่ ผิด"
)
WRONG = {
    "Spanish, Portuguese, Italian": "incorrecto incorrecta incorreto incorreta falso falsa errado errada sbagliato sbagliata",
    "German, Dutch": "falsch unrichtig inkorrekt fout onjuist",
    "French": "faux fausse incorrecte erroné erronée",
    "Swedish, Danish, Norwegian": "felaktigt forkert feil",
    "Polish, Czech": "błędna błędne niepoprawna nieprawidłowa špatně nesprávná",
    "Russian, Ukrainian": "неправильно неверный неправильный ошибочный ошибочно хибно невірно",
    "Turkish": "yanlış yanlıştır",
    "Vietnamese, Indonesian": "sai salah",
    "Arabic, Persian, Hebrew": "خطأ خاطئ غلط نادرست اشتباه שגוי שגויה",
    "Hindi, Bengali": "गलत ग़लत ভুল",
    "Greek": "λάθος",
}


def any_of(words: str) -> str:
    """Return the pattern of one of the words, the longest first."""
    return "|".join(map(re.escape, sorted(set(words.split()), key=len, reverse=True)))


# Languages whose denials follow the answer: "उत्तर 8 नहीं है".
FINAL = (
    "Turkish",
    "Persian",
    "Urdu",
    "Hindi",
    "Bengali",
    "Marathi, Gujarati, Punjabi",
    "Tamil, Telugu, Kannada, Malayalam",
)
EDGE = r"(?:[\s$*_.)\]}]|\\[)\]])*"
VERBS = r"(?:\s*(?:ist|war|es|est|è|é|är|er|jest|to|is|это|είναι|هو|είν|adalah|là|était|kann|sein)\s+)?(?:\w+\s+)?"
NEGATED_BEFORE = re.compile(
    rf"(?<!\w)(?:{any_of(' '.join(NEGATIONS.values()))})(?!\w)\W*(?:\w+\W+){{0,2}}(?:\\[(\[]|[\s$*(])*$"
    rf"|(?:{any_of(ENDINGS)})[^\s,;]{{0,6}}(?:\\[(\[]|[\s$*(])*$|不存在[^,;]{{0,20}}$"
    rf"|(?<!\w)(?:{any_of(' '.join(WRONG.values()))})(?!\w)",
    re.IGNORECASE,
)
NEGATED_AFTER = re.compile(
    rf"{EDGE}(?:(?:[이가는은]|が|は|で|是)?\s*(?:{any_of(ENDINGS)})"
    rf"|(?:{any_of(' '.join(NEGATIONS[name] for name in FINAL))})(?!\w)"
    rf"|{VERBS}(?:{any_of(' '.join((*WRONG.values(), *(NEGATIONS[name] for name in FINAL))))})(?!\w))",
    re.IGNORECASE,
)
# Within an unmarked statement: "nicht 8", "不是8", "8이 아닙니다".
NEGATED_VALUE = re.compile(
    rf"(?<!\w)(?:{any_of(' '.join(NEGATIONS.values()))})(?!\w)\W*(?:\w+\W+){{0,2}}(?:\d|[dt]?frac|sqrt|pi\b)|{any_of(ENDINGS)}"
    rf"|[\d$)}}][이가는은]?\s*(?:{any_of(' '.join((*WRONG.values(), *(NEGATIONS[name] for name in FINAL))))})(?!\w)",
    re.IGNORECASE,
)
# A later sentence that takes an answer back.
WITHDRAWN = re.compile(
    r"(?:等等|等一下|不对|我(?:之前)?(?:算|弄|搞|看)错|有误|更正|计算错误|答案(?:应该|应当|应)是|実は|間違え|訂正|잠깐|틀렸|정정"
    r"|(?<!\w)(?:espera|me equivoqué|corrección|espere|errei|correção|moment mal|moment,|warte|korrektur|ich habe mich"
    r"|attends|attendez|je me suis trompée?|aspetta|mi sono sbagliato|correzione|подожди\w*|стоп|я ошиб\w+|исправ\w+"
    r"|wacht|vänta|czekaj|bekle|hata yaptım|tunggu)(?!\w))",
    re.IGNORECASE,
)
