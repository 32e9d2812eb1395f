"""Words around a letter that deny it, doubt it or leave it to others, in all languages, and later ones that retract it.

A denied letter may be an item of a contrast ("not A but C"), which `filters.choices.phrases` reads on its own.
"""

import re

from filters.choices.letters import CAPITAL
from filters.text.assertion.languages import ENDINGS, NEGATED_AFTER, NEGATIONS, WRONG, any_of
from filters.text.assertion.stance import CROSSED, CROSSED_BEFORE, REMARK, REMARKED

CONTRAST = re.compile(r"\b(?:but|however|yet|whereas|nevertheless|still|instead)\b|;|但|然而|而", re.IGNORECASE)
# Before a letter, anywhere in its sentence since the last contrast: a choice of others, or one made for want of better.
OTHERS = re.compile(
    r"\b(?:students?|people|many|most|some|others|candidates|test[- ]takers|beginners|everyone|nobody|no one|no-one"
    r"|one)\b[^.,]{0,25}\b(?:choose|chose|pick|select|say|said|answer|think|thought|go|guess|believe|opt)\w*\b"
    r"|\b(?:forced|compelled|pressed)\s+to\b|\b(?:had|have)\s+to\s+(?:guess|choose|pick)|\bif\s+pressed\b"
    r"|\b(?:at\s+first|initially|originally|mistakenly|wrongly|randomly|blindly)\b|\brandom\b|\bgut\s+feeling\b"
    r"|\b(?:my|the)\s+(?:first|initial|original|earlier)\s+(?:guess|thought|instinct|answer|choice)\b"
    r"|\btempt(?:ed|ing|s)\b|\b(?:common|typical|frequent|usual)\s+(?:mistake|error|misconception)"
    r"|\b(?:friend|teacher|book|textbook|classmate|colleague|student|manual|author)s?\s+(?:says?|said|claims?|claimed|thinks?"
    r"|thought|chose|picked|answered|wrote)\b|\bif\b[^.]{0,80}\b(?:had|were|was|asked|could|did)\b[^.]{0,60}\bwould\b"
    r"|\b(?:it\s+is|it's)\s+(?:false|untrue|not\s+true|wrong|incorrect)\b",
    re.IGNORECASE,
)
# Right before "answer" or its like: an answer that is not the right one.
NOT_THE_ANSWER = re.compile(
    r"\b(?:least\s+(?:likely|plausible|probable|convincing)|worst|unlikely|tempting|distractor|trap|decoy"
    r"|second[- ]best)\W*$"
    rf"|(?<!\w)(?:{any_of(' '.join(WRONG.values()))}|mauvaise?|falsche[rns]?|foute|felaktiga|неверн\w+"
    r"|неправильн\w+"
    r"|ошибочн\w+|хибн\w+)(?!\w)|(?:错误|不正确)的?\W*$",
    re.IGNORECASE,
)
NOT_WORDS = re.compile(rf"(?<!\w)(?:{any_of(' '.join(NEGATIONS.values()))})(?!\w)|{any_of(ENDINGS)}", re.IGNORECASE)
# Right after a letter: words of being wrong in any language, and a clause about the claim itself.
WRONG_AFTER = re.compile(
    r"\s*(?:[\u2014\u2013-]\s*)?(?:(?:ist|est|es|är|er|is|это|є|là|adalah|είναι|هو|هي)\s+)?(?:невер\w+|неправил\w+|ошибоч\w+|невірн\w+|хибн\w+"
    r"|خاطئ\w*|fel|feil|mauvais\w*)(?!\w)|\s*的?[^A-Z,.;!?\uff0c\u3002\uff1b\n]{0,8}(?:错误|不正确|不对|不成立|是错)"
    r"|\s*(?:아님|じゃありません|じゃない)",
    re.IGNORECASE,
)
LETTER_ALONE = re.compile(r"(?<!\w)[A-J](?!\w)")
RETRACTED = re.compile(
    r"(?:^|[.!?\n]\s*|[,;]\s*)(?:wait|oops|no|sorry|hold\s+on|hm+|correction|actually|on\s+second\s+thoughts?|apologies"
    r"|rather|i\s+mean[t]?|scratch\s+that)\b\W+(?:(?:it|this|that|the|i|we|should|must|would|be|is|has|have|been|to"
    r"|mean[t]?|say|choose|pick|correct|right|final|actually|really|answer|option|choice|s|think|so|no|sorry)\W+)*"
    rf"(?-i:{CAPITAL})(?=\s*(?:[.!,;)\n*]|$|is\s+(?:correct|right)))",
    re.IGNORECASE,
)


def denied_before(before: str) -> bool:
    """Return whether the sentence before a choice, up to its first word, says that it is not the writer's own."""
    return OTHERS.search(CONTRAST.split(before)[-1]) is not None


def denied_after(tail: str) -> bool:
    """Return whether the text right after a letter crosses it out or calls it wrong."""
    if CROSSED.match(tail) or NEGATED_AFTER.match(tail) or WRONG_AFTER.match(tail):
        return True
    remark = REMARKED.match(tail)
    return remark is not None and REMARK.search(remark[1]) is not None and not LETTER_ALONE.search(remark[1])


def crossed_out(before: str) -> bool:
    """Return whether a mark right before a letter crosses it out."""
    return CROSSED_BEFORE.search(before) is not None


def retracted(later: str, letters: frozenset[str]) -> bool:
    """Return whether a later sentence names another letter in place of these: "Oops, I mean C"."""
    return any(match.group(1) not in letters for match in RETRACTED.finditer(later))
