"""Parser of a final answer, LaTeX or plain, into a tree: a recursive descent over its tokens that evaluates nothing.

This module handles the upper levels: elements separated by commas, sides of relations, units, sums, products. The
factors of products are in filters.mathematics.factors.
"""

from fractions import Fraction
from functools import lru_cache

from filters.mathematics.expressions import (
    Expression,
    Join,
    Name,
    Number,
    Product,
    Quantity,
    Relation,
    Sequence,
    Sum,
    Words,
    negated,
    quotient,
)
from filters.mathematics.factors import LARGE, RELATIONS, FactorParser, times
from filters.mathematics.tokens import END, Token, Unreadable, tokens
from filters.mathematics.units import KNOWN, MULTIPLIERS

STARTS = frozenset(("(", "[", "{", r"\sqrt", r"\frac", r"\binom", r"\lfloor", r"\lceil"))
LONG_WORDS = 4  # this many make a sentence, even with numbers


@lru_cache(maxsize=4096)
def read_answer(text: str) -> Expression:
    """Return the tree of a final answer; raise Unreadable if it is outside the mathematics that is parsed here."""
    found = tokens(text.strip().rstrip("."))
    if not found:
        raise Unreadable("nothing")
    if is_prose(found):
        return Words(" ".join(token.text.lower() for token in found if token.kind != "sign" or token.text in "-'"))
    signs = [index for index, token in enumerate(found) if token.kind == "sign" and token.text == "±"]
    if not signs:
        return Parser(found).answer()
    both = (with_sign(found, signs, sign) for sign in "+-")
    return Sequence("", tuple(item for half in both for item in items_of(Parser(half).answer())))


def is_prose(found: list[Token]) -> bool:
    """Return whether the answer is words: only letters and punctuation, with one `\\text{}` or two long words."""
    long = [token for token in found if token.kind == "word" and len(token.text) > 2]
    if sum(token.spaced for token in long) >= LONG_WORDS:
        return True
    if any(token.kind in ("number", "function", "command", "begin", "end") for token in found):
        return False
    if any(token.kind == "sign" and token.text not in ",.'-?()" for token in found):
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
        items = self.elements()
        if self.next is not END:
            raise Unreadable(f"{self.next.text!r} after the answer")
        return items[0] if len(items) == 1 else Sequence("", tuple(items))

    def elements(self) -> list[Expression]:
        """Parse elements separated by commas; `, and` is one comma."""
        items = [self.element()]
        while self.accept(","):
            while self.accept(","):
                pass
            items.append(self.element())
        return items

    def element(self) -> Expression:
        """Parse sides separated by relation signs."""
        if self.at(*RELATIONS):  # "= 5", or the rest of "x \\in (0, 1)" that was cut out of a sentence
            self.take()
        sides, signs = [self.side()], []
        while self.at(*RELATIONS):
            signs.append(self.take().text)
            sides.append(self.side())
        return Relation(tuple(signs), tuple(sides)) if signs else sides[0]

    def side(self) -> Expression:
        """Parse a value with its unit, or a union of several sets."""
        parts = [self.quantity()]
        while self.accept("cup"):
            parts.append(self.quantity())
        return Join(tuple(parts)) if len(parts) > 1 else parts[0]

    def quantity(self) -> Expression:
        """Parse a sum, with any words after it as its unit."""
        if self.next.kind == "text":
            return self.named_text()
        money = self.accept("€", "£")
        value = self.sum()
        unit = self.unit() if self.next.kind in ("text", "word") else ""
        if unit.lower() in MULTIPLIERS:
            return Product((value, Number(Fraction(MULTIPLIERS[unit.lower()]))))
        if (unit or money) and isinstance(value, Quantity):
            raise Unreadable("two units")
        return Quantity(value, unit or money or "") if unit or money else value

    def named_text(self) -> Expression:
        """Parse `\\text{Area}` before a relation sign; words within mathematics are Unreadable."""
        name = Name(self.take().text.lower())
        if self.accept(":"):
            return self.quantity()
        if not self.at(*RELATIONS):
            raise Unreadable(f"the words {name.text!r}")
        return name

    def unit(self) -> str:
        """Return everything up to the end of the element: `cm^2`, `miles per hour`, `N/m`."""
        words: list[str] = []
        while self.next.kind in ("text", "word", "name", "number") or self.at("^", "/", "*", "{", "}", "-"):
            words.append(self.take().text)
            if words[-1] in MULTIPLIERS and len(words) == 1:
                break
        return " ".join(words).replace("{ ", "").replace(" }", "").replace(" ^ ", "^").replace(" / ", "/")

    def sum(self) -> Expression:
        """Parse terms."""
        terms = [self.signed()]
        while self.at("+", "-"):
            minus = self.take().text == "-"
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
        """Parse a, or a : b."""
        value = self.product()
        if not self.accept(":"):
            return value
        below = self.product()
        if self.at(":"):
            raise Unreadable("a ratio of three")
        return quotient(value, below)

    def product(self) -> Expression:
        """Parse factors, with or without signs between them, from left to right."""
        value = self.factor()
        divided = False
        while True:
            if self.accept("*"):
                value = times(value, self.factor_signed())
            elif self.accept("/"):
                value, divided = quotient(value, self.factor_signed()), True
            elif self.starts_factor():
                value = self.implicit(value, divided)
            else:
                return value

    def implicit(self, value: Expression, divided: bool) -> Expression:
        """Parse a factor with no sign before it; 2 1/2 is a sum, and 1/2x is ambiguous and so Unreadable."""
        number = self.next.kind == "number"
        if number and not isinstance(value, Number) and self.tokens[self.place - 1].text not in (")", "}"):
            raise Unreadable("a number right after a factor")
        before = self.place
        factor = self.factor()
        if is_whole(value) and not divided:
            part = self.fraction_after(factor, before)
            if part is not None:
                assert isinstance(value, Number)
                return Number(value.value + part if value.value >= 0 else value.value - part)
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

    def starts_factor(self) -> bool:
        """Return whether a factor may follow with no sign before it."""
        token = self.next
        if token.kind == "sign":
            return token.text in STARTS or (token.text == "|" and not self.fences)
        if token.kind == "word":
            return not (token.spaced and len(token.text) > 2) and token.text.lower() not in KNOWN | MULTIPLIERS.keys()
        return token.kind in ("number", "name", "function") or token.text in LARGE


def is_whole(value: Expression) -> bool:
    return isinstance(value, Number) and value.value.denominator == 1 and value.places is None
