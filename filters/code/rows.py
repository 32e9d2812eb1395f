"""Rows of the public data sets of coding problems, reduced to the few forms that `filters.code.reference` reads.

{"input_output": TEXT, ...}                                             APPS, TACO: TEXT is JSON of inputs and outputs
{"public_test_cases": TEXT, "private_test_cases": TEXT, "metadata": TEXT, ...}  LiveCodeBench: JSON lists of tests;
                                         the private ones may be compressed; the metadata name the function
{"reward_model": {"ground_truth": TEXT}, ...}                           PRIME's Eurus-2-RL-Data
{"verification_info": {"test_cases": [...]}, ...}                       PRIME's SYNTHETIC-1, and its successors
{"complete_prompt": CODE, "test": CODE, "entry_point": "f", ...}        BigCodeBench
{"test": CODE, "question": TEXT, "solution": CODE, ...}                 KodCode
"""

import ast
import base64
import io
import json
import pickle
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

NESTED = ("input_output", "reward_model", "ground_truth", "verification_info")
LIVE_CODE_BENCH = ("public_test_cases", "private_test_cases")
# Keys of the data sets' rows that do not affect the tests.
IGNORED = frozenset(
    (
        *("task_id", "canonical_solution", "code", "source_file", "text", "challenge_test_list", "metadata"),  # MBPP
        *("problem_id", "id", "question", "solutions", "starter_code", "difficulty", "url"),  # APPS
        *("raw_tags", "tags", "skill_types", "name", "source", "date", "picture_num", "time_limit", "memory_limit"),
        *("Expected Auxiliary Space", "Expected Time Complexity"),  # TACO, with the line above
        *("question_title", "question_content", "question_id", "platform", "contest_id", "contest_date"),
        *("instruct_prompt", "code_prompt", "doc_struct", "libs"),  # BigCodeBench; LiveCodeBench is the line above
        *("version", "style", "subset", "solution", "test_info", "trials", "chat_format"),  # KodCode
        *("gpt_pass_sequence", "gpt_pass_trial_num", "gpt_difficulty", "gpt_pass_percentage"),
        *("data_source", "ability", "extra_info", "language", "problem", "in_source_id", "task_type"),  # PRIME
        *("gold_standard_solution", "hf_dataset_name", "split"),
    )
)


def read_json(text: str) -> Any:
    """Return JSON, integers of any size included; raise ValueError."""
    try:
        return json.loads(text, parse_int=read_integer)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the reference is not JSON: {error}") from None


def read_integer(digits: str) -> int:
    """Return an integer; `int` refuses more than 4300 digits, which a Decimal takes."""
    return int(digits) if len(digits) < 4000 else int(Decimal(digits))


def tests_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with the tests that it nests at its own level, and its function's name as `fn_name`."""
    data = dict(row)
    while key := next((key for key in NESTED if key in data), None):
        inner = data.pop(key)
        inner = read_json(inner) if isinstance(inner, str) and inner.strip() else inner
        if not isinstance(inner, dict):
            raise ValueError(f"the reference's {key} is {inner!r:.80}; it must be an object, or JSON text of one")
        data |= inner
    found = [test for key in LIVE_CODE_BENCH if key in data for test in packed_tests(key, data.pop(key))]
    if found or "test_cases" in data:
        data["tests"] = found or data.pop("test_cases")
    if "complete_prompt" in data:
        data["prompt"] = data.pop("complete_prompt")
    return data | named_function(data)


def packed_tests(key: str, tests: Any) -> list[Any]:
    """Return LiveCodeBench's tests: a list, JSON text of one, or base64 of a compressed pickle of such text."""
    if isinstance(tests, str):
        tests = read_json(tests if tests.lstrip().startswith("[") else unpacked(key, tests))
    if not isinstance(tests, list):
        raise ValueError(f"the reference's {key} is {tests!r:.80}; it must be a list of tests, or JSON text of one")
    return tests


class TextAlone(pickle.Unpickler):
    """An unpickler that makes nothing but builtin values, so that a reference cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function."""
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def unpacked(key: str, text: str) -> str:
    """Return the text that LiveCodeBench compresses."""
    try:
        content = TextAlone(io.BytesIO(zlib.decompress(base64.b64decode(text, validate=True)))).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(
            f"the reference's {key} is neither JSON nor LiveCodeBench's compressed form: {error}"
        ) from None
    if not isinstance(content, str):
        raise ValueError(f"the reference's {key} holds a {type(content).__name__}; it must hold JSON text")
    return content


def named_function(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fn_name`, if the tests call a function whose name stands elsewhere in the row."""
    if data.get("fn_name"):
        return {}
    tests = [test for test in data.get("tests") or () if isinstance(test, dict)]
    names = [test["fn_name"] for test in tests if test.get("fn_name")]
    if names:
        return {"fn_name": names[0]}
    if not any(test.get("testtype") == "functional" or test.get("type") == "function_call" for test in tests):
        return {}
    name = metadata_of(data).get("func_name") or next(starter_names(data), None)
    if not isinstance(name, str):
        raise ValueError("the reference's tests call a function; fn_name or metadata.func_name must name it")
    return {"fn_name": name}


def metadata_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row's metadata."""
    metadata = data.get("metadata") or {}
    metadata = read_json(metadata) if isinstance(metadata, str) else metadata
    return metadata if isinstance(metadata, dict) else {}


def starter_names(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the functions that the row's starter code begins."""
    starter = data.get("starter_code")
    for ending in ("", "pass", "\n        pass", "\n    pass"):
        try:
            tree = ast.parse(f"{starter or ''}{ending}")
        except (SyntaxError, ValueError):
            continue
        yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        return
