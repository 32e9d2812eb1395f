"""Chat text: prompts rendered by the model's template, and what a model writes after them.

What a template does with the assistant's turn is found by rendering a short conversation once per tokenizer: where it
puts reasoning, how it writes a turn without reasoning, and which token ends the turn. So a learned completion is what
the template itself would render, and what a model has to sample after the rendered prompt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from generators.contract.completions import CLOSE, OPEN, split_reasoning
from generators.contract.errors import InputError, RecipeError, TemplateRefuses

Messages = Sequence[Mapping[str, Any]]
# Variables by which templates switch thinking: Qwen3, SmolLM3, GLM and Gemma take the first, DeepSeek and Granite the
# second. A template ignores a variable that it does not know.
SWITCHES = ("enable_thinking", "thinking")
THINKING_OFF: Mapping[str, Any] = dict.fromkeys(SWITCHES, False)
THINKING_ON: Mapping[str, Any] = dict.fromkeys(SWITCHES, True)
# Arguments of apply_chat_template that are no variables of a template.
RESERVED = frozenset(
    {"conversation", "messages", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize"}
    | {"padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"}
)
# The marks with which templates open thinking at the end of a prompt, and those that close it.
MARKS = {
    OPEN: CLOSE,
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "[THINK]": "[/THINK]",
    "<seed:think>": "</seed:think>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|channel>thought": "<channel|>",
}
_OPENS, _CLOSES = ("|".join(map(re.escape, marks)) for marks in (MARKS, MARKS.values()))
OPENED = re.compile(rf"(?:{_OPENS})\s*\Z")
CLOSED = re.compile(rf"(?:(?:{_OPENS})\s*)?(?:{_CLOSES})\s*\Z")
# Contents of the conversations that show what a template does.
ASKED, THOUGHT, SAID = "Which one?", "Weigh both sides.", "The second."
SHOWN = {"role": "user", "content": ASKED}


@dataclass(frozen=True)
class AssistantTurn:
    """The texts that a template writes for the assistant's last turn, from the end of the assistant's header on.

    thought: the text before the reasoning, and the text between it and the answer; None: the template has no place of
    its own for reasoning, which is then learned as the message has it. lead, plain: the text before such a message,
    and before one without reasoning. fields: keys of a message in which the template takes reasoning; empty: within
    the content. end: the text from the answer's last character to the token `end_id`, which ends the turn. off, on:
    template variables of rows without and with reasoning. trims: the template strips the content.
    """

    thought: tuple[str, str] | None
    lead: str
    plain: str
    fields: str
    end: str
    end_id: int
    off: Mapping[str, Any]
    on: Mapping[str, Any]
    trims: bool

    def body(self, content: str) -> str:
        """Return the whole turn with this content, without its end."""
        reasoning, answer = split_reasoning(content)
        if self.thought is None:
            return (self.plain if reasoning is None else self.lead) + (content.strip() if self.trims else content)
        if not reasoning:
            return self.plain + (content.strip() if reasoning is None else answer)
        return self.thought[0] + reasoning + self.thought[1] + answer

    def message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return an earlier message with its reasoning where the template looks for it."""
        if not self.fields or message["role"] != "assistant":
            return dict(message)
        reasoning, answer = split_reasoning(message["content"])
        return dict(message) if reasoning is None else _said(self.fields, reasoning, answer)


def assistant_turn(tokenizer: Any) -> AssistantTurn:
    """Return what the tokenizer's template does with the assistant's turn.

    InputError: there is no chat template. RecipeError: neither the template nor the tokenizer has a token that ends a
    turn.
    """
    return _turn_of(tokenizer, _template(tokenizer), tokenizer.eos_token)


def render_prompt(tokenizer: Any, messages: Messages, kwargs: Mapping[str, Any] | None = None) -> str:
    """Return the prompt's text up to where the assistant begins, with `kwargs` as variables of the template.

    InputError: the tokenizer has no chat template. TemplateRefuses: the template raises an error over these messages.
    """
    _template(tokenizer)
    if any(message["role"] == "assistant" and CLOSE in (message["content"] or "") for message in messages):
        turn = assistant_turn(tokenizer)
        messages = [turn.message(message) for message in messages]
    return _render(tokenizer, messages, True, kwargs)


def prompt_ids(tokenizer: Any, messages: Messages, kwargs: Mapping[str, Any] | None = None) -> list[int]:
    """Return the token ids of the rendered prompt; the template already contains the special tokens."""
    ids: list[int] = tokenizer(render_prompt(tokenizer, messages, kwargs), add_special_tokens=False)["input_ids"]
    return ids


def check_template_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables of a template; ValueError for a name that is an argument of the rendering itself."""
    taken = sorted(RESERVED & kwargs.keys())
    if taken:
        raise ValueError(
            f"chat_template_kwargs has {', '.join(taken)}, which rendering sets itself; "
            'accepted are variables of the template, such as {"enable_thinking": false}'
        )
    return dict(kwargs)


def row_kwargs(tokenizer: Any, content: str) -> Mapping[str, Any]:
    """Return the template variables under which `content` is learned: thinking off for a row without reasoning.

    They are empty where the template has no such switch, or where its default fits.
    """
    turn = assistant_turn(tokenizer)
    return turn.on if split_reasoning(content)[0] else turn.off


def opened_by_template(rendered_prompt: str) -> bool:
    """Return whether the template itself opened thinking, so that completions start inside it."""
    return OPENED.search(rendered_prompt) is not None


def closed_by_template(rendered_prompt: str) -> bool:
    """Return whether the template itself closed thinking, so that completions are answers."""
    return CLOSED.search(rendered_prompt) is not None


def completion_text(tokenizer: Any, rendered_prompt: str, content: str) -> str:
    """Return the text that follows `rendered_prompt` when the model says `content`, with the end of its turn.

    A row without reasoning closes thinking that the prompt opens: a model that is sampled has to write that. After a
    prompt that closed thinking the answer alone follows.
    """
    turn, begun = assistant_turn(tokenizer), _begun(rendered_prompt)
    reasoning, answer = split_reasoning(content)
    if reasoning == "" and closed_by_template(begun):  # the prompt has the empty block already
        content = answer
    return _after(begun, turn.body(content), content) + turn.end


def stop_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """Return the tokens that end a completion, sorted: the template's end of turn, the tokenizer's and the config's."""
    stated = [tokenizer.eos_token_id, getattr(generation_config, "eos_token_id", None)]
    if tokenizer.chat_template:
        stated.append(assistant_turn(tokenizer).end_id)
    return sorted({i for one in stated for i in ([one] if isinstance(one, int) else one or [])})


def _after(begun: str, body: str, content: str) -> str:
    """Return the part of a turn that follows what the prompt has begun of it."""
    if body.startswith(begun):
        return body[len(begun) :]
    reasoning, answer = split_reasoning(content)
    answer = content if reasoning is None else answer
    if not opened_by_template(begun):
        return answer
    mark = MARKS[begun.strip()]
    if reasoning:  # the same marks with other white space, or other marks
        rest = content.lstrip().removeprefix(OPEN).replace(CLOSE, mark, 1)
        return rest.removeprefix("\n") if begun.endswith("\n") else rest
    return f"\n{mark}\n\n{answer}" if begun.endswith("\n") else f"\n\n{mark}\n\n{answer}"


def _begun(prompt: str) -> str:
    """Return what the prompt has already written of the assistant's thinking."""
    found = CLOSED.search(prompt) or OPENED.search(prompt)
    return found[0] if found else ""


def _template(tokenizer: Any) -> str:
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer {tokenizer.name_or_path!r} has no chat template; set one in its tokenizer_config.json"
        )
    template: str = tokenizer.get_chat_template()
    return template


def _render(tokenizer: Any, messages: Messages, prompt: bool, kwargs: Mapping[str, Any] | None = None) -> str:
    chat = [dict(message) for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt, **(kwargs or {}))
    except Exception as error:  # a template is a program, and raises what it likes
        said = str(error) or type(error).__name__
        raise TemplateRefuses(f"the chat template of {tokenizer.name_or_path!r} refuses the messages: {said}") from None
    return text


@lru_cache(maxsize=16)
def _turn_of(tokenizer: Any, template: str, eos_token: str | None) -> AssistantTurn:
    prompt = _render(tokenizer, [SHOWN], True)
    header = prompt.removesuffix(_begun(prompt))
    plain = _shown(tokenizer, {"role": "assistant", "content": SAID}, header)
    if ASKED not in prompt or (plain is not None and SAID not in plain):
        raise RecipeError(
            f"the chat template of {tokenizer.name_or_path!r} leaves out the text of messages: accepted are templates "
            "that render messages whose `content` is text"
        )
    thought, fields = _place_of_reasoning(tokenizer, header)
    written = f"{OPEN}\n{THOUGHT}\n{CLOSE}\n{SAID}"  # with white space that no template chooses
    whole = _shown(tokenizer, {"role": "assistant", "content": written}, header) or ""
    verbatim = whole.partition(written)
    before = (plain or "").partition(SAID)[0]
    if thought is None and not verbatim[1] and THOUGHT in whole:
        thought = _around(whole)
    end, end_id = _end(tokenizer, (plain or whole).rpartition(SAID)[2], prompt)
    off, on = (_switched(tokenizer, prompt, kwargs) for kwargs in (THINKING_OFF, THINKING_ON))
    padded = _shown(tokenizer, {"role": "assistant", "content": SAID + " \n"}, header)
    return AssistantTurn(
        thought=thought,
        lead=verbatim[0] if verbatim[1] else "" if CLOSED.search(before) else before,
        plain=before,
        fields=fields,
        end=end,
        end_id=end_id,
        off=off,
        on=on if closed_by_template(prompt) else {},
        trims=padded is not None and SAID + " \n" not in padded,
    )


def _switched(tokenizer: Any, prompt: str, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variables if they change the prompt."""
    try:
        return {} if _render(tokenizer, [SHOWN], True, kwargs) == prompt else kwargs
    except TemplateRefuses:
        return {}


def _shown(tokenizer: Any, message: Mapping[str, Any], header: str) -> str | None:
    """Return what the template writes of an assistant's message after its header; None: it refuses, or differs."""
    try:
        text = _render(tokenizer, [SHOWN, message], False)
    except TemplateRefuses:
        return None
    return text[len(header) :] if text.startswith(header) else None


def _said(fields: str, reasoning: str, answer: str) -> dict[str, Any]:
    """Return an assistant's message with its reasoning apart from its answer."""
    if fields == "keys":
        return {"role": "assistant", "content": answer, **dict.fromkeys(("reasoning_content", "thinking"), reasoning)}
    thinking = reasoning if fields == "parts" else [{"type": "text", "text": reasoning}]
    parts = [{"type": "thinking", "thinking": thinking}, {"type": "text", "text": answer}]
    return {"role": "assistant", "content": parts}


def _place_of_reasoning(tokenizer: Any, header: str) -> tuple[tuple[str, str] | None, str]:
    """Return the texts before reasoning and between it and the answer, and the form of message that gave them."""
    for fields in ("keys", "parts", "nested parts"):
        found = _around(_shown(tokenizer, _said(fields, THOUGHT, SAID), header) or "")
        if found and "'type'" not in found[0] and '"type"' not in found[0]:  # a template may print parts unread
            return found, fields
    return None, ""


def _around(text: str) -> tuple[str, str] | None:
    before, thought, after = text.partition(THOUGHT)
    between, said, _ = after.partition(SAID)
    return (before, between) if thought and said else None


def _end(tokenizer: Any, tail: str, prompt: str) -> tuple[str, int]:
    """Return the text that ends a turn and its token: the first token of the template's own after the answer.

    Where a template writes none, the tokenizer's end of text ends the turn.
    """
    try:
        opening = prompt.removeprefix(_render(tokenizer, [SHOWN], False))
    except TemplateRefuses:
        opening = ""
    added = {token.content: i for i, token in tokenizer.added_tokens_decoder.items()}
    found = [(tail.index(token), -len(token), token) for token in added if token and token in tail]
    place, _, token = min(found, default=(0, 0, ""))
    if token and not tail[:place].strip() and not (opening != prompt and token in opening):
        return tail[: place + len(token)], added[token]
    if tokenizer.eos_token_id is None:
        raise RecipeError(
            f"the tokenizer {tokenizer.name_or_path!r} has no end of turn: its chat template writes no special token "
            "after the assistant's message, and it has no eos_token; set one of them, or a trained model never stops"
        )
    return tokenizer.eos_token, tokenizer.eos_token_id
