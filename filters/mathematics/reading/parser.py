"""Parser of a final answer, LaTeX or plain, into a tree: a recursive descent over its tokens that evaluates nothing.

This module handles the upper levels: elements separated by commas, sides of relations, units, sums, products. The
factors of products are in filters.mathematics.reading.factors.
"""

import re
from fractions import Fraction
from functools import lru_cache

from filters.mathematics.expressions import (
    Call,
    Expression,
    Join,
    Name,
    Number,
    Product,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Sum,
    Words,
    negated,
    quotient,
)
from filters.mathematics.reading.factors import LARGE, RELATIONS, FactorParser, times
from filters.mathematics.reading.surface import plain
from filters.mathematics.reading.tokens import END, Token, Unreadable, tokens
from filters.mathematics.units import MULTIPLIERS, is_unit, read_unit

STARTS = frozenset(("(", "[", "{", r"\sqrt", r"\frac", r"\binom", r"\lfloor", r"\lceil"))
LINKS = (",", "and", "or")
CLOCK = re.compile(r"([01]?\d|2[0-4])(?::[0-5]\d){1,2}")
NAMED_SETS = dict.fromkeys(("all real numbers", "all reals", "all real", "the real numbers", "real numbers"), "set(R)")
NAMED_SETS |= dict.fromkeys(("all integers", "the integers", "integers"), "set(Z)")
NAMED_SETS |= {
    f"{start}{sign} {name}": f"set({letter}{mark})"
    for start in ("", "all ", "the ", "all the ")
    for sign, mark in (("positive", "+"), ("negative", "-"))
    for name, letter in (("integers", "Z"), ("real numbers", "R"), ("reals", "R"))
}
NAMED_SETS |= dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions", "empty set"), "∅")
ARGUMENTS = frozenset(("(", "[", "{", "{set", "_", "^"))  # after max and min as functions
LABEL_CHARS = 30
# Words that take an answer back or leave it open; none of them is a unit.
HEDGE_WORDS = (
    "not isn't wasn't cannot wrong incorrect false maybe perhaps probably possibly unsure guess either neither nor at "
    "least most more less fewer greater smaller than over under above below if unless when except plus minus or is are "
    "was but no almost nearly minimum maximum rejected reject extraneous invalid untrue sure "
    "uncertain unverified tentative "
    "tentatively discarded impossible supposedly allegedly hardly barely only guessed estimate estimated "
    "excluded excluding"
)
HEDGES = frozenset(HEDGE_WORDS.split())
WORD = re.compile(r"[\w']+")
# Words before a value, without a colon, that take it as an operand or name something else by its number: "half of 4".
OPERAND_WORDS = (
    "half third quarter twice thrice double triple square cube squared cubed root reciprocal inverse negative opposite "
    "factorial times case equation step part figure mod modulo percent multiple"
)
OPERANDS = frozenset(OPERAND_WORDS.split())
# What right behind a value makes another one of it: "4 squared", "4的平方".
OPERATION = re.compile(
    r"(?:squared|cubed|factorial|doubled|halved|tripled|mod|modulo|times)\b|的|の(?:\d|半|二|三|平|逆|階)|의\s*(?:\d|두|세|절|제|역)"
)
HAN_MULTIPLIER = re.compile("([万萬만亿億억])(.+)")  # 3万元
# Words in parentheses behind a value that leave it as it is; others, which are no unit, may take it back.
HARMLESS = frozenset(
    ("answer", "exact", "exactly", "final", "option", "choice", "correct", "total", "in", "each", "of", "the")
)
CROSS = "\N{MULTIPLICATION SIGN}"
VECTORS = ("vec(", "overrightarrow(")
LONG_WORDS = 4  # this many make a sentence, even with numbers


@lru_cache(maxsize=4096)
def read_answer(text: str) -> Expression:
    """Return the tree of a final answer; raise Unreadable if it is outside the mathematics that is parsed here."""
    found = tokens(plain(text))
    if not found:
        raise Unreadable("nothing")
    if is_prose(found):
        words = " ".join(token.text.lower() for token in found if token.kind != "sign" or token.text in "-'")
        return Name(NAMED_SETS[words]) if words in NAMED_SETS else Words(words)
    signs = [index for index, token in enumerate(found) if token.kind == "sign" and token.text == "±"]
    if not signs:
        return Parser(found).answer()
    both = (with_sign(found, signs, sign) for sign in "+-")
    return Sequence("", tuple(item for half in both for item in items_of(Parser(half).answer())), "or")


def is_prose(found: list[Token]) -> bool:
    """Return whether the answer is words: only letters and punctuation, with one `\\text{}` or two long words."""
    long = [token for token in found if token.kind == "word" and len(token.text) > 2]
    if sum(token.spaced for token in long) >= LONG_WORDS:
        return True
    if any(token.kind in ("number", "function", "command", "begin", "end") for token in found):
        return False
    if any(token.kind == "sign" and token.text not in (*",.'-?()", "and", "or") for token in found):
        return False
    return any(token.kind == "text" for token in found) or len(long) > 1 or any(len(t.text) > 4 for t in long)


def with_sign(found: list[Token], places: list[int], sign: str) -> list[Token]:
    """Return the tokens with every ± replaced by one sign."""
    return [Token("sign", sign) if index in places else token for index, token in enumerate(found)]


def items_of(value: Expression) -> tuple[Expression, ...]:
    """Return the items of a list without brackets; any other value alone."""
    return value.items if isinstance(value, Sequence) and not value.brackets else (value,)


class Parser(FactorParser):
    """A single pass over the tokens of one answer."""

    def answer(self) -> Expression:
        """Parse the whole answer: one element, or a list of several."""
        value = self.listed()
        if self.next is not END:
            raise Unreadable(f"{self.next.text!r} after the answer")
        return value

    def elements(self) -> list[Expression]:
        """Parse elements separated by commas; `, and` is one comma."""
        return self.linked()[0]

    def linked(self) -> tuple[list[Expression], str]:
        """Parse elements with what links them: `or`, `and`, or commas alone."""
        items, links = [self.element()], set[str]()
        while link := self.accept(*LINKS):
            while link:
                links.add(link)
                link = self.accept(*LINKS)
            items.append(self.element())
        return items, "or" if "or" in links else "and" if "and" in links else ","

    def listed(self) -> Expression:
        """Parse one element, or a list without brackets."""
        items, link = self.linked()
        return items[0] if len(items) == 1 else Sequence("", tuple(items), link)

    def element(self) -> Expression:
        """Parse sides separated by relation signs."""
        opening = self.take().text if self.at(*RELATIONS) else "="  # the rest of "x \\in (0, 1)", cut from a sentence
        if opening not in ("=", "in", "~"):
            return Relation((opening,), (Name("x"), self.side()))
        first = self.side()
        sides, signs = [first], []
        if isinstance(first, Relation) and not self.at(*RELATIONS):
            return first
        while self.at(*RELATIONS):
            signs.append(self.take().text)
            sides.append(self.side())
        return Relation(tuple(signs), tuple(sides)) if signs else sides[0]

    def side(self) -> Expression:
        """Parse a value with its unit, or several sets with signs between them."""
        parts, signs = [self.quantity()], []
        while sign := self.accept("cup", "cap", "setminus"):
            signs.append(sign)
            parts.append(self.quantity())
        return Join(tuple(parts), tuple(signs)) if signs else parts[0]

    def quantity(self) -> Expression:
        """Parse a sum, with any words after it as its unit, or a value with a label before it."""
        if self.next.kind == "text" or self.at_label():
            return self.labelled()
        minus = self.at("-") and self.tokens[self.place + 1 : self.place + 2] == [Token("sign", "$")] and self.take()
        money = self.accept("€", "£", "$", "元", "₹")
        value = self.sum()
        value = negated(value) if minus else value
        unit = self.unit() if self.at_unit() else ""
        if OPERATION.match(unit.lower()):
            raise Unreadable(f"the words {unit!r}")
        han = HAN_MULTIPLIER.match(unit)
        first, _, rest = unit.partition(" ") if han is None else (han[1], "", han[2])
        if first.lower() in MULTIPLIERS:
            value, unit = Product((value, Number(MULTIPLIERS[first.lower()]))), rest
        if (unit or money) and isinstance(value, Quantity):
            raise Unreadable("two units")
        found = Quantity(value, unit or money or "") if unit or money else value
        return self.compound(found) if isinstance(found, Quantity) and self.next.kind == "number" else found

    def compound(self, first: Quantity) -> Expression:
        """Parse the rest of `3 feet 4 inches` and add it to the first part."""
        rest = self.quantity()
        one = read_unit(first.unit)
        other = read_unit(rest.unit) if isinstance(rest, Quantity) else None
        if (
            not isinstance(rest, Quantity)
            or other is None
            or one.dimension != other.dimension
            or one.nouns
            or other.nouns
        ):
            raise Unreadable("two numbers side by side")
        return Quantity(Sum((first.value, Product((rest.value, Number(other.factor / one.factor))))), first.unit)

    def at_label(self) -> bool:
        """Return whether a word with a colon, or two words and more, come before a value."""
        following = self.tokens[self.place + 1 : self.place + 2]
        if self.next.kind == "function":
            named = self.next.text in ("max", "min") and following[:1] != [] and following[0].text not in ARGUMENTS
            return named or (following[:1] != [] and following[0].kind == "sign" and following[0].text in RELATIONS)
        if self.next.kind != "word":
            return False
        return (
            bool(following) and len(self.next.text) > 2 and (following[0].text == ":" or following[0].kind == "number")
        )

    def at_unit(self) -> bool:
        return self.next.kind in ("text", "word") or (self.next.upright and is_unit(self.next.text))

    def labelled(self) -> Expression:
        """Parse `Area = 5`, `Alice: 3` and `stay 1/4` as equations; other words in mathematics are Unreadable."""
        name = Name(" ".join(self.take().text.lower().removesuffix(":").split()))
        if name.text == "up to":
            raise Unreadable("a bound")
        if len(name.text) > LABEL_CHARS or HEDGES & set(WORD.findall(name.text)):
            raise Unreadable(f"the words {name.text!r}")
        if self.at(*RELATIONS):
            return name
        colon = self.accept(":") or self.tokens[self.place - 1].text.endswith(":")
        if not colon and (
            self.next.kind not in ("number", "sign", "command") or OPERANDS & set(WORD.findall(name.text))
        ):
            raise Unreadable(f"the words {name.text!r}")
        return Relation(("=",), (name, self.quantity()))

    def unit(self) -> str:
        """Return everything up to the end of the element: `cm^2`, `miles per hour`, `N/m`."""
        words: list[str] = []
        while self.in_unit(words):
            if self.next.kind == "number" and not (words and words[-1] in ("^", "{", "-")):
                break
            words.append(self.take().text.removesuffix(" and"))
            if HEDGES & set(WORD.findall(words[-1].lower())) or is_remark(words[-1]):
                raise Unreadable(f"the words {words[-1]!r}")
            if words[-1] == ")" or (words[-1] in MULTIPLIERS and len(words) == 1):
                break
        text = " ".join(words).replace("{ ", "").replace(" }", "").replace("- ", "-")
        return text.replace(" ^ ", "^").replace(" / ", "/")

    def in_unit(self, words: list[str]) -> bool:
        """Return whether a unit goes on; brackets belong to it only as a denominator, J/(kg K)."""
        if self.next.kind in ("text", "word", "name", "number") or self.at("^", "/", "*", CROSS, "{", "}", "-"):
            return True
        return (words[-1:] == ["/"] and self.at("(")) or ("(" in words and self.at(")"))

    def sum(self) -> Expression:
        """Parse terms."""
        terms = [self.signed()]
        while self.at("+", "-"):
            minus = self.take().text == "-"
            minus = minus != bool(self.accept("-"))
            term = self.ratio()
            terms.append(negated(term) if minus else term)
        return Sum(tuple(terms)) if len(terms) > 1 else terms[0]

    def signed(self) -> Expression:
        """Parse the first term, with or without a sign."""
        if self.accept("-"):
            return negated(self.ratio())
        self.accept("+")
        return self.ratio()

    def ratio(self) -> Expression:
        """Parse a, a ratio a : b or a : b : c, or a time of day."""
        start = self.place
        parts = [self.product()]
        while self.accept(":"):
            parts.append(self.product())
        if len(parts) == 1:
            return parts[0]
        clock = CLOCK.fullmatch("".join(token.text for token in self.tokens[start : self.place])) is not None
        return Ratio(tuple(parts), clock)

    def product(self) -> Expression:
        """Parse factors, with or without signs between them, from left to right."""
        value = self.factor()
        divided = False
        while True:
            if sign := self.accept("*", CROSS):
                value = multiplied(value, self.factor_signed(), sign)
            elif self.accept("/"):
                value, divided = quotient(value, self.factor_signed()), True
            elif self.starts_factor():
                value = self.implicit(value, divided)
            else:
                return value

    def implicit(self, value: Expression, divided: bool) -> Expression:
        """Parse a factor with no sign before it; 2 1/2 is a sum, and 1/2x is ambiguous and so Unreadable."""
        number = self.next.kind == "number"
        if number and not isinstance(value, Number) and self.tokens[self.place - 1].text not in (")", "}", "!"):
            raise Unreadable("a number right after a factor")
        before = self.place
        factor = self.factor()
        if isinstance(value, Number) and is_whole(value) and not divided:
            mixed = self.mixed(value, factor, before)
            if mixed is not None:
                return mixed
        if number and isinstance(value, Number):
            raise Unreadable("two numbers side by side")
        if divided and not isinstance(value, Number):
            raise Unreadable("a factor right after a quotient")
        return times(value, factor)

    def fraction_after(self, factor: Expression, before: int) -> Fraction | None:
        """Return the proper fraction that follows an integer: `\\frac{3}{5}` or `3/5`; None if there is none."""
        if isinstance(factor, Number) and self.tokens[before].kind == "number" and self.accept("/"):
            below = self.factor()
            if is_whole(factor) and isinstance(below, Number) and 0 < factor.value < below.value:
                return factor.value / below.value
            raise Unreadable("a mixed number")
        if isinstance(factor, Number) and self.tokens[before].text == r"\frac" and 0 < factor.value < 1:
            return factor.value
        return None

    def mixed(self, whole: Number, factor: Expression, before: int) -> Expression | None:
        """Return 2 1/2, or 6 1/2 percent, as one number; None if no proper fraction follows the integer."""
        inner = factor.value if isinstance(factor, Quantity) else factor
        part = self.fraction_after(inner, before)
        if part is None:
            return None
        number = Number(whole.value + part if whole.value >= 0 else whole.value - part)
        return Quantity(number, factor.unit) if isinstance(factor, Quantity) else number

    def starts_factor(self) -> bool:
        """Return whether a factor may follow with no sign before it."""
        token = self.next
        if token.kind == "sign":
            return token.text in STARTS or (token.text == "|" and not self.fences)
        if token.kind == "word":
            unit = is_unit(token.text) or token.text.lower() in MULTIPLIERS
            return not unit and not (token.spaced and len(token.text) > 2)
        if token.upright and is_unit(token.text):
            return False
        return token.kind in ("number", "name", "function", "begin") or token.text in LARGE


def multiplied(left: Expression, right: Expression, sign: str) -> Expression:
    """Return a product; the cross product of two vectors, in which the order counts, is a function of both."""
    vectors = all(isinstance(side, Name) and side.text.startswith(VECTORS) for side in (left, right))
    return Call("cross()", (left, right)) if vectors and sign == CROSS else times(left, right)


def is_remark(words: str) -> bool:
    """Return whether words in parentheses, neither a unit nor harmless, follow a value: 5 (to be checked)."""
    found = WORD.findall(words) if words.startswith("(") else []
    return bool(found) and not all(is_unit(word) or word.lower() in HARMLESS for word in found)


def is_whole(value: Expression) -> bool:
    return isinstance(value, Number) and value.value.denominator == 1 and value.places is None
