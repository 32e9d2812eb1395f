"""Executors: workers run in this process (`local`) or as Ray actors (`ray`). No other package knows Ray."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from generators.contract.engine import Fleet, local_fleet
from generators.contract.plugins import plugin_files
from generators.contract.stage_protocol import Stream, stream_local
from pipelines.executors.fleet import ray_fleet
from pipelines.executors.settings import ExecutionConfig
from pipelines.executors.stream import RayStream
from pipelines.executors.working_dir import fill_working_dir

__all__ = ["ExecutionConfig", "Executor", "open_executor", "ray_fleet"]


@dataclass(frozen=True)
class Executor:
    """The means by which shards and samples reach their workers."""

    stream: Stream = stream_local
    fleet: Fleet = local_fleet


@contextmanager
def open_executor(config: ExecutionConfig) -> Iterator[Executor]:
    """Open the configured executor; a Ray that was started here is stopped at the end."""
    if config.executor == "local":
        yield Executor()
        return
    with _ray(config) as shipped:
        yield Executor(RayStream(config, shipped), lambda build: ray_fleet(config, build))


@contextmanager
def _ray(config: ExecutionConfig) -> Iterator[frozenset[Path] | None]:
    """Start Ray and yield the plug-in files that its workers have; None where Ray was running already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would let a GPU wait for its engine's CPU
    import ray

    # Ray puts the driver's directory first on its workers' import path, where an unrelated `filters/` would shadow
    # ours: a working_dir with our four packages and the user's plug-ins takes that place on every node.
    with tempfile.TemporaryDirectory() as folder:
        already = ray.is_initialized()
        shipped = None if already else frozenset(plugin_files())
        if not already:
            fill_working_dir(Path(folder))
            ray.init(
                address=config.address,
                runtime_env={"working_dir": folder, "env_vars": {"TOKENIZERS_PARALLELISM": "false"}},
                include_dashboard=False,
                log_to_driver=True,
                logging_level=logging.WARNING,
            )
        try:
            yield shipped
        finally:
            if not already:
                ray.shutdown()
