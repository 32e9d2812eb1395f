"""Parsing of factors: numbers, names, functions, fractions, roots, brackets, powers."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction

from filters.mathematics.expressions import (
    CONSTANTS,
    INFINITY,
    LOG_BASE,
    Call,
    Expression,
    Matrix,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Relation,
    Sequence,
    Sum,
    determinant,
    negated,
    quotient,
)
from filters.mathematics.reading.tokens import END, Token, Unreadable
from filters.mathematics.reading.words import NUMBERS

MAX_DEPTH = 40
MAX_DIGITS = 1000
RELATIONS = frozenset(("=", "!=", "<", "<=", ">", ">=", "~", "in"))
CLOSING = {"(": (")", "]"), "[": ("]", ")"), "{set": ("set}",)}
FENCES = {r"\lfloor": (r"\rfloor", "floor"), r"\lceil": (r"\rceil", "ceil"), "|": ("|", "abs")}
CALLED = frozenset("fgh")  # letters that name a function, not a factor, before a bracket
MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "array", "smallmatrix", "vmatrix"))
MAX_ORDER = 5
LARGE = frozenset((r"\sum", r"\prod", r"\int"))
DERIVED = re.compile(r"d(?:\^(\d))?([A-Za-z]*)")
DERIVED_BY = re.compile(r"d([A-Za-z]+?)(?:\^(\d))?")


class FactorParser(ABC):
    """The part of the parser below products; the abstract methods are the part above."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.place = 0
        self.depth = 0
        self.fences = 0  # number of open |

    @abstractmethod
    def elements(self) -> list[Expression]: ...

    @abstractmethod
    def listed(self) -> Expression: ...

    @abstractmethod
    def side(self) -> Expression: ...

    @abstractmethod
    def sum(self) -> Expression: ...

    @abstractmethod
    def product(self) -> Expression: ...

    @abstractmethod
    def starts_factor(self) -> bool: ...

    @property
    def next(self) -> Token:
        return self.tokens[self.place] if self.place < len(self.tokens) else END

    def at(self, *signs: str) -> bool:
        """Return whether one of the signs comes next."""
        token = self.next
        return token.kind == "sign" and token.text in signs

    def take(self) -> Token:
        token = self.next
        self.place += 1
        return token

    def accept(self, *signs: str) -> str | None:
        """Consume and return the next sign if it is one of these."""
        return self.take().text if self.at(*signs) else None

    def expect(self, *signs: str) -> str:
        if (sign := self.accept(*signs)) is None:
            raise Unreadable(f"{self.next.text!r} where {' or '.join(signs)} was expected")
        return sign

    def factor_signed(self) -> Expression:
        """Parse a factor after a sign: 2 * -3."""
        return negated(self.factor()) if self.accept("-") else self.factor()

    def factor(self) -> Expression:
        """Parse a primary with its power, factorials, percent and degree signs."""
        value = self.primary()
        if self.tokens[self.place - 1].text == ")" and isinstance(value, Number) and self.accept("_"):
            return Quantity(value, f"_{self.base()}")
        return self.raised(value)

    def raised(self, value: Expression) -> Expression:
        """Parse what follows a primary."""
        while self.at("!", "%", "°", "^", "'", "\N{PRIME}"):
            value = self.postfix(value, self.take().text)
        return value

    def postfix(self, value: Expression, sign: str) -> Expression:
        if sign == "%":
            return Quantity(value, sign)
        if sign == "°":
            return Quantity(value, self.degree())
        if sign == "!":
            return Call("factorial", (value,))
        if sign != "^":
            raise Unreadable("a prime")
        if self.degrees():
            return Quantity(value, self.degree())
        return Power(value, self.exponent())

    def degree(self) -> str:
        """Return the unit that a degree sign stands for: an angle, or a temperature if C or F follows."""
        return f"°{self.take().text}" if self.next.text in ("C", "F") else "°"

    def degrees(self) -> bool:
        """Consume a degree sign in the exponent; return whether there was one."""
        if self.accept("°"):
            return True
        if self.at("{") and [token.text for token in self.tokens[self.place + 1 : self.place + 3]] == ["°", "}"]:
            self.place += 3
            return True
        return False

    def exponent(self) -> Expression:
        """Parse the exponent after ^: a group or a signed primary; power towers associate to the right."""
        minus = self.accept("-")
        value = self.primary()
        if self.accept("^"):
            value = Power(value, self.deeper(self.exponent))
        return negated(value) if minus else value

    def deeper(self, read: Callable[[], Expression]) -> Expression:
        """Call `read` one nesting level deeper; raise Unreadable beyond MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        value = read()
        self.depth -= 1
        return value

    def primary(self) -> Expression:
        return self.deeper(self.read_primary)

    def read_primary(self) -> Expression:
        token = self.take()
        match token.kind:
            case "number":
                return self.number(token.text)
            case "name":
                return self.name(token.text)
            case "word":
                return self.word(token.text)
            case "function":
                return self.function(token.text)
            case "begin":
                return self.matrix(token.text)
            case "sign":
                return self.bracketed(token.text)
        if token.text in LARGE:
            return self.large(token.text)
        raise Unreadable(token.text or "the end")

    def number(self, text: str) -> Expression:
        if len(text) > MAX_DIGITS:
            raise Unreadable(f"a number of {len(text)} digits")
        if self.accept("_"):
            if not text.isdigit():
                raise Unreadable("the base of a decimal")
            return Quantity(Number(Fraction(int(text))), f"_{self.base()}")
        _, point, decimals = text.partition(".")
        return Number(Fraction(text), len(decimals) if point and decimals.isdigit() else None)

    def name(self, text: str) -> Expression:
        """Parse a letter with its subscript; f, g and h before a bracket are functions."""
        while self.accept("'", "\N{PRIME}"):
            text += "'"
        if self.accept("_"):
            text += f"_{self.index()}"
        if text == "∞":
            return INFINITY
        if text[0] in CALLED and len(text.rstrip("'").partition("_")[0]) == 1 and self.accept("("):
            arguments = self.elements()
            self.expect(")")
            return Call(f"{text}()", tuple(arguments))
        return Name(text)

    def index(self) -> str:
        """Return a subscript as text."""
        if not self.at("{"):
            return self.take().text
        return " ".join(token.text for token in self.raw_group())

    def base(self) -> str:
        """Return the base of a number in digits: 2 of `_{\\text{two}}`."""
        return str(NUMBERS.get(written := self.index(), written))

    def raw_group(self) -> list[Token]:
        """Return the unparsed tokens of a group without its braces, or the next token."""
        if not self.accept("{"):
            return [self.take()]
        start, depth = self.place, 1
        while depth:
            token = self.take()
            if token is END:
                raise Unreadable("a group that does not end")
            depth += (token.text == "{") - (token.text == "}")
        return self.tokens[start : self.place - 1]

    def word(self, text: str) -> Expression:
        """Parse adjacent letters as a product, the last with a subscript perhaps.

        Three or more with e or i among them, the names of constants, are rather a word: one name.
        """
        if len(text) > 2 and set(text) & CONSTANTS and not (text[-1] == "e" and self.at("^")):
            return self.name(text)
        return Product((*map(Name, text[:-1]), self.raised(self.name(text[-1]))))

    def function(self, name: str) -> Expression:
        """Parse `\\sin^2 x`, `\\log_{10}(2)`, `\\max(1, 2)`; an argument without brackets extends to the next sign."""
        base = self.group() if self.accept("_") else None
        power = self.exponent() if self.accept("^") else None
        if self.accept("("):
            arguments = tuple(self.elements())
            self.expect(")")
        else:
            arguments = (self.bare_argument(),)
        if power is None:
            return call(name, base, arguments)
        if power == Number(Fraction(-1)) and name in ("sin", "cos", "tan") and base is None:
            return Call(f"arc{name}", arguments)
        if not isinstance(power, Number) or power.value <= 0:
            raise Unreadable("an inverse function")
        return Power(call(name, base, arguments), power)

    def bare_argument(self) -> Expression:
        value = self.factor_signed()
        while self.starts_factor() and self.next.kind != "function":
            value = times(value, self.factor())
        return value

    def large(self, sign: str) -> Expression:
        """Parse a sum, product or integral over the following product; its bounds become ordinary arguments."""
        bounds: list[Expression] = []
        while bound := self.accept("_", "^"):
            if bound == "_" and self.accept("{"):
                item = self.elements()[0]
                self.expect("}")
                bounds.extend(item.sides if isinstance(item, Relation) else (item,))
            else:
                bounds.append(self.group())
        return Call(sign, (*bounds, self.product()))

    def group(self) -> Expression:
        """Parse an argument of a command: `{...}`, or the next digit or letter."""
        if self.accept("{"):
            value = self.side()
            self.expect("}")
            return value
        if self.next.kind == "number" and self.next.text.isdigit():
            digits = self.next.text
            self.tokens[self.place] = Token("number", digits[1:])
            if len(digits) == 1:
                self.place += 1
            return Number(Fraction(int(digits[0])))
        if self.next.kind == "word":
            raise Unreadable("letters after a command")
        return self.primary()

    def bracketed(self, sign: str) -> Expression:
        """Parse a primary that begins with a sign."""
        match sign:
            case r"\frac":
                return self.fraction()
            case r"\sqrt":
                return self.root()
            case r"\binom":
                return Call("binom", (self.group(), self.group()))
            case "{":
                return self.braces()
            case "(" | "[" | "{set":
                return self.brackets(sign)
        if sign not in FENCES:
            raise Unreadable(f"the sign {sign!r}")
        closing, function = FENCES[sign]
        self.fences += sign == "|"
        value = self.sum()
        self.fences -= sign == "|"
        self.expect(closing)
        return Call(function, (value,))

    def fraction(self) -> Expression:
        """Parse a quotient or a derivative."""
        start = self.place
        above, below = ("".join(t.text for t in self.raw_group() if t.text not in "{}") for _ in range(2))
        if (over := DERIVED.fullmatch(above)) and (by := DERIVED_BY.fullmatch(below)):
            if not over.group(2) or over.group(1) != by.group(2):
                raise Unreadable("a derivative")
            order = int(over.group(1) or 1)
            return Name(f"{'d' * order}ot({over.group(2)})" if by.group(1) == "t" else f"{above}/{below}")
        self.place = start
        return quotient(self.group(), self.group())

    def root(self) -> Expression:
        """Parse √x, \\sqrt[n]{x}, sqrt(x)."""
        degree: Expression = Number(Fraction(2))
        if self.accept("["):
            degree = self.sum()
            self.expect("]")
        return Power(self.group(), quotient(Number(Fraction(1)), degree))

    def braces(self) -> Expression:
        """Parse a LaTeX group: its single element, or a list."""
        if self.accept("}"):
            raise Unreadable("an empty group")
        value = self.listed()
        self.expect("}")
        return value

    def brackets(self, sign: str) -> Expression:
        """Parse a value in brackets, or a point, an interval, a set."""
        if sign == "{set" and self.accept("set}"):
            return Name("∅")
        if sign == "{set" and self.next.kind == "name" and (condition := self.set_builder()) is not None:
            return condition
        fences, self.fences = self.fences, 0
        items = self.elements()
        self.fences = fences
        closing = self.expect(*CLOSING[sign])
        if sign == "{set":
            return Sequence("{}", tuple(items))
        if len(items) == 1:
            if sign + closing not in ("()", "[]"):
                raise Unreadable("brackets that do not fit")
            return items[0]
        return Sequence(sign + closing, tuple(items))

    def set_builder(self) -> Expression | None:
        """Parse the rest of `{x | 1 < x < 3}` as its condition; None if it is a set of values."""
        start = self.place
        self.take()
        if self.accept("in"):
            self.primary()
        if self.accept("|", ":") is None:
            self.place = start
            return None
        condition = self.listed()
        self.expect("set}")
        return condition

    def matrix(self, environment: str) -> Expression:
        """Parse cells separated by & and rows separated by \\\\."""
        if environment not in MATRICES:
            raise Unreadable(environment)
        rows: list[tuple[Expression, ...]] = []
        while self.next.kind != "end":
            cells = [self.side()]
            while self.accept("&"):
                cells.append(self.listed())
            rows.append(tuple(cells))
            if not self.accept("row"):
                break
        if self.take() != Token("end", environment):
            raise Unreadable("a matrix that does not end")
        if environment == "vmatrix":
            if len(rows) > MAX_ORDER or any(len(row) != len(rows) for row in rows):
                raise Unreadable("a determinant of such a size")
            return determinant(tuple(rows))
        return Matrix(tuple(rows))


def times(left: Expression, right: Expression) -> Expression:
    """Return the flat product."""
    factors = left.factors if isinstance(left, Product) else (left,)
    return Product((*factors, right))


def call(name: str, base: Expression | None, arguments: tuple[Expression, ...]) -> Expression:
    """Return a logarithm as (base, argument), exp as a power of e, any other function by name."""
    if name == "cis" and len(arguments) == 1:
        return Sum((Call("cos", arguments), Product((Name("i"), Call("sin", arguments)))))
    if name == "exp" and len(arguments) == 1:
        return Power(Name("e"), arguments[0])
    if name in ("log", "ln", "lg") and len(arguments) == 1:
        default = Number(Fraction(10)) if name == "lg" else Name("e")
        if name == "log" and base is None:
            return Call("log", (LOG_BASE, *arguments))
        return Call("log", (base or default, *arguments))
    return Call(name, arguments) if base is None else Call(name, (base, *arguments))
