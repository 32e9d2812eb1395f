"""One command's hold on a run folder: it calls stage functions with what they need and keeps their manifests."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from generators.contract.config import Config
from generators.contract.models import model_path, model_revision
from generators.contract.stage_protocol import Progress, StageCounts
from pipelines.executors import ExecutionConfig, Executor, open_executor
from pipelines.progress import bar
from pipelines.stage_folder import Runner, sole_use

Input = str | Path | Sequence[str | Path] | None  # text: a path within the run; Path: a file from outside


class Until(Exception):
    """The stage asked for with --until is finished."""


@dataclass
class Session:
    """Calls stages: finds their inputs, hands them executor and progress bar, stops after `until`."""

    runner: Runner
    executor: Executor
    until: str | None = None
    progress: Callable[[str], Progress] = field(default=lambda stage: partial(bar, stage))

    def stage(
        self,
        name: str,
        function: Callable[..., StageCounts],
        config: Config | None,
        inputs: Mapping[str, Input],
        *,
        models: Sequence[str] = (),
        files: Sequence[Path] = (),
        **more: Any,
    ) -> None:
        """Call `function(**inputs, out=..., config=config, **more)` unless it was done before, then stop if asked to.

        What decides the result, and so what a change of reruns: config, every Config in `more`, the contents of
        `models` (names as written in a recipe) and `files`, and the stages the inputs come from.
        """
        paths = {key: self._located(value) for key, value in inputs.items()}
        arguments = {**paths, **more} | ({"config": config} if config else {})
        arguments |= self._hands(name, function)
        identity: dict[str, Any] = {key: value.identity() for key, value in more.items() if isinstance(value, Config)}
        identity |= config.identity() if config else {}
        identity |= {f"revision of {model}": model_revision(model_path(model)) for model in models}
        self.runner.step(
            name,
            identity,
            lambda out: function(out=out, **arguments),
            upstream=[self._stage_of(path) for path in _each(inputs) if isinstance(path, str)],
            files=[*files, *(path for path in _each(inputs) if isinstance(path, Path))],
        )
        if "/" not in name:
            self.past(name)

    def past(self, stage: str) -> None:
        """Stop here when `stage` was the last one asked for."""
        if stage == self.until:
            raise Until

    def _located(self, value: Input) -> Any:
        if isinstance(value, str):
            return self.runner.folder / value
        if isinstance(value, Path) or value is None:
            return value
        return [self._located(item) for item in value]

    def _stage_of(self, path: str) -> str:
        """The finished stage whose folder holds `path`."""
        holders = [stage for stage in self.runner.runs if path == stage or path.startswith(stage + "/")]
        assert holders, f"{path} comes from no finished stage of {sorted(self.runner.runs)}"
        return max(holders, key=len)

    def _hands(self, name: str, function: Callable[..., StageCounts]) -> dict[str, Any]:
        accepted = inspect.signature(function).parameters
        offered = {"stream": self.executor.stream, "fleet": self.executor.fleet, "progress": self.progress(name)}
        return {key: value for key, value in offered.items() if key in accepted}


def _each(inputs: Mapping[str, Input]) -> Iterator[str | Path]:
    for value in inputs.values():
        if isinstance(value, str | Path):
            yield value
        elif value is not None:
            yield from value


@contextmanager
def open_session(
    folder: Path,
    recipe: Mapping[str, Any],
    execution: ExecutionConfig,
    *,
    until: str | None = None,
    redo: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Iterator[Session]:
    """A session on `folder`, held against a second process until the end."""
    with sole_use(folder), open_executor(execution) as executor:
        yield Session(Runner(folder, recipe, frozenset(redo), say), executor, until)
