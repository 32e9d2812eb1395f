"""Phrases that state a choice, in English, Chinese and the words of other languages for "answer" and "correct".

Each pattern ends in a list of letters, its group `letters`. Words stand in lower case; letters stand in capitals.
"""

# ruff: noqa: RUF001  (words of other scripts)

import re

from filters.choices.letters import CAPITAL, LIST, SMALL

ANSWER_WORDS = (
    "उत्तर जवाब উত্তর উত্তরটি জবাব جواب الجواب الإجابة الاجابة پاسخ 答え 正解 回答 解答 정답 답 답은 정답은"
    " ответ ответом відповідь відповіддю отговор απάντηση תשובה התשובה คำตอบ ตอบ விடை பதில் సమాధానం જવાબ ಉತ್ತರ"
    " ഉത്തരം ਜਵਾਬ පිළිතුර respuesta respuestas resposta réponse réponses antwort lösung risposta"
    " odpowiedź odpowiedzią odpověď odpoveď antwoord svar svaret vastaus răspunsul răspuns válasz jawaban"
    " jawabannya cevap cevabı yanıt odgovor jibu trả_lời đáp_án sagot erantzuna"
)
CORRECT_WORDS = (
    "सही সঠিক صحيح صحيحة درست صحیح 正确 正しい 정답 옳은 правильный правильная правильно верно верный верен верна"
    " правильна правильний correct correcta correcto correcte correta correto richtig korrekt corretta corretto"
    " prawidłowa poprawna správně juist rätt oikein corect corectă helyes certa giusta benar doğru sahihi đúng"
)
ARE_WORDS = (
    "es est lautet ist sind son sont é è sono são là jest są je är er on este adalah ialah yaitu ni है हैं"
    " হল হলো হবে to হচ্ছে هو هي است ہے это является є は は、 는 은 คือ"
)
CHOICE_WORDS = (
    "opción opcion letra inciso alternativa option lettre opção opzione lettera buchstabe buchstaben opcja opcją"
    " вариант вариантом варіант буква விருப்பம் বিকল্প অপশন ऑप्शन 選択肢 보기 विकल्प الخيار گزینه optie"
    " alternativ seçenek pilihan phương_án correct correcta correta the la le el il lo die der das den a o 选项 항 번"
)

NAMES = f"{ANSWER_WORDS} {CORRECT_WORDS} {CHOICE_WORDS} {ARE_WORDS} option choice answer"


def any_of(words: str) -> str:
    """Return the pattern of one of the words, the longest first; an underscore stands for a space."""
    return "|".join(re.escape(word).replace("_", r"\s") for word in sorted(set(words.split()), key=len, reverse=True))


THEN = (
    r"(?:\s*[:,]?\s*(?:options?|choices?|letters?|answers?|statements?|indeed|clearly|definitely|certainly|for sure"
    r"|simply|therefore|thus|most likely|likely|probably|just|actually|hence|obviously|in fact"
    r"|(?:i|we) (?:think|believe)|both|the|it is|it's|given by|correct|right|best|final|only)\b\s*[:,]?)*\s*"
)
IS = (
    r"(?:\s*(?:\bis\b|\bare\b|\bwas\b|\b(?:must|should|would|will|has to|have to) be\b|'s\b|[:=]|->|→|⇒"
    r"|\u2013|\u2014|-(?=\s)))"
)
ABOUT = r"(?:\s+(?:to|for|of|in)\s+[^.:;!?\n]{1,60}?|,?\s+(?:then|therefore|thus|hence),?)?"
SUBJECT = (
    r"(?<!\w)(?:answers?|ans\b\.?|(?:correct|right|best|final|chosen|my|only|appropriate|true)\s+(?:options?|choices?|letters?"
    r"|alternatives?|statements?|ones?|selections?)|(?:my|the)\s+(?:choice|selection|pick|letter))[\"']?"
)
LETTERS = rf"(?P<letters>{LIST})"
END_OF_ANSWER = r"(?=[ \t]*[)\].:]*[ \t]*(?:$|\n))"
CHINESE = (
    r"(?<![不没非未勿别])(?<![不没非未勿别][应能可会该])(?:答案|正确选项|正确的选项|正确的是|故选|应选|因此选|所以选|则选|可选|选择|选)"
    r"(?:应该|应当|[是为应选择即就:\s]|选项)*"
)
OPTION_WORD = r"(?:(?:option|choice|la|le|die|选项|é|è)\s*)?"
ANSWER, CORRECT, ARE, OPTION = map(any_of, (ANSWER_WORDS, CORRECT_WORDS, ARE_WORDS, CHOICE_WORDS))
ANSWER_NAME = re.compile(rf"(?<!\w)(?:{ANSWER}|answer|choice)(?!\w)", re.IGNORECASE)
FOREIGN = (
    rf"(?<!\w)(?:(?:{ANSWER})|(?:{OPTION})\s+(?:{CORRECT})(?!\w)|(?:{CORRECT})\s+(?:{OPTION}|{ANSWER}))"
    rf"(?P<gap>[^\nA-Za-z.;:।。?!]{{0,24}}?:?\s*(?:yang\s+)?(?:\b(?:{CORRECT})\b\s*)?(?:(?<!\w)(?:{ARE})(?!\w))?"
    rf"[\s:-]*(?:(?!(?-i:[A-J])\s)(?:{OPTION})\s+)*)"
)
# "Not A but C": the words for "not" before the letter, or those that follow it in languages that deny at the end.
NOT_A_BUT = (
    rf"(?:\bnot|\bnicht|\bno\s+es|\bn'est\s+pas|\bnon\s+è|\bnão\s+é|\bniet|\binte|\bikke|(?<!\w)не|不是|并非|不选|不为|非)\s*"
    rf"(?:(?:option|choice|la|le|die|选项)\s*)?(?-i:{CAPITAL})"
    r"\s*(?:,\s*)?(?:but(?:\s+rather)?|rather|sondern|sino|mais|ma|bensì|mas|maar|utan|men|а|而(?:应)?[是选为]|[是选])\s*"
    rf"|(?-i:{CAPITAL})\s*(?:(?:[가이]\s*)?아니라|ではなく)\s*,?\s*、?\s*"
)
STATED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:{NOT_A_BUT}){OPTION_WORD}{LETTERS}",
        rf"{SUBJECT}{ABOUT}{IS}{THEN}{LETTERS}",
        rf"(?<!\w)(?:answers?|ans\b\.?)\s*{LETTERS}{END_OF_ANSWER}",
        rf"{CHINESE}{LETTERS}",
        rf"{FOREIGN}{LETTERS}",
    )
)
STATED_SMALL = re.compile(
    rf"{SUBJECT}{ABOUT}{IS}{THEN}(?P<letters>(?-i:{SMALL}))(?=[ \t]*[).]*[ \t]*(?:$|\n|\.\s))", re.IGNORECASE
)
CHOSEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{LETTERS}\s+(?:is|are|must be)\s+(?:(?:the|therefore|thus|indeed|clearly|both|only|most|best)\s+)*"
        r"(?:correct|right|best|answers?|appropriate)\b(?!\s+(?:about|in|that|but|for))",
        rf"{LETTERS}\s*(?:项|选项)?\s*(?:是)?(?:正确|对的)",
        rf"{LETTERS}\s+(?:(?:{ARE})\s+)?(?:{CORRECT})(?!\w)",
        rf"\bonly\s+(?:option|choice|statement)?\s*{LETTERS}\s+(?:satisf\w+|works?|fits?|match\w*|remains?)\b",
        rf"\b(?:it's|it is|it must be|it has to be|(?:i|we)(?:\s+(?:would|will|should|am|are)|'d|'ll|'m)?\s+"
        rf"(?:choose|pick|select|go(?:ing)? (?:with|for)|chose|say|answer)"
        rf"|this leaves|that leaves|leaving|choose|select|pick|correct is)\s+"
        rf"(?:us\s+with\s+)?(?:option|choice|answer|letter|the letter)?\s*{LETTERS}",
        rf"(?:\b(?:therefore|hence|thus|so|consequently)\b|[∴⇒→]|=>)\s*,?\s*(?:option|choice)?\s*{LETTERS}{END_OF_ANSWER}",
    )
)
# Before a letter that is a part of a name: "Plan B is best".
NAMED = re.compile(
    r"\b(?:let|denotes?|call|programming\s+in|written\s+in|write\s+in|plan|vitamin|type|grade|class|group|point|team|hepatitis|side|line|angle|section|part|figure|phase|block|set|matrix"
    r"|company|person|city|town|car|train|box|bag|student|machine|player|vessel|tank|container|cell|gene|substance)\s+$",
    re.IGNORECASE,
)
LABEL = re.compile(rf"[^\n:]{{1,60}}:\s*{LETTERS}[.।。]?\s*", re.IGNORECASE)

# What takes a statement back: in the clause before it, in the rest of its sentence, or in what follows.
DENIED_BEFORE = re.compile(
    r"\b(?:not|never|neither|nor|none|wrong|incorrect|false|if|whether|suppose|unless|doubt|hardly|unlikely|cannot|assum\w+"
    r"|could|might|may|guess|eliminat\w+|except|other than|(?:everything|anything|nothing|all|any) but"
    r"|some (?:say|think|claim|believe))\b|n't\b"
    r"|(?:错误|不正确|如果|若|假设)\w*$",
    re.IGNORECASE,
)
DENIED_AFTER = re.compile(
    r"\W{0,3}\b(?:if|unless|only if|provided|or|nor|(?:is|was)\s+(?:also\s+)?(?:not|wrong|incorrect|false))\b"
    r"|\s*[)\].]*\?|\s*(?:不|错|吗|或|还是|नहीं|নয়|নয়|değil|ではない|じゃない|가 아니|이 아니|नही)",
    re.IGNORECASE,
)
# Right before a marked letter; "the statement that is not true is **B**" denies nothing.
DENIED_MARK = re.compile(
    r"(?:\b(?:not|never|neither|nor|except|than|of|eliminat\w+|exclud\w+|reject\w+|rul\w+ out)|n't)"
    r"\W*(?:options?|choices?|answers?)?\W*$|\b(?:wrong|incorrect|false)\s+(?:answer|option|choice)s?\b"
    r"|\b(?:if|whether|suppose|unless|doubt|might|could)\b",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:not (?:entirely |completely |really |too |very |so )?(?:sure|certain)|unsure|uncertain|guess\w*|no idea"
    r"|don't know|maybe|perhaps|possibly)\b",
    re.IGNORECASE,
)
REFUSED = re.compile(
    r"\b(?:not|never|wrong|incorrect|false|fails?|failed|eliminated|excluded|ruled out|rejected)\b|n't\b|错|不",
    re.IGNORECASE,
)
UNSURE = re.compile(rf"{HEDGE.pattern}|\b(?:could also|might also|either)\b", re.IGNORECASE)
WITHDRAWN = re.compile(
    r"\bwait\b|\bthat(?:'s| is) (?:wrong|incorrect|not (?:right|correct))\b|\bscratch that\b|\bi was wrong\b"
    r"|\bmy mistake\b|\bcorrection\b|\bon second thought\b|\bno,|\bactually\b|\bsorry\b",
    re.IGNORECASE,
)
# Right before a letter in other languages: "可能选B", "아마 C", and behind it: "Cかもしれません".
DOUBTED_BEFORE = re.compile(
    r"(?:可能|也许|也許|或许|或許|大概|我猜|猜测?|恐怕|多分|たぶん|おそらく|恐らく|아마도?|어쩌면|อาจ)(?:会|會|应该|應該)?(?:是|选|選|为)?[\s*(]*$"
    r"|(?<!\w)(?:quizás?|tal\s+vez|talvez|vielleicht|peut-être|forse|misschien|kanske|может\s+быть|возможно|наверное|belki|có\s+lẽ|mungkin|być\s+może|chyba|ربما|शायद)[\s*(]*$",
    re.IGNORECASE,
)
DOUBTED_BEHIND = re.compile(
    r"[\s*)]*(?:では?|이|가)?\s*(?:かもしれ|と思うが|일지도|일\s*수도|인\s*것\s*같|같(?:아요|습니다))"
)
# Behind a letter in bold type that names a thing: "**C** denotes the circle".
THING = re.compile(
    r"\s+(?:denotes?|lies|is\s+a\s+(?:constant|point|circle|set|letter|line|vitamin|programming\s+language)|is\s+(?:treated|water|fat))\b",
    re.IGNORECASE,
)
