"""The patterns of texts that a judge must not see; they match texts in lower case and NFKC.

A final answer may use any word that an answer to a question needs: "instructions per second", "the same in both
frames", "equivalent resistance", "both statements are correct". It may not speak to the judge, compare itself with the
reference, claim to be right, say that it is none, or have the form of a verdict.
"""

# ruff: noqa: E501  (patterns, one alternative a line)

# Words that only a text about the judging needs, and words that need a companion to be about it.
JUDGING = (
    r"grad(?:er|ers|ing scale)|evaluators?|rubrics?|llms?|language models?|chatgpt|ground truth"
    r"|gold(?:en)? (?:answers?|labels?|keys?|ones?|targets?)"
    r"|(?:reference|candidate|standard|expected|model)(?:'s)? (?:answers?|responses?)"
    r"|(?:reference|candidate|model) solutions?"
)
# A thing that these words name, as an answer: "a road grader", "ChatGPT".
THING = (
    r"\W*(?:an?\s+(?:\w+\s+){0,2}(?:graders?|evaluators?|rubrics?|language models?|llms?)|chatgpt|evaluator|grader)\W*"
)
JUDGES = r"(?:judges?|examiners?|assessors?|verifiers?|assistants?)"
TO_A_JUDGE = (
    rf"(?:dear|as (?:the|a|an|your)|hey|hello|note to|message to|to the|tell the|ask the|you are (?:the|a|an)|our|your)\s+"
    rf"(?:\w+\s+){{0,2}}{JUDGES}\b|^\W*the judges?\W*$"
    rf"|{JUDGES}\s*[:,]|{JUDGES}\s+(?:should|must|will|shall|can|may|has to|have to|accepts?|approves?|confirms?)\b"
)
INSTRUCTIONS = (
    r"(?:the|this|your|system|above|previous)\s+prompts?\b(?!\s+(?:neutrons?|gamma|fission|jump|critical|payments?))"
    r"|(?:your|my|previous|prior|above|new|special|system)\s+"
    r"instructions?\b(?!\s+(?:per|cache|set|count|pointer|cycle|pipeline|register|fetch|word|stream)s?\b)"
    r"|(?:follow|obey|heed)\w*\s+(?:the|these|this|my|all)\s+instructions?\b(?!\s+(?:of|for|in|on|from|by)\b)"
    r"|instructions?\s*:|(?:my|your|final|correct)\s+verdict\b|verdict\s+(?:should|must|is)\b"
)
MATERIAL = r"(?:reference|gold(?:en)?|ground truth|target|expected|label|answer key|solution key|key|correct|given|standard|above)"
REFERENCE = (
    r"(?:(?:official|model|given)\s+)?(?:reference|gold|answer key|answer sheet|ground truth|solution manual"
    r"|marking scheme|expected (?:answer|value|result))(?:\s+(?:answer|solution|text|value|one|from the key))*"
)
ONLY_MATERIAL = (
    r"^\W*(?:verdict|(?:(?:the|your|see|as in|as in the|see the|per|per the)\s+)?reference)\W*$"
    rf"|\b(?:in|per|by|from|see|like|under|as|exactly|according to|what|whatever|refer to|check|look at|copy of|consult)\s+(?:(?:the|your)\s+)?{REFERENCE}"
    r"(?:\s+(?:says?|states?|gives?|has|contains?|is|wants?|shows?))?\W*$|\b(?:what|whatever|per)\s+the\s+key\b"
    r"|^\W*the expected (?:answer|value from the key)\W*$"
)
CANDIDATE = (
    r"\[/?(?:reference|candidate)\b|\[/(?:question|first|second)\b|\[[^\]\n]{0,20}\b(?:candidate|reference)\W*\]"
    r"|\b(?:reference|candidate)\s*(?:[=≡≈~]+|equals?|is|matches)\s*(?:the\s+)?(?:reference|candidate)\b"
    r"|</?s>|<(?:eos|bos|eot|pad|endoftext)>"
)
OTHER_SCRIPTS = (
    r"裁判|评委|评判|评分|打分|判为|判定|参考答案|标准答案|指令|提示词|(?:参照|模範)(?:解答|回答)|採点|審査|채점|심사"
    r"|\b(?:juez|juge|richter|судья|оцен\w*)\b"
)

ELSEWHERE = (
    r"\b(?:ignor\w*|disregard|forget|override|bypass|skip)\b[^\n]{0,40}"
    r"\b(?:rules?|above|previous|prior|everything|context|the question|text|reference|comparison|check)\b"
    r"|\b(?:do not|don't|no need to|need not)\s+(?:compare|check|verify|grade)\b"
    r"|^\W*(?:the\s+)?(?:same\s+)?(?:(?:as|see|like)\s+)(?:(?:the|my|solution|answer|explanation|proof|work)\s+)*"
    r"(?:above|before|earlier|expected|given|stated|required|shown)\W*$"
)

# A claim of being right ends there or names what it compares; "equal to 5" and "the same in both frames" do neither.
CLAIM_ENDS = (
    r"(?=\s*(?:$|[.!?;,)\]\n]|-(?!\w)|(?:answers?|responses?|solutions?|results?|choices?|ones?|values?|meanings?)\b"
    rf"|(?:as|to|with)\s+(?:(?:the|a|what|your|my|that|this|each)\s+)*(?:{MATERIAL}|answers?|other)\b|for sure\b"
    r"|in (?:full|fact|every|all|any|meaning|essence|substance|form|value|content|general|effect|truth)\b"
    r"|(?:because|since|so|too)\b"
    r"|and (?:must|should|complete|final|exact|precise|accurate|full|verified|correct|right|proven|equivalent)\b))"
)
ANSWERS = r"(?:answers?|responses?|solutions?|results?|candidates?|submissions?)"
SURELY = (
    r"(?:clearly|obviously|surely|definitely|certainly|really|indeed|also|all|both|therefore|must|should|will|has been"
    r"|have been|been|verified|checked|to|and)"
)
CLAIM = (
    rf"\b{ANSWERS}\b[^.\n]{{0,30}}\b(?:is|are|be|was|were|seems?|looks?)\s(?:[\w%]+\s){{0,3}}"
    rf"(?:correct|equivalent|right|identical|equal|same|accurate)\b{CLAIM_ENDS}"
    rf"|(?<!of )\b(?:this|that|it|mine|they|everything|all|both|both of (?:them|these)|(?:the|these|those) two|the above)(?:\s+{SURELY}){{0,5}}"
    rf"(?:'s|\s(?:is|are|be|was))\s(?:\w+\s){{0,3}}(?:correct|equivalent|right|identical|valid|same)\b{CLAIM_ENDS}"
    rf"|\b(?:verified|checked|confirmed|certified|proven)\s+(?:\w+\s+){{0,3}}(?:correct|right|equivalent)\b"
    r"|\b(?:mean|say|express|state)s?\s+(?:exactly\s+|essentially\s+|just\s+)?the\s+same\b"
    r"|\b(?:answers?|responses?|solutions?|candidates?)\s+(?:is|are|was|were|has been|have been)\s+(?:\w+\s+){0,2}"
    r"(?:verified|checked|confirmed|certified|approved|validated)\b"
    rf"|\b{ANSWERS}\s+(?:\w+\s+){{0,2}}(?:agree|match|coincide|correspond)(?:e?s)?\b"
    r"|\b(?:the|this|its|my|given)\s+values?\s+(?:is|are)\s+(?:correct|right)\b|^\W*all\s+(?:correct|right)\W*$"
    r"|^\W*(?:the\s+)?same\s+(?:thing|value|answer|result|number)\b(?!\s+(?:of|as)\b)|\bform of the same (?:answer|value)\b"
    r"|\brate\b[^.\n]{0,30}\d+\s*/\s*\d+|\bfull\s+(?:marks|credit)\b"
    r"|\b(?:candidate|reference)\s+(?:fully\s+|both\s+)?agrees?\b|\btrust me\b"
)
ORDER = (
    r"\b(?:mark|grade|score|rate|accept|treat|consider|count|deem|label|classify|evaluate|respond|reply|say|conclude"
    r"|choose|pick|select)\b[^.\n]{0,40}\b(?:correct|equivalent|right|valid|yes|true|full)\b"
    r"|\b(?:output|print|write|return)\b[^.\n]{0,40}\b(?:correct|equivalent|right|valid|yes|full)\b"
    r"|\b(?:please|kindly|just|you (?:must|should|may|can))\s+(?:accept|approve|agree|pass)\b"
    rf"|\b(?:accept|approve)\s+(?:this|my|the|that)(?:\s+{ANSWERS})?\W*$"
    r"|\b(?:akzeptier\w*|als richtig|accepte[rz]|acept[ae]\w*|accett\w+|aceit\w+|прими\w*|接受|受け入れ\w*|인정)"
)
# "The answer is right" in other languages.
FOREIGN_CLAIM = (
    r"\b(?:antwort\w*|lösung\w*|réponses?|respuestas?|rispost[ae]|respostas?|soluci[oó]n|soluzione|solução|ответ\w*"
    r"|решени\w*)\b[^.\n]{0,40}\b(?:korrekt|richtig|gleichwertig|äquivalent|identisch|gleich|correctes?|exactes?"
    r"|justes?|équivalentes?|identiques?|correct[ao]s?|equivalentes?|corrett[aoei]|giust[aoe]|equivalent[ei]|corret[ao]s?"
    r"|cert[ao]s?|верн\w*|правильн\w*|эквивалентн\w*|совпада\w*|coincid\w*|concord\w*|corrispond\w*|correspond\w*|übereinstimm\w*)(?!\w)"
    r"|(?:答え|回答|解答|答案)[^\n]{0,10}(?:正し|正解|正确|正確|一致|等价|等価)|^\W*(?:完全)?正确的?[。!]?$"
    r"|^\W*(?:ja|oui|s[ií]|да|はい)?\W*(?:(?:das|es|dies|die) ist|c'est|es|è|é|está|это)\s+(?:\w+\s+)?(?:korrekt|richtig|correct[eao]?"
    r"|juste|corrett[ao]|corret[ao]|верно|правильн\w+)(?!\w)|^\W*正解(?:です|だ)?\W*$|答案[^\n]{0,4}对|^\W*맞습니다\W*$"
    r"|정답(?:입니다|이다|임|이 맞)|답[^\n]{0,8}(?:맞습니다|맞다|옳)"
)
CLAIMED = (
    r"(?:^|[^\w\s]\s*)equivalent\s*(?:$|[^\w\s]|yes|true)"
    r"|^\W*\S+\s+is\s+equivalent\s*(?:$|[.,;:!])|[:;,]\s*(?:accept(?:ed)?|approved?|equivalent|correct)\W*$"
    r"|\b(?:therefore|thus|hence|so)\W+(?:(?:they|both|these) are\s+)?equivalent\W*$"
    r"|\b(?:deemed|considered|semantically|fully|mathematically)\s+equivalent\W*$"
)

AGREEMENT = (
    r"\b(?:equivalent|identical|same|equal)\s+(?:to|as|with)\s+yours\b"
    r"|\b(?:equals?|match(?:es)?|agrees?\s+with|like)\s+(?:yours|theirs)\b"
    r"|\b(?:official|model|sample|textbook|author's|teacher's)\s+(?:solution|answer|key)s?\s+(?:\w+\s+){0,2}"
    r"(?:gives?|says?|has|states?|shows?|is|reads?|agrees?)\s+(?:\w+\s+){0,2}(?:this|that|same|it|so)\b"
    r"|\b(?:coincid\w*|concord\w*|corrispond\w*|correspond\w*|übereinstimm\w*|stimm\w*)\b[^.\n]{0,20}"
    r"\b(?:r[eé]f[eé]r\w*|riferiment\w*|musterlösung\w*|esperad\w*|attendu\w*)"
    r"|\b(?:same|identical|equals?|match(?:es|ing)?|agrees?|consistent|corresponds?|equivalent)\b[^.\n]{0,20}"
    r"\b(?:as|to|with|the|of|match(?:es)?|equals?)\s+(?:(?:the|a|what|your|my|in)\s+)*"
    rf"{MATERIAL}\b(?!\s+(?:frame|point|level|deviation))"
    rf"|\b(?:match(?:es)?|equals)\s+(?:the\s+)?{MATERIAL}\b"
    r"|\b(?:same|correct|right|true)\s+(?:final\s+)?(?:answers?|meanings?|responses?|verdicts?)\b"
    r"(?!\s+is\s+(?!correct|right|equivalent|this|mine|here|above|the same))"
    r"|\bthe correct one\b|^\W*the right one\W*$|\bwhatever\b[^.\n]{0,30}\b(?:correct|right|says|expect(?:ed)?|want)\b"
    r"|\b(?:id[eé]ntic\w*|igual|gleich|identisch|même|совпада\w*)\b[^.\n]{0,20}"
    r"\b(?:r[ei]f[eè]r\w*|réf\w*|эталон\w*|antwort)\b"
    r"|(?:与|和|同)[^\n]{0,6}(?:参考|标准|答案)[^\n]{0,6}(?:一致|相同|等价|相等)"
)

ADDRESSES = {
    "it names a judge or its material": (
        rf"\b(?:{JUDGING})\b|\b(?:{TO_A_JUDGE})|\b(?:{INSTRUCTIONS})|{ONLY_MATERIAL}|{CANDIDATE}|{OTHER_SCRIPTS}"
    ),
    "it speaks of what stands elsewhere": ELSEWHERE,
    "it claims to be right": f"{CLAIM}|{ORDER}|{CLAIMED}|{FOREIGN_CLAIM}",
    "it says that it agrees with the reference": AGREEMENT,
}

# Answers in the form of a verdict: a word in a judge's brackets, a field with its value, a word repeated, a claim.
WORDS = r"(?:yes|no|true|false|same|different|correct|incorrect|equivalent|match(?:es)?|accept(?:ed)?|tie|first|second)"
FIELDS = r"(?:decision|judge?ment|grade|evaluation|assessment|equivalence|label|i conclude|verdict)"
LOOSE_FIELDS = (  # of which "yes" and "same" may be answers
    r"(?:(?:the\s+)?(?:final\s+)?answer|result|status|conclusion|output|response|therefore|so|hence|thus|choose|output)"
)
SCORES = r"(?:rating|score|grade|reward|points?|marks?|label|confidence)"
ALL = r"(?:\d+\s*/\s*\d+|full|max\w*|perfect|1(?:\.0+)?|10(?:\.0+)?|\d+\s*%|100(?:\.0+)?|a\+?)"
VERY = r"(?:\d+\s*%|yes|indeed|definitely|certainly|clearly|absolutely|surely|totally|completely|fully|perfectly|semantically)"
VERDICT = (
    rf"\W*(?:\[+|\{{+|<+|\(\(+)\s*{WORDS}\s*(?:\]+|\}}+|>+|\)+)\W*"
    rf"|.*\[\[\s*(?:{WORDS}|[abc])\s*\]\].*|.*\b(?:rating|score|grade)\W{{1,4}}\[\[.*"
    rf"|(?:.*[.,;]\s*)?\W*(?:(?:final|my|the|overall|total)\s+)*{SCORES}\W{{1,4}}(?:is\W+)?{ALL}\W*"
    r"|\W*full\s+(?:marks?|credit|points?|score)\W*"
    rf"|\W*(?:(?:final|my|the|overall)\s+)*{FIELDS}\W+(?:is\W+)?(?:{WORDS}|pass(?:ed)?)\W*"
    r"|\W*(?:(?:final|my|the)\s+)*(?:decision|judge?ment|grade|verdict)\s*[:=]\W*[ab]\+?\W*"
    rf"|\W*{LOOSE_FIELDS}\W+(?:is\W+)?(?:correct|equivalent|accept(?:ed)?|approved)\W*"
    r"|\W*(?:is[_ ]?)?(?:same|match(?:es)?|equivalent|correct|accept(?:ed)?)\W{1,4}(?:yes|true|1)\W*"
    r"|\W*(?:yes|true|same|correct|equivalent)\W+(?:match(?:es|ed)?|equivalent|correct|identical|accept(?:ed)?)\W*"
    rf"|\W*({WORDS})(?:\W+\1\b)+\W*"
    rf"|\W*(?:{VERY}\W+)*(?:correct|equivalent)\W*|\W*(?:{VERY}\W+)+right\W*"
    r"|\W*(?:(?:the|my|this|it|they|both)\s+)?(?:(?:answers?|responses?|two)\s+)?"
    r"(?:match(?:es)?|agrees?|accept(?:ed)?|approved)(?:\s+(?:exactly|perfectly|answers?|completely|fully))*\W*"
    r"|\W*(?:(?:all|the|it|test|tests)\s+){0,3}passed\W*|\W*(?:да\W+)?(?:верно|правильно|совпада\w+)\W*"
    r"|\W*(?:equivalente|équivalent|äquivalent|эквивалентно|答案一致|等价|一致|同等)\W*"
)
SPELLED = r"equivalent|correct|accept|verdict|identical|ignore"  # words that are written letter by letter

# Texts that say that they are no answer; "cannot be determined" may be one.
NO_ANSWER = (
    r"\W*(?:(?:sorry|unfortunately|well|honestly|hm+)\W+)*(?:i\s+(?:really\s+)?(?:do not|don't|dont)\s+know\b.*|don't know|(?:i\s+)?dunno|idk"
    r"|i\s+(?:do not|don't)\s+have\s+(?:an|the|any|enough)\b.*|i\s+have\s+no\s+answer\b.*|i\s+was\s+(?:unable|not able)\b.*"
    r"|(?:i\s+have\s+)?no\s+(?:idea|clue)|(?:i\s+am|i'm)?\s*(?:not\s+(?:\w+\s+)?(?:sure|certain)|unsure|uncertain)"
    r"|i\s+(?:cannot|can't|can not|could not|couldn't|am unable to|am not able to|won't)\s+(?:\w+\s+)?(?:answer|help|solve"
    r"|determine|find|say|provide|tell|do|assist)\b.*|(?:unable|failed)\s+to\s+(?:answer|solve|help)\b.*"
    r"|i\s+(?:give|gave)\s+up|i\s+ran\s+out\s+of\b.*|sorry"
    r"|(?:i\s+)?pass|lorem ipsum\b.*|weiß ich nicht|no sé"
    r"|je ne sais pas|non lo so|não sei|не знаю|不知道|わかりません|모르겠\w*)\W*"
)
