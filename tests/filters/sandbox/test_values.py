"""Values cross the sandbox as what they are."""

import json
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from filters.code.outputs import same_value
from filters.sandbox.values import decode, encode

EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    "value",
    [
        [1, (2.0, None), {"a": {1}}, frozenset({b"b"}), 10**30, 1j, range(3)],
        Counter("aab"),
        OrderedDict(b=1, a=2),
        defaultdict(list, {"a": [1]}),
        defaultdict(None, {(1, 2): 3}),
        deque([1, [2]], maxlen=2),
        date(2020, 2, 29),
        datetime(2020, 1, 2, 3, 4, 5, 6, fold=1),
        datetime(2020, 1, 2, tzinfo=EAST),
        time(23, 59, tzinfo=UTC),
        timedelta(days=-1, microseconds=3),
        [Decimal("1.10"), Fraction(-1, 3)],
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_a_factory_or_zone_of_the_programs_own_does_not_cross() -> None:
    assert type(decode(encode(defaultdict(lambda: 0, a=1)))) is dict

    class Own(Counter[str]):
        pass

    assert type(decode(encode(Own("a")))) is dict


@pytest.mark.parametrize("value", [Counter("a"), OrderedDict(a=1), defaultdict(int, a=1), {"a": 1}])
def test_any_dict_equals_the_object_of_json(value: dict[str, int]) -> None:
    assert same_value(encode(value), {"a": 1}, 0.0)
    assert not same_value(encode(value), {"a": 2}, 0.0)
