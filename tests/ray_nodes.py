"""A local Ray cluster of three nodes; tests/pipelines/test_executors.py runs this in a process of its own."""

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main(folder: Path, case: str) -> None:
    """Run one case on a head node without resources and two other nodes."""
    spec = importlib.util.spec_from_file_location("cluster_test", Path(__file__).parent / "pipelines/test_executors.py")
    assert spec and spec.loader
    test = importlib.util.module_from_spec(spec)
    sys.modules["cluster_test"] = test
    spec.loader.exec_module(test)
    cloudpickle.register_pickle_by_value(test)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    workers = [nodes.add_node(num_cpus=2, num_gpus=1) for _ in range(2)]  # Ray takes the number of GPUs on trust
    ray.init(address=nodes.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    if case == "across":
        across(test, folder)
    else:
        killed(test, folder, lambda: nodes.remove_node(workers[0], allow_graceful=False))
    ray.shutdown()
    nodes.shutdown()


def killed(test: Any, folder: Path, die: Callable[[], None]) -> None:
    """Sample with two engines on two nodes, of which one dies midway."""
    config = test.ExecutionConfig(executor="ray", workers=2, cpus_per_worker=1)
    with test.ray_fleet(config, partial(test.Slow, folder)) as engine:
        rows, _ = test.sample(engine, 300, {60: die})
    assert len({row["trace_id"] for row in rows}) == len(rows) == 300, len(rows)
    assert all(row["finish_reason"] == "stop" for row in rows)
    print("all 300 samples, each once")


def across(test: Any, folder: Path) -> None:
    """Sample with one engine that needs more GPUs than a node has."""
    config = test.ExecutionConfig(executor="ray", cpus_per_worker=1, gpus_per_worker=2, across_nodes=True)
    with test.ray_fleet(config, partial(test.Placed, folder)) as engine:
        rows, _ = test.sample(engine, 1, {})
    print(rows[0]["answer"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), "".join(sys.argv[2:]))
