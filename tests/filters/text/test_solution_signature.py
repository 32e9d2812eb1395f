import pytest

from filters.text.solution_signature import solution_signature


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("She has 3 * 4 = 12 eggs, so $12 \\times \\$2 = \\$24$.", ("3*4=12", "12*2=24")),
        ("3\u00d74=12, then 12 * 2.00 = 24.", ("3*4=12", "12*2=24")),
        ("16 - 3 = <<16-3=13>>13 ducks, 5+5=10", ("16-3=13",)),
        (r"\[ x = \frac{450}{24} = \dfrac{75}{4} \]", ("x=450/24=75/4",)),
        ("1,000 + 2,500 = 3,500 dollars", ("1000+2500=3500",)),
        ("So y^{2} = 3x. Hence 2(x+1) = 4", ("y^2=3x", "2(x+1)=4")),
        ("the cost = what was paid", ()),
        ("no equations at all", ()),
    ],
)
def test_equations_are_found_and_normalized(text: str, signature: tuple[str, ...]) -> None:
    assert solution_signature(text) == signature


def test_degenerate_text_takes_linear_time() -> None:
    assert solution_signature("(" * 50_000 + "- " * 50_000 + "1+1+" * 50_000 + "\\frac{" * 20_000 + "=") == ()
