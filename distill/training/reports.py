"""Curves of a training for TensorBoard, trackio and Weights & Biases, beside log.jsonl."""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from distill.settings import ReportTo, TrainConfig
from generators.contract.errors import RecipeError

PROJECT = "distill"  # on trackio and W&B, unless WANDB_PROJECT or TRACKIO_PROJECT names another


class Writer(Protocol):
    """A place that curves are written to."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in `folder`; what an earlier run wrote after the checkpoint is hidden."""

    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.events: Any = SummaryWriter(folder, purge_step=done + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.events.add_scalar(name, value, step)

    def close(self) -> None:
        self.events.close()


class Tracker:
    """A run of trackio or W&B, whose calls are the same; a resumed training goes on in its run."""

    def __init__(self, package: str, out: Path, config: TrainConfig) -> None:
        project = os.environ.get(f"{package.upper()}_PROJECT", PROJECT)
        name = "-".join(out.resolve().parts[-3:]).strip("/")
        more = {"id": name.replace("/", "-")} if package == "wandb" else {}
        module: Any = importlib.import_module(package)
        self.run = module.init(
            project=project, name=name, config=config.model_dump(mode="json"), resume="allow", **more
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Reports:
    """All writers of a training."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self.writers = writers

    def write(self, step: int, facts: Mapping[str, Any]) -> None:
        """Write the numbers among `facts`: those of validation under `validation/`, all others under `train/`."""
        values = {_tag(name): float(value) for name, value in facts.items() if isinstance(value, int | float)}
        for writer in self.writers:
            writer.write(step, values)


def _tag(name: str) -> str:
    return f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


def check_installed(wanted: Sequence[ReportTo]) -> None:
    """Raise RecipeError for a place whose package is not installed."""
    for name in wanted:
        if find_spec(name) is None:
            raise RecipeError(f"train.report_to is {list(wanted)}, and {name} is not installed: pip install {name}")


@contextmanager
def reports(config: TrainConfig, out: Path, done: int, *, silent: bool = False) -> Iterator[Reports]:
    """Open the writers that `report_to` names, after `done` steps, and close them at the end; `silent` opens none."""
    writers: list[Writer] = [
        TensorBoard(out / "tensorboard", done) if name == "tensorboard" else Tracker(name, out, config)
        for name in (() if silent else config.report_to)
    ]
    try:
        yield Reports(writers)
    finally:
        for writer in writers:
            writer.close()
