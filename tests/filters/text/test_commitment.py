"""Values that plain sentences state: whole ones, behind labels, not parts of larger values or of calculations."""

import pytest

from filters.text.commitment import committed

WHOLE = """The clock shows 3:15.|3:15
The meeting is at 10:15.|10:15
The train arrives at 3:15 PM.|3:15\\text{ PM}
The ratio is 3:15.|3:15
The point is (3, 5).|(3, 5)
The interval is [3, 5].|[3, 5]
The roots are 3 and 5.|3 and 5
The answers are 2, 3, 5.|2, 3, 5
The value is 3,5|3,5
It is 12,345.|12,345
Out of 10, 5 are red, so 5.|5
There are 12 boys and 5 girls.|5\\text{ girls}
**Result:** 37|37
**Total**: 37|37
**답:** 37|37
**The value of $x$:** 37|37
**x =** 37|37
**Conclusion:** the sum is **37**|37"""
NOTHING = """It is 3 to 5.
They finished at half past 5.
See Figure 5.
It isn't 3, 4, or 5.
Tom has 5 times as many.
Tom has 5 more apples than Ann.
Then we need f(23)
By equation (23)
The value ≠ 17
So it is the square root of 5.
**Step 2:** 29"""


@pytest.mark.parametrize("line", WHOLE.split("\n"))
def test_a_sentence_states_its_whole_value(line: str) -> None:
    sentence, _, value = line.partition("|")
    assert committed(sentence)[0] == value


@pytest.mark.parametrize("sentence", NOTHING.split("\n"))
def test_a_part_of_another_value_is_not_stated(sentence: str) -> None:
    assert committed(sentence) == ()


def test_the_number_of_the_next_item_of_a_list_is_no_value() -> None:
    assert committed("1. a\n2. b\n3. c\n4.") == ()
