"""A command's session on a run folder: it calls the stages of the table with their inputs, settings and runtime."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from generators.contract.config import Config
from generators.contract.models import model_path, model_revision
from generators.contract.plugins import VERIFIER, plugin_file
from generators.contract.stage_protocol import Progress, Runtime, StageCounts
from pipelines.executors import ExecutionConfig, Executor, open_executor
from pipelines.progress import bar
from pipelines.stage_folder import Runner, shown, sole_use
from pipelines.stages.memory import naming_the_key
from pipelines.stages.table import Input, Stage

Value = str | Path | Sequence[str | Path] | None  # str: a path within the run; Path: a file from outside


class Until(Exception):
    """The signal that the stage named by --until is finished."""


@dataclass
class Session:
    """A caller of stages: it finds their inputs, passes them the runtime, and stops after `until`.

    sections: a whole recipe, or the sections given to a single stage.
    """

    runner: Runner
    executor: Executor
    sections: Any
    until: str | None = None
    progress: Callable[[str], Progress] = field(default=lambda stage: partial(bar, stage))

    def __call__(
        self,
        stage: Stage,
        *,
        at: str | None = None,
        config: Any = None,
        inputs: Mapping[str, Value] | None = None,
        model: str | None = None,
    ) -> None:
        """Run `stage` in the folder `at` unless it is complete and current; skip it if the recipe lacks its section.

        config: settings instead of the section's. inputs: paths instead of those within the run. model: for a stage
        that takes one, a training stage of this run or the name of a model.
        """
        config = config or getattr(self.sections, stage.name)
        if config is not None:
            found = {name: self.made(one) for name, one in stage.inputs.items()} if inputs is None else dict(inputs)
            more: dict[str, Any] = stage.hands(config, self.sections)
            models: list[str] = []
            if model in self.runner.runs:
                found["model"] = f"{model}/model"
            elif model is not None:
                more, models = {**more, "model": model}, config.generation(model).model_names()
            own = verifier_files(self._located(found["prompts"])) if stage.verifies else []
            self.step(at or stage.name, stage.load, config, found, kind=stage.name, models=models, files=own, **more)
        if at is None:
            self.past(stage.name)

    def made(self, wanted: Input) -> Value:
        """Return the paths of an input within this run, from its finished stages."""
        there = [path for path in wanted.made if path.partition("/")[0] in self.runner.runs]
        if wanted.several:
            return there or None
        assert there or wanted.optional, f"{wanted.made} comes from no finished stage of {sorted(self.runner.runs)}"
        return there[0] if there else None

    def step(
        self,
        name: str,
        load: Callable[[], Callable[..., StageCounts]],
        config: Config | None,
        inputs: Mapping[str, Value],
        *,
        kind: str = "",
        models: Sequence[str] = (),
        files: Sequence[Path] = (),
        **more: Any,
    ) -> None:
        """Call `load()(**inputs, out=..., config=config, **more)` unless the stage is complete and current.

        The stage runs again when something that decides its result changes: `config`, every Config in `more`, the
        contents of the models and files that these name, `models`, `files`, and the stages that its inputs come from.
        """
        configs = {key: value for key, value in more.items() if isinstance(value, Config)}
        sources = [one.sources() for one in (config, *configs.values()) if one is not None]
        every_model = dict.fromkeys([*models, *(model for one in sources for model in one.models)])
        identity: dict[str, Any] = {key: value.identity() for key, value in configs.items()}
        identity |= config.identity() if config else {}
        identity |= {f"revision of {model}": model_revision(model_path(model)) for model in every_model}
        arguments = {key: self._located(value) for key, value in inputs.items()} | more
        arguments |= {"config": config} if config else {}
        self.runner.step(
            name,
            identity,
            lambda out: naming_the_key(
                name, config, lambda: self._call(shown(name, kind), load(), out=out, **arguments)
            ),
            kind=kind,
            upstream=[self._stage_of(path) for path in _each(inputs) if isinstance(path, str)],
            files=[
                *files,
                *(file for one in sources for file in one.files),
                *(path for path in _each(inputs) if isinstance(path, Path)),
            ],
        )

    def past(self, stage: str) -> None:
        """Raise Until if `stage` is the last one to run."""
        if stage == self.until:
            raise Until

    def _located(self, value: Value) -> Any:
        if isinstance(value, str):
            return self.runner.folder / value
        if isinstance(value, Path) or value is None:
            return value
        return [self._located(item) for item in value]

    def _stage_of(self, path: str) -> str:
        """Return the finished stage whose folder holds `path`."""
        holders = [stage for stage in self.runner.runs if path == stage or path.startswith(stage + "/")]
        assert holders, f"{path} comes from no finished stage of {sorted(self.runner.runs)}"
        return max(holders, key=len)

    def _call(self, name: str, function: Callable[..., StageCounts], **arguments: Any) -> StageCounts:
        workers = self.sections.execution.verify_workers
        runtime = Runtime(self.executor.stream, self.executor.fleet, self.progress(name), workers)
        takes_one = "runtime" in inspect.signature(function).parameters
        return function(**arguments, **({"runtime": runtime} if takes_one else {}))


def _each(inputs: Mapping[str, Value]) -> Iterator[str | Path]:
    for value in inputs.values():
        if isinstance(value, str | Path):
            yield value
        elif value is not None:
            yield from value


@contextmanager
def open_session(
    folder: Path,
    sections: Any,
    *,
    until: str | None = None,
    redo: Sequence[str] = (),
    say: Callable[[str], None] = print,
    dry: bool = False,
) -> Iterator[Session]:
    """Open a session on `folder`, which stays locked against other processes until the end.

    dry: report what would run and run nothing; Ray is not started either.
    """
    recipe = sections.model_dump(mode="json", exclude_none=True)
    if dry:
        yield Session(Runner(folder, recipe, frozenset(redo), say, dry=True), Executor(), sections, until)
        return
    execution: ExecutionConfig = sections.execution
    with sole_use(folder), open_executor(execution) as executor:
        yield Session(Runner(folder, recipe, frozenset(redo), say), executor, sections, until)


def verifier_files(prompts: Path) -> list[Path]:
    """Return the files of the users' verifiers that the prompts name: a changed file reruns the stage."""
    if not prompts.exists():  # a dry run has not made them
        return []
    import polars as pl

    names = pl.read_parquet(prompts, columns=["verifier"])["verifier"].unique().drop_nulls().sort()
    return [file for name in names if (file := plugin_file(VERIFIER, name)) is not None]
