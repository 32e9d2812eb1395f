"""Messages for axolotl, or segments where the student's chat template is rendered here; with its `datasets:` block.

https://docs.axolotl.ai/docs/dataset-formats/conversation.html (`chat_template`) and
https://docs.axolotl.ai/docs/dataset-formats/template_free.html (`input_output`), which takes the segments as they are:
with the student's tokenizer they are what its template renders, and no template is applied again.
"""

from collections.abc import Mapping

import polars as pl

from generators.contract.records import MESSAGES
from pipelines.export.request import Part, Request, Row, corpus_parts, each, warn_of_messages

TAKES = frozenset({"tokenizer"})
SEGMENTS = {"segments": pl.List(pl.Struct({"label": pl.Boolean, "text": pl.String}))}
CHAT = """    type: chat_template
    field_messages: messages
    message_property_mappings:
      role: role
      content: content
    roles_to_train:  # empty, as the next one: the last message alone is learned
    train_on_eos:
"""


def parts(asked: Request) -> list[Part]:
    """Return the messages of every row, or the prompt's and the completion's segment."""
    if asked.renderer is None:
        warn_of_messages(asked)
        return corpus_parts(asked, each(lambda row: {"messages": row["messages"]}), {"messages": MESSAGES})
    return corpus_parts(asked, each(lambda row: _segments(row, asked)), SEGMENTS)


def _segments(row: Row, asked: Request) -> Row | str:
    assert asked.renderer
    found = asked.renderer.texts(row)
    if isinstance(found, str):
        return found
    prompt, completion = found
    return {"segments": [{"label": False, "text": prompt}, {"label": True, "text": completion}]}


def settings(asked: Request, files: Mapping[str, str]) -> tuple[str, str]:
    """Return the blocks `datasets:` and `test_datasets:` of a configuration."""
    kind = "    type: input_output\n" if asked.renderer else CHAT
    ending = "parquet" if asked.ending == "parquet" else "json"
    blocks = [
        f"{'test_datasets' if part == 'validation' else 'datasets'}:\n"
        f"  - path: {name}\n    ds_type: {ending}\n    split: train\n{kind}"
        for part, name in files.items()
    ]
    head = "# Paths are relative to the folder that axolotl is started in.\ntrain_on_inputs: false\n"
    return "axolotl.yaml", head + "".join(blocks)
