"""Kinds of answers that are one number: integers, fractions, decimals, percentages, money, units, times, bases."""

from fractions import Fraction
from random import Random

from benchmarks.answer_grammar.forms import (
    DIGITS,
    UNICODE_FRACTIONS,
    Case,
    case,
    fraction,
    grouped,
    nonzero,
    plain_fraction,
    proper,
    text,
)

TIMES = (("am", "pm"), ("a.m.", "p.m."), ("AM", "PM"), ("A.M.", "P.M."))
COUNTED = ("apples", "boys", "girls", "red balls", "blue balls", "books", "students", "tickets")
UNITS = {
    "km/h": (("m/s", "mph", "km", "km/s"), ("km / h", "kilometers per hour", "km/hr")),
    "m/s": (("km/h", "m/s^2", "m", "cm/s"), ("meters per second", "m / s")),
    "kg": (("g", "lb", "mg", "tons"), ("kilograms", "kilogram")),
    "cm": (("m", "mm", "inches", "cm^2"), ("centimeters", "centimetres")),
    "cm^2": (("m^2", "cm", "cm^3", "mm^2"), ("square centimeters", "square cm")),
    "J": (("kJ", "eV", "W", "N"), ("joules", "J")),
    "mL": (("L", "cL", "gallons"), ("milliliters", "ml")),
    "minutes": (("hours", "seconds", "days"), ("min", "minute")),
    "A": (("mA", "V", "kA"), ("amperes", "amps")),
    "V": (("kV", "mV", "A"), ("volts", "V")),
    "GHz": (("MHz", "Hz", "kHz"), ("gigahertz", "GHz")),
    "元": (("角", "分"), ("元",)),
    "小时": (("分钟", "秒"), ("小时",)),
}
REMARKS = (
    "incorrect",
    "wrong",
    "false",
    "rejected",
    "extraneous",
    "guess",
    "probably",
    "invalid",
    "impossible",
    "maybe",
)
CURRENCIES = (
    ("\\$", "USD", "dollars"),
    ("€", "EUR", "euros"),
    ("£", "GBP", "pounds"),
    ("¥", "CNY", "yuan"),
    ("₹", "INR", "rupees"),
)
WORDS = "zero one two three four five six seven eight nine ten eleven twelve"


def integers(rng: Random) -> Case:
    n = nonzero(rng, rng.choice((12, 99, 999, 99_999, 9_999_999)))
    same = [f"{n}.0", f"{n}.", f"\\mathbf{{{n}}}", text(str(n)), f"{{{n}}}", f"({n})", f"x = {n}", f"**{n}**", f"`{n}`"]
    same += [
        f"\\frac{{{2 * n}}}{{2}}",
        str(n).translate(rng.choice(DIGITS)),
        f"{n} \\text{{ apples}}",
        f"\\color{{red}}{{{n}}}",
    ]
    same += [
        text("The answer is ") + str(n),
        f"{n} \\quad \\checkmark",
        f"$ {n} $",
        f"{n}个",
        f"{n - 1} + 1",
        f"\\boxed{{{n}}}",
    ]
    same += [grouped(n, separator) for separator in (",", "{,}", r"\,", r",\!")]
    digits = str(abs(n))
    other = [
        str(n + 1),
        str(-n),
        f"{n}0",
        f"> {n}",
        f"\\neq {n}",
        f"{n}, {n + 1}",
        f"{n} \\text{{ or }} {n + 1}",
        f"{n}?",
    ]
    other += [
        f"{n} \\pm 1",
        f"{n} \\text{{ million}}",
        f"{n}+",
        f"\\text{{not }} {n}",
        f"{n} = {n + 1}",
        f"({n}, {n})",
        f"{n}\\ldots",
    ]
    other += [
        f"1 + {n}",
        f"{n}x",
        f"{n} \\text{{ is wrong}}",
        f"\\le {n}",
        f"{n}, {n}",
        f"{n}.5",
        f"{n - 1} + 2",
        f"2+2={n + 5}",
    ]
    other += [f"{n} {text(f'({remark})')}" for remark in rng.sample(REMARKS, 3)]
    other += [text(f"{bound} ") + str(n) for bound in ("up to", "almost", "more than")] + [f"{n} {text('minimum')}"]
    if len(digits) > 1:
        other += [f"{digits[:1]}{blank}{digits[1:]}" for blank in (r"\quad ", r"\qquad ", r" \text{ } ", r"\;", "~")]
        other += [f"{digits[:1]} {digits[1:]}", f"{digits[:1]}, {digits[1:]}", digits[1:], f"{digits[:1]}/{digits[1:]}"]
        other += [swapped] if int(swapped := digits[::-1]) != abs(n) else []
    return case(str(n), same, [answer for answer in other if not is_group(answer, n)])


def is_group(answer: str, n: int) -> bool:
    """Return whether a split of the digits is a group of thousands: `1 234` is 1234."""
    head, _, tail = answer.replace(",", "").replace(r"\;", " ").replace("~", " ").partition(" ")
    return (
        n > 0
        and head.isdigit()
        and tail.isdigit()
        and len(tail) == 3
        and f"{head}{tail}" == str(n)
        and "0" in (tail[0], *"0" * (len(head) < 4))
    )


def rationals(rng: Random) -> Case:
    value = proper(rng, 30) + rng.choice((0, 0, rng.randint(1, 5)))
    value *= rng.choice((1, 1, -1))
    a, b = value.numerator, value.denominator
    same = [fraction(value, command) for command in ("dfrac", "tfrac", "cfrac")] + [plain_fraction(value), f"{a} / {b}"]
    same += [
        f"\\frac{{{3 * a}}}{{{3 * b}}}",
        f"x = {plain_fraction(value)}",
        f"{{{a} \\over {b}}}",
        f"{a}:{b}",
        f"{a}÷{b}",
    ]
    same += [UNICODE_FRACTIONS[value]] if value in UNICODE_FRACTIONS else []
    same += [
        f"{fraction(value)} \\approx {float(value):.3f}",
        f"\\left(\\frac{{{a}}}{{{b}}}\\right)",
        f"{float(value):.10f}",
    ]
    other = [fraction(1 / value), fraction(-value), fraction(value + 1), f"{a}{b}", f"{a}, {b}", f"{float(value):.2f}1"]
    other += [
        f"{a}",
        f"{a} {b}",
        f"\\frac{{{a}}}{{{b + 1}}}",
        f"({a}, {b})",
        f"> {fraction(value)}",
        f"{fraction(value)}?",
    ]
    return case(fraction(value), same, other)


def decimals(rng: Random) -> Case:
    places = rng.randint(1, 4)
    value = Fraction(nonzero(rng, 10**5) * 10 + rng.randint(1, 9), 10**places)
    written = f"{float(value):.{places}f}"
    same = [
        f"{written}0",
        fraction(value),
        plain_fraction(value),
        text(written),
        f"{written} \\text{{ m}}",
        f"y = {written}",
    ]
    same += [f"${written}$", f"{written}00", f"\\mathbf{{{written}}}"]
    other = [
        f"{float(value) + 1:.{places}f}",
        f"-{written}".replace("--", ""),
        written.replace(".", ", "),
        written.replace(".", ". "),
    ]
    other += [
        written.replace(".", ""),
        written.replace(".", " "),
        f"{written}1",
        f"{written}5",
        written[:-1] + "…",
        f"{written} \\pm 0.1",
    ]
    return case(written, same, other)


def small_decimals(rng: Random) -> Case:
    below = rng.randint(1_100_000, 90_000_000)
    value = Fraction(1, below)
    same = [f"1/{below}", f"\\frac{{2}}{{{2 * below}}}", grouped_fraction(below)]
    return case(
        fraction(value),
        same,
        ["0.000000", "0.0000000", "0.000001", f"{float(value):.7f}", "0", f"\\frac{{1}}{{{below + 1}}}"],
    )


def grouped_fraction(below: int) -> str:
    return f"\\frac{{1}}{{{below:,}}}"


def repeating_decimals(rng: Random) -> Case:
    block, start = rng.choice(("3", "6", "12", "27", "142857", "09")), rng.choice(("", "1", "25"))
    scale = 10 ** len(start)
    value = Fraction(int(start or 0), scale) + Fraction(int(block), scale * (10 ** len(block) - 1))
    same = [f"0.{start}\\overline{{{block}}}", f"0.{start}({block})", plain_fraction(value)]
    same += [f"0.{start}\\dot{{{block}}}"] if len(block) == 1 else []
    other = [
        f"0.{start}{block[:4]}",
        f"0.{start}\\overline{{{int(block) + 1}}}",
        f"1.{start}\\overline{{{block}}}",
        f"0.{start}0\\overline{{{block}}}",
    ]
    return case(fraction(value), same, other)


def mixed_numbers(rng: Random) -> Case:
    whole, part = rng.randint(1, 20), proper(rng)
    a, b = part.numerator, part.denominator
    value = whole + part
    same = [
        f"{whole}\\frac{{{a}}}{{{b}}}",
        f"{whole} \\frac{{{a}}}{{{b}}}",
        fraction(value),
        plain_fraction(value),
        f"{whole}\\ {a}/{b}",
    ]
    same += [f"{whole}{UNICODE_FRACTIONS[part]}"] if part in UNICODE_FRACTIONS else []
    other = [
        f"{whole}{a}/{b}",
        fraction(Fraction(whole * a, b)),
        f"{whole + 1} {a}/{b}",
        f"-{whole} {a}/{b}",
        f"{whole}, {a}/{b}",
    ]
    other += [f"{whole} {b}/{a}"] if a > 1 else []
    return case(f"{whole} {a}/{b}", same, [o for o in other if Fraction(whole * a, b) != value or o != fraction(value)])


def percents(rng: Random) -> Case:
    n = rng.randint(1, 99)
    same = [
        f"{n} \\%",
        f"{n}%",
        text(f"{n}%"),
        f"{n} \\text{{ percent}}",
        fraction(Fraction(n, 100)),
        f"{n}.0\\%",
        f"{n / 100:.2f}",
    ]
    other = [
        f"{n + 1}\\%",
        f"{n}",
        f"{n / 1000:.3f}",
        f"-{n}\\%",
        f"{n}0\\%",
        f"\\frac{{{n}}}{{10}}",
        f"{n}\\% \\text{{ or }} {n + 1}\\%",
    ]
    return case(f"{n}\\%", same, other)


def money(rng: Random) -> Case:
    cents = rng.randint(100, 10**6)
    value = f"{cents / 100:.2f}"
    same = [
        value,
        f"\\${value}",
        f"${value}",
        f"\\$ {value}",
        f"{value} \\text{{ dollars}}",
        f"{value} \\text{{ USD}}",
        f"\\${cents / 100:,.2f}",
    ]
    other = [
        f"€{value}",
        f"£{value}",
        f"{value} \\text{{ cents}}",
        f"{value} \\text{{ euros}}",
        f"\\${(cents + 100) / 100:.2f}",
        f"-\\${value}",
    ]
    other += [f"\\${value[:-3]}{value[-2:]}", f"{value}\\text{{元}}", f"\\${value} \\text{{ or more}}"]
    return case(f"\\${value}", same, other)


def currencies(rng: Random) -> Case:
    (sign, code, name), (other_sign, other_code, other_name) = rng.sample(CURRENCIES, 2)
    n = rng.randint(2, 999)
    same = [f"{sign}{n}.00", f"{n} {text(name)}", f"{n} {text(code)}", f"{sign} {n}", text(f"{n} {name}")]
    other = [f"{other_sign}{n}", f"{n} {text(other_name)}", f"{n} {text(other_code)}", f"{sign}{n + 1}"]
    return case(f"{sign}{n}", same, [*other, f"{sign}{n}0", f"-{sign}{n}", f"{n} {text('cents')}"])


def scientific(rng: Random) -> Case:
    digits, power = rng.randint(11, 99), rng.randint(3, 12) * rng.choice((1, -1))
    value = Fraction(digits, 10) * Fraction(10) ** power
    written, ten = f"{digits // 10}.{digits % 10}", f"10^{{{power}}}"
    same = [
        f"{written} \\cdot {ten}",
        f"{written}\u00d7{ten}",
        f"{written}e{power}",
        f"{digits} \\times 10^{{{power - 1}}}",
    ]
    same += [str(value.numerator)] if value.denominator == 1 else []
    other = [
        f"{written} \\times 10^{{{power + 1}}}",
        f"{written} \\times 10^{{{-power}}}",
        written,
        f"{digits} \\times {ten}",
    ]
    other += [f"-{written} \\times {ten}", f"{written} + {ten}", ten, f"{written} \\times {power}"]
    return case(f"{written} \\times {ten}", same, other)


def ordinals(rng: Random) -> Case:
    n = rng.randint(4, 20)
    same = [f"{n}th", text(f"{n}th"), f"{n}^{{th}}", f"{n}^{{\\text{{th}}}}"]
    return case(str(n), same, [f"{n + 1}th", text(f"{n - 1}th"), f"-{n}", f"\\frac{{1}}{{{n}}}", f"{n}^{{{n}}}"])


def units(rng: Random) -> Case:
    unit = rng.choice(tuple(UNITS))
    wrong, spelled = UNITS[unit]
    n = rng.randint(2, 500)
    same = [
        f"{n}\\,\\mathrm{{{unit}}}",
        f"{n} {text(unit)}",
        f"{n}\\text{{ {unit}}}",
        text(f"{n} {unit}"),
        f"x = {n}\\text{{ {unit}}}",
    ]
    same += [f"{n} \\text{{ {name}}}" for name in spelled] + [f"{n}.0 \\text{{ {unit}}}"]
    other = [f"{n} \\text{{ {name}}}" for name in wrong] + [f"{n + 1} \\text{{ {unit}}}", f"-{n} \\text{{ {unit}}}"]
    other += [] if unit == "元" else [str(n)]
    return case(f"{n} \\text{{ {unit}}}", same, other)


def conversions(rng: Random) -> Case:
    n = 18 * rng.randint(1, 40)
    tables = (
        (f"{n} \\text{{ km/h}}", f"{n * 5 // 18} \\text{{ m/s}}", f"{n * 5 // 18 + 1} \\text{{ m/s}}"),
        (f"{n} \\text{{ hours}}", f"{n * 60} \\text{{ minutes}}", f"{n * 6} \\text{{ minutes}}"),
        (f"{n} \\text{{ m}}", f"{n * 100} \\text{{ cm}}", f"{n * 10} \\text{{ cm}}"),
        (f"{n} \\text{{ m}}^2", f"{n * 10_000} \\text{{ cm}}^2", f"{n * 100} \\text{{ cm}}^2"),
        (f"{n} \\text{{ kJ}}", f"{n * 1000} \\text{{ J}}", f"{n} \\text{{ J}}"),
        (f"{n} \\text{{ L}}", f"{n * 1000} \\text{{ mL}}", f"{n * 100} \\text{{ mL}}"),
    )
    reference, same, other = rng.choice(tables)
    return case(reference, [same], [other])


def counts(rng: Random) -> Case:
    (one, two), n, m = rng.sample(COUNTED, 2), rng.randint(2, 50), rng.randint(51, 99)
    reference = f"{n} \\text{{ {one}}}, {m} \\text{{ {two}}}"
    same = [f"{m} \\text{{ {two}}}, {n} \\text{{ {one}}}", f"{n} {text(one)} \\text{{ and }} {m} {text(two)}"]
    other = [
        f"{m} \\text{{ {one}}}, {n} \\text{{ {two}}}",
        f"{n} \\text{{ {one}}}",
        f"{n} \\text{{ {one}}}, {m + 1} \\text{{ {two}}}",
        f"{n} \\text{{ {two}}}, {m} \\text{{ {one}}}",
    ]
    return case(reference, same, other)


def clock_times(rng: Random) -> Case:
    hour, minute, later = rng.randint(1, 11), rng.randint(0, 59), rng.random() < 0.5
    mark = TIMES[0][later]
    written = f"{hour}:{minute:02d}"
    same = [f"{written} {text(pair[later])}" for pair in TIMES] + [
        f"{written} {TIMES[2][later]}",
        f"{written}\\,{text(mark)}",
    ]
    same += [f"{hour + 12 * later}:{minute:02d}"]
    other = [f"{written} {text(pair[not later])}" for pair in TIMES] + [f"{hour + 12 * (not later)}:{minute:02d}"]
    other += [f"{hour % 11 + 1}:{minute:02d} {text(mark)}", f"{hour}:{(minute + 7) % 60:02d} {text(mark)}"]
    if hour % 2 == 0 and minute % 2 == 0:
        other.append(f"{hour // 2}:{minute // 2:02d} {text(mark)}")
    return case(f"{written} {text(mark)}", same, other)


def bare_times(rng: Random) -> Case:
    hour, minute = rng.randint(1, 12), rng.randint(1, 29)
    written = f"{hour}:{minute:02d}"
    other = [f"{hour}:{2 * minute:02d}", f"{hour % 12 + 1}:{minute:02d}", f"{hour}.{minute:02d}", f"{hour}{minute:02d}"]
    other += [f"{2 * hour}:{2 * minute:02d}"] if hour < 7 else []
    return case(written, [f" {written} ", text(written), f"**{written}**"], other)


def ratios(rng: Random) -> Case:
    parts = [rng.randint(1, 9) for _ in range(rng.choice((2, 3)))]
    double = [2 * part for part in parts]
    colon = ":".join(map(str, parts))
    same = [
        " : ".join(map(str, parts)),
        ":".join(map(str, double)),
        f"{text('ratio')} = {colon}",
        r"\colon ".join(map(str, parts)),
    ]
    same += [fraction(Fraction(*parts))] if len(parts) == 2 else []
    changed = [parts[0] + 1, *parts[1:]]
    other = [":".join(map(str, changed)), ":".join(map(str, [*parts, 1])), ", ".join(map(str, parts))]
    other += [":".join(map(str, parts[::-1]))] if parts[0] != parts[-1] else []
    return case(colon, same, other)


def bases(rng: Random) -> Case:
    base = rng.choice((2, 3, 5, 8))
    digits = str(rng.randint(1, base - 1)) + "".join(str(rng.randrange(base)) for _ in range(rng.randint(2, 6)))
    same = [
        f"{digits}_{{{base}}}",
        f"({digits})_{base}",
        f"({digits})_{{{base}}}",
        f"{digits}_{{{text(str(base))}}}",
        f"x = {digits}_{base}",
    ]
    other = [
        f"{digits}_{base + 1}",
        f"{digits}0_{base}",
        f"-{digits}_{base}",
        f"{digits}_{{{base}0}}",
        str(int(digits, base)),
    ]
    other += [f"{swapped}_{base}"] if (swapped := digits[::-1]) != digits else []
    return case(f"{digits}_{base}", same, other)


def number_words(rng: Random) -> Case:
    words = WORDS.split()
    n = rng.randrange(2, len(words))
    same = [text(words[n]), str(n), words[n].capitalize(), text(words[n].upper()), f"{n}.0"]
    return case(words[n], same, [str(n + 1), text(words[n - 1]), f"-{n}", f"{n}0", text(f"not {words[n]}")])


KINDS = (
    *(integers, rationals, decimals, small_decimals, repeating_decimals, mixed_numbers, percents, money, units),
    *(currencies, scientific, ordinals, conversions, counts, clock_times, bare_times, ratios, bases, number_words),
)
