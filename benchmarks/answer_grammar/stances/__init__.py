"""Sentences around an answer, in English and other languages: what they deny or doubt, and what they assert.

They are written for the answer 8, with 9 for another answer; `filled` puts other values in their places. In the files
¶ stands for a blank line and ↵ for the end of a line.
"""

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BOXED = "\\boxed{8}"
OTHER = "987654"
# What makes a sentence one about the number 8: the number outside the box, its calculation, a unit.
OWN_VALUE = re.compile(
    r"(?<!\{)8|16|\}\$?(?:\\%| (?:billion|thousand|dozen|percent|hundred|million))"
    r"|\b(?:cm|km|hours|minutes|days|dollars|Möglichkeiten|12)\b"
)
NINE = re.compile(r"(?<![\d.])9(?![\d.]*\d)")


def sentences(name: str) -> list[str]:
    """Return the English sentences of a file: `denied` or `asserted`."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("¶", "\n\n").replace("↵", "\n") for line in lines]


def in_languages() -> dict[str, dict[str, list[str]]]:
    """Return the sentences in other languages by stance and language, with `{}` for the answer.

    Those of `withdrawn` and `repeated` stand behind a box with 8.
    """
    found: dict[str, dict[str, list[str]]] = json.loads((FOLDER / "languages.json").read_text(encoding="utf-8"))
    return found


def filled(sentence: str, answer: str) -> str:
    """Return a sentence with an answer in its box, and with OTHER for the other answer."""
    return NINE.sub(OTHER, sentence).replace(BOXED, f"\\boxed{{{answer}}}")


def denied_boxes() -> list[str]:
    """Return every sentence, in all languages, that does not stand by the answer in its box."""
    elsewhere = in_languages()
    spoken = [form for stance in ("denied", "doubted") for forms in elsewhere[stance].values() for form in forms]
    behind = [f"{BOXED}\n\n{form}" for forms in elsewhere["withdrawn"].values() for form in forms]
    english = [one for one in sentences("denied") if fits(one)]
    return [*english, *(form.replace("{}", BOXED) for form in spoken), *behind]


def asserted_boxes() -> list[str]:
    """Return the sentences, in all languages, that stand by the answer in their box and name it nowhere else."""
    spoken = [form.replace("{}", BOXED) for forms in in_languages()["asserted"].values() for form in forms]
    english = sentences("asserted")
    return [one for one in (*english, *spoken) if fits(one)]


def fits(sentence: str) -> bool:
    """Return whether any answer may stand in the box of a sentence, which gives it no unit and has it only there."""
    return sentence.count(BOXED) == 1 and not OWN_VALUE.search(sentence)
