"""Texts in the place of an answer: they say where the answer is, or that there is none."""

# ruff: noqa: E501  (patterns, one alternative a line)

import re

from filters.text.short_answer import unwrapped

SOURCES = (
    r"(?:solutions?|answers?|explanations?|proofs?|remarks?|comments?|hints?|above|below|figures?|diagrams?|graphs?|tables?"
    r"|attach\w*|images?|pictures?|texts?|links?|appendix|book|back of the book|previous \w+|next \w+|discussion|p\.?|page)"
)
MEDIUM = (
    r"(?:images?|img|pictures?|figures?|fig|diagrams?|graphs?|tables?|attachments?|pdf|link|video|photo|screenshot|asy)"
)
PLACEHOLDER = re.compile(
    r"\W*(?:(?:the\s+)?(?:answer|solution)\s*:\s*)?(?:"
    rf"(?:as\s+)?(?:see|refer to|cf\.?|check|look at|consult|given in|shown in|explained|found in)\s+(?:in\s+)?(?:the\s+|my\s+)?"
    rf"(?:(?:full|attached|given|official|detailed|complete|above|following|model|\w+'s)\s+)*{SOURCES}"
    rf"(?:\s+(?:above|below|attached|for (?:details|the (?:answer|solution|proof))|section|p\.|page|\d+))*"
    r"|(?:the\s+)?(?:solution|answer|proof|result|explanation|derivation)s?\s+"
    r"(?:is\s+|are\s+|has been\s+|was\s+)?(?:omitted|required|needed|missing|not (?:given|provided|available|shown|known|included)"
    r"|unavailable|above|below|attached|as above|in the (?:text|book|attachment|image|figure|solution|comments?)|here"
    r"|complete|follows)|(?:[\w\s]+\s)?left (?:to|as)\s+(?:the|an?)\s+(?:reader|student|exercise)\b.*"
    r"|(?:the\s+)?(?:answers?|results?|solutions?|responses?)\s+(?:(?:may|will|can|might)\s+vary|var(?:y|ies))"
    r"|(?:this\s+is\s+a\s+)?proofs?(?:\s+(?:problem|question|below|above))?|proof\s+by\b.*|prove[dn]?|shown\s+above"
    r"|q\.?\s?e\.?\s?d\.?|as\s+(?:required|desired|claimed|above|shown|stated)(?:\s+above)?"
    r"|n\s?/\s?a|n\.\s?a\.|nan|null|none\s+(?:given|provided|available)|tbd|tba|todo|to be (?:determined|added|announced|done)"
    r"|not (?:given|provided|available|applicable|found|specified)|no (?:answer|reference|response)"
    r"(?:\s+(?:given|provided|available|found|yet))?|no solution (?:given|provided|available|yet)|place\s?holder|your answer(?: here)?|(?:insert|enter|type|put) (?:the |your )?answer(?: here)?"
    r"|answer here|(?:open[- ]ended|multiple)(?: (?:answers?|questions?))"
    rf"|(?:the\s+)?{MEDIUM}\s+(?:here|omitted|missing|above|below|attached|not (?:shown|available))"
    r"|(?:请|答案)?(?:详|参|参考|请|另)?[见看](?:题目)?(?:参考)?(?:解析|解答|答案|图|上|下|附件|详解|证明|过程|视频|课本|教材)\w*"
    r"|证明(?:见\w*|略|过程\w*|题|如[上下])?|(?:答案|解答|过程|解析|证明)?(?:略|省略|暂无|未给出)|暂无(?:答案|解析)?|无(?:答案|解析)"
    r"|如[图上下]|(?:得证|证毕)|略|見解答|解答参照|省略|해설\s?참조|풀이\s?참조|생략"
    r"|см\.?\s*(?:решение|ответ|рисунок|выше|ниже)|доказано|доказательство|нет ответа"
    r"|siehe (?:lösung|oben|unten|abbildung)|beweis|voir (?:la )?(?:solution|figure|ci-dessus|ci-dessous)|véase \w+|ver (?:solución|figura)"
    r")\W*",
    re.IGNORECASE,
)
PICTURE = re.compile(
    rf"\s*(?:[\[(<{{]\s*{MEDIUM}\s*\d*\s*[\])>}}]|!\[[^\]]*\]\([^)]*\)|<(?:img|image|figure)\b[^>]*>|\[asy\].*\[/asy\])\s*",
    re.IGNORECASE | re.DOTALL,
)
LINK = re.compile(r"\s*(?:https?://|www\.)\S+\s*", re.IGNORECASE)


def is_placeholder(text: str) -> bool:
    """Return whether a text only says where an answer is or that there is none: "see solution", "N/A", a picture."""
    bare = unwrapped(text)
    return any(pattern.fullmatch(bare) is not None for pattern in (PLACEHOLDER, PICTURE, LINK))
