"""Language identification by script, and within a script by the most common words and letters.

It is meant for texts of a sentence or more in the languages of IFEval. It needs no model and no download, and is
deterministic. The word lists hold the function words that the languages of one script share least.
"""
# ruff: noqa: RUF001  (the module is about letters of other scripts)

import re
import unicodedata
from collections import Counter

SAMPLE = 20_000  # characters examined
SCRIPTS = {  # first word of a letter's Unicode name -> its language, or None if several languages use the script
    "LATIN": None,
    "CYRILLIC": None,
    "ARABIC": None,
    "DEVANAGARI": None,
    "GREEK": "el",
    "HEBREW": "he",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "THAI": "th",
    "HANGUL": "ko",
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
}
KANA_SHARE = 0.05  # share of kana among Chinese and Japanese letters above which a text is Japanese
WORDS = {
    "LATIN": {
        "en": "the of and to in is that it was for on are as with his they be at this have from or by not but",
        "es": "el los las del y que en un una es por con para su se no lo al como más pero sus le ya este",
        "pt": "o os as do da dos das e que em um uma é por com para não se na no ao mais como mas foi são você",
        "fr": "le les des du et est que dans une pour qui sur pas au ce il sont avec vous nous être cette mais plus",
        "de": "der die das und ist in den von zu mit sich auf für nicht ein eine dem des auch es an werden aus wir ich",
        "it": "il lo gli della di che è e un una per non con sono del le alla dei nel ma si anche più questo come",
        "nl": "de het een van en is dat op te zijn met voor niet aan er om ook als bij maar dan wordt deze naar uit",
        "pl": "i w na z do się nie jest że to jak o co ale od za po są tak przez dla tym jego który może",
        "vi": "và của là có không được cho một trong những với người này các để đã khi cũng đến tôi bạn từ nhiều như",
        "sw": "na ya wa kwa ni katika la za kuwa cha hii au kama ili hiyo yake zaidi lakini pia huo watu sana hii mimi",
        "fi": "ja on ei se että oli ovat mutta kun hän joka myös niin kuin tai ole olen jos sekä voi tämä sen minun",
        "sv": "och i att det som en på är av för med den till inte har de om ett han men var jag sig från vi",
        "tr": "ve bir bu için de da ile çok olarak daha gibi ne olan kadar sonra ama değil en her var o ki",
        "id": "dan yang di dengan untuk dari ini pada tidak adalah itu dalam akan ke juga saya mereka oleh ada bisa",
    },
    "CYRILLIC": {
        "ru": "и в не на что я с он как это по но они мы для из так же от был за вы или чтобы его ы э ё",
        "uk": "і в не на що я з він як це по але вони ми для із так та від був за ви або щоб його є ї ґ",
        "bg": "и в не на че аз с той като това по но те ние за от така е са да се ще или му има който към ъ",
    },
    "ARABIC": {
        "ar": "في من على إلى أن هذا التي الذي مع عن هو ما لا كان هذه ذلك بين كل أو قد لم ة",
        "fa": "و در به از که این است را با برای آن یک خود ما شما می است تا هم های شده پ چ گ ژ",
        "ur": "کے میں کی ہے اور سے کا کو اس نے پر یہ ہیں ایک کہ بھی نہیں آپ ہو تھا ٹ ڈ ڑ ے ں ہ",
    },
    "DEVANAGARI": {
        "hi": "है के में की और से का को हैं यह पर एक नहीं भी कि इस ने लिए हो था आप जो करने तो मैं",
        "mr": "आहे आणि या च्या मध्ये हे ते की तो ती आहेत एक नाही साठी पण होते मी आम्ही करण्यासाठी आपण त्या ही असे केले ळ",
        "ne": "छ र को मा लाई हो यो छन् पनि गर्न ले हुन्छ एक थियो तर भएको गरेको हामी तपाईं म छैन गर्नुहोस् हरू बाट",
    },
}
LEXICONS = {script: {code: frozenset(words.split()) for code, words in each.items()} for script, each in WORDS.items()}


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code; None if there are no letters or nothing tells the script's languages apart."""
    sample = unicodedata.normalize("NFC", text[:SAMPLE]).lower()
    letters = Counter(script_of(letter) for letter in sample if letter.isalpha())
    letters.pop(None, None)
    if not letters:
        return None
    kana = letters["HIRAGANA"] + letters["KATAKANA"]
    if kana > KANA_SHARE * (kana + letters["CJK"]):
        letters["HIRAGANA"], letters["CJK"], letters["KATAKANA"] = kana + letters["CJK"], 0, 0
    script = letters.most_common(1)[0][0]
    assert script is not None
    return SCRIPTS[script] or by_words(sample, LEXICONS[script])


def script_of(letter: str) -> str | None:
    """Return the name of a letter's script if it is one of SCRIPTS, else None."""
    name = unicodedata.name(letter, "").split(" ", 1)[0]
    return name if name in SCRIPTS else None


def by_words(sample: str, lexicons: dict[str, frozenset[str]]) -> str | None:
    """Return the language whose common words occur most often; a telling letter in a list counts at each occurrence."""
    counts = Counter(re.findall(r"[^\W\d_](?:[^\W\d_]|\u200c|[\u0900-\u0903\u093a-\u094f])*", sample))
    letters = Counter(sample)
    scores = {code: sum(counts[word] for word in words) for code, words in lexicons.items()}
    for code, words in lexicons.items():
        scores[code] += sum(letters[word] for word in words if len(word) == 1 and is_telling(word, lexicons))
    best = max(scores, key=lambda code: (scores[code], code == "en"))
    return best if scores[best] else None


def is_telling(letter: str, lexicons: dict[str, frozenset[str]]) -> bool:
    """Return whether a letter is listed because only this language uses it, not because it is a one-letter word."""
    return letter in "ыэёєїґъةپچگژٹڈڑےںہळ" and sum(letter in words for words in lexicons.values()) == 1
