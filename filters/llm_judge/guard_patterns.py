"""The patterns of texts that a judge must not see; they match texts in lower case and NFKC.

A final answer may use any word that an answer to a question needs: "instructions per second", "the same in both
frames", "equivalent resistance". It may not speak to the judge, compare itself with the reference, or have the form of
a verdict.
"""

# Words that only a text about the judging needs, and words that need a companion to be about it.
JUDGING = (
    r"grad(?:er|ers|ing scale)|evaluators?|rubrics?|llms?|language models?|chatgpt|ground truth|the judges?"
    r"|gold(?:en)? (?:answers?|labels?|keys?|ones?|targets?)"
    r"|(?:reference|candidate|standard|expected|model) (?:answers?|responses?)|(?:reference|candidate|model) solutions?"
)
JUDGES = r"(?:judges?|examiners?|assessors?|verifiers?|assistants?)"
TO_A_JUDGE = (
    rf"(?:dear|as (?:the|a|an|your)|hey|hello|note to|message to|to the|you are (?:the|a|an)|our|your)\s+"
    rf"(?:\w+\s+){{0,2}}{JUDGES}\b"
    rf"|{JUDGES}\s*[:,]|{JUDGES}\s+(?:should|must|will|shall|can|may|has to|have to|accepts?)\b"
)
INSTRUCTIONS = (
    r"(?:the|this|your|system|above|previous)\s+prompts?\b"
    r"|(?:the|these|this|your|my|all|any|previous|prior|above|following|new|follow\w*|obey|special|important|system)\s+"
    r"instructions?\b(?!\s+(?:per|cache|set|count|pointer|cycle|pipeline|register|fetch|word|stream)s?\b)"
    r"|instructions?\s*:|(?:my|your|final|correct)\s+verdict\b|verdict\s+(?:should|must|is)\b"
)
MATERIAL = r"(?:reference|gold(?:en)?|ground truth|target|expected|label|answer key|key|correct|given|standard|above)"
ONLY_MATERIAL = r"^\W*(?:verdict|(?:(?:the|see|as in|as in the|see the|per|per the)\s+)?reference)\W*$"
OTHER_SCRIPTS = (
    r"裁判|评委|评判|评分|打分|判为|判定|参考答案|标准答案|指令|提示词|採点|審査|채점|심사"
    r"|\b(?:juez|juge|richter|судья|оцен\w*)\b"
)

ELSEWHERE = (
    r"\b(?:ignor\w*|disregard|forget|override|bypass|skip)\b[^\n]{0,40}"
    r"\b(?:rules?|above|previous|prior|everything|context)\b"
)

# A claim of being right ends there or names what it compares; "equal to 5" and "the same in both frames" do neither.
CLAIM_ENDS = (
    r"(?=\s*(?:$|[.!?;,)\]\n]|-|(?:answers?|responses?|solutions?|results?|choices?|ones?|values?|meanings?)\b"
    rf"|(?:as|to|with)\s+(?:(?:the|a|what|your|my|that|this|each)\s+)*(?:{MATERIAL}|answers?|other)\b|for sure\b"
    r"|in (?:full|fact|every|all|any|meaning|essence|substance|form|value|content|general|effect|truth)\b"
    r"|(?:because|since|so|too)\b|and (?:must|should)\b))"
)
SUBJECT = r"(?:this|it|my|mine|above|answers?|responses?|solutions?|results?|they|both|two)"
CLAIM = (
    rf"\b{SUBJECT}\b[^.\n]{{0,30}}\b(?:is|are|be|was)\s(?:\w+\s){{0,3}}"
    rf"(?:correct|equivalent|right|identical|equal|valid|same)\b{CLAIM_ENDS}"
)
ORDER = (
    r"\b(?:mark|grade|score|rate|accept|treat|consider|count|deem|label|classify|evaluate|respond|reply|say|conclude)\b"
    r"[^.\n]{0,40}\b(?:correct|equivalent|right|valid|yes|true|full)\b"
    r"|\b(?:output|print|write|return)\b[^.\n]{0,40}\b(?:correct|equivalent|right|valid|yes|full)\b"
)
CLAIMED = (
    r"(?:^|[^\w\s]\s*|\b(?:is|are|be|as|deemed|considered|fully|semantically|logically)\s+)equivalent"
    r"\s*(?:$|[^\w\s]|yes|true)|正确的?[。!]?$|答案(?:是|为)?正确"
)

AGREEMENT = (
    r"\b(?:same|identical|equals?|match(?:es|ing)?|agrees?|consistent|corresponds?|equivalent)\b[^.\n]{0,20}"
    r"\b(?:as|to|with|the|of|match(?:es)?|equals?)\s+(?:(?:the|a|what|your|my|in)\s+)*"
    rf"{MATERIAL}\b(?!\s+(?:frame|point|level|deviation))"
    rf"|\b(?:match(?:es)?|equals)\s+(?:the\s+)?{MATERIAL}\b"
    r"|\b(?:same|correct|right|true)\s+(?:final\s+)?(?:answers?|meanings?|responses?|verdicts?)\b"
    r"|\bthe correct one\b|\bwhatever\b[^.\n]{0,30}\b(?:correct|right|says|expected)\b"
    r"|\b(?:id[eé]ntic\w*|igual|gleich|identisch|même|совпада\w*)\b[^.\n]{0,20}"
    r"\b(?:r[ei]f[eè]r\w*|réf\w*|эталон\w*|antwort)\b"
    r"|(?:与|和|同)[^\n]{0,6}(?:参考|标准|答案)[^\n]{0,6}(?:一致|相同|等价|相等)"
)

ADDRESSES = {
    "it names a judge or its material": (
        rf"\b(?:{JUDGING})\b|\b(?:{TO_A_JUDGE})|\b(?:{INSTRUCTIONS})|{ONLY_MATERIAL}|{OTHER_SCRIPTS}"
    ),
    "it speaks of what stands elsewhere": ELSEWHERE,
    "it claims to be right": f"{CLAIM}|{ORDER}|{CLAIMED}",
    "it says that it agrees with the reference": AGREEMENT,
}

# Answers in the form of a verdict: a word in a judge's brackets, a field with its value, a word repeated, a claim.
WORDS = r"(?:yes|no|true|false|same|different|correct|incorrect|equivalent|match(?:es)?|accept(?:ed)?|tie|first|second)"
FIELDS = r"(?:decision|judge?ment|grade|evaluation|assessment|equivalence)"
VERDICT = (
    rf"\W*(?:\[+|\{{+|<+|\(\(+)\s*{WORDS}\s*(?:\]+|\}}+|>+|\)+)\W*"
    rf"|.*\[\[\s*(?:{WORDS}|[abc])\s*\]\].*|.*\b(?:rating|score|grade)\W{{1,4}}\[\[.*"
    r"|.*\b(?:rating|score|grade)\W{1,4}(?:\d+\s*/\s*\d+|full|max\w*|perfect)\W*"
    rf"|\W*(?:(?:final|my|the|overall)\s+)*{FIELDS}\W+(?:is\W+)?(?:{WORDS}|pass(?:ed)?|[ab]\+?)\W*"
    rf"|\W*({WORDS})(?:\W+\1\b)+\W*"
    r"|\W*(?:(?:the|my|this|it|they|both)\s+)?(?:(?:answers?|responses?|two)\s+)?"
    r"(?:match(?:es)?|agrees?|accept(?:ed)?|approved)(?:\s+(?:exactly|perfectly|answers?|completely|fully))*\W*"
    r"|\W*(?:equivalent|equivalente|équivalent|äquivalent|эквивалентно|答案一致|等价|一致|同等)\W*"
)
