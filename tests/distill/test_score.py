"""Soft targets against the teacher's own dense distribution, in a store that never writes a row twice."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.loss.distillation_loss import OnlineTeacher, StoredTargets, distillation_loss
from distill.models.forward import TransformersForward, compile_layers
from distill.models.loading import check_vocabularies, hidden_states, load_model, load_tokenizer, output_head
from distill.score import largest, row_targets, score
from distill.settings import ScoreConfig
from distill.soft_targets.store import HEADER_BYTES, RowTargets, TargetStore, target_key
from distill.training.examples import Example, load_examples
from distill.training.packing import collate
from generators.contract.stage_protocol import Runtime, StageCounts, Worker, stream_local

GRID = (1.0, 1.5, 4.0)
PAIRS = [("2+2?", "4"), ("Name a prime.", "<think>\n7?\n</think>\n7"), ("Hi", "Hello there, how are you?"), ("a", "b")]


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    return write_corpus(PAIRS)


def config(teacher: str, **settings: Any) -> ScoreConfig:
    return ScoreConfig(teacher=teacher, **{"top_k": 8, "temperatures": GRID, "device": "cpu", **settings})


def scored(
    corpus: Path, out: Path, settings: ScoreConfig, **more: Any
) -> tuple[StageCounts, list[Example], list[RowTargets]]:
    """Return the counts of score, the corpus as examples, and the targets of each."""
    counts = score([corpus], out, settings, revision="r1", **more)
    tokenizer = load_tokenizer(settings.tokenizer or settings.teacher)
    examples, _ = load_examples(corpus, tokenizer, settings.sequence_tokens)
    with TargetStore(out / "targets") as store:
        keys = [target_key(e.token_ids, e.target_start, settings.teacher, "r1") for e in examples]
        return counts, examples, [store.get(key) for key in keys]


class Recorded:
    """A `stream_local` that records the keys it scored; it can stop after some results, like a killed run."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.keys: list[str] = []
        self.stop_after = stop_after

    def __call__(self, build: Callable[[], Worker], shards: Iterable[Any]) -> Iterator[Any]:
        for number, (key, row) in enumerate(stream_local(build, shards)):
            if number == self.stop_after:
                raise KeyboardInterrupt
            self.keys.append(key)
            yield key, row


def dense_logits(model: Any, example: Example, vocab_size: int) -> torch.Tensor:
    """Return the teacher's logits at each target of one document, from its own forward pass without batching."""
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.from_numpy(example.token_ids).long()[None]).logits[0]
    return logits[example.target_start - 1 : -1, :vocab_size].double()


def test_every_temperature_equals_the_dense_softmax(teacher: str, corpus: Path, tmp_path: Path) -> None:
    counts, examples, rows = scored(corpus, tmp_path, config(teacher))
    model, vocab_size = load_model(teacher, torch.float32, torch.device("cpu")), len(load_tokenizer(teacher))
    assert counts.rows_kept == len(rows) == len(PAIRS) and counts.tokens == sum(e.targets for e in examples)
    for example, row in zip(examples, rows, strict=True):
        logits = dense_logits(model, example, vocab_size)
        below_top, ids = (logits - logits.max(-1, keepdim=True).values).topk(8)
        assert (row.token_ids == ids.numpy()).all()
        scored_row = row_targets(TransformersForward(model), config(teacher), vocab_size, [example], ["0"])[0]
        for found, unit in ((scored_row, 2.0**-11), (row, 2.0**-9)):  # half a last-place unit, fp16 and store
            rounding = unit * float(below_top.abs().max()) + 1e-4  # plus float32's rounding
            for temperature in GRID:
                log_q = torch.log_softmax(logits / temperature, -1)
                atol = 2 * rounding / temperature
                np.testing.assert_allclose(found.log_probs(temperature), log_q.gather(1, ids), atol=atol)
                tail = torch.logsumexp(log_q.scatter(1, ids, -torch.inf), -1)
                np.testing.assert_allclose(found.log_tail(temperature), tail, atol=atol)
        for temperature in GRID:
            mass = np.exp(row.log_probs(temperature)).sum(1) + np.exp(row.log_tail(temperature))
            np.testing.assert_allclose(mass, 1.0, atol=1e-6)


def test_head_rows_beyond_the_tokenizer_get_no_mass(
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
    save: Callable[..., str],
    corpus: Path,
    tmp_path: Path,
) -> None:
    model, size = make_model(1, 48), len(make_tokenizer())
    plain, _, expected = scored(corpus, tmp_path / "plain", config(save(model, make_tokenizer())))
    with torch.no_grad():
        weight = output_head(model).weight
        weight[size:] = 100 * weight[0]  # these rows would win or lose every softmax
    counts, _, rows = scored(corpus, tmp_path / "loud", config(save(model, make_tokenizer()), top_k=10_000))
    assert rows[0].token_ids.shape[1] == size and max(row.token_ids.max() for row in rows) == size - 1
    for row, wanted in zip(rows, expected, strict=True):
        np.testing.assert_allclose(row.log_probs(1.0)[:, :8], wanted.log_probs(1.0), atol=2e-3)
        assert (row.log_tail(1.0) == -np.inf).all()
    assert counts.notes["mean_tail_mass"] == {"1": 0.0, "1.5": 0.0, "4": 0.0}
    assert 0.0 < plain.notes["mean_tail_mass"]["1"] < plain.notes["mean_tail_mass"]["4"] < 1.0
    stored = tmp_path / "plain" / "targets" / "part-0.targets"
    assert plain.notes["bytes_per_token"] == stored.stat().st_size / plain.tokens


def test_the_size_of_a_pass_changes_nothing(teacher: str, corpus: Path, tmp_path: Path) -> None:
    _, _, alone = scored(corpus, tmp_path / "alone", config(teacher, batch_tokens=1))
    _, _, together = scored(corpus, tmp_path / "together", config(teacher, batch_tokens=10_000))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.log_probs(1.0), other.log_probs(1.0), atol=8e-3)


def test_a_rerun_scores_nothing_and_reports_the_same(teacher: str, corpus: Path, tmp_path: Path) -> None:
    first, again = Recorded(), Recorded()
    counts, _, _ = scored(corpus, tmp_path, config(teacher), runtime=Runtime(stream=first))
    same, _, _ = scored(corpus, tmp_path, config(teacher), runtime=Runtime(stream=again))
    assert len(first.keys) == len(PAIRS) and again.keys == []
    assert same == counts


def test_an_interrupted_store_goes_on(teacher: str, corpus: Path, tmp_path: Path) -> None:
    settings = config(teacher, batch_tokens=1)
    stopped, rest = Recorded(stop_after=2), Recorded()
    with pytest.raises(KeyboardInterrupt):
        scored(corpus, tmp_path / "torn", settings, runtime=Runtime(stream=stopped))
    counts, _, rows = scored(corpus, tmp_path / "torn", settings, runtime=Runtime(stream=rest))
    assert len(stopped.keys) == len(rest.keys) == 2 and not set(stopped.keys) & set(rest.keys)
    uninterrupted, _, expected = scored(corpus, tmp_path / "whole", settings)
    assert counts == uninterrupted
    for row, wanted in zip(rows, expected, strict=True):
        assert (row.token_ids == wanted.token_ids).all() and (row.logits == wanted.logits).all()


@pytest.mark.parametrize("top_k", [0, 5])
def test_sampled_targets_depend_on_the_row_alone(teacher: str, corpus: Path, tmp_path: Path, top_k: int) -> None:
    settings = {"top_k": top_k, "sampled": 12, "sampled_temperature": 1.5}
    stopped = Recorded(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        scored(corpus, tmp_path / "alone", config(teacher, **settings, batch_tokens=1), runtime=Runtime(stream=stopped))
    _, _, alone = scored(corpus, tmp_path / "alone", config(teacher, **settings, batch_tokens=1))
    _, _, together = scored(corpus, tmp_path / "together", config(teacher, **settings, batch_tokens=10_000))
    for one, other in zip(alone, together, strict=True):
        assert one.draws is not None and other.draws is not None and (one.draws.sum(1) == 12).all()
        assert (one.draws == other.draws).all() and (one.token_ids == other.token_ids).all()
        assert (one.weights() == other.weights()).all() or np.allclose(one.weights(), other.weights(), rtol=0.1)
        assert not np.isinf(one.log_probs(4.0)).any()
        used = np.concatenate([np.ones((len(one.draws), top_k), int), one.draws], axis=1) > 0
        assert all(len(set(ids[u])) == u.sum() for ids, u in zip(one.token_ids, used, strict=True))


def test_everything_is_drawn_from_nothing(teacher: str, corpus: Path, tmp_path: Path) -> None:
    _, _, rows = scored(corpus, tmp_path, config(teacher, top_k=10_000, sampled=3))
    for row in rows:
        assert row.draws is not None and not row.draws.any() and not row.weights()[:, -3:].any()
        assert np.isfinite(row.log_probs(1.0)).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top_k": 0}, "top_k is 0 and sampled is 0"),
        ({"sampled": 4, "sampled_temperature": 2.0}, r"sampled_temperature is 2; it must be one of temperatures, \[1"),
    ],
)
def test_impossible_draws_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config("t", **settings)


def test_dropped_rows_are_counted_and_equal_rows_scored_once(
    teacher: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    train = write_corpus([*PAIRS, PAIRS[0], ("q", "long " * 20), [{"role": "user", "content": "?"}]])
    validation = write_corpus([("new", "row"), PAIRS[1]], "validation.parquet")
    stream = Recorded()
    counts = score(
        [train, validation],
        tmp_path,
        config(teacher, sequence_tokens=60),
        revision="r1",
        runtime=Runtime(stream=stream),
    )
    assert (counts.rows_in, counts.rows_kept) == (9, 7)
    assert counts.dropped == {"no_assistant_turn": 1, "too_long": 1}
    assert len(stream.keys) == len(set(stream.keys)) == len(PAIRS) + 1


def test_no_row_longer_than_the_teacher_s_positions(
    teacher: str, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    counts = score([write_corpus([("q", "x" * 300)])], tmp_path, config(teacher), revision="r1")
    assert counts.dropped == {"too_long": 1} and counts.tokens == 0


def test_another_tokenizer_renders_the_rows(
    teacher: str,
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
    save: Callable[..., str],
    corpus: Path,
    tmp_path: Path,
) -> None:
    student = save(make_model(0), make_tokenizer("{% for m in messages %}Q: {{ m['content'] }}{% endfor %} A:"))
    _, examples, rows = scored(corpus, tmp_path, config(teacher, tokenizer=student))  # found by the student's ids
    assert load_tokenizer(teacher).decode(examples[0].token_ids) == "Q: 2+2? A:4<|end|>"
    assert [len(row.token_ids) for row in rows] == [e.targets for e in examples]


def test_another_vocabulary_is_refused_before_any_work(
    teacher: str,
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
    save: Callable[..., str],
    corpus: Path,
    tmp_path: Path,
) -> None:
    student = save(make_model(0), make_tokenizer(think="<reason>"))
    with pytest.raises(ValueError, match="disagree on token 5: '<reason>' and '<think>'"):
        score([corpus], tmp_path, config(teacher, tokenizer=student))
    assert not (tmp_path / "targets").exists()


@pytest.mark.parametrize("size, k", [(40, 3), (5_000, 7), (5_001, 50), (151_936, 64)])
def test_the_largest_are_those_of_a_whole_sort(size: int, k: int) -> None:
    logits = torch.randn(9, size, generator=torch.Generator().manual_seed(size))
    logits[0] = torch.arange(size)  # neighbors share blocks; the largest are in the incomplete last block
    logits[1, : size // 2] = -torch.inf
    values, ids = largest(logits, k)
    expected = logits.topk(k, dim=-1)
    assert torch.equal(values, expected.values) and torch.equal(ids, expected.indices)


@pytest.mark.parametrize("temperatures", [(1.0, 0.0), (1.0, -2.0), (2.0, 2.0), (float("inf"),), (float("nan"),)])
def test_impossible_grids_are_refused(temperatures: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must be above 0, finite and differ"):
        ScoreConfig(teacher="t", temperatures=temperatures)


@pytest.mark.parametrize("temperature", GRID)
@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jsd"])
def test_all_tokens_stored_train_as_the_teacher_itself(
    teacher: str, make_model: Callable[..., Any], corpus: Path, tmp_path: Path, temperature: float, divergence: Any
) -> None:
    vocab_size = check_vocabularies(load_tokenizer(teacher), load_tokenizer(teacher), 10_000, 10_000)
    _, examples, rows = scored(corpus, tmp_path, config(teacher, top_k=vocab_size))
    batch = collate([[example] for example in examples], 0)
    student, online = make_model(0), load_model(teacher, torch.float32, torch.device("cpu"))
    with torch.no_grad():
        run_beside = OnlineTeacher(hidden_states(online, batch), output_head(online).weight)
    from_store = StoredTargets(
        torch.from_numpy(np.concatenate([row.token_ids for row in rows]).astype(np.int64)),
        torch.from_numpy(np.concatenate([row.log_probs(temperature) for row in rows])),
        torch.from_numpy(np.concatenate([row.log_tail(temperature) for row in rows])),
    )
    results = []
    for targets in (run_beside, from_store):
        student.zero_grad()
        output = distillation_loss(
            hidden_states(student, batch), output_head(student).weight, batch.labels, alpha=0.3,
            temperature=temperature, teacher=targets, divergence=divergence, vocab_size=vocab_size,
        )  # fmt: skip
        output.loss.backward()
        results.append((output.loss.detach(), [weight.grad.clone() for weight in student.parameters()]))
    (loss, gradients), (stored_loss, stored_gradients) = results
    torch.testing.assert_close(stored_loss, loss, atol=1e-3, rtol=1e-3)
    for ours, wanted in zip(stored_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, wanted, atol=2e-3 * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize(("byte", "row"), [(HEADER_BYTES + 20, "row "), (6, "an unknown row")])
def test_damaged_blocks_are_named_and_their_rows_alone_are_scored_again(
    teacher: str, corpus: Path, tmp_path: Path, byte: int, row: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings, path = config(teacher, batch_tokens=1), tmp_path / "targets" / "part-0.targets"
    counts, _, expected = scored(corpus, tmp_path, settings)
    sound = path.read_bytes()
    for start in (0, sound.index(sound[:4], 4)):  # start of the first and the second block
        path.write_bytes(sound[: start + byte] + bytes([sound[start + byte] ^ 1]) + sound[start + byte + 1 :])
        again = Recorded()
        same, _, rows = scored(corpus, tmp_path, settings, runtime=Runtime(stream=again))
        assert len(again.keys) == 1 and same == counts
        assert f"part-0.targets: the block of {row}" in caplog.text
        assert f"at byte {start} fails its checksum; it is taken out, and the row scored again" in caplog.text
        for one, wanted in zip(rows, expected, strict=True):
            assert (one.token_ids == wanted.token_ids).all() and (one.logits == wanted.logits).all()
        path.write_bytes(sound)


def test_compiled_layers_give_the_same_targets(teacher: str) -> None:
    draw = np.random.default_rng(0)
    examples = [Example(str(n), draw.integers(0, 50, n).astype(np.int32), 1) for n in (5, 9, 12)]
    plain, fused = (load_model(teacher, torch.float32, torch.device("cpu")) for _ in range(2))
    compile_layers(fused, backend="aot_eager")
    assert fused.base_model.layers[0]._compiled_call_impl is not None
    torch.testing.assert_close(TransformersForward(fused)(examples), TransformersForward(plain)(examples))
