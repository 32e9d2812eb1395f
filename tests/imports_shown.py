"""The reading of one file of tests/data/imports, as its .expected.json has it."""

from pathlib import Path
from typing import Any

from generators.contract.errors import InputError
from generators.contract.intake import BadRow
from generators.engines.replay import Options, read_traced
from generators.prompt_settings import FilePrompts
from generators.prompts import Faults


def shown(path: Path) -> dict[str, Any]:
    """Return the recognized shapes, each conversation, and the numbers of skipped rows by kind; or the error."""
    faults = Faults()
    options = Options(rows=FilePrompts(source="file", path=str(path)))
    shapes: list[str] = []
    rows: list[dict[str, Any]] = []
    try:
        for shaped, found in read_traced(options, faults):
            name = str(shaped.shape)
            shapes += [name] if name not in shapes else []
            about = {key: getattr(found, key) for key in ("reference", "verifier", "domain", "source", "teacher")}
            answers = [
                {
                    "reasoning": one.completion.reasoning,
                    "answer": one.completion.answer,
                    "finish_reason": one.finish_reason,
                    **({"error": one.error} if one.error else {}),
                    **({"fault": one.completion.fault} if one.completion.fault else {}),
                    **({"verdicts": one.verdicts} if any(said is not None for said in one.verdicts.values()) else {}),
                }
                for one in found.answers
            ]
            known = {key: value for key, value in about.items() if value is not None}
            rows.append({"messages": found.messages, **known, "answers": answers})
    except InputError as error:
        assert not isinstance(error, BadRow), error
        return {"error": str(error).replace(str(path), path.name)}
    return {"shapes": shapes, "rows": rows, "skipped": dict(faults.kinds)}
