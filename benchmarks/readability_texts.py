"""Texts of the readability set: reasoning in other languages, and passages that only look faulty."""
# ruff: noqa: RUF001  (texts in several scripts)

from collections.abc import Callable

LANGUAGES = {
    "fr": [
        "Nous commençons par compter les pommes de chaque panier.",
        "Le premier panier en contient douze et le second en contient huit.",
        "Il faut donc ajouter les deux nombres pour avoir le total.",
        "Ensuite, on divise le résultat par le nombre de personnes qui sont dans la classe.",
        "Cette valeur est plus grande que la moyenne, mais elle ne change pas la conclusion.",
        "Vérifions une fois encore le calcul avec une autre méthode.",
        "Comme le reste est nul, la division tombe juste.",
    ],
    "es": [
        "Primero contamos las manzanas que hay en cada cesta.",
        "La primera cesta tiene doce y la segunda tiene ocho.",
        "Por lo tanto, hay que sumar los dos números para obtener el total.",
        "Después se divide el resultado entre el número de personas de la clase.",
        "Este valor es más grande que la media, pero no cambia la conclusión.",
        "Comprobamos una vez más el cálculo con otro método.",
        "Como el resto es cero, la división es exacta.",
    ],
    "de": [
        "Zuerst zählen wir die Äpfel, die in jedem Korb liegen.",
        "Der erste Korb enthält zwölf und der zweite enthält acht.",
        "Wir müssen also die beiden Zahlen addieren, um die Summe zu erhalten.",
        "Danach teilt man das Ergebnis durch die Zahl der Kinder in der Klasse.",
        "Dieser Wert ist größer als der Durchschnitt, aber das ändert nicht den Schluss.",
        "Wir prüfen die Rechnung noch einmal mit einem anderen Verfahren.",
        "Weil der Rest null ist, geht die Division auf.",
    ],
    "ru": [
        "Сначала посчитаем яблоки в каждой корзине.",
        "В первой корзине их двенадцать, а во второй восемь.",
        "Значит, нужно сложить эти два числа, чтобы получить сумму.",
        "Затем разделим результат на количество человек в классе.",
        "Это значение больше среднего, но вывод от этого не меняется.",
        "Проверим вычисление ещё раз другим способом.",
        "Остаток равен нулю, поэтому деление выполняется нацело.",
    ],
    "ja": [
        "まず、それぞれのかごに入っているりんごを数えます。",
        "一つ目のかごには十二個、二つ目のかごには八個あります。",
        "したがって、合計を求めるには二つの数を足せばよいです。",
        "次に、その結果をクラスの人数で割ります。",
        "この値は平均より大きいですが、結論は変わりません。",
        "もう一度、別の方法で計算を確かめましょう。",
        "余りがないので、ちょうど割り切れます。",
    ],
}

MENTIONS = (
    "I have to put the final answer in <answer> tags.",
    "The reply goes between <answer> and </answer>.",
    "The format is `<think>` and then `<answer>`.",
    "So I write it inside <answer></answer> tags at the end.",
    "The result must be given as <answer>...</answer> after this.",
)


def cases(n: int, _: str) -> str:
    """Return a distinction of n cases, each with its numbers."""
    return "\n".join(
        f"If n = {k}, then n^2 + n = {k * k + k}, which is not divisible by 7, so it is no solution."
        for k in range(1, n)
    )


def chinese_cases(n: int, _: str) -> str:
    """Return a distinction of n cases in Chinese."""
    return "\n".join(f"当 n = {k} 时，n^2 + n = {k * k + k}，不能被 7 整除，所以不是解。" for k in range(1, n))


def table(n: int, _: str) -> str:
    """Return a table in which most cells are the same."""
    return "| n | even | square | sum |\n|---|---|---|---|\n" + "\n".join(
        f"| {k} | yes | no | {3 * k} |" for k in range(n)
    )


def residues(n: int, _: str) -> str:
    """Return n statements on squares modulo 7."""
    return "\n".join(f"If x ≡ {k} (mod 7), then x² ≡ {k * k % 7} (mod 7)." for k in range(n))


def zeros(n: int, _: str) -> str:
    """Return a matrix of zeros."""
    return "\\[\\begin{pmatrix}\n" + " \\\\\n".join([" & ".join("0" * n)] * n) + "\n\\end{pmatrix}\\]"


def power(n: int, _: str) -> str:
    """Return a power written as a product."""
    return f"So it is {' * '.join('2' * n)} = {2**n}."


LOOKALIKES: dict[str, tuple[str, Callable[[int, str], str]]] = {
    "cases": ("en", cases),
    "cases in chinese": ("zh", chinese_cases),
    "table": ("en", table),
    "residues": ("en", residues),
    "matrix of zeros": ("en", zeros),
    "power": ("en", power),
    "quoted sentence": ("en", lambda n, said: f"The sign on the wall reads “{said}” and there are {n} of them."),
    "quoted title": ("en", lambda n, said: f"This is problem {n} of 《九章算术》, an old Chinese book."),
    "name of a person": ("en", lambda n, said: f"The mathematician 祖冲之 knew {n} digits of it."),
    "gloss": ("en", lambda n, said: f"By the Chinese remainder theorem (中国剩余定理), it is {n}."),
    "text in formula": ("en", lambda n, said: f"$$\\text{{苹果的总数}} = {n}$$ and \\(\\text{{{said}}}\\) follows."),
    "symbols": ("en", lambda n, said: f"With α + β = {n}, ∠ABC = θ and Δ ≥ 0 we have αβγ ≤ ∑ xᵢ², x ∈ ℝ, so ∀ε > 0."),
    "names in chinese": (
        "zh",
        lambda n, said: f"由 Isaac Newton 和 Euler 的方法，John 得到 {n} 个苹果，长 {n} cm，重 5 kg。",
    ),
    "terms in chinese": (
        "zh",
        lambda n, said: f"这个定理（Chinese remainder theorem）说明 sin x = {n}，令 speed = {n}。",
    ),
    "quotation in chinese": (
        "zh",
        lambda n, said: f"牌子上写着 “Please do not feed the ducks in this park”，共 {n} 块。",
    ),
    "formula in chinese": (
        "zh",
        lambda n, said: f"$\\text{{total number of apples}} = {n}$，\\(\\max(x, \\arctan y) = {n}\\)。",
    ),
    "fenced formula": ("en", lambda n, said: f"```math\nx^2 = {n}\n```"),
    "code words": (
        "en",
        lambda n, said: (
            f"Call `f({n})` the value.\nFor x in the set we return to this later.\nThe class of {n} is even."
        ),
    ),
}
