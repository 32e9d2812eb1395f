"""The marks that models put around their thinking, and special tokens that decoding leaves in a text.

Sources: the models' chat templates, and the formats of public data sets of reasoning (OpenThoughts, Bespoke-Stratos).
A mark is an instance of itself only where the text does not merely mention it: in code, in quotes, before "tag".
"""
# ruff: noqa: RUF001  (marks of DeepSeek's models are spelled with full-width characters)

import re
from bisect import bisect_right
from collections.abc import Iterator

OPEN, CLOSE = "<think>", "</think>"

# Names of tags that hold thinking wherever they stand, and names that hold it only where a text begins with them.
SURE = r"(?:[a-z]{2,8}[:|])?think(?:ing|_fast|_faster)?|thoughts?"
LIKELY = r"reasoning|scratchpad|reflection|inner_monologue"
# Marks that are no tags: (opening, closing), as regular expressions.
TOKENS = (
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|think\|>", r"<\|/think\|>"),
    (r"<\|channel>[ \t]*(?:thought|analysis)\b", r"<channel\|>"),
    (r"<\|open\|>[ \t]*think[ \t]*<\|sep\|>", r"<\|close\|>[ \t]*think[ \t]*<\|sep\|>"),
    (r"<unused94>(?:thought\b)?", r"<unused95>"),
)
# Harmony: a message is a header with its channel, and its content up to the next of these tokens.
HARMONY_HEADER = (
    r"(?:<\|(?:end|return|call)\|>\s*)?(?:<\|start\|>\s*(?:assistant)?\s*(?P<to>to=[^\s<]+)?\s*)?<\|channel\|>\s*"
    r"(?P<channel>[a-z]+)(?P<rest>[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>"
)
_FINAL = (
    r"(?:<\|end\|>\s*)?(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*final[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
)
_ANALYSIS = r"<\|channel\|>\s*analysis[^<]*<\|message\|>"


_ATTRIBUTES = r"""(?:[ \t]+[\w:-]{1,40}=(?:"[^"<>\n]{0,200}"|'[^'<>\n]{0,200}'|[^\s"'<>]{1,80})){0,8}"""


def _tag(names: str, closing: bool = False) -> str:
    return rf"<[ \t]?/[ \t]?(?:{names})[ \t]*>" if closing else rf"<[ \t]?(?:{names}){_ATTRIBUTES}[ \t]*>"


_OPENINGS, _CLOSINGS = ("|".join(pair) for pair in zip(*TOKENS, strict=True))
OPENED = re.compile(f"{_tag(SURE)}|{_OPENINGS}|{_ANALYSIS}", re.IGNORECASE)
CLOSED = re.compile(f"{_tag(SURE, True)}|{_CLOSINGS}|{_FINAL}", re.IGNORECASE)
ANY_OPENED = re.compile(f"{OPENED.pattern}|{_tag(LIKELY)}", re.IGNORECASE)
ANY_CLOSED = re.compile(f"{CLOSED.pattern}|{_tag(LIKELY, True)}", re.IGNORECASE)
HARMONY = re.compile(HARMONY_HEADER, re.IGNORECASE)
HARMONY_END = re.compile(r"<\|(?:end|return|call)\|>\s*\Z")
ENDS_OPENED = re.compile(rf"(?:{ANY_OPENED.pattern})\s*\Z", re.IGNORECASE)
# Harmony whose special tokens a decoder has dropped.
GLUED = re.compile(r"analysis(?=[^a-z\s])(?P<reasoning>.*?)assistantfinal(?P<answer>.*)", re.DOTALL)

# Marks around the answer.
SOLUTION_OPEN = re.compile(
    r"\s*(?:<\|begin_of_solution\|>|<\|START_RESPONSE\|>|<\|open\|>[ \t]*response[ \t]*<\|sep\|>)", re.IGNORECASE
)
SOLUTION_CLOSE = re.compile(
    r"\s*(?:<\|end_of_solution\|>|<\|END_RESPONSE\|>|<\|close\|>[ \t]*response[ \t]*<\|sep\|>)\s*\Z", re.IGNORECASE
)

# Marks that a text may spell otherwise: escaped for HTML, or as the headings of HuatuoGPT-o1.
ESCAPED = re.compile(rf"\s*&lt;(?:{SURE})&gt;", re.IGNORECASE)
ESCAPED_MARK = re.compile(rf"&lt;(/?(?:{SURE}))&gt;", re.IGNORECASE)
HEADED = re.compile(r"\s*##[ \t]*Thinking[ \t]*\n")
HEADED_ANSWER = re.compile(r"^##[ \t]*Final Response[ \t]*$", re.MULTILINE)

# Blocks of an answer that are cut where they do not end.
BLOCK = re.compile(r"<answer>|<\|begin_of_solution\|>", re.IGNORECASE)
BLOCK_END = re.compile(r"</answer>|<\|end_of_solution\|>", re.IGNORECASE)

# Special tokens that stand in no text by themselves; `<s>` and the like may be HTML inside one.
_SPECIAL = (
    r"<\|(?:im_start|im_end|im_sep|endoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_text|"
    r"start|end|return|call|channel|message|constrain|eot|eom|endofturn|end_of_turn|start_of_role|end_of_role|"
    r"start_of_turn_token|end_of_turn_token|chatbot_token|user_token|system_token|assistant|user|system|observation|"
    r"python_tag|turn|sop|eop)\|?>|"
    r"<(?:start_of_turn|end_of_turn|turn\|)>?|<unused(?!9[45]>)\d{1,4}>|<extra_id_\d{1,4}>|\[/?INST\]|\[gMASK\]|<｜[^｜<>\n]{1,40}｜>|<\|end▁of▁sentence\|>"
)
_AT_THE_EDGE = r"<(?:eos|bos|pad|unk|/s|s|end_of_text|[a-z]{2,8}:(?:eos|bos))>|\[(?:EOS|BOS|PAD)\]"
_ROLE = r"(?:assistant|model)"
SPECIAL = re.compile(rf"{_SPECIAL}|<\|(?:(?:begin|end)_of_solution|(?:START|END)_RESPONSE)\|>", re.IGNORECASE)
_UNKNOWN = r"<\|/?[a-z][a-z0-9_]{2,40}\|>"  # the usual form of special tokens
CALL = re.compile(r"</?tool_(?:call|response)s?>|</?function_?calls?>|<function=[\w.-]+>|\[/?TOOL_(?:CALLS|RESULTS)\]")
STRAY = re.compile(f"{OPENED.pattern}|{CLOSED.pattern}|{SPECIAL.pattern}|{_UNKNOWN}|{CALL.pattern}", re.IGNORECASE)
ROLE_TOKEN = re.compile(_SPECIAL, re.IGNORECASE)  # of a turn that is no completion
ASKED_END = re.compile(rf"(?:(?:{_SPECIAL}|</s>|<eos>)\s*)+\Z", re.IGNORECASE)
LEADING = re.compile(
    rf"\s*(?:(?:<\|(?:im_start|start_header_id|start_of_role|turn)\|?>|<start_of_turn>|<\|start\|>(?=assistant<\|c))"
    rf"\s*{_ROLE}\s*(?:<\|(?:end_header_id|end_of_role|im_sep)\|>)?\n*|<s>(?!.{{0,500}}</s>\s*\S)|"
    rf"<\|(?:begin_of_text|endoftext|assistant|chatbot_token|start_of_turn_token|im_end|eot_id)\|>\n?|"
    rf"<(?:bos|pad|unk)>|\[/INST\]|<｜[^｜<>\n]{{1,40}}｜>)+",
    re.IGNORECASE,
)
TRAILING = re.compile(rf"(?:(?:{_SPECIAL}|{_AT_THE_EDGE})\s*)+\Z", re.IGNORECASE)

# The characters with which marks and special tokens begin.
_BEGINNING = re.compile(r"<(?=[ \t]?[/|｜A-Za-z])|\[(?=/?(?:THINK|INST|gMASK|TOOL_))|◁")
AROUND = 1000  # characters of a line around a mark in which code is looked for
PAIR_CHARS = 80
_JOINED = r"[ \t]*(?:\.{2,3}|…|and|or|to|,|/|\|| - |和|与|、|到)[ \t]*"
_NAMED = re.compile(r"[ \t](?:tags?|tokens?|blocks?|sections?|markers?|marks?|elements?)\b|[ \t]?标签")
_PAIR = re.compile(rf"(?:{ANY_OPENED.pattern}){_JOINED}(?:{ANY_CLOSED.pattern})", re.IGNORECASE)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.{1,400}?)(?<!`)\1(?!`)")
_FENCE = re.compile(r"(?m)^[ \t]*(`{3,}|~{3,})([^\n`]*)$")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "«": "»"}


Spans = list[tuple[int, int]]


def family(mark: str) -> re.Pattern[str]:
    """Return the expression of the marks that close what `mark` opens."""
    for opening, closing in TOKENS:
        if re.fullmatch(opening, mark, re.IGNORECASE):
            return re.compile(closing, re.IGNORECASE)
    if re.fullmatch(_ANALYSIS, mark, re.IGNORECASE):
        return re.compile(_FINAL, re.IGNORECASE)
    return re.compile(_tag(re.escape(mark.strip("< \t>").split()[0]), True), re.IGNORECASE)


def marks_in(pattern: re.Pattern[str], text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """Yield the matches of marks in a text, as `finditer` does; only where a mark can begin, which is far faster."""
    end = start
    for place in _BEGINNING.finditer(text, start):
        if place.start() >= end and (found := pattern.match(text, place.start())):
            yield found
            end = found.end()


class Mentions:
    """The marks of one text, told apart from mere mentions of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._blocks: Spans | None = None
        self._line: tuple[int, int] = (0, 0)
        self._spans: Spans = []

    def find(self, mark: re.Pattern[str], start: int = 0) -> Iterator[re.Match[str]]:
        """Yield the marks from `start` on that are more than mentioned."""
        for found in marks_in(mark, self.text, start):
            if not (self.spoken_of(found) or self.in_code(found) or self.in_pair(found) or self.in_fence(found)):
                yield found

    def in_fences(self, mark: re.Pattern[str], start: int) -> Iterator[re.Match[str]]:
        """Yield the marks that begin a line inside a code block: a block that thinking left open may hold its end."""
        for found in marks_in(mark, self.text, start):
            line = self.text.rfind("\n", 0, found.start()) + 1
            if not self.text[line : found.start()].strip() and self.in_fence(found):
                yield found

    def spoken_of(self, found: re.Match[str]) -> bool:
        """Return whether a mark stands in quotes or before a word such as `tag`."""
        start, end = found.span()
        before, after = self.text[start - 1 : start], self.text[end : end + 1]
        return (bool(before) and _QUOTES.get(before) == after) or _NAMED.match(self.text, end) is not None

    def in_code(self, found: re.Match[str]) -> bool:
        """Return whether a mark stands in a span of code, of which only the surroundings are read."""
        start, end = found.span()
        first = self.text.rfind("\n", max(0, start - AROUND), start) + 1 or max(0, start - AROUND)
        last = self.text.find("\n", end, end + AROUND)
        line = (first, last if last >= 0 else min(len(self.text), end + AROUND))
        if line != self._line:
            self._line = line
            spans = _SPAN.finditer(self.text, *line) if self.text.find("`", *line) >= 0 else ()
            self._spans = [span.span() for span in spans]
        return _within(found, self._spans)

    def in_pair(self, found: re.Match[str]) -> bool:
        """Return whether a mark is half of a pair without thinking between: `<think> and </think>`."""
        first = max(0, found.start() - PAIR_CHARS)
        pairs = marks_in(_PAIR, self.text[first : found.end() + PAIR_CHARS])
        return any(first + a <= found.start() and found.end() <= first + b for a, b in (pair.span() for pair in pairs))

    def in_fence(self, found: re.Match[str]) -> bool:
        """Return whether a mark stands in a code block that is closed; one that a further one follows was left open."""
        if self._blocks is None:
            self._blocks = self._fences() if "```" in self.text or "~~~" in self.text else []
        return _within(found, self._blocks)

    def _fences(self) -> "Spans":
        blocks: Spans = []
        opened: re.Match[str] | None = None
        for fence in _FENCE.finditer(self.text):
            bare = not fence[2].strip()
            if opened and bare and fence[1].startswith(opened[1]):
                blocks.append((opened.start(), fence.end()))
                opened = None
            elif not opened or not bare:
                opened = fence
        return blocks


def _within(found: re.Match[str], spans: Spans) -> bool:
    """Return whether a mark is inside one of the spans, which are in order and apart."""
    before = bisect_right(spans, (found.start(), len(found.string)))
    return before > 0 and found.end() <= spans[before - 1][1]
