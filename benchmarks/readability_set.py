"""A labelled set for the readability filters: clean texts, texts with planted faults, and texts that only look faulty.

Clean texts are correct model outputs, GSM8K's worked answers, the scribe's traces of the built-in tasks, and Chinese
reasoning composed of sentences from Chinese problems with an equation after each. A fault is planted into a clean text
drawn at random; planted sentences come from other texts. One seed draws everything. A plant can also be another fault
(a loop on one line is a long paragraph too); this counts neither for nor against the other check.
"""
# ruff: noqa: RUF001  (Chinese texts)

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.readability_texts import LANGUAGES, LOOKALIKES, MENTIONS
from generators.contract.completions import split_reasoning
from generators.problems import Scribe, draw, trace

CLEAN, PLANTS = 300, 60  # texts of each source; texts of each kind of plant
LONG, LINE = 2400, 1900  # characters: a paragraph that is too long, and one that is not

FORMULA = re.compile(
    r"\\\[(?!.*\\\])|\\begin\{(?!.*\\end\{)|^[^$]*\$\$(?:[^$]|\$(?!\$))*$", re.DOTALL
)  # a formula that is still open


@dataclass(frozen=True)
class Text:
    """One labelled text. `faults`: drop reasons that must be found; `maybe`: drop reasons that may be found."""

    kind: str
    question: str
    reasoning: str | None
    answer: str
    domain: str = "math"
    language: str = "en"
    faults: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()


@dataclass
class Sources:
    """Clean texts, sentences of each language and programs, drawn with `rng`."""

    rng: random.Random
    real: list[Text]
    clean: list[Text]
    sentences: dict[str, list[str]] = field(default_factory=dict)
    programs: list[str] = field(default_factory=list)

    def host(self, language: str = "en", thinking: bool = False) -> Text:
        """Draw a clean text with at least two lines."""
        fitting = [text for text in self.clean if text.language == language and "\n" in prose(text)]
        host = self.rng.choice([text for text in fitting if text.reasoning] if thinking else fitting)
        return host

    def say(self, language: str, count: int) -> list[str]:
        """Draw sentences of a language."""
        return self.rng.sample(self.sentences[language], count)


def prose(text: Text) -> str:
    """Return the reasoning of a text, or its answer if it has none."""
    return text.answer if text.reasoning is None else text.reasoning


def with_prose(text: Text, said: str, kind: str, faults: str = "", maybe: str = "") -> Text:
    """Return the text with other prose and other labels (drop reasons separated by spaces)."""
    where = "answer" if text.reasoning is None else "reasoning"
    labels: dict[str, Any] = {"faults": frozenset(faults.split()), "maybe": frozenset(maybe.split()), where: said}
    return replace(text, kind=kind, **labels)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON lines file, compressed or not."""
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sources(folder: Path, seed: int) -> Sources:
    """Return all clean texts, and the sentences and programs that faults are planted from."""
    rng = random.Random(seed)
    rows = [row for row in read(folder / "labelled_outputs_dev.jsonl.gz") if row["label"]]
    real = [Text("real", row["question"], *split_reasoning(row["response"])) for row in rows]
    worked = [Text("worked", r["question"], None, r["answer"]) for r in read(folder / "gsm8k_train.jsonl.gz")]
    problems = draw([], CLEAN, "demo", seed)
    scribed = [
        Text("scribe", p.question, *split_reasoning(trace(p, Scribe(rng, noticed=0.1, check=0.3))[0])) for p in problems
    ]
    asked = [row["question"] for row in read(folder / "benchmarks" / "cmath.jsonl")]
    asked += [row["messages"][0]["content"] for row in read(folder / "benchmarks" / "mgsm_zh.jsonl")]
    chinese = sentences_of(asked, r"[^。？！\nA-Za-z]{8,60}[。？！]")
    english = sentences_of([t.answer for t in worked], r"[A-Z][a-z]+ [^.\n<=*$]{30,120}\.")
    clean = [*rng.sample(real, 2 * CLEAN), *rng.sample(worked, CLEAN), *scribed]
    clean += [in_chinese(rng, question, chinese) for question in rng.sample(asked, CLEAN)]
    programs = [row["prompt"] + row["canonical_solution"] for row in read(folder / "HumanEval.jsonl.gz")]
    return Sources(rng, real, clean, {"zh": chinese, "en": english}, programs)


def sentences_of(texts: list[str], sentence: str) -> list[str]:
    """Return the distinct sentences, in the order of the texts."""
    return list(dict.fromkeys(said for text in texts for said in re.findall(sentence, text)))


def in_chinese(rng: random.Random, question: str, sentences: list[str]) -> Text:
    """Return a Chinese question with reasoning made of Chinese sentences and an equation after each."""
    steps = []
    for said in rng.sample(sentences, rng.randint(4, 12)):
        a, b = rng.randint(2, 99), rng.randint(2, 99)
        form = rng.choice(["{} + {} = {}", "${} + {} = {}$", "\\({} + {} = {}\\)"])
        steps.append(f"{said}{form.format(a, b, a + b)}")
    value = rng.randint(2, 999)
    reasoning = rng.choice(["\n", "\n\n"]).join(steps)
    return Text("chinese", question, reasoning, f"答案是 \\boxed{{{value}}}。", language="zh")


def labelled(all_sources: Sources) -> list[Text]:
    """Return the whole set, in a fixed order."""
    makers = (languages, loops, codes, tags, summaries, lengths, lookalikes)
    planted = [text for _ in range(PLANTS) for make in makers for text in make(all_sources)]
    return [*all_sources.clean, *planted]


def insert(rng: random.Random, text: str, sentences: list[str], joint: str) -> str:
    """Insert sentences at random ends of lines, outside of formulas that span several lines."""
    lines = text.split("\n")
    ends = [i for i in range(len(lines)) if not FORMULA.search("\n".join(lines[: i + 1]))]
    for said in sentences:
        place = rng.choice(ends or [len(lines) - 1])
        lines[place] = f"{lines[place]}{joint}{said}"
    return "\n".join(lines)


def languages(s: Sources) -> Iterator[Text]:
    """Yield mixtures from a clause to a third of the lines, and reasoning in another language than the prompt."""
    for host_in, said_in, joint in (("en", "zh", " "), ("zh", "en", " ")):
        clause = re.split("[，,]", s.say(said_in, 1)[0])[0]
        strengths = {"clause": [clause], "sentence": s.say(said_in, 1), "three sentences": s.say(said_in, 3)}
        for strength, said in strengths.items():
            host = s.host(host_in)
            mixed = insert(s.rng, prose(host), said, joint)
            yield with_prose(host, mixed, f"{strength} {said_in} in {host_in}", "mixed_language", "other_language")
        host = s.host(host_in)
        third = s.say(said_in, max(2, prose(host).count("\n") // 3))
        mixed = insert(s.rng, prose(host), third, joint)
        yield with_prose(host, mixed, f"third of lines {said_in} in {host_in}", "mixed_language", "other_language")
        asked, spoken = s.host(host_in), s.host(said_in, thinking=True)
        if len(re.findall(r"[a-z]{3,}|[\u4e00-\u9fff]", prose(spoken))) >= 20:
            told = replace(asked, reasoning=prose(spoken), answer="\\boxed{5}")
            yield with_prose(told, prose(spoken), f"{said_in} for {host_in}", "other_language mixed_language")
    code, sentences = s.rng.choice(list(LANGUAGES.items()))
    other = "\n".join(s.rng.sample(sentences, 5))
    asked = replace(s.host(), reasoning=other, answer="\\boxed{5}")
    yield with_prose(asked, other, f"{code} for en", "other_language", "mixed_language")


def loops(s: Sources) -> Iterator[Text]:
    """Yield repeated phrases, lines and paragraphs, in the middle or at the end, and repeated whole texts."""
    for language, gap in (("en", " "), ("zh", "")):
        words = re.findall(r"[\u4e00-\u9fff]", "".join(s.say("zh", 1))) if gap == "" else s.say("en", 1)[0].split()
        phrase = gap.join(words[: s.rng.randint(3, 6) * (1 if gap else 2)])
        plants = {
            "phrase": (gap or "，").join([phrase] * s.rng.randint(12, 40)),
            "line": "\n".join(s.say(language, 1) * s.rng.randint(6, 20)),
            "paragraph": "\n".join(["\n".join(s.say(language, 4))] * s.rng.randint(3, 8)),
        }
        for kind, plant in plants.items():
            host = s.host(language)
            lines = prose(host).split("\n")
            place = s.rng.choice([len(lines), s.rng.randrange(len(lines))])
            said = "\n".join([*lines[:place], plant, *lines[place:]])
            yield with_prose(host, said, f"{kind} loop {language}", "loop", "repetition long_paragraph")
        host = replace(s.host(language), reasoning="\n".join(s.say(language, s.rng.randint(6, 20))))
        times = s.rng.randint(2, 5)
        said = "\n\n".join([prose(host)] * times)
        yield with_prose(host, said, f"said {times} times {language}", "repetition", "loop long_paragraph")


def codes(s: Sources) -> Iterator[Text]:
    """Yield programs in mathematical texts, with and without a fence, and programs where they belong."""
    program = s.rng.choice(s.programs)
    forms = {
        "fenced": f"```python\n{program}```",
        "bare fence": f"```\n{program}```",
        "unfenced": program,
        "code tag": f"<code>{program}</code>",
        "verbatim": f"\\begin{{verbatim}}\n{program}\\end{{verbatim}}",
    }
    for kind, form in forms.items():
        host = s.host(thinking=True)
        yield with_prose(host, f"{prose(host)}\n{form}\n", f"code {kind}", "code_block", "mixed_language repetition")
    yield Text("program for code", program, "\n".join(s.say("en", 4)), forms["fenced"], domain="code")
    yield Text("program as asked", f"Write this in Python: {s.say('en', 1)[0]}", None, forms["fenced"], "general")


def tags(s: Sources) -> Iterator[Text]:
    """Yield correct tags, and tags that are missing, doubled, out of order or left over."""
    host = s.host(thinking=True)
    body, value = prose(host), s.rng.randint(1, 99)
    right = f"<think>\n{body}\n</think>\n<answer>{value}</answer>"
    broken = {
        "answer not opened": right.replace("<answer>", ""),
        "answer doubled": f"{right}\n<answer>{value}</answer>",
        "answer opened twice": right.replace("<answer>", "<answer><answer>"),
        "answer closed first": right.replace(f"<answer>{value}</answer>", f"</answer>{value}<answer>"),
        "answer in thinking": f"<think>\n{body}\n<answer>{value}</answer>\n</think>\nIt is {value}.",
        "summary not closed": right.replace("<answer>", "<summary>So it is.\n<answer>"),
        "think opened twice": right.replace("<think>", "<think>\n<think>"),
        "think closed twice": f"{right}</think>",
        "think not closed": right.replace("</think>", ""),
        "think closed otherwise": right.replace("</think>", "\\end{think}"),
        "template left over": f"{right}<|im_end|>\n<|im_start|>user",
    }
    for kind, completion in broken.items():
        reasoning, answer = split_reasoning(completion)
        maybe = frozenset({"no_summary"} if kind.startswith("think") else ())
        yield replace(host, kind=kind, reasoning=reasoning, answer=answer, faults=frozenset({"bad_tags"}), maybe=maybe)
    fine = {
        "tags right": right,
        "answer ends the text": right.removesuffix("</answer>"),
        "tags spoken of": right.replace("</think>", f"{s.rng.choice(MENTIONS)}\n</think>"),
        "summary and answer": right.replace("<answer>", f"<summary>So it is {value}.</summary>\n<answer>"),
    }
    for kind, completion in fine.items():
        reasoning, answer = split_reasoning(completion)
        yield replace(host, kind=kind, reasoning=reasoning, answer=answer)


def summaries(s: Sources) -> Iterator[Text]:
    """Yield texts with nothing, or only marks, after the thinking, and texts with short answers."""
    host = s.host(s.rng.choice(["en", "zh"]), thinking=True)
    for kind, answer in {"nothing": "", "marks": "**\n---", "empty tags": "<answer></answer>"}.items():
        yield replace(host, kind=f"summary is {kind}", answer=answer, faults=frozenset({"no_summary"}))
    for kind, answer in {"boxed": "\\boxed{5}", "bold": "**5**", "money": "$5", "negative": "-5"}.items():
        yield replace(host, kind=f"short answer {kind}", answer=answer)


def lengths(s: Sources) -> Iterator[Text]:
    """Yield walls of text and reasoning of forbidden length; long lines within the limit, long texts of short lines."""
    for language, gap, share in (("en", " ", 1), ("zh", "", 2)):
        host = replace(s.host(language), reasoning="")
        many = s.say(language, 200)
        for kind, most in (("wall", LONG + s.rng.randrange(4000)), ("long line", LINE - s.rng.randrange(300))):
            said = gap.join(many)[: most // share]
            faults = "long_paragraph" if kind == "wall" else ""
            yield with_prose(host, said, f"{kind} {language}", faults)
        yield with_prose(host, "\n".join(many), f"many lines {language}")
        yield with_prose(host, s.say(language, 1)[0][: s.rng.randint(1, 19)], f"too short {language}", "too_short")
        said = "\n".join(s.rng.choices(many, k=s.rng.randint(1500, 2500)))
        yield with_prose(host, said, f"too long {language}", "too_long", "repetition loop")


def lookalikes(s: Sources) -> Iterator[Text]:
    """Yield names, quotations, symbols, terms, tables and case distinctions that no check should find."""
    for kind, (language, form) in LOOKALIKES.items():
        n, said = s.rng.randint(4, 30), s.say("zh", 1)[0]
        host = s.host(language)
        yield with_prose(host, f"{prose(host)}\n{form(n, said)}", kind)
