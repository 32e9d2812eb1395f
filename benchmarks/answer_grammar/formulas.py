"""Kinds of answers that are formulas, words, codes or dates."""

from fractions import Fraction
from random import Random

from benchmarks.answer_grammar.forms import SUPERSCRIPTS, Case, case, fraction, nonzero, text

WORDS = (
    *(
        "odd",
        "even",
        "yes",
        "no",
        "true",
        "false",
        "red",
        "blue",
        "Monday",
        "triangle",
        "parabola",
        "undefined",
        "prime",
    ),
    *("increasing", "decreasing", "Mary", "Evelyn", "third quadrant", "hyperbola", "heads", "tails", "cat", "East"),
)
MONTHS = "January February March April May June July August September October November December"


def words(rng: Random) -> Case:
    word, *rest = rng.sample(WORDS, 3)
    same = [
        text(word),
        f"\\textbf{{{word}}}",
        f"**{word}**",
        text(f"The answer is {word}"),
        f"\\mathrm{{{word}}}" if " " not in word else text(word),
    ]
    same += [text(word.capitalize()), f'"{word}"', text(f"{word}."), word.lower() if len(word) > 2 else word]
    other = [text(other) for other in rest] + [
        text(f"not {word}"),
        text(f"{word} or {rest[0]}"),
        word[::-1],
        f"{word}s{word}",
        text(f"un{word}"),
    ]
    return case(text(word), same, other)


def letters(rng: Random) -> Case:
    word = "".join(rng.sample("ABCDEHKT", rng.randint(2, 4)))
    moved = word[1:] + word[0]
    same = [text(word), f"\\mathrm{{{word}}}", f"\\triangle {word}" if len(word) == 3 else text(word), f"**{word}**"]
    return case(word, same, [moved, word[::-1], text(moved), word[:-1] + "Z", f"{word}{word[0]}", f"{word}, {moved}"])


def outcomes(rng: Random) -> Case:
    word = "".join(rng.choice("HT") for _ in range(rng.randint(3, 5)))
    moved = word[1:] + word[0]
    swapped = word.translate(str.maketrans("HT", "TH"))
    return case(word, [text(word)], [swapped, f"{word}H", *([moved] if moved != word else [])])


def orders(rng: Random) -> Case:
    several = rng.sample("ABCDE", rng.randint(3, 5))
    if several == sorted(several):
        several.reverse()
    same = [", ".join(several), ",".join(several)]
    return case(
        ", ".join(several),
        same,
        [", ".join(sorted(several)), ", ".join(several[1:] + several[:1]), ", ".join(several[:-1])],
    )


def polynomials(rng: Random) -> Case:
    a, b, c = (nonzero(rng, 9) for _ in range(3))
    reference = f"{a}x^2 {b:+d}x {c:+d}"
    same = [
        f"{c} {b:+d}x {a:+d}x^2",
        f"{a}x^{{2}}{b:+d}x{c:+d}",
        f"{a}x{'2'.translate(SUPERSCRIPTS)} {b:+d}x {c:+d}",
        f"x({a}x {b:+d}) {c:+d}",
    ]
    same += [
        f"f(x) = {reference}",
        f"y = {reference}",
        f"{a}*x**2 {b:+d}*x {c:+d}",
        f"{reference} \\text{{ for all real }} x",
    ]
    other = [
        f"{a}x^2 {b:+d}x {c + 1:+d}",
        f"{-a}x^2 {b:+d}x {c:+d}",
        f"{a}x^3 {b:+d}x {c:+d}",
        f"{a}x^2 {b:+d}x",
        f"{a}y^2 {b:+d}y {c:+d}",
    ]
    other += [
        f"{a}x^2 {b:+d}x {c:+d} + C",
        f"{a}x^2 {b:+d}x {c:+d} = 1",
        f"\\frac{{{reference}}}{{2}}",
        f"{a}x^2 {b:+d}x {-c:+d}",
    ]
    return case(reference, same, other)


def products(rng: Random) -> Case:
    r, s = rng.sample(range(1, 12), 2)
    reference = f"(x-{r})(x+{s})"
    same = [
        f"x^2 {s - r:+d}x - {r * s}",
        f"(x+{s})(x-{r})",
        f"(x - {r}) \\cdot (x + {s})",
        f"\\left(x-{r}\\right)\\left(x+{s}\\right)",
    ]
    return case(
        reference,
        same,
        [f"(x+{r})(x-{s})", f"(x-{r})", f"x^2 {s - r:+d}x + {r * s}", f"(x-{r})+(x+{s})", f"(x-{r})(x+{s})^2"],
    )


def equations(rng: Random) -> Case:
    a, b = nonzero(rng, 9), nonzero(rng, 20)
    same = [f"y={a}x{b:+d}", f"y = {b} {a:+d}x", f"{a}x {b:+d} = y", f"y - ({a}x {b:+d}) = 0"]
    other = [f"y = {-a}x {b:+d}", f"y = {a}x {b + 1:+d}", f"z = {a}x {b:+d}", f"y < {a}x {b:+d}"]
    other += [f"y = {b}x {a:+d}"] if a != b else []
    other += [f"x = {a}y {b:+d}"] if a != -1 else []  # y = -x + b is symmetric
    return case(f"y = {a}x {b:+d}", same, other)


def operators(rng: Random) -> Case:
    one, turned = rng.choice((("\\land", "\\lor"), ("\\cup", "\\cap"), ("\\wedge", "\\vee"), ("\\lor", "\\land")))
    a, b = rng.sample(("p", "q", "r", "A", "B"), 2)
    other = [f"{a} {turned} {b}", f"{a} {one} c", f"{a} {b}", f"\\neg {a} {one} {b}", a]
    return case(f"{a} {one} {b}", [f"{a}{one} {b}", f"${a} {one} {b}$"], other)


def vector_products(rng: Random) -> Case:
    a, b = rng.sample("abuvw", 2)
    cross, turned = f"\\vec{{{a}}} \\times \\vec{{{b}}}", f"\\vec{{{b}}} \\times \\vec{{{a}}}"
    other = [turned, cross.replace("times", "cdot"), f"-{cross}", f"2{cross}"]
    return case(cross, [cross.replace(" ", ""), f"${cross}$"], other)


def even_roots(rng: Random) -> Case:
    degree, name = rng.choice((2, 4)), rng.choice("xyt")
    root = f"\\sqrt{{{name}^2}}" if degree == 2 else f"\\sqrt[4]{{{name}^4}}"
    same = [f"|{name}|", f"\\left|{name}\\right|", root.replace("sqrt", "sqrt ")]
    return case(root, same, [name, f"-{name}", f"{name}^2", f"\\pm {name}"])


def roots(rng: Random) -> Case:
    a, n = rng.randint(2, 9), rng.choice((2, 3, 5, 6, 7))
    reference = f"{a}\\sqrt{{{n}}}"
    same = [
        f"\\sqrt{{{a * a * n}}}",
        f"{a}√{n}",
        f"{a}*sqrt({n})",
        f"\\frac{{{a * n}}}{{\\sqrt{{{n}}}}}",
        f"{a} \\cdot {n}^{{1/2}}",
        f"{reference} \\approx {a * n**0.5:.3f}",
    ]
    other = [
        f"-{a}\\sqrt{{{n}}}",
        f"{a + 1}\\sqrt{{{n}}}",
        f"{a}\\sqrt{{{n + 1}}}",
        f"\\sqrt[3]{{{a * a * n}}}",
        f"{a * n**0.5:.2f}",
        f"{a} + \\sqrt{{{n}}}",
    ]
    other += [f"\\pm {a}\\sqrt{{{n}}}", f"{a}{n}", f"\\sqrt{{{a * n}}}" if a > 1 else "0"]
    return case(reference, same, other)


def odd_roots(rng: Random) -> Case:
    n, degree = rng.randint(2, 9), rng.choice((3, 5))
    reference = f"\\sqrt[{degree}]{{-{n**degree}}}"
    return case(
        reference,
        [f"-{n}", f"(-{n**degree})^{{1/{degree}}}", f"-\\sqrt[{degree}]{{{n**degree}}}"],
        [str(n), f"-{n + 1}", f"{n}i"],
    )


def logarithms(rng: Random) -> Case:
    a, b = rng.sample(range(2, 12), 2)
    same = [f"\\ln({a * b})", f"\\ln {b} + \\ln {a}", f"\\log_e {a * b}", f"\\ln {a}+\\ln {b}"]
    return case(
        f"\\ln {a} + \\ln {b}",
        same,
        [f"\\ln {a + b}", f"\\ln {a} - \\ln {b}", f"\\ln {a} \\cdot \\ln {b}", f"\\log_2 {a * b}", f"2\\ln {a * b}"],
    )


def angles(rng: Random) -> Case:
    function, value = rng.choice(
        (
            ("\\sin", ("\\frac{1}{2}", "\\frac{\\sqrt{2}}{2}", "\\frac{\\sqrt{3}}{2}")),
            ("\\cos", ("\\frac{\\sqrt{3}}{2}", "\\frac{\\sqrt{2}}{2}", "\\frac{1}{2}")),
        )
    )
    place = rng.randrange(3)
    degrees = (30, 45, 60)[place]
    same = [
        value[place],
        f"{function}({degrees}°)",
        f"{function}\\frac{{\\pi}}{{{180 // degrees}}}",
        f"{function}\\left(\\frac{{\\pi}}{{{180 // degrees}}}\\right)",
    ]
    return case(
        f"{function} {degrees}^\\circ",
        same,
        [f"-{value[place]}", value[(place + 1) % 3], str(degrees), f"{function} {degrees + 1}^\\circ", "1"],
    )


def degrees(rng: Random) -> Case:
    n = rng.randint(1, 179)
    same = [str(n), f"{n}°", f"{n}^{{\\circ}}", f"{n} \\text{{ degrees}}", f"\\angle A = {n}^\\circ", f"{n}\\degree"]
    other = [
        f"{n + 1}^\\circ",
        f"{180 - n}^\\circ" if n != 90 else "0",
        f"{n}^\\circ \\text{{C}}",
        f"{n}\\pi",
        f"-{n}^\\circ",
        f"{n}\\%",
    ]
    return case(f"{n}^\\circ", same, other)


def complex_numbers(rng: Random) -> Case:
    a, b = nonzero(rng, 9), rng.choice((1, -1)) * rng.randint(2, 9)
    same = [f"{b}i {a:+d}", f"{a}{b:+d}i", f"{a} + ({b}i)", f"z = {a} {b:+d}i", f"{a} {b:+d} \\mathrm{{i}}"]
    return case(
        f"{a} {b:+d}i",
        same,
        [
            f"{a} {-b:+d}i",
            f"{-a} {b:+d}i",
            f"({a}, {b})",
            f"{b} {a:+d}i" if a != b else "0",
            f"{a + b}i",
            str(a),
            f"{a} {b:+d}",
        ],
    )


def constants(rng: Random) -> Case:
    a = rng.randint(2, 9)
    same = [f"c e^{{-{a}t}}", f"Ce^{{-{a}t}}", f"y = C e^{{-{a}t}}", f"e^{{-{a}t}} C", f"C\\exp(-{a}t)"]
    return case(
        f"C e^{{-{a}t}}",
        same,
        [f"e^{{-{a}t}}", f"C e^{{{a}t}}", f"C e^{{-{a + 1}t}}", f"C + e^{{-{a}t}}", f"C e^{{-{a}}}"],
    )


def periodic(rng: Random) -> Case:
    share = Fraction(rng.randint(1, 5), rng.choice((3, 4, 6, 7)))
    angle = fraction(Fraction(share.numerator)).replace("1", "", 1) if share.numerator == 1 else str(share.numerator)
    offset = f"\\frac{{{angle}\\pi}}{{{share.denominator}}}" if share.denominator > 1 else f"{angle}\\pi"
    same = [
        f"x = {offset} + k\\pi, k \\in \\mathbb{{Z}}",
        f"{offset} + k\\pi",
        f"k\\pi + {offset}, \\ k \\in \\mathbb{{Z}}",
        f"{offset} + k\\pi \\text{{ where }} k \\text{{ is an integer}}",
    ]
    same += [f"{offset} + k\\pi \\ (k \\in \\mathbb{{Z}})"]
    other = [f"{offset} + 2k\\pi, k \\in \\mathbb{{Z}}", offset, f"{offset} + k\\pi, k \\in \\mathbb{{N}}"]
    if (2 * share).denominator > 1:  # else the same solutions
        other += [f"-{offset} + k\\pi, k \\in \\mathbb{{Z}}", "k\\pi"]
    return case(f"{offset} + k\\pi, k \\in \\mathbb{{Z}}", same, other)


def number_sets(rng: Random) -> Case:
    same = [
        "\\mathbb{R}",
        "(-\\infty, \\infty)",
        text("all real numbers"),
        "\u211d",
        "x \\in \\mathbb{R}",
        "(-∞, ∞)",
        text("All real numbers"),
    ]
    other = [
        "\\mathbb{Z}",
        "\\mathbb{Q}",
        "(0, \\infty)",
        "\\emptyset",
        text("no solution"),
        "x > 0",
        "0",
        text("all integers"),
        "\\mathbb{R} \\setminus \\{0\\}",
    ]
    return case(rng.choice(same[:4]), same, other)


def empty_sets(rng: Random) -> Case:
    same = ["\\emptyset", "\\varnothing", "∅", "\\{\\}", text("no solution"), text("No solutions")]
    return case(
        rng.choice(same[:3]),
        same,
        ["0", "\\{0\\}", "\\mathbb{R}", text("one solution"), text("infinitely many solutions")],
    )


def dates(rng: Random) -> Case:
    month, day, year = rng.randrange(12), rng.randint(1, 28), rng.randint(1900, 2030)
    names = MONTHS.split()
    same = [
        f"{names[month]} {day}, {year}",
        text(f"{names[month]} {day}, {year}"),
        f"{day} {names[month]} {year}",
        f"{year}-{month + 1:02d}-{day:02d}",
    ]
    other = [
        f"{names[month]} {day + 1}, {year}",
        f"{names[month]} {day}, {year + 1}",
        f"{names[(month + 1) % 12]} {day}, {year}",
        str(day),
        str(year),
        f"{names[month]} {day}",
    ]
    return case(same[0], same, other)


KINDS = (
    *(
        words,
        letters,
        outcomes,
        orders,
        polynomials,
        products,
        equations,
        operators,
        vector_products,
        even_roots,
        roots,
        odd_roots,
        logarithms,
        angles,
        degrees,
    ),
    *(complex_numbers, constants, periodic, number_sets, empty_sets, dates),
)
