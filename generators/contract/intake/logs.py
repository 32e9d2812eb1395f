"""Rows in which a question and its completions stand as a server or a tool logged them, turned into columns.

Forms: a request and its response, a reply next to its messages (OpenAI, Ollama, SGLang), OpenAI's Responses, samples of
lm-evaluation-harness, prompts that a chat template has rendered, and conversations as JSON text, as in a CSV file.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from generators.contract.completions.rendered import LIKELY, read_rendered
from generators.contract.intake.shapes.names import COMPLETE, FINISHES, REASONINGS, TRUNCATED, VERDICTS
from generators.contract.intake.values import is_chat

Row = Mapping[str, Any]
CHATS = ("messages", "conversations", "conversation", "prompt", "completion", "chosen", "rejected", "history")
RENDERED = ("prompt", "text", "input", "inputs", "full_prompt", "question", "instruction", "chosen", "user_prompt")
CALLS = (  # a request and its reply: of logs, of Bedrock's batches, of Curator
    ("request", "response"),
    ("modelInput", "modelOutput"),
    ("generic_request", "raw_response"),
)
PREFIX = "assistant_prefix"  # what a template wrote of the answer, such as <think>
SEVERAL = ("generations", "responses", "completions", "predictions", "samples", "candidates")  # lists, also as text
OF_EACH = (*COMPLETE, *TRUNCATED, *FINISHES, *VERDICTS, *REASONINGS)  # columns with a value for each of these


def logged(row: Row) -> Row:
    """Return a row with columns for what a log, a rendered text or JSON text holds; any other row as it is."""
    row = _from_json(row)
    row = _samples(row) if isinstance(row.get("doc"), Mapping) and "resps" in row else _reply(row)
    return _taken_apart(row)


def asked_in(body: Row) -> dict[str, Any]:
    """Return the prompt of a request: of chat completions, completions, Responses, Anthropic or Gemini."""
    messages = body.get("messages") or body.get("contents") or body.get("input") or body.get("prompt")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    system = body.get("system") or body.get("instructions") or body.get("systemInstruction")
    if isinstance(system, Mapping):
        system = system.get("parts")
    if isinstance(system, list):
        system = "".join(str(part.get("text", "")) for part in system if isinstance(part, Mapping))
    return {"messages": messages, "system": system}


def completions_of(reply: Row) -> list[Any]:
    """Return the completions in a server's reply, each with its finish_reason."""
    if isinstance(choices := reply.get("choices") or reply.get("candidates"), list):
        return [_choice(one) for one in choices if isinstance(one, Mapping) and "label" not in one]  # not options
    if reply.get("content") or reply.get("output"):
        stated = reply.get("stop_reason") or reply.get("stopReason")
        stated = stated or reply.get("incomplete_details") or reply.get("status")
        return [{"content": reply.get("content") or reply.get("output"), "finish_reason": stated}]
    return []


def _choice(choice: Row) -> dict[str, Any]:
    message = choice.get("message") or choice.get("content") or choice
    stated = choice.get("finish_reason") or choice.get("finishReason") or choice.get("stop_reason")
    return {**(message if isinstance(message, Mapping) else {"content": message}), "finish_reason": stated}


def _from_json(row: Row) -> Row:
    """Return the row with conversations that are JSON text, a Python literal or columns as lists of messages."""
    found = {name: chat for name in CHATS if (chat := _parsed(row.get(name))) is not None}
    if any(_listed(row.get(name)) for name in SEVERAL):
        found |= {name: listed for name in (*SEVERAL, *OF_EACH) if (listed := _listed(row.get(name))) is not None}
    return {**row, **found} if found else row


def _listed(value: Any) -> list[Any] | None:
    """Return the list that a text is, as tables of text hold it; None for any other value."""
    if not isinstance(value, str) or not (value.startswith("[") and value.rstrip().endswith("]")):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
        found = found if repr(found) == value.strip() else None  # texts without commas would be joined
    return found if isinstance(found, list) else None


def _parsed(value: Any) -> list[Any] | None:
    if isinstance(value, Mapping):  # as `datasets` holds a sequence of objects
        columns = {key: cells for key, cells in value.items() if isinstance(cells, list)}
        found = [dict(zip(columns, cells, strict=False)) for cells in zip(*columns.values(), strict=False)]
        return found if is_chat(found) else None
    if not isinstance(value, str) or not value.lstrip().startswith("[{"):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if is_chat(found) else None
    return None


def _samples(row: Row) -> Row:
    """Return a sample that lm-evaluation-harness logged: the prompt as it was sent, every response, the target."""
    sent = row.get("arguments")
    if isinstance(sent, Mapping):
        sent = [list(one.values()) if isinstance(one, Mapping) else one for one in sent.values()]
    prompt = sent[0][0] if isinstance(sent, list) and sent and isinstance(sent[0], list) and sent[0] else None
    texts = [text for some in row["resps"] or [] for text in (some if isinstance(some, list) else [some])]
    rest = {key: value for key, value in row.items() if key not in ("doc", "arguments", "resps", "filtered_resps")}
    prompt = {"prompt": prompt} if isinstance(prompt, str) else dict(row["doc"])
    return {**rest, **prompt, "generations": texts}


def _reply(row: Row) -> Row:
    """Return the row with a server's reply as completions, next to its prompt."""
    for sent, got in CALLS:
        request, answer = row.get(sent), row.get(got)
        if isinstance(request, Mapping) and isinstance(answer, Mapping):
            rest = _without(row, sent, got, "response_message")
            return {**rest, **asked_in(request), **_answered(answer, row, request)}
    reply = row.get("response")
    if row.get("object") == "response" and isinstance(row.get("output"), list):
        return {**_without(row, "output", "input", "instructions"), **asked_in(row), **_answered(row, row)}
    if isinstance(message := row.get("message"), Mapping) and isinstance(
        row.get("messages", row.get("prompt")), list | str
    ):  # Ollama's /api/chat
        return {**_without(row, "message"), "generations": [message]}
    if isinstance(about := row.get("meta_info"), Mapping) and isinstance(row.get("text"), str):  # SGLang's /generate
        end = about.get("finish_reason")
        return {**_without(row, "text"), "generations": [{"content": row["text"], "finish_reason": end}]}
    if isinstance(inner := row.get("input"), Mapping) and is_chat(inner.get("messages")):
        return {**_without(row, "input"), **asked_in(inner)}
    reply = row if "choices" in row else reply
    if isinstance(reply, Mapping) and completions_of(reply):
        return {**_without(row, "choices", "response"), **_answered(reply, row)}
    return row


def _answered(reply: Row, *models: Row) -> dict[str, Any]:
    """Return the completions of a reply, and the model that answered, else the one that was asked."""
    named = (one.get("model") or one.get("modelVersion") for one in (reply, *models))
    model = next((name for name in named if isinstance(name, str)), None)
    return {"generations": completions_of(reply), **({"teacher": model} if model else {})}


def _without(row: Row, *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _taken_apart(row: Row) -> Row:
    """Return the row with the conversation of a rendered text, and what the template wrote of the answer."""
    if is_chat(row.get("messages")):
        return row
    for name in RENDERED:
        text = row.get(name)
        if not isinstance(text, str) or not any(mark in text[:200] for mark in LIKELY):
            continue
        if found := read_rendered(text):
            return {
                **_without(row, name),
                "messages": found.messages,
                **({PREFIX: found.opened} if found.opened else {}),
            }
    return row
