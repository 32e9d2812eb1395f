"""Compare span divergences for a student with another tokenizer with plain SFT, and with KL under one tokenizer.

    python -m benchmarks.cross_tokenizer [--documents N] [--seeds N]

The embedded teacher teaches the embedded student, once unchanged and once with another tokenizer: of another size, and
trained on text of half the task families. The embedding of each new token is the mean of the embeddings of the old
tokens that spell it. Every student sees the same documents once, at T = 1. Losses under different tokenizers are
compared as bits per byte of held-out completions; `solved` is the share of new problems answered correctly with greedy
decoding. Figures are means over seeds, which draw the order of the documents, with the standard deviation of one seed.
"""

import argparse
import math
import random
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.measure import record
from distill.cross_tokenizer.alignment import PairedExample, share_vocabularies
from distill.cross_tokenizer.paired_corpus import PairedCorpus
from distill.models.loading import load_model, load_tokenizer
from distill.settings import TrainConfig
from distill.train import train
from distill.training.examples import load_examples
from distill.training.trainer import Trainer
from generators.contract.chat import render_prompt
from generators.contract.files import frame, write_frame
from generators.contract.models import model_path
from generators.contract.records import CORPUS
from generators.problems import Problem, Scribe, Split, draw, trace
from generators.toy.train_toy import TEACHER_HABITS, train_tokenizer

TEACHER, STUDENT = "embedded:teacher", "embedded:student"
VOCABULARY = 1024  # at most; the text has fewer words
BUILDING = ("word_problem", "dates", "units")  # families on whose text the other tokenizer is trained
HELD_OUT, ASKED, NEW_TOKENS = 200, 300, 200
ANSWER = re.compile(r"\\boxed\{(-?\d+)\}")
Row = dict[str, Any]
# The embedded student has converged: the learning rate that new embeddings need would make it forget.
SAME: dict[str, Row] = {
    "SFT": {"learning_rate": 1e-4},
    "forward KL": {"learning_rate": 1e-4, "alpha": 0.5, "divergence": "forward_kl"},
}
OTHER: dict[str, Row] = {
    "SFT": {},
    **{
        f"{name}, alpha {alpha:g}": {"alpha": alpha, "divergence": name}
        for alpha in (0.5, 0.0)
        for name in ("span_kl", "gold", "uld")
    },
}


def rows_of(split: Split, count: int, seed: int) -> list[Row]:
    """Return corpus rows written by the scribe whose text the teacher was trained on."""
    rng = random.Random(seed)
    scribe = (TEACHER_HABITS.slip, TEACHER_HABITS.noticed, TEACHER_HABITS.check)
    return [
        {"trace_id": f"{split}{i}", "messages": _messages(problem.question, trace(problem, Scribe(rng, *scribe))[0])}
        for i, problem in enumerate(draw([], count, split, seed))
    ]


def _messages(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def other_student(folder: Path) -> str:
    """Save the embedded student with a newly trained tokenizer and its embeddings carried over; return the folder."""
    problems = draw(BUILDING, 3000, "demo", 99)
    rng = random.Random(99)
    tokenizer = train_tokenizer([(p.question, trace(p, Scribe(rng))[0]) for p in problems], VOCABULARY)
    old_tokenizer = load_tokenizer(STUDENT)
    model = _model(STUDENT)
    spelled = _spelled(tokenizer, old_tokenizer)
    old = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(len(tokenizer))
    with torch.no_grad():
        for i, ids in enumerate(spelled):
            model.get_input_embeddings().weight[i] = old[ids].mean(0)
    for key in ("eos_token_id", "pad_token_id"):
        setattr(model.config, key, getattr(tokenizer, key))
        setattr(model.generation_config, key, getattr(tokenizer, key))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _spelled(new: Any, old: Any) -> list[list[int]]:
    """Return the old token ids that spell each new token."""
    shared = share_vocabularies(new, old)
    same = dict(zip(shared.student.roots.tolist(), shared.teacher.roots.tolist(), strict=True))
    texts = [text.decode(errors="replace") for text in shared.student.texts]
    return [
        [same[i]] if i in same else old(text, add_special_tokens=False)["input_ids"] for i, text in enumerate(texts)
    ]


def completion_bytes(rows: Iterable[Row]) -> int:
    """Return the bytes of all completions, without their end of turn."""
    return sum(len(row["messages"][-1]["content"].encode()) for row in rows)


def solved(folder: str, problems: Sequence[Problem]) -> float:
    """Return the share of problems that a model answers correctly with greedy decoding."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    prompts = [render_prompt(tokenizer, [{"role": "user", "content": problem.question}]) for problem in problems]
    inputs = tokenizer(prompts, add_special_tokens=False, return_tensors="pt", padding=True)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    with torch.inference_mode():
        ids = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            **ends,
        )
    answers = (ANSWER.search(text) for text in tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :]))
    return statistics.mean(
        answer is not None and answer[1] == problem.answer for answer, problem in zip(answers, problems, strict=True)
    )


def _model(name: str) -> Any:
    return load_model(name, torch.float32, torch.device("cpu"))


class Bench:
    """The corpus, the held-out rows and the problems on which all students are compared."""

    def __init__(self, folder: Path, documents: int) -> None:
        self.folder = folder
        held_out = rows_of("eval", HELD_OUT, 2)
        self.corpus, self.validation = folder / "corpus.parquet", folder / "validation.parquet"
        write_frame(frame(rows_of("demo", documents, 1), CORPUS), self.corpus)
        write_frame(frame(held_out, CORPUS), self.validation)
        self.few = folder / "few.parquet"  # train validates at its start and end, which is measured here anyway
        write_frame(frame(held_out[:2], CORPUS), self.few)
        self.bytes = completion_bytes(held_out)
        self.problems = draw([], ASKED, "eval", 3)

    def one(self, student: str, settings: Row, seed: int) -> dict[str, float]:
        """Train one student and return its figures."""
        soft = {"soft_targets": "online", "teacher": TEACHER} if "divergence" in settings else {}
        usual = {"epochs": 1, "batch_tokens": 1024, "learning_rate": 1e-3, "validate_every": 10**6, "device": "cpu"}
        config = TrainConfig.model_validate({"student": student, "seed": seed, **usual, **soft, **settings})
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            train(self.corpus, self.few, None, Path(name), config)
            return self.figures(str(Path(name) / "model"))

    def figures(self, model: str) -> dict[str, float]:
        """Return bits per byte of held-out completions and the share of new problems solved."""
        examples = load_examples(self.validation, load_tokenizer(model), 1024)[0]
        trainer = Trainer(TrainConfig(student=model), _model(model), lambda batch: None, None, 0)
        loss = trainer.validate(examples)["val_ce"]
        assert loss is not None
        bits = loss * sum(example.targets for example in examples) / self.bytes / math.log(2)
        return {"bits_per_byte": bits, "solved": solved(model_path(model), self.problems)}

    def overlap(self, student: str) -> dict[str, Any]:
        """Return how much the tokenizers of a student and of the teacher have in common."""
        config = TrainConfig(student=student, soft_targets="online", teacher=TEACHER, divergence="span_kl")
        pairing = PairedCorpus.of(config, load_tokenizer(student))
        pairs = [e for e in pairing.load(self.validation, 1024)[0] if isinstance(e, PairedExample)]
        spans = sum(len(pair.spans.aligned) for pair in pairs)
        tokens, theirs = sum(pair.targets for pair in pairs), sum(pair.teacher.targets for pair in pairs)
        sides = pairing.shared.student, pairing.shared.teacher
        return {
            "vocabularies": [side.size for side in sides],
            "shared_tokens": len(sides[0].roots),
            "held_out_tokens": [tokens, theirs],
            "spans": spans,
        }


def summary(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the mean of each figure and, for several runs, its standard deviation."""
    facts: dict[str, Any] = {}
    for key in ("bits_per_byte", "solved"):
        values = [run[key] for run in runs]
        facts[key] = round(statistics.mean(values), 4)
        if len(values) > 1:
            facts[f"{key}_deviation"] = round(statistics.stdev(values), 4)
    return facts


def main() -> None:
    """Train every student and write results/cross_tokenizer.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.documents)
        other = other_student(Path(name) / "other")
        arms: list[tuple[str, str, dict[str, Row]]] = [("same", STUDENT, SAME), ("other", other, OTHER)]
        figures: dict[str, Any] = {"documents": options.documents, **bench.overlap(other)}
        before = {"teacher": TEACHER, "same": STUDENT, "other": other}
        figures["before"] = {name: summary([bench.figures(model)]) for name, model in before.items()}
        print(figures, flush=True)
        runs: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
        for seed in range(options.seeds):
            for tokenizer, student, kinds in arms:
                for kind, settings in kinds.items():
                    runs[tokenizer, kind].append(bench.one(student, settings, seed))
                    print(seed, tokenizer, kind, runs[tokenizer, kind][-1], flush=True)
            for tokenizer, _, kinds in arms:
                figures[tokenizer] = {kind: summary(runs[tokenizer, kind]) for kind in kinds}
            record("cross_tokenizer", figures | {"seeds": seed + 1})  # so far, in case it is stopped


if __name__ == "__main__":
    main()
