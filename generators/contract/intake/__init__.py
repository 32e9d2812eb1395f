"""The intake: files and data sets of any form, read as conversations with reasoning, answer and reference."""

from generators.contract.intake.answers import EMPTY, NO_RESPONSE, Answered, file_says
from generators.contract.intake.conversations import Conversation, read_conversation, read_prompt, without_non_answers
from generators.contract.intake.files import ENDINGS, Item, files_of, items_of, paths_in, read_file
from generators.contract.intake.hub import read_dataset
from generators.contract.intake.logs import logged
from generators.contract.intake.shapes import Shape, recognize
from generators.contract.intake.source import Shaped, read_rows, shape_rows
from generators.contract.intake.turns import chat_messages
from generators.contract.intake.values import (
    ABSENT,
    BadRow,
    column,
    encodable,
    lookup,
    missing,
    plain,
    reference_text,
    text_of,
)

__all__ = [
    "ABSENT",
    "EMPTY",
    "ENDINGS",
    "NO_RESPONSE",
    "Answered",
    "BadRow",
    "Conversation",
    "Item",
    "Shape",
    "Shaped",
    "chat_messages",
    "column",
    "encodable",
    "file_says",
    "files_of",
    "items_of",
    "logged",
    "lookup",
    "missing",
    "paths_in",
    "plain",
    "read_conversation",
    "read_dataset",
    "read_file",
    "read_prompt",
    "read_rows",
    "recognize",
    "reference_text",
    "shape_rows",
    "text_of",
    "without_non_answers",
]
