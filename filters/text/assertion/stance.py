"""Stances of the sentences around an answer: they assert it, deny it, only suppose it, or take it back later.

Every search is within a bounded number of characters.
"""

# ruff: noqa: E501  (patterns, one alternative a line)

import re

from filters.text.assertion.languages import NEGATED_AFTER, NEGATED_BEFORE, NEGATED_VALUE, WITHDRAWN

BEFORE_CHARS, AFTER_CHARS, LATER_CHARS = 200, 200, 1500
SENTENCE = re.compile(r"(?<!\d)[.!?]+(?=\s|$)|(?<=\d)[.!?](?=\s|$)|[。\uff01\uff1f\n]")
# What begins the clause that states the answer; what stands before it is a reason.
CLAUSE = re.compile(
    r"[,;:\uff0c\uff1b\uff1a]|\b(?:so|thus|hence|therefore|then|but|instead|rather|because|since|as|and|is that|donc|also|luego|entonces)\b|所以|因此|故|而是",
    re.IGNORECASE,
)
SENTENCE_DENIES = re.compile(
    r"\b(?:(?:common|typical|usual|frequent|popular|obvious|tempting|naive|na\u00efve|intuitive|careless|hasty)\s+(?:\w+\s+)?"
    r"(?:answer|response|guess|mistake|error|value|result|choice|solution)"
    r"|(?:wrong|incorrect|false|mistaken|erroneous|flawed|bogus)\s+(?:\w+\s+)?(?:answer|response|value|result|solution|guess|conclusion)"
    r"|(?:it(?:'s|\s+is)|would\s+be|might\s+be|one\s+is|you(?:'re|\s+are)|we(?:'re|\s+are))\s+(?:very\s+)?(?:tempt\w+|a\s+mistake|wrong|incorrect|false)"
    r"|(?:it\s+is|it's)\s+(?:false|untrue|not\s+true|not\s+the\s+case|incorrect|wrong|doubtful|unlikely)\s+that"
    r"|no\s*body|no[\s-]one|(?:some|many|most|few)(?:\s+(?:people|students|would|might|may|could|will)){0,2}\s+(?:say|think|answer|claim|believe|guess)"
    r"|(?:students|people)\s+(?:often|usually|tend)"
    r"|(?:one|you)\s+(?:might|may|could|would)\s+(?:\w+\s+)?(?:think|say|guess|answer|expect|assume|believe|conclude|get)"
    r"|(?:i|we)\s+(?:strongly\s+|really\s+|highly\s+)?(?:doubt|don't\s+think|do\s+not\s+think|don't\s+believe|do\s+not\s+believe|disagree|refuse)"
    r"|far\s+from"
    r"|(?:my|the|our)\s+(?:initial|original|first|previous|earlier)\s+(?:answer|guess|thought|result|attempt|calculation)\s+(?:of|was|gave)"
    r"|anything\s+(?:but|other\s+than)|everything\s+(?:but|except)|any\s+(?:number|value)\s+(?:but|except)|other\s+than"
    r"|by\s+no\s+means|under\s+no\s+circumstances"
    r"|(?:had|if)\b[^.]*\b(?:were|had|was|could|did)\b[^.]*\bwould)\b",
    re.IGNORECASE,
)
# Right before the answer, behind the verb: what a relative clause denies ("the k that does not ...") is no denial.
CLAUSE_DENIES = re.compile(
    r"\b(?:not|cannot|never|nowhere|n't)\s+(?:\w+\s+){0,2}$|n't\s+(?:\w+\s+){0,2}$|\b(?:suppos\w+|assum\w+|pretend\w*|imagine|unless|whether)\b"
    r"|\b(?:answers?|value|result|solution|it|that)\s+(?:is|was|are)\s+(?:\w+\s+)?(?:not|never|nowhere|neither|hardly)\b"
    r"|\b(?:i|we)\s+(?:initially|originally|mistakenly|wrongly|incorrectly|erroneously)\s+\w+",
    re.IGNORECASE,
)
ENGLISH = re.compile(r"\b(?:the|of|that|are|be|we|answer|get|equals|have)\b", re.IGNORECASE)
REMARK = re.compile(
    r"\b(?:wrong|incorrect|false|invalid|rejected|reject|extraneous|discarded|inadmissible|impossible|mistaken|not\b|guess\w*"
    r"|unsure|uncertain|probably|maybe|perhaps|unverified|untrue|erroneous|contradict\w*|tentative\w*|\?)",
    re.IGNORECASE,
)
REMARKED = re.compile(r"[\s$.)\]}]*(?:\\q?quad|\\[,;: )\]]|[\s$*_])*(?:\\text\w*\s*\{)?\s*[(\[]([^()\[\]]{1,60})[)\]]")
PRONOUN = r"(?:this|that|it|which|(?:the|my|our|above)(?:\s+(?:above|previous|earlier|boxed|first|initial|final))?\s+(?:answer|result|value|solution|claim|conclusion|computation|calculation|reasoning|work))"
BAD = (
    r"(?:wrong|incorrect|not\s+(?:right|correct|valid|true|the|possible|an?)|invalid|(?:a|an|the)\s+(?:mistake|error|trap|misconception|wrong)|false|flawed"
    r"|impossible|mistaken|erroneous|rejected|extraneous|absurd|nonsense|unverified|(?:only|just|merely)\s+an?\s+(?:guess|estimate))"
)
IS = r"(?:'s|\s+is|\s+was|\s+would\s+be|\s+must\s+be|\s+seems|\s+cannot\s+be|\s+can't\s+be|\s+turns\s+out\s+to\s+be)"
# The rest of the sentence behind the answer.
REST_DENIES = re.compile(
    rf"^(?:[\s$*_.)\]}}]|\\[)\]])*(?:\\text\w*\s*\{{)?\s*,?\s*(?:(?:but|though|although|however|and)\s+)?(?:{PRONOUN}\s*)?{IS}\s+(?:clearly\s+|actually\s+|obviously\s+)?{BAD}"
    r"|\b(?:but|although|though|however|yet)\b.*\b(?:unknown|unclear|wrong|incorrect|flaw\w*|mistake\w*|double[\s-]?count\w*|over[\s-]?count\w*|invalid"
    r"|could\s+not|couldn't|cannot|can't|not\s+(?:sure|certain|right|correct|the)|unproven|no\s+solution)"
    r"|\b(?:exact|true|actual)\s+(?:\w+\s+)?(?:is|remains)\s+(?:unknown|unclear|undetermined|open)|\b(?:is|remains)\s+(?:unclear|unknown|undetermined)"
    r"|\b(?:fails|is\s+rejected|is\s+excluded|is\s+ruled\s+out|doesn't\s+work|does\s+not\s+work|leads\s+to\s+a\s+contradiction)\b",
    re.IGNORECASE,
)
CROSSED = re.compile(
    r"^[\s$)*_\]}]*(?:\\[)\]])?\s*(?:[\u2717\u2718\u274c\u2716\u00d7\u2613\u26d4]|~~|\\times\s*\$)|^[\s$]*\\(?:neq?|not\s*=)"
)
CROSSED_BEFORE = re.compile(
    r"(?:[\u2717\u2718\u274c\u2716\u26d4][\s$*(\[]*|~~[$*]*)(?:\\[(\[])?$"
    r"|(?:[\d}]\s*\$|\\\)|\d)\s+(?:or|oder|ou|o|oppure|或)\s+[\s$]*(?:\\[(\[])?\s*$"
)
LATER = re.compile(
    rf"\b{PRONOUN}\s*(?:{IS}\s+(?:clearly\s+|actually\s+|obviously\s+|all\s+)?{BAD}|\s+(?:is|was)n't\s+(?:right|correct)|\s+(?:can't|cannot)\s+be\s+(?:right|correct|true|it)"
    r"|\s+contradicts\s+(?:the|our|what))"
    r"|\bI(?:'ve|\s+have)?\s+(?:just\s+)?(?:made|found|notice\w*|spot\w*|see)\s+(?:a|an|my|the)\s+(?:\w+\s+)?(?:error|mistake|slip|typo|bug|flaw)"
    r"|\bI\s+(?:was\s+(?:wrong|mistaken)|mis(?:calculated|counted|read|took|added|applied|interpreted)|take\s+(?:that|it)\s+back|retract|withdraw|messed\s+up|forgot)"
    r"|\b(?:my|a)\s+mistake\b(?!\s+(?:would|to))|\bscratch\s+that\b|\b(?:ignore|disregard)\s+(?:that|the\s+above|my|this)|\bnever\s*mind\b"
    r"|\b(?:i|we)\s+mean[t]?\s+(?:to\s+(?:say|write)\s+)?(?:\\?\$|\\\(|-)*\d|\bthat\s+is\s+a\s+mistake\b"
    r"|(?:^|[.!?\n]\s*|[,;]\s*)(?:wait|oops|sorry|no|hold\s+on|hmm+|correction|actually|on\s+second\s+thou?ghts?|apologies|whoops|scratch)\b[^\n]{0,160}?"
    r"\b(?:should\s+be|must\s+be|is\s+(?:actually|really|instead)|(?:correct|right|true|real|actual|final)\s+(?:\w+\s+)?is|wrong|incorrect|mistake|error|invalid|can(?:'t|not)\s+be)"
    r"|(?:^|[.!?\n]\s*)(?:no|oops|correction|sorry|apologies|actually|rather)\s*[,.:!\u2014-]*\s*(?:it(?:'s|\s+is)\s+|the\s+answer\s+is\s+)?(?:\\?\$|\\\(|\\boxed|-)*\d"
    r"|\b(?:correct|right|true|real|actual)\s+(?:answer|value|result)\s+(?:is|should|must|would)"
    r"|(?:^|[.!?\n]\s*|[,;]\s*)(?:(?:but|so|therefore|thus)\s+)?the\s+(?:\w+\s+)?(?:answer|value|result)\s+should\s+(?:be|have\s+been)"
    r"|\b(?:they|the\s+\w+)\s+are\s+not\s+(?:fair|equal|valid)\b|\b(?:we\s+get|leads\s+to|reach|this\s+is|which\s+is)\s+a\s+contradiction\b"
    r"|\b(?:no|not\s+any)\s+solutions?\s+exists?\b",
    re.IGNORECASE,
)
SAME = re.compile(r"(?:is|be|indeed)\s+(?:indeed\s+|really\s+|actually\s+)?(?:correct|right)\b", re.IGNORECASE)
# A formula goes on around a box.
OPEN_FORMULA = re.compile(
    r"(?:[-+*/^_\u00b1\u00d7\u00f7\u221a\u2212]|\\(?:pm|mp|cdot|times|div|sqrt|sin|cos|tan|log|ln)|\\(?:sqrt|[dt]?frac)(?:\[\d+\])?(?:\{[^{}]*\})?\{|\\[dt]?frac|\\not|\d|\\cancel\w*\{|\\sout\{|[\^_]\{|(?<![A-Za-z\\])[a-z])(?:\\left)?\(?\s*$"
)
FORMULA_BEGINS = re.compile(r"\$|\\[(\[]|\n|\\begin\{[a-z]+\*?\}")
GOES_ON = re.compile(
    r"(?:\\[,;: ]|\s)*(?:\^(?!\s*\{?\s*(?:\\circ|\\degree|\\prime|\u00b0))|_|!(?!\s*(?:$|[\n$]))|[+*/\u00b1\u00d7\u00f7](?!\s*(?:$|\n|\*))|-\s*[\d\\A-Za-z]"
    r"|\\(?:pm|mp|cdot|times|div|sqrt|pi|sin|cos|[dt]?frac|left|neq?|leq?|geq?|lt|gt)(?![a-z])(?!\s*\\text)(?!\s*10\s*\^)|[<>\u2264\u2265\u2260](?![|/])|\\not)"
)
FACTOR = re.compile(r"(?:\\[,;: ])?[a-zA-Z](?![A-Za-z])(?<![mgsNJVWKCLhAF])|\{?\(|\d")
NO_FORMULA = re.compile(r"[A-Za-z]{2}\s+[a-z]\s*$|(?:^|\s)(?:[-*+]|\d)\s*$")  # a bullet, or an article
IN_FORMULA = re.compile(r"^[^\n$]*(?:\$|\\[)\]])")
# A sentence that only sets out to look at a value, without a conclusion.
SUPPOSED = re.compile(
    r"^\W*(?:(?:so|now|then|next|first|finally|and|but|ok|okay|again|we|i|you|have|need|want|now|to|can|should|could|will|must|just|also|still)\b[\s,]*)*"
    r"(?:let(?:'s|\s+(?:us|me))?|suppos\w+|assum(?:e|ing)|try(?:ing)?|check(?:ing)?|test(?:ing)?|consider(?:ing)?|compute|calculate|examine"
    r"|where|imagine|substitut\w+|plug\w*|look\s+at|set|take|start\s+with|in\s+the\s+case|for\s+the\s+case|case)\b"
    r"(?!.*(?:\b(?:so|thus|hence|therefore|gives?|get|yields?|is|obtain|implies|equals)\b|=>|\u21d2|\\implies|\\Rightarrow|=.*=))",
    re.IGNORECASE | re.DOTALL,
)
HYPOTHESIS = re.compile(
    r"^\W*(?:(?:so|now|then|but|and)\b[\s,]*)*(?:suppos\w+|assum(?:e|ing)|imagine)\b(?!.*\b(?:so|thus|hence|therefore)\b)",
    re.IGNORECASE | re.DOTALL,
)
DANGLING = re.compile(
    r"(?:^|[.!?\n]\s*)(?:then|first|next|so|thus|hence|therefore|where|and|let|now|but)\b[,:]?\s*$", re.IGNORECASE
)


def denies(text: str, start: int, end: int) -> bool:
    """Return whether the text around text[start:end], which names an answer, does not stand by it."""
    before = SENTENCE.split(text[max(0, start - BEFORE_CHARS) : start])[-1]
    after = text[end : end + AFTER_CHARS]
    rest = SENTENCE.split(after, maxsplit=1)[0]
    clause = CLAUSE.split(before)[-1]
    if CROSSED.match(after) or CROSSED_BEFORE.search(before):
        return True
    if SENTENCE_DENIES.search(before) or CLAUSE_DENIES.search(clause):
        return True
    if (NEGATED_BEFORE.search(clause) and not ENGLISH.search(clause)) or NEGATED_AFTER.match(rest):
        return True
    if REST_DENIES.search(rest):
        return True
    remark = REMARKED.match(after)
    return (remark is not None and REMARK.search(remark[1]) is not None) or withdrawn(text[end : end + LATER_CHARS])


def withdrawn(later: str) -> bool:
    """Return whether the text behind an answer takes it back."""
    return LATER.search(later) is not None or WITHDRAWN.search(later) is not None


def within_formula(text: str, start: int, end: int) -> bool:
    """Return whether a box is a part of a formula, such as -[8] or [8]^2, and so not the answer itself."""
    before = FORMULA_BEGINS.split(shown := text[max(0, start - BEFORE_CHARS) : start])[-1]
    inside = "$" not in text[end : end + 1]
    if before.strip() and OPEN_FORMULA.search(before.rstrip(" ")) and not before.rstrip().endswith(("\\$", "**", "__")):
        in_line = not shown.removesuffix(before).endswith(("$", "(", "[", "}"))
        return "\\" in before or not (in_line and NO_FORMULA.search(before))
    after = text[end : end + AFTER_CHARS]
    if GOES_ON.match(after):
        return True
    return inside and IN_FORMULA.match(after) is not None and FACTOR.match(after) is not None


def negated(statement: str) -> bool:
    """Return whether a short statement denies its value in some language: "nicht 8", "8이 아닙니다"."""
    return NEGATED_VALUE.search(statement) is not None and not ENGLISH.search(statement)


def only_supposed(sentence: str) -> bool:
    """Return whether a sentence names a value only to look at it: "let x = 8", "the case k = 8", "next, try 8"."""
    return SUPPOSED.search(sentence) is not None or HYPOTHESIS.search(sentence) is not None


def stops_short(text: str) -> bool:
    """Return whether a text ends in a supposition or in the first word of a sentence, before it states an answer."""
    tail = text[-BEFORE_CHARS:].rstrip(" *")
    last = next((part for part in reversed(SENTENCE.split(tail)) if part.strip(" *$")), "")
    return DANGLING.search(tail) is not None or only_supposed(last) or (len(text) < BEFORE_CHARS and negated(text))
