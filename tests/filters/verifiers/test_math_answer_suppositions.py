"""Sentences in many languages that only suppose a value, and plain ones that state it."""

# ruff: noqa: E501, RUF001  (tables of responses)

import pytest

from filters.verification.verdicts import Item
from filters.verifiers.math_answer import verify

SUPPOSED = """Soit n = 23. Alors|Posons x = 23, d'où|Sia x = 23. Allora|Seja n = 23. Então|Suponha que n = 23. Então|Supongamos n=23, luego|Sea x = 23. Tenemos
Sei n = 23. Dann gilt|Nehmen wir an, dass n = 23.|Für n = 23 gilt|Предположим, что n = 23. Тогда|Допустим, ответ равен 23.|Пусть n=23, тогда получаем
n = 23 と仮定すると|x=23のとき、|n=23とすると、|x=23이라 가정하면|n=23이라고 하자. 그러면|لنفرض أن x = 23. إذن|मान लीजिए n = 23. तब|Giả sử x = 23. Khi đó|Với n = 23, ta có
Diyelim ki n = 23. O halde|Niech n = 23. Wtedy|Załóżmy, że n = 23.|Stel n = 23. Dan|Antag att n = 23. Då|Misalkan n = 23. Maka|สมมติว่า x = 23|Нехай x = 23. Тоді
设x=23，则|令x=23，得|若n=23，那么|把x=23代入|下面考虑x=23的情形|接着令x=23|我们先试x=23|接下来令n=23，我们"""
STATED = """La risposta è 23.|La respuesta final es 23.|答案是23。|取出的球共有23个。|Daher ist x = 23.|Donc n = 23.|所以x=23。|Если n чётно, то сумма 2, а ответ 23.
La somme est 23.|よって x=23|따라서 x=23이다.|Soit n = 4, donc la somme vaut 23."""


@pytest.mark.parametrize("response", [one for line in SUPPOSED.split("\n") for one in line.split("|")])
def test_a_value_that_is_only_supposed_is_no_answer(response: str) -> None:
    assert verify(Item(response, "23")).status != "correct"


@pytest.mark.parametrize("response", [one for line in STATED.split("\n") for one in line.split("|")])
def test_a_value_that_a_plain_sentence_states_is_the_answer(response: str) -> None:
    assert verify(Item(response, "23")).status == "correct"


DENIED = r"""Podría ser \boxed{9}.|Je dirais \boxed{9}, sans certitude.|\boxed{9} erfüllt die Bedingung nicht.|Ich vermute \boxed{9}.|Думаю, что \boxed{9}, но не уверен.
\boxed{9}は条件を満たさない。|\boxed{9}だと思うが自信がない。|\boxed{9}는 조건을 만족하지 않는다.|\boxed{9} शर्त को पूरा नहीं करता।|\boxed{9} koşulu sağlamıyor.|\boxed{9}与题设矛盾。
\boxed{9}（舍去）|\boxed{9}（错误）|如果硬币是公平的，答案会是\boxed{9}，但它不公平。|\boxed{9} o bien 10|\boxed{9} ou bien 10|Creo que la respuesta es \boxed{9}, pero no estoy seguro.
\boxed{9} would be the answer if the dice were fair, which they are not.|The square of the answer is \boxed{9}.|The answer, when doubled, is \boxed{9}.|The answer minus one is \boxed{9}.
Previously it was thought to be \boxed{9}. New computations give 10.|\boxed{9} (or 10, depending on interpretation).|**정답:** 9이 아님|Plugging in n = 9 gives|Setting x = 9 yields|With n = 9 we would have"""
UPHELD = r"""\boxed{9} erfüllt die Bedingung.|\boxed{9}は条件を満たす。|\boxed{9} koşulu sağlıyor.|答案是\boxed{9}（个）。|If n is odd, the answer is \boxed{9}.|The number of squares is \boxed{9}.
The value of the answer is \boxed{9}.|Die Antwort ist \boxed{9}, da 10 nicht passt.|La respuesta es \boxed{9}.|**정답:** 9|Il y en a donc \boxed{9}.
Так как x не может быть отрицательным, x = \boxed{9}.|The number of integers that are not squares is \boxed{9}.|There are exactly \boxed{9} values of n for which the claim fails."""


@pytest.mark.parametrize("response", [one for line in DENIED.split("\n") for one in line.split("|")])
def test_a_value_that_fails_or_is_doubted_is_no_answer(response: str) -> None:
    assert verify(Item(response, "9")).status != "correct"


@pytest.mark.parametrize("response", [one for line in UPHELD.split("\n") for one in line.split("|")])
def test_a_value_that_its_sentence_upholds_is_the_answer(response: str) -> None:
    assert verify(Item(response, "9")).status == "correct"
