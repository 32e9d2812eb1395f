"""The store of soft targets: the round trip of rows, and the effects of a killed writer or a damaged disk."""

import resource
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from distill.soft_targets.store import HEADER_BYTES, RowTargets, StoreMetadata, TargetStore, target_key

VOCAB, TOP_K, GRID = 200, 8, (1.0, 2.0, 4.0)
METADATA = StoreMetadata(
    teacher="toy", revision="r1", tokenizer="t", vocab_size=VOCAB, top_k=TOP_K, temperatures=GRID
)  # fmt: skip


def exact_logits(positions: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(positions, VOCAB, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4


def row_of(logits: torch.Tensor, k: int = TOP_K) -> RowTargets:
    kept, ids = logits.topk(k, -1)
    top = kept[:, :1]
    rest = (logits - top).scatter(1, ids, -torch.inf)
    tails = torch.stack([torch.logsumexp(rest / t, -1) for t in GRID], 1)
    return RowTargets(ids.numpy().astype(np.uint16), (kept - top).half().numpy(), tails.float().numpy(), GRID)


def key_of(number: int) -> str:
    return target_key(np.array([number, 5, 7], np.int32), 1, "toy", "r1")


def filled(folder: Path, rows: int, positions: int = 3) -> Path:
    with TargetStore(folder, "a", METADATA) as store:
        for number in range(rows):
            store.append(key_of(number), row_of(exact_logits(positions + number, number)))
    return folder / "part-0.targets"


def test_every_temperature_of_the_grid_is_exact_to_storage_rounding(tmp_path: Path) -> None:
    filled(tmp_path, 4)
    with TargetStore(tmp_path) as store:
        row = store.get(key_of(2))
    logits = exact_logits(5, 2)
    for temperature in GRID:
        exact = torch.log_softmax(logits / temperature, -1)
        kept = exact.gather(1, torch.from_numpy(row.token_ids.astype(np.int64)))
        assert np.abs(row_of(logits).log_probs(temperature) - kept.numpy()).max() < 4e-3  # before it is stored
        rounding = 2.0**-9 * np.abs(row.logits) / temperature + 4e-3  # rounding of the logit itself, and of logZ
        assert (np.abs(row.log_probs(temperature) - kept.numpy()) < rounding).all()
        tail = np.exp(row.log_tail(temperature))
        true_tail = 1 - kept.exp().sum(1).numpy()
        np.testing.assert_allclose(tail, true_tail, rtol=4e-3)
        np.testing.assert_allclose(np.exp(row.log_probs(temperature)).sum(1) + tail, 1.0, atol=1e-6)
        terms = kept.exp().numpy() * (kept.numpy() - row.log_probs(temperature))
        kl = terms.sum(1) + true_tail * (np.log(true_tail) - row.log_tail(temperature))
        assert (kl > -1e-7).all() and (kl < 1e-5).all()


def test_a_tiny_tail_keeps_its_relative_precision() -> None:
    logits = exact_logits(6)
    logits[:, 0] += 60.0
    row = row_of(logits)
    exact = torch.log_softmax(logits, -1).scatter(1, torch.from_numpy(row.token_ids.astype(np.int64)), -torch.inf)
    np.testing.assert_allclose(row.log_tail(1.0), torch.logsumexp(exact, -1).numpy(), rtol=1e-5)


def test_keeping_the_whole_vocabulary_leaves_no_tail() -> None:
    row = row_of(exact_logits(3), VOCAB)
    assert (row.log_tail(2.0) == -np.inf).all()
    np.testing.assert_allclose(np.exp(row.log_probs(2.0)).sum(1), 1.0, atol=1e-6)


def test_another_temperature_names_the_grid(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"temperature 3 is not on the stored grid \(1, 2, 4\)"):
        row_of(exact_logits(2)).log_probs(3.0)


@pytest.mark.parametrize("lost", [1, 10, HEADER_BYTES, 150, 250])
def test_a_torn_tail_is_cut_and_the_row_can_be_written_again(tmp_path: Path, lost: int) -> None:
    path = filled(tmp_path, 3, positions=10)
    data = path.read_bytes()
    path.write_bytes(data[:-lost])
    with TargetStore(tmp_path) as store:
        assert [store.has(key_of(n)) for n in range(3)] == [True, True, False]
    with TargetStore(tmp_path, "a", METADATA) as store:
        store.append(key_of(2), row_of(exact_logits(12, 2)))
    assert path.read_bytes() == data


def test_a_disk_that_fills_up_is_an_os_error_and_the_row_can_be_written_again(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TargetStore(tmp_path, "a", METADATA) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))  # room for part of a row
        try:
            with pytest.raises(OSError):
                store.append(key_of(3), row_of(exact_logits(6, 3)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not store.has(key_of(3))
        store.append(key_of(3), row_of(exact_logits(6, 3)))
    assert path.read_bytes() == filled(tmp_path / "whole", 4).read_bytes()


def test_a_tail_of_zeros_after_a_power_cut_is_torn_too(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    data = path.read_bytes()
    path.write_bytes(data[:-200] + bytes(200))
    with TargetStore(tmp_path, "a", METADATA) as store:
        assert len(store) == 2
    path.write_bytes(data + bytes(5000))
    with TargetStore(tmp_path, "a", METADATA) as store:
        assert len(store) == 3
    assert path.read_bytes() == data


def test_a_damaged_block_is_an_error_naming_file_and_row(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 20] ^= 1
    path.write_bytes(data)
    with TargetStore(tmp_path) as store:
        store.get(key_of(1))
        with pytest.raises(ValueError, match=f"part-0.targets: the block of row {key_of(0)}"):
            store.get(key_of(0))
    data[6] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"part-0.targets: damaged at byte 0, with rows after it"):
        TargetStore(tmp_path)


def test_an_older_format_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path, 2)
    path.write_bytes(b"DTG1" + path.read_bytes()[4:])
    modes: tuple[Literal["r"], Literal["a"]] = "r", "a"
    for mode in modes:
        with pytest.raises(ValueError, match=r"part-0.targets is of the older format DTG1; score again into another"):
            TargetStore(tmp_path, mode)


def test_several_segments_are_one_store(tmp_path: Path) -> None:
    for worker in range(3):
        with TargetStore(tmp_path, "a", METADATA, segment=f"part-{worker}") as store:
            store.append(key_of(worker), row_of(exact_logits(2, worker)))
            store.append(key_of(0), row_of(exact_logits(2, 9)))
    with TargetStore(tmp_path) as store:
        assert set(store.keys()) == {key_of(n) for n in range(3)}
        np.testing.assert_array_equal(store.get(key_of(2)).token_ids, row_of(exact_logits(2, 2)).token_ids)
        np.testing.assert_array_equal(store.get(key_of(0)).token_ids, row_of(exact_logits(2, 0)).token_ids)


def test_another_teacher_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with pytest.raises(ValueError, match=r"the store's revision is \['r1'\], not \['r2'\]"):
        TargetStore(tmp_path, "a", METADATA.model_copy(update={"revision": "r2"}))
    with pytest.raises(ValueError, match="is not a store of soft targets"):
        TargetStore(tmp_path / "nothing")


def test_a_key_depends_on_tokens_target_start_and_teacher() -> None:
    ids = np.array([1, 2, 3], np.int32)
    keys = {
        target_key(ids, 1, "a", "r"), target_key(ids, 2, "a", "r"), target_key(ids, 1, "b", "r"),
        target_key(ids, 1, "a", "s"), target_key(ids[:2], 1, "a", "r"),
    }  # fmt: skip
    assert len(keys) == 5
    assert target_key(ids.astype(np.int64), 1, "a", "r") in keys
