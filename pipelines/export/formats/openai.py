"""Chat rows for the fine-tuning API of OpenAI, and of servers that take the same files: `messages` and nothing else.

https://developers.openai.com/api/docs/guides/supervised-fine-tuning. Earlier answers of a conversation have `weight` 0,
so that the last one alone is learned. The reasoning stays in the text of the last message.
"""

from collections.abc import Mapping

import polars as pl

from generators.contract.errors import RecipeError
from pipelines.export.request import Part, Request, Row, corpus_parts, each

TAKES: frozenset[str] = frozenset()
SCHEMA = {"messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String, "weight": pl.Int8}))}


def parts(asked: Request) -> list[Part]:
    """Return the messages of every row; the API reads JSONL alone."""
    if asked.ending != "jsonl":
        raise RecipeError(f"--format {asked.ending} does not apply to --to openai, which reads jsonl alone")
    return corpus_parts(asked, each(_row), SCHEMA, about=False)


def _row(row: Row) -> Row:
    *earlier, last = row["messages"]
    return {"messages": [*(_masked(message) for message in earlier), last]}


def _masked(message: Row) -> Row:
    return {**message, "weight": 0} if message["role"] == "assistant" else message


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return a script that uploads the files and starts a job."""
    uploads = "".join(
        f'{part} = client.files.create(file=open(HERE / "{name}", "rb"), purpose="fine-tune")\n'
        for part, name in files.items()
    )
    held_out = ", validation_file=validation.id" if "validation" in files else ""
    train = "train" if "train" in files else next(iter(files))
    return (
        "fine_tune.py",
        f'''"""Upload the rows and start a fine-tuning job: pip install openai; python fine_tune.py"""

from pathlib import Path

from openai import OpenAI

HERE = Path(__file__).parent
client = OpenAI()  # OPENAI_API_KEY, and OPENAI_BASE_URL for another server
{uploads}job = client.fine_tuning.jobs.create(training_file={train}.id{held_out}, model="gpt-4.1-mini-2025-04-14")
print(job.id)
''',
    )
