"""Several ranks train the same student as one: uninterrupted, with a rank killed, stopped, and gone on alone."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from distill.parallel import checkpoints
from distill.parallel.ranks import Ranks
from distill.parallel.sharding import load_sharded, mesh_of, save_gathered
from distill.settings import TrainConfig
from distill.train import train
from generators.contract.errors import InputError
from generators.contract.files import frame, write_frame
from generators.contract.records import CORPUS
from generators.contract.stage_protocol import Runtime

PAIRS = [(f"{i} + {i}?", f"<think>\n{'Twice. ' * (i % 5)}\n</think>\nIt is {2 * i}.") for i in range(16)]
SMALL: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "llama": {},
    "mistral": {"sliding_window": 4},
    "gemma2": {"sliding_window": 4, "query_pre_attn_scalar": 8},
    "gemma3_text": {"sliding_window": 4, "query_pre_attn_scalar": 8},
    "phi3": {},
    "deepseek_v3": {
        "head_dim": 4, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 8, "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 8, "v_head_dim": 8, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(
    save: Callable[..., str], make_model: Callable[..., Any], make_tokenizer: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, torch.Tensor]]:  # fmt: skip
    folder = tmp_path_factory.mktemp("ranks")
    student = save(make_model(0), make_tokenizer())
    files = []
    for name, pairs in (("train", PAIRS), ("validation", PAIRS[:3])):
        rows = [
            {
                "trace_id": f"t{i}",
                "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}],
            }
            for i, (q, a) in enumerate(pairs)
        ]
        files.append(folder / f"{name}.parquet")
        write_frame(frame(rows, CORPUS), files[-1])

    def run(name: str, progress: Any = None, **settings: Any) -> dict[str, torch.Tensor]:
        usual = {"device": "cpu", "epochs": 3, "batch_tokens": 200, "micro_batch_tokens": 60, "learning_rate": 3e-3}
        more = {"layout": "packed", "validate_every": 3, "checkpoint_every_s": 0}
        config = TrainConfig.model_validate({"student": student, **usual, **more, **settings})
        out = folder / name
        out.mkdir(exist_ok=True)
        train(*files, None, out, config, **({"runtime": Runtime(progress=progress)} if progress else {}))
        return load_file(out / "model" / "model.safetensors")

    run.folder = folder  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="module")
def two(run: Callable[..., Any]) -> dict[str, torch.Tensor]:
    """The student of two ranks that nothing stopped."""
    return run("two", ranks=2)


def losses(run: Any, name: str) -> list[float]:
    lines = [json.loads(line) for line in (run.folder / name / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.slow
def test_two_ranks_train_what_one_does(run: Callable[..., Any], two: dict[str, torch.Tensor]) -> None:
    one = run("one")
    assert one.keys() == two.keys()
    for name, weight in one.items():
        assert_close(weight, two[name], atol=1e-4, rtol=1e-4)
    assert losses(run, "two") == pytest.approx(losses(run, "one"), rel=1e-5)
    written = AutoModelForCausalLM.from_pretrained(run.folder / "two" / "model")  # type: ignore[attr-defined]
    assert written.lm_head.weight.shape == one["model.embed_tokens.weight"].shape


@pytest.mark.slow
def test_a_killed_rank_costs_nothing_but_time(
    run: Callable[..., Any], two: dict[str, torch.Tensor], acting_bar: Callable[..., Any]
) -> None:
    def kill_one() -> None:
        alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
        ranks = [p for p in alive if p.environ().get("RANK") == "1"]
        ranks[0].kill()

    killed = run("killed", acting_bar(3, kill_one), ranks=2)
    assert all(torch.equal(weight, killed[name]) for name, weight in two.items())
    assert losses(run, "killed") == losses(run, "two")
    assert not (run.folder / "killed" / "checkpoint").exists()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_stopped_on_two_ranks_it_goes_on_alone(
    run: Callable[..., Any], two: dict[str, torch.Tensor], number: signal.Signals, acting_bar: Callable[..., Any]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run("stopped", acting_bar(3, lambda: os.kill(os.getpid(), number)), ranks=2, checkpoint_every_s=1e9)
    assert (run.folder / "stopped" / "checkpoint").is_dir()  # type: ignore[attr-defined]
    alone = run("stopped")
    for name, weight in two.items():
        assert_close(weight, alone[name], atol=1e-4, rtol=1e-4)
    assert losses(run, "stopped") == pytest.approx(losses(run, "two"), rel=1e-5)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.AdamW([weight])
    for step in (1, 2):
        weight.grad = torch.ones(3)
        optimizer.step()
        checkpoints.save_sharded(tmp_path, {"w": weight}, optimizer, {"step": step}, Ranks())
    newest = weight.detach().clone()
    assert checkpoints.load_sharded_checkpoint(tmp_path, {"w": weight}, optimizer, Ranks()) == {"step": 2}
    assert torch.equal(weight, newest)
    part = next((tmp_path / "checkpoint").glob("*.distcp"))
    part.write_bytes(part.read_bytes()[:-1])
    assert checkpoints.load_sharded_checkpoint(tmp_path, {"w": weight}, optimizer, Ranks()) == {"step": 1}
    assert "checkpoint is damaged; training goes on from checkpoint.previous" in capsys.readouterr().err
    assert not torch.equal(weight, newest) and float(optimizer.state[weight]["step"]) == 1.0
    shutil.rmtree(tmp_path / "checkpoint.previous")
    with pytest.raises(InputError, match="checkpoint is damaged, and there is no other"):
        checkpoints.load_sharded_checkpoint(tmp_path, {"w": weight}, optimizer, Ranks())


def sharded_forwards() -> dict[str, tuple[float, bool]]:
    """Return how far each sharded architecture is from transformers, and whether its files are whole."""
    found = {}
    mesh = mesh_of(torch.device("cpu"), 2)
    folder = Path(tempfile.gettempdir()) / f"architectures-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    for name, more in ARCHITECTURES.items():
        torch.manual_seed(0)
        whole = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **{**SMALL, **more})).eval()
        if dist.get_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
            whole.save_pretrained(folder / "model")
        dist.barrier()
        sharded = load_sharded(str(folder / "model"), mesh, flat=False, lower=False, compiled=False)
        ids = torch.arange(1, 20)[None]
        model = sharded.model.eval()
        with torch.no_grad():
            ours = sharded(lambda model=model, ids=ids: model(input_ids=ids, use_cache=False).logits)
            theirs = whole(input_ids=ids, use_cache=False).logits
        sharded.release()
        save_gathered(model, folder / "again", dtype=torch.float32, write=dist.get_rank() == 0)
        dist.barrier()
        again = AutoModelForCausalLM.from_pretrained(folder / "again").state_dict()
        same = all(torch.equal(weight, again[key]) for key, weight in whole.state_dict().items())
        found[name] = (float((ours - theirs).abs().max()), same)
        dist.barrier()
    return found


@pytest.mark.slow
def test_sharded_models_compute_and_save_what_whole_ones_do(on_ranks: Callable[..., list[Any]]) -> None:
    for found in on_ranks(sharded_forwards):
        assert found == dict.fromkeys(ARCHITECTURES, (0.0, True))
