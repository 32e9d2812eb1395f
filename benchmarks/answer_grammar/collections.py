"""Kinds of answers with several values: points, lists, labelled values, sets, intervals, matrices."""

from collections import Counter
from random import Random

from benchmarks.answer_grammar.forms import Case, case, fraction, joined, nonzero, proper

LABELS = (
    ("x", "y"),
    ("a", "b", "c"),
    ("m", "n"),
    ("p", "q"),
    ("h", "r"),
    ("P(A)", "P(B)"),
    ("x_1", "x_2"),
    (r"\alpha", r"\beta"),
)
NAMES = (("Alice", "Bob"), ("Ann", "Ben", "Carl"), ("switch", "stay"), ("max", "min"), ("length", "width"))


def distinct(rng: Random, count: int, limit: int = 30) -> list[int]:
    """Return integers no two of which are equal, nor equal up to sign."""
    return [value * rng.choice((1, 1, -1)) for value in rng.sample(range(1, limit), count)]


def written(values: list[int]) -> list[str]:
    return [str(value) for value in values]


def tuples(rng: Random) -> Case:
    values = distinct(rng, rng.choice((2, 3, 4)))
    inner = ", ".join(written(values))
    same = [
        f"({inner})",
        f"({inner.replace(' ', '')})",
        f"\\left({inner}\\right)",
        f"\\langle {inner} \\rangle",
        f"\uff08{inner}\uff09",
        inner,
    ]
    same += [f"({values[0]}.0, {', '.join(written(values[1:]))})"]
    turned = [values[1], values[0], *values[2:]]
    other = [
        f"({', '.join(written(turned))})",
        f"({', '.join(written(values[:-1]))})",
        f"({inner}, {values[0]})",
        f"\\{{{inner}\\}}",
    ]
    other += [
        f"({', '.join(written([values[0] + 1, *values[1:]]))})",
        f"({', '.join(written([-values[0], *values[1:]]))})",
    ]
    return case(f"({inner})", same, other)


def lists(rng: Random) -> Case:
    values = distinct(rng, rng.choice((2, 3, 4)))
    shuffled = rng.sample(values, len(values))
    same = [joined(written(shuffled), rng) for _ in range(3)] + [f"\\{{{', '.join(written(shuffled))}\\}}"]
    same += [r" \text{ or } ".join(f"x={value}" for value in shuffled), "或".join(f"x={value}" for value in shuffled)]
    other = changed_lists(values, rng)
    return case(", ".join(written(values)), same, other)


def changed_lists(values: list[int], rng: Random) -> list[str]:
    """Return lists with an element dropped, doubled, changed, negated or joined to the next."""
    place = rng.randrange(len(values))
    dropped, doubled = values[:place] + values[place + 1 :], [*values, values[place]]
    off = [value + 31 * (index == place) for index, value in enumerate(values)]
    negative = [-value if index == place else value for index, value in enumerate(values)]
    other = [", ".join(written(several)) for several in (dropped, doubled, off, negative)]
    return [*other, "".join(written(values)) if values[1] > 0 else "0", f"{', '.join(written(values))}, \\ldots"]


def repeats(rng: Random) -> Case:
    values = sorted(distinct(rng, 2) + distinct(rng, 1))
    values = [*values, rng.choice(values)]
    shuffled = rng.sample(values, len(values))
    same = [", ".join(written(shuffled)), joined(written(shuffled), rng)]
    once = list(dict.fromkeys(values))
    other = [", ".join(written(once)), ", ".join(written([*values, values[0]])), str(values[0])]
    moved = [*once, once[0], once[1]][: len(values)]
    other += [", ".join(written(moved))] if Counter(moved) != Counter(values) else []
    return case(", ".join(written(values)), same, other)


def ellipses(rng: Random) -> Case:
    start, step = rng.randint(1, 9), rng.randint(2, 9)
    values = [start + step * n for n in range(4)]
    dots = rng.choice((r"\ldots", r"\dots", "...", r"\cdots"))
    body = ", ".join(written(values))
    other = [f"{', '.join(written([*values[:3], values[3] + 1]))}, {dots}", f"{', '.join(written(values[:3]))}", body]
    other += [f"{', '.join(written(values[::-1]))}, {dots}", f"{', '.join(written([start, *values]))}, {dots}"]
    return case(f"{body}, \\ldots", [f"{body}, {dots}", f"{body.replace(' ', '')},{dots}"], other)


def labelled(rng: Random) -> Case:
    names = rng.choice(LABELS)
    values = distinct(rng, len(names))
    pairs = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
    same = [
        ", ".join(rng.sample(pairs, len(pairs))),
        r" \text{ and } ".join(pairs),
        "\uff0c".join(pairs),
        ", ".join(pair.replace("=", " = ") for pair in pairs),
    ]
    same += [f"({', '.join(names)}) = ({', '.join(written(values))})", f"({', '.join(written(values))})"]
    same += [f"({', '.join(names[::-1])}) = ({', '.join(written(values[::-1]))})", cases(pairs)]
    turned = [f"{name}={value}" for name, value in zip(names, [*values[1:], values[0]], strict=True)]
    other = [
        ", ".join(turned),
        cases(turned),
        f"({', '.join(names)}) = ({', '.join(written([*values[1:], values[0]]))})",
        pairs[0],
    ]
    other += [", ".join(written([*values[1:], values[0]])), ", ".join([*pairs[:-1], f"{pairs[-1]}1"])]
    return case(", ".join(pairs), same, other)


def cases(pairs: list[str]) -> str:
    return "\\begin{cases}" + r" \\ ".join(pairs) + "\\end{cases}"


def named(rng: Random) -> Case:
    names = rng.choice(NAMES)
    values = [proper(rng) + place for place, _ in enumerate(names)]
    turned = [*values[1:], values[0]]

    def written_as(form: str, several: list) -> str:  # type: ignore[type-arg]
        return ", ".join(
            form.format(name=name, value=fraction(value)) for name, value in zip(names, several, strict=True)
        )

    forms = ("\\text{{{name}}} = {value}", "\\text{{{name}}}: {value}", "{name}: {value}", "\\text{{{name} }} {value}")
    same = [written_as(form, values) for form in forms]
    return case(written_as(forms[0], values), same, [written_as(form, turned) for form in forms])


def points(rng: Random) -> Case:
    (a, b), name = distinct(rng, 2), rng.choice("ABCP")
    same = [f"({a}, {b})", f"{name} = ({a}, {b})", f"x = {a}, y = {b}", f"\\left({a}, {b}\\right)"]
    other = [f"{name} = ({b}, {a})", f"({b}, {a})", f"({a}, {-b})", f"({a}, {b}, 0)", f"{a}", f"\\{{{a}, {b}\\}}"]
    return case(f"({a}, {b})", same, [*other, f"[{a}, {b}]"] if a < b else other)


def lone_labels(rng: Random) -> Case:
    name, wrong = rng.sample(
        rng.choice((("x", "y", "n", "p", "A", "b"), ("f(2)", "f(3)", "g(3)"), ("P(A)", "P(B)"), ("x_1", "x_2"))), 2
    )
    value = rng.randint(2, 99)
    same = [str(value), f"{name} = {value}", f"{name}={value}.0", f"${name} = {value}$"]
    other = [f"{wrong} = {value}", f"{name} = {value + 1}", f"{name} = -{value}", f"{name} > {value}"]
    return case(f"{name} = {value}", same, [*other, f"{name} \\neq {value}", wrong])


def chains(rng: Random) -> Case:
    names = rng.sample("abcd", 3)
    same = [" < ".join(names), "<".join(names), " > ".join(names[::-1]), r" \lt ".join(names)]
    turned = [names[1], names[0], names[2]]
    other = [" > ".join(names), " < ".join(turned), " < ".join(names[::-1]), " < ".join(names[:2]), " = ".join(names)]
    return case(" < ".join(names), same, [*other, r" \le ".join(names)])


def plus_minus(rng: Random) -> Case:
    n = rng.randint(1, 40)
    same = [f"{n}, -{n}", f"-{n}, {n}", f"x = \\pm {n}", f"{n} \\text{{ and }} -{n}", f"\\{{-{n}, {n}\\}}", f"±{n}"]
    other = [str(n), f"-{n}", f"\\pm {n + 1}", f"{n}, {n}", f"{n}, -{n}, 0", f"\\pm {n}i"]
    return case(f"\\pm {n}", same, other)


def solutions(rng: Random) -> Case:
    (a, b), (c, d) = distinct(rng, 2, 15), [15 + value for value in map(abs, distinct(rng, 2, 15))]
    one, other = f"x={a}, y={b}", f"x={c}, y={d}"
    reference = f"({a}, {b}), ({c}, {d})"
    same = [f"({c}, {d}), ({a}, {b})", f"\\{{({a},{b}),({c},{d})\\}}", f"({a}, {b}) \\text{{ and }} ({c}, {d})"]
    wrong = [f"({a}, {d}), ({c}, {b})", f"({b}, {a}), ({c}, {d})", f"({a}, {b})", one]
    return case(reference, [*same, f"{one} \\text{{ or }} {other}"], wrong)


def sets(rng: Random) -> Case:
    values = distinct(rng, rng.choice((2, 3)))
    inner = ", ".join(written(rng.sample(values, len(values))))
    same = [
        f"\\{{{inner}\\}}",
        f"\\left\\{{{inner}\\right\\}}",
        inner,
        f"\\{{{inner}, {values[0]}\\}}",
        f"x \\in \\{{{inner}\\}}",
    ]
    other = [
        f"\\{{{', '.join(written(values[:-1]))}\\}}",
        f"\\{{{inner}, 77\\}}",
        f"({inner})",
        "\\emptyset",
        f"\\{{{', '.join(written([-v for v in values]))}\\}}",
    ]
    return case(f"\\{{{', '.join(written(values))}\\}}", same, other)


def intervals(rng: Random) -> Case:
    low = nonzero(rng, 20)
    high = low + rng.randint(1, 20)
    left, right = rng.choice("(["), rng.choice(")]")
    signs = {"(": "<", "[": "\\le", ")": "<", "]": "\\le"}
    same = [
        f"{low} {signs[left]} x {signs[right]} {high}",
        f"x \\in {left}{low}, {high}{right}",
        f"\\left{left}{low},{high}\\right{right}",
    ]
    same += [
        f"x {'>' if left == '(' else chr(0x2265)} {low} \\text{{ and }} x {signs[right]} {high}",
        f"\\{{x \\mid {low} {signs[left]} x {signs[right]} {high}\\}}",
    ]
    flip = {"(": "[", "[": "(", ")": "]", "]": ")"}
    other = [
        f"{flip[left]}{low}, {high}{right}",
        f"{left}{low}, {high}{flip[right]}",
        f"{left}{low}, {high + 1}{right}",
        f"{low}",
    ]
    other += [
        f"{left}{low}, \\infty)",
        f"x {signs[right]} {high}",
        f"x < {low} \\text{{ or }} x > {high}",
        f"{left}{-high}, {-low}{right}" if high != -low else "0",
    ]
    return case(f"{left}{low},{high}{right}", same, other)


def relations(rng: Random) -> Case:
    end, sign = nonzero(rng, 30), rng.choice(("<", ">", "\\le", "\\ge"))
    low = sign in (">", "\\ge")
    closed = len(sign) > 1
    interval = f"{'[' if closed else '('}{end}, \\infty)" if low else f"(-\\infty, {end}{']' if closed else ')'}"
    turned = {"<": ">", ">": "<", "\\le": "\\geq", "\\ge": "\\leq"}[sign]
    same = [interval, f"{end} {turned} x", f"x {sign}{end}" if not closed else f"x {sign} {end}", f"x \\in {interval}"]
    open_or_closed = {"<": "\\le", ">": "\\ge", "\\le": "<", "\\ge": ">"}[sign]
    other = [
        f"x {open_or_closed} {end}",
        f"x {turned} {end}",
        f"x {sign} {end + 1}",
        str(end),
        f"x = {end}",
        f"x \\neq {end}",
    ]
    return case(f"x {sign} {end}", same, other)


def unions(rng: Random) -> Case:
    low = nonzero(rng, 20)
    high = low + rng.randint(1, 20)
    same = [
        f"(-\\infty, {low}) \\cup ({high}, \\infty)",
        f"({high}, \\infty) \u222a (-\\infty, {low})",
        f"x>{high} \\text{{ or }} x<{low}",
        f"x < {low} or x > {high}",
    ]
    same += [f"(-\\infty, \\infty) \\setminus [{low}, {high}]"]
    other = [
        f"x<{low} \\text{{ and }} x>{high}",
        f"{low} < x < {high}",
        f"(-\\infty, {low}] \\cup ({high}, \\infty)",
        f"x < {low}",
        f"x > {high}",
    ]
    other += [
        f"(-\\infty, {low}) \\cap ({high}, \\infty)",
        f"(-\\infty, {low}) \\cup ({high + 1}, \\infty)",
        "(-\\infty, \\infty)",
    ]
    return case(f"(-\\infty, {low}) \\cup ({high}, \\infty)", same, other)


def absolute_values(rng: Random) -> Case:
    n = rng.randint(1, 20)
    same = [f"-{n} < x < {n}", f"(-{n}, {n})", f"x \\in (-{n}, {n})", f"x > -{n} \\text{{ and }} x < {n}"]
    return case(
        f"|x| < {n}",
        same,
        [f"|x| > {n}", f"|x| \\le {n}", f"x < {n}", f"[-{n}, {n}]", f"x < -{n} \\text{{ or }} x > {n}", str(n)],
    )


def matrices(rng: Random) -> Case:
    a, b, c, d = distinct(rng, 4)
    rows = [[a, b], [c, d]]

    def matrix(several: list[list[int]], name: str = "pmatrix") -> str:
        body = r" \\ ".join(" & ".join(written(row)) for row in several)
        return f"\\begin{{{name}}} {body} \\end{{{name}}}"

    same = [matrix(rows, "bmatrix"), matrix(rows).replace(" ", ""), f"[[{a},{b}],[{c},{d}]]", f"A = {matrix(rows)}"]
    same += [f"\\frac{{1}}{{2}}{matrix([[2 * a, 2 * b], [2 * c, 2 * d]])}"]
    other = [
        matrix([[a, c], [b, d]]),
        matrix([[c, d], [a, b]]),
        matrix([[a, b], [c, -d]]),
        matrix([[a, b]]),
        matrix([[a, b], [c, d + 1]]),
        f"2{matrix(rows)}",
    ]
    return case(matrix(rows), same, other)


def vectors(rng: Random) -> Case:
    values = distinct(rng, rng.choice((2, 3)))
    column = "\\begin{pmatrix}" + r" \\ ".join(written(values)) + "\\end{pmatrix}"
    inner = ", ".join(written(values))
    same = [
        column.replace("pmatrix", "bmatrix"),
        f"({inner})",
        f"\\langle {inner} \\rangle",
        f"[{inner}]",
        f"\\vec{{v}} = {column}",
    ]
    other = [
        "\\begin{pmatrix}" + " & ".join(written(values)) + "\\end{pmatrix}",
        f"({', '.join(written(values[::-1]))})",
        f"({inner}, 0)",
    ]
    other += [column.replace(str(values[0]), str(values[0] + 40), 1)]
    return case(column, same, other)


KINDS = (
    *(tuples, lists, repeats, ellipses, labelled, named, solutions, sets, intervals, relations, unions),
    *(absolute_values, matrices, vectors, points, lone_labels, chains, plus_minus),
)
