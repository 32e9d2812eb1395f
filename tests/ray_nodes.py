"""Run by test_cluster.py in a process of its own: a local Ray cluster of three nodes, one of which is killed midway."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main(folder: Path) -> None:
    """Two engines that need a resource which only two of the nodes have; the node of one of them dies."""
    spec = importlib.util.spec_from_file_location("cluster_test", Path(__file__).parent / "pipelines/test_cluster.py")
    assert spec and spec.loader
    test = importlib.util.module_from_spec(spec)
    sys.modules["cluster_test"] = test
    spec.loader.exec_module(test)
    cloudpickle.register_pickle_by_value(test)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    workers = [nodes.add_node(num_cpus=2) for _ in range(2)]
    ray.init(address=nodes.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    config = test.ExecutionConfig(executor="ray", workers=2, cpus_per_worker=1)

    def die() -> None:
        nodes.remove_node(workers[0], allow_graceful=False)

    with test.ray_fleet(config, partial(test.Slow, folder)) as engine:
        rows, _ = test.sample(engine, 300, {60: die})
    assert len({row["trace_id"] for row in rows}) == len(rows) == 300, len(rows)
    assert all(row["finish_reason"] == "stop" for row in rows)
    print("all 300 samples, each once")
    ray.shutdown()
    nodes.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
