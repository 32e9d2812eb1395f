"""The loss over spans: exact for one tokenizer, its gradient, and the same partition on both sides."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.cross_tokenizer.alignment import SharedVocabulary, Side, Spans
from distill.cross_tokenizer.span_loss import Reading, Sides, SideTensors, SpanTeacher, _bucketed, _target, span_loss
from distill.loss.distillation_loss import OnlineTeacher, distillation_loss
from distill.loss.heads import Head
from distill.loss.vocabulary import Shard
from distill.settings import SpanDivergence

CPU = torch.device("cpu")


def vocabularies() -> SharedVocabulary:
    """Return student a b c ab end and teacher a b c abc bc end X, with the shared roots a, b, c and end."""
    student = [b"a", b"b", b"c", b"ab", b"<e>"]
    teacher = [b"c", b"b", b"a", b"abc", b"bc", b"</s>", b"X"]
    return SharedVocabulary(
        _side(student, 4, roots=[0, 1, 2, 4], buckets=[0, 1, 2, 0, 3]),
        _side(teacher, 5, roots=[2, 1, 0, 5], buckets=[2, 1, 0, 0, 1, 3, 4]),
    )


def _side(texts: list[bytes], end: int, roots: list[int], buckets: list[int]) -> Side:
    matched = np.isin(np.arange(len(texts)), roots)
    return Side(texts, end, np.array(roots), np.array(buckets), matched)


# abc ab c b, end: student [ab c] [a b] [c] [b] [end], teacher [abc] [a b], [c], [b], [end], and 2 more of the student
STUDENT_IDS = [3, 2, 0, 1, 2, 1, 4, 0, 0]
TEACHER_IDS = [3, 2, 1, 0, 1, 5]
SPANS = Spans(
    np.array([2, 3, 4, 5, 6, 7, 9]),
    np.array([1, 2, 3, 4, 5, 6, 6]),
    np.array([True, True, True, True, True, True, False]),
)


def inputs(shared: SharedVocabulary, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, SpanTeacher]:
    """Return float64 student hidden states, a head with a padding row, labels, and a teacher."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    hidden, head = normal(9, 4), normal(shared.student.size + 1, 4)
    teacher = SpanTeacher(
        normal(6, 3), normal(shared.teacher.size + 2, 3), torch.tensor(TEACHER_IDS), SPANS, Sides.of(shared, CPU)
    )
    return hidden, head, torch.tensor(STUDENT_IDS), teacher


@pytest.mark.parametrize("divergence", ["span_kl", "gold", "uld"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("softcap", [None, 1.5])
def test_gradient_is_that_of_the_value(divergence: SpanDivergence, temperature: float, softcap: float | None) -> None:
    hidden, weight, labels, teacher = inputs(vocabularies())
    bias = torch.linspace(-1, 1, len(weight), dtype=torch.float64)

    def loss(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        head = Head(weight, bias, 1.3, softcap)
        usual: Any = {"divergence": divergence, "temperature": temperature, "chunk_tokens": 3}
        return span_loss(hidden, head, labels, teacher, alpha=0.3, **usual).loss

    points = tuple(x.clone().requires_grad_() for x in (hidden, weight, bias))
    assert torch.autograd.gradcheck(loss, points)


@pytest.mark.parametrize("divergence", ["span_kl", "gold", "uld"])
def test_chunks_change_nothing(divergence: SpanDivergence) -> None:
    hidden, head, labels, teacher = inputs(vocabularies())
    results = []
    for chunk in (1, 4, 100):
        point = hidden.clone().requires_grad_()
        output = span_loss(point, head, labels, teacher, alpha=0.4, divergence=divergence, chunk_tokens=chunk)
        output.loss.backward()
        results.append((output.loss.detach(), output.ce_sum, output.kl_sum, point.grad))
    for other in results[1:]:
        torch.testing.assert_close(results[0], other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_with_one_tokenizer_it_is_the_loss_of_one_tokenizer(alpha: float) -> None:
    draw = torch.Generator().manual_seed(1)
    size, n = 50, 40
    ids, texts = np.arange(size), [bytes([65 + i]) for i in range(size)]
    side = Side(texts, 0, ids, ids, np.ones(size, dtype=bool))
    ends = np.arange(1, n + 1)
    labels = torch.randint(0, size, (n,), generator=draw)
    hidden, head = (torch.randn(*shape, generator=draw) * 2 for shape in ((n, 16), (size + 3, 16)))
    theirs, their_head = (torch.randn(*shape, generator=draw) * 2 for shape in ((n, 8), (size, 8)))
    spans = Spans(ends, ends, np.ones(n, dtype=bool))
    teacher = SpanTeacher(theirs, their_head, labels, spans, Sides.of(SharedVocabulary(side, side), CPU))
    usual: Any = {"alpha": alpha, "temperature": 2.0}
    points = [[x.clone().requires_grad_() for x in (hidden, head)] for _ in range(2)]
    ours = span_loss(points[0][0], points[0][1], labels, teacher, chunk_tokens=7, **usual)
    plain = distillation_loss(
        points[1][0], points[1][1], labels, teacher=OnlineTeacher(theirs, their_head), vocab_size=size, **usual
    )
    for a, b in zip((ours.loss, ours.ce_sum, ours.kl_sum), (plain.loss, plain.ce_sum, plain.kl_sum), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    ours.loss.backward()
    plain.loss.backward()
    for a, b in zip(*points, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)


def reading(side: SideTensors, first: int, width: int, seed: int) -> Reading:
    draw = torch.Generator().manual_seed(seed)
    log_p = torch.randn(1, side.size, generator=draw, dtype=torch.float64).mul(2).log_softmax(-1)
    rest = torch.tensor([-0.5 * (width - 1)], dtype=torch.float64)
    return Reading(log_p, rest, torch.tensor([first]), torch.tensor([width == 1]))


@pytest.mark.parametrize(("ours", "theirs"), [((0, 1), (2, 1)), ((3, 2), (3, 1)), ((3, 1), (2, 2)), ((0, 2), (2, 2))])
def test_buckets_hold_all_mass_and_the_span_has_that_of_the_chain_rule(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    sides = Sides.of(vocabularies(), CPU)
    student, teacher = reading(sides.student, *ours, 1), reading(sides.teacher, *theirs, 2)
    target = _target(teacher, student, sides)
    for side, read in ((sides.student, student), (sides.teacher, teacher)):
        masses = _bucketed(read, side, target).exp()
        torch.testing.assert_close(masses.sum(), torch.tensor(1.0, dtype=torch.float64))
        joint = (read.log_p[0, read.first[0]] + read.rest[0]).exp()
        if (ours[1], theirs[1]) != (1, 1):  # the student's `a` is the teacher's
            torch.testing.assert_close(masses[0, -1], joint)


def test_a_shared_token_that_one_side_spells_out_is_one_event() -> None:
    """The student writes `bc` as one token that the teacher has too but did not use."""
    texts = [b"b", b"c", b"bc"]
    ids = np.arange(3)
    side = Side(texts, None, ids, ids, np.ones(3, dtype=bool))
    sides = Sides.of(SharedVocabulary(side, side), CPU)
    student, teacher = reading(sides.student, 2, 1, 1), reading(sides.teacher, 0, 2, 2)
    target = _target(teacher, student, sides)
    q = _bucketed(teacher, sides.teacher, target).exp()[0]
    plain = teacher.log_p[0].exp()
    moved = plain[0] * math.exp(-0.5)
    torch.testing.assert_close(q[:3], torch.stack([plain[0] - moved, plain[1], plain[2] + moved]))
    torch.testing.assert_close(_bucketed(student, sides.student, target).exp()[0, :3], student.log_p[0].exp())


def test_the_divergence_vanishes_only_where_both_say_the_same() -> None:
    """A student with the teacher's mass for every event has neither divergence nor gradient; others have both."""
    shared = vocabularies()
    values = [float(span_loss(*inputs(shared, seed)[:3], inputs(shared, seed)[3]).kl_sum) for seed in range(20)]
    assert min(values) > 0
    hidden, head, labels, teacher = inputs(shared)
    same = replace(
        teacher,
        hidden=hidden,
        head=head,
        labels=labels,
        sides=Sides.of(SharedVocabulary(shared.student, shared.student), CPU),
        spans=replace(SPANS, teacher=SPANS.student, aligned=np.ones(7, dtype=bool)),
    )
    point = hidden.clone().requires_grad_()
    output = span_loss(point, head, labels, same)
    output.loss.backward()
    assert abs(float(output.kl_sum)) < 1e-12 and point.grad is not None and float(point.grad.abs().max()) < 1e-7


def test_no_gradient_is_made_for_frozen_inputs() -> None:
    hidden, head, labels, teacher = inputs(vocabularies())
    point = hidden.clone().requires_grad_()
    with_head = span_loss(point, head.clone().requires_grad_(), labels, teacher)
    with_head.loss.backward()
    frozen = hidden.clone().requires_grad_()
    span_loss(frozen, head, labels, teacher).loss.backward()
    torch.testing.assert_close(point.grad, frozen.grad)
    with torch.no_grad():
        torch.testing.assert_close(span_loss(point, head, labels, teacher).loss, with_head.loss.detach())
    shard = Shard(None, 0, len(head))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vocabulary-parallel"):
        span_loss(hidden, Head(head, shard=shard), labels, teacher)


def test_a_peaked_student_gives_finite_figures() -> None:
    hidden, head, labels, teacher = inputs(vocabularies())
    point = (hidden * 300).float().requires_grad_()
    theirs = replace(teacher, hidden=teacher.hidden.float() * 300, head=teacher.head.float())  # type: ignore[union-attr]
    output = span_loss(point, head.float(), labels, theirs)
    output.loss.backward()
    assert output.loss.isfinite() and point.grad is not None and point.grad.isfinite().all()
