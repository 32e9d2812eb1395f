"""The token store: the same documents as tokenizing gives, made once, whole or not there, by one process at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import distill.data.token_store
import distill.train
from distill.data.token_store import TokenStore, lengths_of, open_tokens, store_key, stored_examples
from distill.settings import TrainConfig
from distill.soft_targets.lookup import keys_of
from distill.soft_targets.store import StoreMetadata, TargetStore
from distill.training.examples import Example, load_examples
from generators.contract.errors import InputError

QUESTION = [{"role": "user", "content": "no answer"}]
ROWS: list[Any] = [("ä", "1"), ("b", "2" * 50), QUESTION, ("c", "3"), ("d", "4" * 12), ("e", "5" * 7)]
LIMIT = 20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(ours: Example, theirs: Example) -> bool:
    if not np.array_equal(ours.token_ids, theirs.token_ids) or ours.token_ids.dtype != theirs.token_ids.dtype:
        return False
    return (ours.trace_id, ours.target_start) == (theirs.trace_id, theirs.target_start)


def count_makes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows with each store that is made."""
    made: list[Path] = []
    real = distill.data.token_store._make

    def make(folder: Path, *rest: Any) -> None:
        made.append(folder)
        real(folder, *rest)

    monkeypatch.setattr(distill.data.token_store, "_make", make)
    return made


def test_a_store_holds_what_tokenizing_gives(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path]
) -> None:
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    listed, dropped = load_examples(path, tokenizer, LIMIT)
    store, stored_dropped = stored_examples(path, tokenizer, LIMIT)
    assert isinstance(store, TokenStore) and stored_dropped == dropped and len(store) == len(listed)
    assert all(map(same, store, listed)) and all(map(same, store[1:][::-1], listed[1:][::-1]))
    assert same(store[-1], listed[-1]) and same(store[1], listed[1])
    assert store.lengths.tolist() == lengths_of(listed).tolist()
    assert store.largest.tolist() == [int(example.token_ids.max()) for example in listed]
    with pytest.raises(IndexError):
        store[len(listed)]


def test_a_corpus_without_a_row_to_learn_is_an_empty_store(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path]
) -> None:
    store, dropped = stored_examples(write_corpus([QUESTION]), make_tokenizer(), LIMIT)
    assert list(store) == [] and lengths_of(store).tolist() == [] and dropped == {"no_assistant_turn": 1}


def test_only_the_first_start_tokenizes(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = count_makes(monkeypatch)
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_tokens(path, tokenizer, LIMIT), range(4)))
    elsewhere = path.rename(path.with_name("moved.parquet"))
    stores.append(open_tokens(elsewhere, make_tokenizer(), LIMIT))
    assert len(made) == 1 and {store.folder for store in stores} == {made[0]}


def test_a_store_is_named_by_all_that_decides_its_tokens(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    other_template = make_tokenizer()
    other_template.chat_template += " "
    keys = [
        store_key(path, tokenizer, LIMIT),
        store_key(path, tokenizer, LIMIT + 1),
        store_key(path, other_template, LIMIT),
        store_key(path, make_tokenizer(think="<thought>"), LIMIT),
        store_key(write_corpus(ROWS[1:], "other.parquet"), tokenizer, LIMIT),
    ]
    monkeypatch.setattr(distill.data.token_store, "_code_digest", lambda: "other code")
    keys.append(store_key(path, tokenizer, LIMIT))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", ["tokens.bin", "names.bin", "index.bin", "about.json"])
def test_a_store_cut_short_is_made_again(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], name: str
) -> None:
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    file = open_tokens(path, tokenizer, LIMIT).folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    open_tokens(path, tokenizer, LIMIT)
    assert file.read_bytes() == whole


def test_what_a_killed_process_left_is_no_store(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    with monkeypatch.context() as patched:
        patched.setattr(distill.data.token_store, "kept_examples", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_tokens(path, tokenizer, LIMIT)
    assert all(map(same, open_tokens(path, tokenizer, LIMIT), load_examples(path, tokenizer, LIMIT)[0]))


def test_a_folder_that_cannot_be_written_to_is_named(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], cache: Path
) -> None:
    cache.write_text("a file")
    with pytest.raises(InputError, match=f"{cache}.*DISTILL_CACHE"):
        open_tokens(write_corpus(ROWS), make_tokenizer(), LIMIT)


def test_keys_of_stored_targets_are_hashed_once(
    make_tokenizer: Callable[..., Any], write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    path, tokenizer = write_corpus(ROWS), make_tokenizer()
    about = StoreMetadata(teacher="t", revision="r", tokenizer="x", vocab_size=9, top_k=1, temperatures=(1.0,))
    with TargetStore(tmp_path / "targets", "a", about) as targets:
        expected = list(keys_of(targets, load_examples(path, tokenizer, LIMIT)[0]))
        store = open_tokens(path, tokenizer, LIMIT)
        assert list(keys_of(targets, store)) == expected
        again = open_tokens(path, tokenizer, LIMIT)
        again.tokens = np.empty(0, np.int32)  # it reads no token
        assert list(keys_of(targets, again)) == expected


def test_training_from_a_store_is_training_from_a_list_to_the_bit(
    save: Callable[..., str],
    make_model: Callable[..., Any],
    make_tokenizer: Callable[..., Any],
    write_corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_corpus([(f"{i}?", f"<think>\n{i}\n</think>\n{i * i}") for i in range(12)])
    settings = TrainConfig(
        student=save(make_model(0), make_tokenizer()), batch_tokens=80, epochs=2, device="cpu", report_to=()
    )
    logs = []
    for name, load in (("store", stored_examples), ("list", load_examples)):
        monkeypatch.setattr(distill.train, "stored_examples", load)
        (tmp_path / name).mkdir()
        distill.train.train(path, path, None, tmp_path / name, settings)
        logs.append((tmp_path / name / "log.jsonl").read_bytes())
    assert logs[0] == logs[1]
