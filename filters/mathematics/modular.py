"""Decision of equality by exact arithmetic at random points modulo large primes (Schwartz 1980, Zippel 1979).

Each prime p is 2m + 1 with m prime, p = 7 (mod 8), and every prime up to 67 is a square modulo p. The squares then
form a group of prime order m in which every element has exactly one root of every degree, as positive reals do. Roots
of positive numbers therefore keep all their relations, and exponents live in the field of m elements. An unknown is a
random square; π and e are treated as unknowns. Two values that differ at a point are different, unless something was
met of which only the name is known (`faithful` is then False); two that agree are equal except with probability
2**-120.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from hashlib import blake2b
from math import ceil, comb, factorial, floor

from filters.mathematics.expressions import (
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Quantity,
    Sum,
    nodes,
)

PRIMES = (
    175882964180789249309025333576872706239,
    238454419612662112227958588767125586479,
    69612119082372742502202033476954208719,
    272165355545578440991437691457193610559,
    257553850146142758795113368567819290599,
    173231185911127883544137037067420801919,
)
# 1 modulo 8 and modulo every odd prime up to 43, so -1 and these primes have roots; one of each two is chosen.
COMPLEX_PRIME = 103326797731423744146976730271153505201
SMALL_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67)
TRIGONOMETRIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
EXACT: dict[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "abs": lambda values: abs(values[0]),
    "floor": lambda values: Fraction(floor(values[0])),
    "ceil": lambda values: Fraction(ceil(values[0])),
    "max": max,
    "min": min,
}
MAX_FACTORIAL = 3000
MAX_BITS = 4096
POINTS = 2
ANGLE = Product((Name("π"), Number(Fraction(1, 180))))


class Undecidable(Exception):
    """Nothing can be concluded at this point, or at all."""


def same_value(one: Expression, other: Expression) -> bool | None:
    """Return whether both are one value; None if this arithmetic cannot tell. True may rest on the choice of a root."""
    found = 0
    names = {node.text for side in (one, other) for node in nodes(side) if isinstance(node, Name)}
    primes = (COMPLEX_PRIME,) * POINTS if "i" in names else PRIMES
    proof = not names >= {"π", "e"}  # π and e are not known to be independent
    for seed, prime in enumerate(primes):
        point = Point(prime, seed)
        try:
            left, right = point.value(one), point.value(other)
        except Undecidable:
            continue
        if left != right:
            return False if point.faithful and proof else None
        found += 1
        if found == POINTS:
            return True
    return True if found else None


def proportional(one: Expression, other: Expression) -> bool | None:
    """Return whether one is a non-zero multiple of the other: then two equations `... = 0` are equivalent."""
    ratios = set()
    for seed in range(4):
        point = Point(PRIMES[0], seed)
        try:
            left, right = point.value(one), point.value(other)
        except Undecidable:
            return None
        if not left or not right:
            return None
        ratios.add(left * pow(right, -1, point.prime) % point.prime)
    return len(ratios) == 1


def rational(node: Expression) -> Fraction | None:
    """Return the value if it is a rational number of bounded size without roots and names; else None."""
    try:
        return _rational(node)
    except (ZeroDivisionError, OverflowError):
        return None


def _rational(node: Expression) -> Fraction | None:
    match node:
        case Number(number):
            return number
        case Sum(parts) | Product(parts):
            total = Fraction(int(isinstance(node, Product)))
            for part in parts:
                value = _rational(part)
                if value is None:
                    return None
                total = bounded(total + value if isinstance(node, Sum) else total * value)
            return total
        case Power(base, exponent):
            return _power(_rational(base), _rational(exponent))
        case Quantity(inner, "%"):
            share = _rational(inner)
            return None if share is None else share / 100
        case Call("factorial", (argument,)):
            n = _rational(argument)
            return Fraction(factorial(int(n))) if n is not None and n.denominator == 1 and 0 <= n <= 300 else None
        case Call("binom", (above, below)):
            n, k = _rational(above), _rational(below)
            whole = n is not None and k is not None and n.denominator == k.denominator == 1 and 0 <= k <= n <= 300
            return Fraction(comb(int(n), int(k))) if whole and n is not None and k is not None else None
        case Call(name, arguments) if name in EXACT:
            values = [value for value in map(_rational, arguments) if value is not None]
            return EXACT[name](values) if len(values) == len(arguments) else None
    return None


def _power(base: Fraction | None, exponent: Fraction | None) -> Fraction | None:
    """Return base ** exponent if it is rational and has few digits."""
    if base is None or exponent is None or exponent.denominator != 1:
        return None
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    return base ** int(exponent) if bits * abs(exponent) <= MAX_BITS else None


def bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > 2 * MAX_BITS:
        raise OverflowError
    return value


@lru_cache(maxsize=4096)
def hashed(seed: int, *key: object) -> int:
    """Return a 160-bit number that depends on the key alone."""
    return int.from_bytes(blake2b(repr((seed, *key)).encode(), digest_size=20).digest())


@cache
def complex_root(prime: int) -> int:
    """Return a square root of a small prime, or of -1, modulo COMPLEX_PRIME (Cipolla's algorithm)."""
    p = COMPLEX_PRIME
    shift = next(a for a in range(1, 1000) if pow(a * a - prime, (p - 1) // 2, p) == p - 1)
    square, result, power, exponent = (shift * shift - prime) % p, (1, 0), (shift, 1), (p + 1) // 2
    while exponent:
        if exponent & 1:
            result = times(result, power, square)
        power, exponent = times(power, power, square), exponent >> 1
    return result[0]


def times(one: tuple[int, int], other: tuple[int, int], square: int) -> tuple[int, int]:
    """Return the product of a + bw and c + dw, where w*w = `square`."""
    (a, b), (c, d) = one, other
    return (a * c + b * d * square) % COMPLEX_PRIME, (a * d + b * c) % COMPLEX_PRIME


class Point:
    """One prime and one value for each unknown."""

    def __init__(self, prime: int, seed: int) -> None:
        self.prime, self.seed = prime, seed
        self.order = (prime - 1) // 2  # order of the group of squares
        self.faithful = True

    def value(self, node: Expression) -> int:
        """Return the value modulo the prime."""
        match node:
            case Number(value):
                return value.numerator * self.inverse(value.denominator) % self.prime
            case Name(text):
                return self.name(text)
            case Sum(terms):
                return sum(map(self.value, terms)) % self.prime
            case Product(factors):
                total = 1
                for factor in factors:
                    total = total * self.value(factor) % self.prime
                return total
            case Power(base, exponent):
                return self.power(base, exponent)
            case Call(function, arguments):
                return self.call(function, arguments)
            case Quantity(value, "%"):
                return self.value(value) * self.inverse(100) % self.prime
            case Quantity(value, "°"):
                return self.value(value) * self.value(ANGLE) % self.prime
        raise Undecidable

    def inverse(self, value: int) -> int:
        if value % self.prime == 0:
            raise Undecidable
        return pow(value, -1, self.prime)

    def name(self, text: str) -> int:
        if text in ("∞", "∅", "°"):
            raise Undecidable
        if text == "i" and self.prime == COMPLEX_PRIME:
            return complex_root(-1)
        return pow(hashed(self.seed, "name", text), 2, self.prime)

    def power(self, base: Expression, exponent: Expression) -> int:
        known = rational(exponent)
        below = self.value(base)
        if known is None:
            return self.unknown_power(below, exponent)
        if known.denominator == 1:
            return pow(self.inverse(below) if known < 0 else below, abs(int(known)) % (self.prime - 1), self.prime)
        if self.prime == COMPLEX_PRIME:
            return self.complex_power(base, known)
        self.check_square(below)
        number = rational(base)
        if number is not None and number < 0:
            raise Undecidable
        if number is None and not isinstance(base, Name):
            self.faithful = False  # which of its roots is the positive one is unknown here
        return pow(below, known.numerator * pow(known.denominator, -1, self.order) % self.order, self.prime)

    def check_square(self, value: int) -> None:
        if value == 0 or pow(value, self.order, self.prime) != 1:
            raise Undecidable

    def unknown_power(self, base: int, exponent: Expression) -> int:
        """Return a^x, with the exponent taken modulo the order of the group of squares."""
        if self.prime == COMPLEX_PRIME:
            raise Undecidable
        self.check_square(base)
        self.faithful = False
        return pow(base, Exponent(self.order, self.seed).value(exponent), self.prime)

    def complex_power(self, base: Expression, exponent: Fraction) -> int:
        """Return the square root of a rational number, negative ones included, from the roots of its prime factors."""
        number = rational(base)
        if number is None or exponent.denominator != 2:
            raise Undecidable
        root = complex_root(-1) if number < 0 else 1
        rest = abs(number.numerator * number.denominator)
        for prime in SMALL_PRIMES[:14]:
            while rest and rest % prime == 0:
                rest //= prime
                root = root * complex_root(prime) % self.prime
        if rest != 1:
            raise Undecidable
        root = root * self.inverse(number.denominator) % self.prime
        return pow(self.inverse(root) if exponent < 0 else root, abs(exponent.numerator), self.prime)

    def call(self, function: str, arguments: tuple[Expression, ...]) -> int:
        """Return a function's value; equal arguments give equal values, and little else is known of most functions."""
        exact = rational(Call(function, arguments))
        if exact is not None:
            return self.value(Number(exact))
        if function == "log":
            return self.logarithm(arguments[1]) * self.inverse(self.logarithm(arguments[0])) % self.prime
        if function in TRIGONOMETRIC and len(arguments) == 1:
            return self.trigonometric(function, self.value(arguments[0]))
        if function == "factorial":
            return self.factorial(arguments[0])
        if function == "binom":
            above, below = arguments
            rest = Sum((above, Product((Number(Fraction(-1)), below))))
            divisor = self.factorial(below) * self.factorial(rest)
            return self.factorial(above) * self.inverse(divisor) % self.prime
        self.faithful = False
        if function == "abs":
            return hashed(self.seed, function, self.without_sign(self.value(arguments[0]))) % self.prime
        return hashed(self.seed, function, *map(self.value, arguments)) % self.prime

    def trigonometric(self, function: str, angle: int) -> int:
        """Return sin, cos and the like from one hash of the angle, the tangent of its half: sin^2 + cos^2 is then 1."""
        self.faithful = False
        positive = self.without_sign(angle)
        half = hashed(self.seed, "tan(x/2)", positive) * (1 if positive == angle else -1) % self.prime
        square = half * half % self.prime
        below = self.inverse(1 + square)
        sine, cosine = 2 * half * below % self.prime, (1 - square) * below % self.prime
        return {
            "sin": lambda: sine,
            "cos": lambda: cosine,
            "tan": lambda: sine * self.inverse(cosine),
            "cot": lambda: cosine * self.inverse(sine),
            "sec": lambda: self.inverse(cosine),
            "csc": lambda: self.inverse(sine),
        }[function]() % self.prime

    def without_sign(self, value: int) -> int:
        """Return one of a value and its negative: |x| and cos x are those of -x."""
        return min(value, self.prime - value)

    def factorial(self, argument: Expression) -> int:
        n = rational(argument)
        if n is None or n.denominator != 1 or not 0 <= n <= MAX_FACTORIAL:
            self.faithful = False
            return hashed(self.seed, "factorial", self.value(argument)) % self.prime
        result = 1
        for i in range(2, int(n) + 1):
            result = result * i % self.prime
        return result

    def logarithm(self, argument: Expression) -> int:
        """Return the natural logarithm; for rational numbers, the sum over their prime factors."""
        self.faithful = False
        if argument == Name("e"):
            return 1
        number = rational(argument)
        if number is None or number <= 0:
            return hashed(self.seed, "log", self.value(argument)) % self.prime
        total = 0
        for part, sign in ((number.numerator, 1), (number.denominator, -1)):
            for prime in SMALL_PRIMES:
                while part % prime == 0:
                    part //= prime
                    total += sign * hashed(self.seed, "log", prime)
            total += sign * hashed(self.seed, "log", part) if part > 1 else 0
        return total % self.prime


class Exponent(Point):
    """A point for exponents: modulo the order of the group that the bases are in."""

    def unknown_power(self, base: int, exponent: Expression) -> int:
        """Return a hash: a power within an exponent is an unknown of its own."""
        return hashed(self.seed, "power", base, self.value(exponent)) % self.prime
