"""Texts in the place of an answer: a value that means none, an error of a server, a refusal, an invented further turn.

Only what is the whole of an answer counts, so that an answer may speak of all these. Where a row has a reference, its
verifier judges: `None` and `[]` may be right.
"""

import re

LONGEST_CHARS = 400  # of an answer that is nothing but an error or a refusal
NOTHING = frozenset(
    {"[]", "{}", "null", "none", "nan", "undefined", "n/a", "<na>", "...", "\u2026", '""', "''", "[null]"}
)
_ERROR = re.compile(
    r"(?:\[?(?:api |server |internal |http |openai |vllm )*(?:error|exception)\]?(?: code)?:? ?(?:\d{3}\b|[:\-]).*|"
    r"(?:error|http)[: ]+\d{3}\b.*|traceback \(most recent call last\).*|"
    r"(?:\w+\.)*\w*(?:ratelimit|timeout|connection|apistatus|apiconnection|badrequest|internalserver)\w*error\b.*|"
    r"(?:rate limit (?:exceeded|reached)|too many requests|request timed out|connection (?:error|refused|reset)|"
    r"internal server error|bad gateway|service unavailable|gateway time-?out|cuda out of memory).*)",
    re.IGNORECASE | re.DOTALL,
)
_SORRY = (
    r"(?:(?:i['\u2019]?m|i am|we['\u2019]?re|we are) (?:very |really |so )?sorry|sorry|i apologi[sz]e|my apologies|"
    r"unfortunately)[,.;:\u2014\- ]+(?:but )?(?:i|we)"
)
_CANNOT = r"(?:can['\u2019]?t|cannot|can not|won['\u2019]t|(?:am|are|['\u2019]m|['\u2019]re) (?:unable|not able) to)"
_DO = r"(?:assist|help|comply|fulfill?|provide|answer|do|continue|create|generate|discuss|share|support)\b"
_REFUSAL = re.compile(
    rf"{_SORRY} ?{_CANNOT} (?:\w+ ){{0,2}}?{_DO}.*|i {_CANNOT} (?:assist|help|comply) with (?:that|this)\b.*|"
    rf"as an ai(?: language)?(?: model)?,? i {_CANNOT}\s.*",
    re.IGNORECASE | re.DOTALL,
)
_TURN = re.compile(r"\n[ \t]*\n(?:### ?)?(?P<who>Human|User|Instruction):(?=\s)")
_SPEAKER = re.compile(r"^[ \t>*_#-]*(?:human|user|assistant|ai|bot|system|gpt)\b[ *_]*:", re.IGNORECASE | re.MULTILINE)


def why_none(answer: str) -> str | None:
    """Return why a whole answer is none, such as a refusal; None: it may be one."""
    text = answer.strip()
    if len(text) > LONGEST_CHARS:
        return None
    if text.lower() in NOTHING:
        return "the answer says nothing"
    if _ERROR.fullmatch(text):
        return "an error stands in place of an answer"
    return "the model refused" if _REFUSAL.fullmatch(text) else None


def runs_on(answer: str) -> str | None:
    """Return the speaker of a turn that the model invented after its answer; None: there is none, or a dialogue."""
    if ":" not in answer or not (found := _TURN.search(answer)):
        return None
    before = answer[: found.start()].rstrip()
    if not before or before[-1] in ":\uff1a*#`" or _SPEAKER.search(before) or before.count("```") % 2:
        return None
    return found["who"]
