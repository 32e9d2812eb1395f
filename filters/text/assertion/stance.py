"""Stances of the sentences around an answer: they assert it, deny it, only suppose it, or take it back later.

Every search is within a bounded number of characters.
"""

# ruff: noqa: E501  (patterns, one alternative a line)

import re

from filters.text.assertion.languages import (
    BUT_NOT,
    CONTRAST,
    COUNTERFACTUAL,
    DOUBTED,
    DOUBTED_AFTER,
    FAILS,
    NEGATED_BEFORE,
    NEGATED_REST,
    OR_AFTER,
    OR_BEFORE,
    UNSURE_AFTER,
    UNTRUE,
)
from filters.text.assertion.later import BAD, IS, PRONOUN, UNDONE, withdrawn
from filters.text.assertion.suppositions import breaks_off, supposes

BEFORE_CHARS, AFTER_CHARS, LATER_CHARS = 200, 200, 1500
BOX = re.compile(r"^\\+f?box(?:ed)?\s*\{(.*)\}$", re.DOTALL)
VALUE = re.compile(r"\$[^$]+\$|\\\(.+?\\\)|-?\d[\d.,/]*(?<![.,])")
SENTENCE = re.compile(r"(?<!\d)[.!?]+(?=\s|$)|(?<=\d)[.!?](?=\s|$)|[。\uff01\uff1f\n]")
# What begins the clause that states the answer; what stands before it is a reason.
CLAUSE = re.compile(
    r"[,;:\uff0c\uff1b\uff1a]|\b(?:so|thus|hence|therefore|then|but|instead|rather|because|since|as|and|is that|donc|also|luego|entonces)\b|所以|因此|故|而是",
    re.IGNORECASE,
)
SENTENCE_DENIES = re.compile(
    r"\b(?:(?:common|trap|typical|usual|frequent|popular|obvious|tempting|naive|na\u00efve|intuitive|careless|hasty)\s+(?:\w+\s+)?"
    r"(?:answer|response|guess|mistake|error|value|result|choice|solution)"
    r"|(?:wrong|incorrect|false|mistaken|erroneous|flawed|bogus)\s+(?:\w+\s+)?(?:answer|response|value|result|solution|guess|conclusion)"
    r"|(?:it(?:'s|\s+is)|would\s+be|might\s+be|one\s+is|you(?:'re|\s+are)|we(?:'re|\s+are))\s+(?:very\s+)?(?:tempt\w+|a\s+mistake|wrong|incorrect|false)"
    r"|(?:it\s+is|it's)\s+(?:false|untrue|not\s+true|not\s+the\s+case|incorrect|wrong|doubtful|unlikely)\s+that"
    r"|no\s*body|no[\s-]one|(?:some|many|most|few)(?:\s+(?:people|students|would|might|may|could|will)){0,2}\s+(?:say|think|answer|claim|believe|guess)"
    r"|(?:students|people)\s+(?:often|usually|tend)"
    r"|(?:one|you)\s+(?:might|may|could|would)\s+(?:\w+\s+)?(?:think|say|guess|answer|expect|assume|believe|conclude|get)"
    r"|(?:i|we)\s+(?:strongly\s+|really\s+|highly\s+)?(?:doubt|don't\s+think|do\s+not\s+think|don't\s+believe|do\s+not\s+believe|disagree|refuse)"
    r"|far\s+from|likely\s+(?:am|are)(?:\s+(?:wrong|mistaken))?"
    r"|(?:my|our|the)\s+(?:initial|original|first|previous|earlier)\s+(?:answer|guess|thought|result|attempt|calculation)\s+(?:of|was|gave)"
    r"|any\s+(?:number|value)\s+(?:but|except)|other\s+than"
    r"|(?:previously|formerly|once|initially|originally)\b[^.]*\b(?:thought|believed|claimed|said)|(?:was|were)\s+(?:once\s+)?(?:thought|believed)\s+to\s+be"
    r"|(?:square|cube|half|double|twice|triple|reciprocal|negative|opposite|logarithm|log|digits|root|digit\s+sum|remainder|factorial|absolute\s+value|sum|product)\s+of\s+(?:the\s+digits\s+of\s+)?(?:the|our|my)\s+(?:final\s+)?answer\s+is"
    r"|answer(?:,\s+(?:when|if|once|after)\s+\w+,|\s+(?:minus|plus|times|divided\s+by|multiplied\s+by|modulo|mod)\s+\S+|\s+(?:squared|cubed|doubled|halved))\s+is"
    r"|by\s+no\s+means|under\s+no\s+circumstances"
    r"|(?:had|if|were)\b[^.]*\b(?:answer|result|value|probability)\s+would"
    r"|at\s+first\s+(?:glance|sight)|(?:i|we)(?:'m|'d|\s+am|\s+would|\s+can\s+only)?\s+(?:just\s+|only\s+)?guess\w*|my\s+(?:\w+\s+)?guess|(?:had|have|forced)\s+to\s+guess|a\s+(?:\w+\s+)?guess|(?:i\s+don't|i\s+do\s+not)\s+know|not\s+(?:entirely\s+|really\s+|quite\s+|at\s+all\s+)?(?:sure|certain)"
    r"|(?:im)?possible\s+that|somewhere|no\s+way|(?:forg[eo]t\w*|neglect\w*|overlook\w*)\b[^.]*\b(?:get|gives?|obtain)|(?:wrong|incorrect|flawed|mistaken|faulty)\s+(?:approach|method|reasoning|calculation|way|assumption))\b",
    re.IGNORECASE,
)
# Right before the answer, behind the verb: what a relative clause denies ("the k that does not ...") is no denial.
CLAUSE_DENIES = re.compile(
    r"(?:\b(?:not|cannot|never|nowhere)|n't)\s+(?:(?:be|equals?|to|exactly|simply|just|necessarily|the|an?|answer|value|number|even|actually|always|really|quite|x|write|say|use|choose|put|give|get|have|possibly)\s+){0,3}$|\b(?:maybe|perhaps)(?:\W+\w+){0,4}\W*$|\b(?:it|that|answer|value|result)\s+(?:could|might|may)\s+(?:\w+\s+)?be\W*$|\b(?:almost|nearly|close\s+to|barely)\W*$|\b(?:suppos\w+|assum\w+|pretend\w*|imagine|unless|whether)\b"
    r"|\b(?:answers?|value|result|solution|it|that(?!\s+are))\s+(?:is|was|are)\s+(?:\w+\s+)?(?:not|never|nowhere|neither|hardly)\b(?:\W+\w+){0,2}\W*$"
    r"|\b(?:i|we)\s+(?:initially|originally|mistakenly|wrongly|incorrectly|erroneously)\s+\w+"
    r"|\b(?:exceeds|differs\s+from|(?:different|distinct|far)\s+from|between|exclude\w*|reject\w*|discard\w*|eliminat\w+|ignor\w+|rul\w+\s+out)\s*\W*(?:\w\s*=\s*)?[\s$(]*$"
    r"|\b(?:try|check|test|verify|say)\W*$|\b(?:it|answer|result|value)\s+(?:is|must\s+be|has\s+to\s+be)\s+(?:strictly\s+)?(?:at\s+(?:least|most)|below|above|under|over|up\s+to|no\s+(?:more|less)\s+than|(?:more|less|greater|smaller|larger|fewer)\s+than)\W*$"
    r"|\bn't\s+be\W*$",
    re.IGNORECASE,
)
LABEL = re.compile(r"[\s$]*(?:\\?[A-Za-z]+(?:_\{?\w+\}?|\(\w+\))?\s*=\s*)?[\s$]*")  # of an answer: "x_1 ="
# Right before an answer that stands for another: an example, one that is called wrong, or one in whose place another stands.
EXAMPLE = re.compile(
    r"(?:\b(?:instead\s+of|rather\s+than|(?:any|every)thing\s+(?:but|except|other\s+than))|(?:^|[\n.:(*]\s*)\(?(?:wrong|incorrect|false)\b\)?:?|not\s+(?:\w+\s+)?(?:sure|certain),?\s+but)[\s$(]*$|\b(?:e\.\s?g\.,?|for\s+(?:example|instance),?|example(?:\s+\w+)?:|box(?:es)?\s+(?:like|such\s+as)|format:)[\s$(]*$",
    re.IGNORECASE,
)
GAVE_UP = re.compile(
    r"\b(?:(?:could|can|was|am|were)(?:\s+not|n't)|cannot|unable\s+to|not\s+able\s+to|failed\s+to)\s+(?:able\s+to\s+)?(?:find|determine|get|work\s+out|solve)\s+(?:the|an?|this)\s+(?:\w+\s+)?(?:answer|solution|problem)"
    r"|\b(?:answer|problem|solution)\s+can(?:not|'t)\s+be\s+(?:determined|found|solved)|\bout\s+of\s+time\b",
    re.IGNORECASE,
)
# A turn within a sentence; what stands before it is said of another answer.
TURN = re.compile(
    rf"\b(?<!anything\s)(?<!everything\s)(?<!nothing\s)(?:but|however|yet|so|thus|hence|therefore|whereas|actually|really)\b|(?:^|,\s*)(?:it|the\s+(?:correct|right|true|actual|real)?\s*(?:answer|result|value))\s+(?:is|equals)\b(?=\W*(?:\\\W*)?(?:boxed)?\W*$)|{CONTRAST.pattern}",
    re.IGNORECASE,
)
NOT_HARD = re.compile(
    r"\bnot\s+(?:so\s+|too\s+|very\s+)?(?:hard|difficult)\b|\bguess[\s-]+and[\s-]+check\b", re.IGNORECASE
)
ENGLISH = re.compile(
    r"\b(?:the|that|are|be|we|answer|get|equals?|have|he|she|they|there|this|from|with|thus|hence|therefore|number|value|sum|which|makes)\b",
    re.IGNORECASE,
)
REMARK = re.compile(
    r"舍|错误|錯誤|不合|增根|不適|부적|rejet[ée]|verworfen|descartad|rechazad|scartat|odrzuc|отброш|не\s+подходит|unbrauchbar"
    r"|\b(?:wrong|incorrect|false|invalid|rejected|reject|extraneous|discarded|inadmissible|impossible|mistaken|not\b|guess\w*"
    r"|unsure|uncertain|probably|maybe|perhaps|unverified|untrue|erroneous|contradict\w*|tentative\w*|depending\s+on|\?)",
    re.IGNORECASE,
)
REMARKED = re.compile(r"[ $.)\]}]*(?:\\q?quad|\\[,;: )\]]|[ $*_])*(?:\\text\w*\s*\{)?\s?[(\[]([^()\[\]]{1,60})[)\]]")
# The rest of the sentence behind the answer.
REST_DENIES = re.compile(
    rf"^(?:[\s$*_.)\]}}\"\u201d]|\\[)\]])*(?:\\text\w*\s*\{{)?\s*,?\s*(?:(?:but|though|although|however|and)\s+)?(?:{PRONOUN}\s*)?(?:{IS}\s+(?:clearly\s+|actually\s+|obviously\s+)?(?:{BAD}|{UNDONE})|\s+(?:is|was)n't\s+(?:right|correct|the|possible|valid|it)"
    r"|\s+(?:does\s*n't|does\s+not|fails\s+to)\s+(?:work|satisfy|hold|fit|solve)|,?\s+I\s+(?:guess|suppose)|\s+as\s+a\s+guess|\s+would\s+(?:be|have\s+been)\s+(?:the|right|correct|my|it)\b|(?:\s+is|\s+was)?(?:\s+(?:only|just))?\s+for\s+(?:the\s+first\s+part|part\s+(?:\(?[a1i]\)?|one))(?!\w)|,?\s+but\s+(?:I|we|mine|ours)\b.*\b(?:disagree|get|is)\b|,?\s+which\s+is\s+a\s+typo|;.*\bno\s+answer\s+exists|,?\s+or\s+(?:so|something|thereabouts|others?)\b|,?\s*(?:probably|maybe|perhaps|possibly)\b|\s+(?:and|or)\s+(?:above|below|up|higher|lower|beyond)\b|\s+at\s+(?:most|least)\b|\s+would\s+(?:be|have\s+been)\b[^.]*\bif\b|\s+(?:is|was)\s+(?:only\s+)?for\s+part\b|\s+\(?or\s+-?\d[\d.,]*,?\s+depending\b|,\s*(?:a\s+contradiction|impossible|absurd)|\s+(?:might|could|may)\s+be\s+(?:the|right|correct|wrong|it)\b|\s+(?:was|is)\s+(?:my\s+first|what\s+(?:most|many)|a\s+(?:common|typical|frequent))\b)"
    r"|\b(?:but|although|though|however|yet)\b.*\b(?:unknown|unclear|wrong|incorrect|flaw\w*|mistake\w*|double[\s-]?count\w*|over[\s-]?count\w*|invalid"
    r"|could\s+not|couldn't|cannot|can't|not\s+(?:sure|certain|right|correct|the)|unproven|no\s+solution)"
    r"|\b(?:exact|true|actual)\s+(?:\w+\s+)?(?:is|remains)\s+(?:unknown|unclear|undetermined|open)|\b(?:is|remains)\s+(?:unclear|unknown|undetermined)"
    r"|\b(?:fails|(?:wo|would)n't\s+work|(?:which\s+)?(?:contradicts|violates)|is\s+rejected|is\s+excluded|is\s+ruled\s+out|doesn't\s+work|does\s+not\s+work|leads\s+to\s+a\s+contradiction)\b",
    re.IGNORECASE,
)
FOR_WHICH = re.compile(r"\b(?:for|in|at)\s+which\b")  # "[8] values for which the claim fails"
# Inside a mark: crossed out, or asked.
INSIDE_DENIES = re.compile(r"[\u2717\u2718\u274c\u2716]|\?\s*\}*\s*$|\\text\w*\s*\{\s*never\b")
OTHER = re.compile(r"not\s+[-$\\\d]")  # "(not 9)" behind an answer
CROSSED = re.compile(
    r"^[\s$)*_\]}]*(?:\\[)\]])?\s*(?:[\u2717\u2718\u274c\u2716\u00d7\u2613\u26d4]|~~|\\times\s*\$)|^[\s$]*\\(?:neq?|not\s*=)"
)
CROSSED_BEFORE = re.compile(
    r"(?:[\u2717\u2718\u274c\u2716\u26d4][\s$*(\[]*|~~[$*]*|<(?:s|del|strike)>[\s$*]*)(?:\\[(\[])?$"
    r"|(?:[\d}]\s*\$|\\\)|\d)\s+(?:or|oder|ou|o|oppure|或)\s+[\s$]*(?:\\[(\[])?\s*$"
)
# A sentence that only sets out to look at a value, without a conclusion.
SUPPOSED = re.compile(
    r"^\W*(?:(?:so|now|then|next|first|finally|and|but|ok|okay|again|we|i|you|have|need|want|now|to|can|should|could|will|must|just|also|still)\b[\s,]*)*"
    r"(?:let(?:'s|\s+(?:us|me))?|suppos\w+|assum(?:e|ing)|try(?:ing)?|check(?:ing)?|test(?:ing)?|consider(?:ing)?|compute|calculate|examine"
    r"|where|imagine|say|substitut\w+|plug\w*|look\s+at|set|take|start\s+with|in\s+the\s+case|for\s+the\s+case|case)\b"
    r"(?!.*(?:\b(?:so|thus|hence|therefore|gives?|get|yields?|is|obtain|implies|equals)\b|=>|\u21d2|\\implies|\\Rightarrow|=.*=))",
    re.IGNORECASE | re.DOTALL,
)
HYPOTHESIS = re.compile(
    r"^\W*(?:(?:so|now|then|but|and)\b[\s,]*)*(?:suppos\w+|assum(?:e|ing)|imagine)\b(?!.*\b(?:so|thus|hence|therefore)\b)",
    re.IGNORECASE | re.DOTALL,
)
DANGLING = re.compile(
    r"(?:^|[.!?\n]\s*)(?:then|first|next|so|thus|hence|therefore|where|and|let|now|but)\b[,:]?\s*$|(?<!:)[,:]$|[,;:]\s*(?:we|i|we\s+have|then|so|the)$|\bwe(?:\s+(?:(?:would|will|must)\s+)?(?:have|get|need|find))?$"
    r"|\b(?:gives?|yields?|produces|leads\s+to|means|implies)(?:\s+(?:us|that))?$|\bfor\s+(?:instance|example)\.?$|^\W*(?:first|next|then|now)\W+(?:i|we)(?:'ll|\s+will|\s+shall|\s+need\s+to|\s+must)\s+(?:\w+\s+)?(?:compute|calculate|find|check|consider|try|look)\b[^.\n]*$",
    re.IGNORECASE,
)


def gives_up(shown: str) -> bool:
    """Return whether the text before an answer says that there is none, without a turn."""
    last = list(GAVE_UP.finditer(shown))
    return bool(last) and not re.search(r"\b(?:but|however|yet|still|although)\b", shown[last[-1].start() :])


def denies(text: str, start: int, end: int) -> bool:
    """Return whether the text around text[start:end], which names an answer, does not stand by it."""
    shown = text[max(0, start - BEFORE_CHARS) : start]
    before = SENTENCE.split(shown)[-1]
    after = text[end : end + AFTER_CHARS]
    rest = SENTENCE.split(after, maxsplit=1)[0]
    if CROSSED.match(after) or CROSSED_BEFORE.search(before) or EXAMPLE.search(shown) or gives_up(shown):
        return True
    if denied_in_english(before, rest) or denied_elsewhere(before, rest) or has_alternative(before, rest):
        return True
    remark = REMARKED.match(after)
    if remark is not None and REMARK.search(remark[1]) and not OTHER.match(remark[1]):
        return True
    return withdrawn(text[end : end + LATER_CHARS], BOX.sub(r"\1", text[start:end]))


def denied_in_english(before: str, rest: str) -> bool:
    """Return whether the sentence around an answer denies it, in English."""
    turned = TURN.split(NOT_HARD.sub("", before))[-1] or ""
    clause = CLAUSE.split(turned)[-1]
    if SENTENCE_DENIES.search(turned) or CLAUSE_DENIES.search(clause):
        return True
    return REST_DENIES.search(FOR_WHICH.split(rest, maxsplit=1)[0]) is not None


def denied_elsewhere(before: str, rest: str) -> bool:
    """Return whether the sentence around an answer denies or doubts it in a language but English."""
    turned = CONTRAST.split(before)[-1]
    clause = CLAUSE.split(turned)[-1]
    if NEGATED_BEFORE.search(clause) and not ENGLISH.search(clause):
        return True
    if ENGLISH.search(before) or ENGLISH.search(rest):
        return NEGATED_REST.match(rest) is not None and not rest.isascii()
    if UNTRUE.search(turned) or DOUBTED.search(before if LABEL.fullmatch(turned) else turned):
        return True
    if FAILS.match(rest) or UNSURE_AFTER.search(rest) or (COUNTERFACTUAL.search(before) and BUT_NOT.search(rest)):
        return True
    return NEGATED_REST.match(rest) is not None or DOUBTED_AFTER.match(rest) is not None


def has_alternative(before: str, rest: str) -> bool:
    """Return whether the sentence around an answer names another one with it, in a language but English."""
    if ENGLISH.search(before) or ENGLISH.search(rest):
        return False
    return OR_BEFORE.search(CONTRAST.split(before)[-1]) is not None or OR_AFTER.match(rest) is not None


def negated(statement: str) -> bool:
    """Return whether a short statement denies its last value in some language: "nicht 8", "8이 아닙니다"."""
    last = next(reversed(list(VALUE.finditer(statement))), None)
    if last is None or ENGLISH.search(statement):
        return False
    return denied_elsewhere(statement[: last.start()], statement[last.end() :])


def only_supposed(sentence: str) -> bool:
    """Return whether a sentence names a value only to look at it: "let x = 8", "the case k = 8", "next, try 8"."""
    if SUPPOSED.search(sentence) is not None or HYPOTHESIS.search(sentence) is not None:
        return True
    return not ENGLISH.search(sentence) and supposes(sentence)


def stops_short(text: str) -> bool:
    """Return whether a text ends in a supposition or in the first word of a sentence, before it states an answer."""
    tail = text[-BEFORE_CHARS:].rstrip(" *")
    last = next((part for part in reversed(SENTENCE.split(tail)) if part.strip(" *$")), "")
    if DANGLING.search(tail) is not None or breaks_off(tail) or only_supposed(last):
        return True
    return len(text) < BEFORE_CHARS and negated(text)
