from typing import Any

import pytest

from filters.code.extract import Wanted, placed_before, program_of
from filters.verification.verdicts import Item

READS = "n = int(input())\nprint(n * 2)\n"
SOLVE = "def f(n):\n    return n * 2\n"


def block(source: str, language: str = "python") -> str:
    return f"```{language}\n{source}```\n"


def program(answer: str, *names: str, **fields: Any) -> Any:
    return program_of(Item(answer, **fields), Wanted(frozenset(names), has_input=not names))


@pytest.mark.parametrize(
    "answer",
    [
        block(READS),
        block(READS, ""),
        block(READS, "Python"),
        block(READS, 'python3 title="a.py"'),
        block(READS).replace("\n", "\r\n"),
        f"First draft:\n{block('print(input())' + chr(10))}That is wrong. Fixed:\n{block(READS)}",
        f"{block(READS)}To test it:\n{block('assert 3 * 2 == 6' + chr(10))}",
        f"{block(READS)}Do not write this:\n{block('print(input())' + chr(10))}",
        f"{block(READS)}Here is a wrong version.\n{block('print(input())' + chr(10))}",
        f"{block(READS)}Complexity:\n{block('Time: O(n)' + chr(10), '')}",
        f"{block(READS)}Output:\n{block('6' + chr(10), '')}",
        f"{block(READS)}Run it:\n{block('python3 a.py < input' + chr(10), 'bash')}",
        f"{block('3' + chr(10), '')}is the input.\n{block(READS)}",
        f"{block('int main(){{}}' + chr(10), 'cpp')}{block(READS)}",
        f"<answer>\n{block(READS)}</answer>",
        f"<answer>\n{READS}</answer>",
        f"{block(READS)}<answer>The program above.</answer>",
        f"<answer>{block('print(input())' + chr(10))}</answer> or rather <answer>\n{READS}\n</answer>",
        f"```python\n{READS.rstrip()}```",
        f"```python\n{READS.rstrip()}```\nThis doubles the number.",
        f"~~~python\n{READS}~~~",
        f"The program: {block(READS)}",
        f"{READS}```",
        f"{READS}```\n\nThis doubles the number.",
        f"{READS}```\nUse it like this:\n{block('python3 a.py' + chr(10), 'bash')}",
        f"<think>\n{block('print(0)' + chr(10))}</think>\n{block(READS)}",
    ],
)
def test_the_block_that_is_the_program(answer: str) -> None:
    assert program(answer).strip() == READS.strip()


@pytest.mark.parametrize(
    "after",
    [
        "```\nf(3) -> 6\n```",
        "```python\nprint(f(3))\n```",
        "```\nprint(f(3))\n```",
        "Do not write this:\n```python\ndef f(n):\n    return n\n```",
        "A common mistake is broken code like the following, which fails for 0:\n```python\ndef f(n): return n\n```",
        "```python\nassert f(3) == 6\n```",
    ],
)
def test_the_block_that_defines_what_is_asked(after: str) -> None:
    assert program(f"{block(SOLVE)}\n{after}", "f").strip() == SOLVE.strip()
    assert program(f"{block(SOLVE, '')}\n{after}", "f").strip() == SOLVE.strip()


def test_functions_and_globals_of_any_form_are_definitions() -> None:
    for source in (
        "f = lambda n: n\n",
        "class Solution:\n    def f(self): pass\n",
        "async def f(): pass\n",
        "class f: pass\n",
    ):
        assert program(f"{block(source)}Then:\n{block('x = f' + chr(10))}", "f") == source


def test_a_program_in_several_blocks_is_put_together() -> None:
    helper = "import math\ndef double(n):\n    return 2 * n\n"
    main = "print(double(int(input())))\n"
    assert program(f"The helper:\n{block(helper)}The main part:\n{block(main)}") == f"{helper}\n{main}"
    function = "def f(n):\n    return double(n)\n"
    assert program(f"{block(helper)}{block(function)}{block('print(f(2))' + chr(10))}", "f") == f"{helper}\n{function}"


def test_a_usage_that_reads_nothing_is_not_the_program() -> None:
    solve = "def solve(n):\n    return 2 * n\nprint(solve(int(input())))\n"
    for usage in ("print(solve(3))  # 6\n", "solve(3)\n", "assert solve(3) == 6\nprint('ok')\n"):
        assert program(f"{block(solve)}You can check it:\n{block(usage)}") == solve


def test_an_unfinished_last_block_is_cut_off() -> None:
    said = program(
        f"A draft:\n{block(READS)}Now the real one:\n```python\nn = int(input())\nfor i in", finish_reason="length"
    )
    assert said.status == "unparseable" and "cut off" in said.reason


def test_many_blocks_take_linear_time() -> None:
    answer = "".join(block(f"def g{i}(n):\n    return h(n) + {i}\nprint(g{i}(1))\n") for i in range(3000))
    assert isinstance(program(answer + block(READS)), str)


def test_future_imports_stay_first() -> None:
    code = "'doc'\nfrom __future__ import annotations\nx = 1\n"
    placed = placed_before("import math", code)
    assert placed.startswith("from __future__ import annotations\nimport math\n")
    exec(compile(placed, "program.py", "exec"), {})
    assert placed_before("", code) == code
