"""The generate stage: every kept prompt n times through a teacher, each finished sample kept in the ledger at once.

The unit of work is one sample. Its trace_id is made of prompt, teacher, revision, decoding parameters and
sample index, so whatever the ledger holds is never sampled again: not after a crash, not when n grows, not
when prompts are added.
"""

import importlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import polars as pl
from pydantic import Field, ValidationError

from generators.ledger import Ledger
from generators.models import model_path, model_revision
from generators.records import TRACE, Config, frame, seed_of, trace_id_of, write_frame
from generators.sampling import SampleRequest, SamplingConfig
from generators.work import Progress, StageCounts, Stream, no_progress, stream_local

TEACHERS = Path(__file__).resolve().parent / "teachers"
EMPTY: Mapping[str, Any] = MappingProxyType({})
log = logging.getLogger(__name__)


class GenerateConfig(Config):
    """Who samples, and how."""

    teacher: str = Field(description="module name in generators/teachers, or a dotted path")
    model: str = Field("", description="model folder, embedded:teacher, or a Hugging Face name")
    sampling: SamplingConfig = SamplingConfig()
    options: dict[str, Any] = Field(default={}, description="the teacher's own settings")
    shard: int | None = Field(
        default=None, ge=1, description="samples handed to a worker at once; none: by their number"
    )

    EXECUTION = frozenset({"shard"})

    def models(self) -> list[str]:
        """Models whose contents decide what comes out."""
        return [self.model] if self.model else []

    def files(self) -> list[Path]:
        """Files from outside the run that decide what comes out."""
        _, options = load_teacher(self.teacher, self.options)
        return options.files() if hasattr(options, "files") else []

    def identity(self) -> dict[str, Any]:
        """As for every config, with the teacher's own settings told apart by the teacher."""
        _, options = load_teacher(self.teacher, self.options)
        return super().identity() | {"options": options.identity()}


def load_teacher(name: str, options: Mapping[str, Any]) -> tuple[ModuleType, Config]:
    """A teacher's module and its checked options; an unknown name or option is a ValueError."""
    path = name if "." in name else f"generators.teachers.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        known = sorted(file.stem for file in TEACHERS.glob("[!_]*.py"))
        raise ValueError(f"there is no teacher {name!r}; there are {', '.join(known)}, or a dotted path") from None
    try:
        return module, module.Options.model_validate(dict(options))
    except ValidationError as error:
        raise ValueError(_option_faults(name, module.Options, error)) from None


def _option_faults(teacher: str, options: type[Config], error: ValidationError) -> str:
    known = ", ".join(options.model_fields)
    faults = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        unknown = item["type"] == "extra_forbidden"
        faults.append(f"no option {key}" if unknown else f"option {key} = {item['input']!r}: {item['msg']}")
    return f"the teacher {teacher} has {'; '.join(faults)}; its options are {known}"


def generate(
    prompts: Path,
    out: Path,
    config: GenerateConfig,
    *,
    ledger: Path | None = None,
    stream: Stream = stream_local,
    progress: Progress = no_progress,
) -> StageCounts:
    """Write out/traces.parquet: a records.TRACE row for each of `sampling.n` samples of each kept prompt.

    Samples are kept in `ledger` (out/ledger) as each is finished; those it holds already are not made again.
    A sample that failed is a row with finish_reason "error", and is tried again when the stage runs again.
    """
    module, options = load_teacher(config.teacher, config.options)
    asked = pl.read_parquet(prompts)
    if hasattr(module, "import_traces"):
        traces, dropped = module.import_traces(asked, config.model, options)
        write_frame(traces, out / "traces.parquet")
        return count(traces, [], 0.0, dropped, conflicts(asked, traces))
    if not config.model:
        raise ValueError(f"generate.model is missing: the teacher {config.teacher} samples with a model")
    columns = signature(config)
    requests = requests_for(asked.filter(pl.col("drop_reason").is_null()), config.sampling, columns)
    with Ledger(ledger or out / "ledger", write=True) as kept:
        missing = [request for request in requests if request.trace_id not in kept]
        build = partial(module.build, model_path(config.model), config.sampling, options)
        clock = time.perf_counter()
        with progress("samples", len(requests), len(requests) - len(missing)) as bar:
            for row in stream(build, shards(missing, config.shard or shard_size(len(missing), stream))):
                kept.append({**row, **columns})
                bar.update()
        seconds = time.perf_counter() - clock
        traces = collect(kept, requests)
    write_frame(traces, out / "traces.parquet")
    return count(traces, [request.trace_id for request in missing], seconds)


def signature(config: GenerateConfig) -> dict[str, str]:
    """The columns that say who sampled and how."""
    path = model_path(config.model)
    return {
        "teacher": config.model,
        "revision": model_revision(path) or "",
        "sampling": config.sampling.canonical(),
    }


def requests_for(asked: pl.DataFrame, sampling: SamplingConfig, columns: Mapping[str, str]) -> list[SampleRequest]:
    """Every sample of every prompt, in the order of the prompts."""
    # a folder's contents say which model it is: moving a run must not make its samples others
    teacher = columns["teacher"]
    name = "" if Path(teacher).is_dir() else teacher
    requests = []
    for prompt_id, messages in asked.select("prompt_id", "messages").iter_rows():
        for index in range(sampling.n):
            trace_id = trace_id_of(prompt_id, name, columns["revision"], columns["sampling"], index)
            requests.append(SampleRequest(trace_id, prompt_id, messages, index, seed_of(sampling.seed, trace_id)))
    return requests


def shard_size(samples: int, stream: Stream) -> int:
    """Samples a shard: all that memory is glad of in this process, a fair share of the work among several."""
    return 16384 if stream is stream_local else max(64, min(2048, samples // 16))


def shards(requests: Sequence[SampleRequest], size: int) -> Iterator[list[SampleRequest]]:
    """Consecutive runs of requests: samples of one prompt stay together, and share its prefill."""
    for start in range(0, len(requests), size):
        yield list(requests[start : start + size])


def collect(kept: Ledger, requests: Sequence[SampleRequest]) -> pl.DataFrame:
    """The ledger's rows of these requests, in their order."""
    order = pl.DataFrame({"trace_id": [r.trace_id for r in requests]}).with_row_index("order")
    found = [rows.join(order, on="trace_id") for rows in kept.frames()]
    traces = pl.concat(found).sort("order").drop("order") if found else frame([], TRACE)
    assert len(traces) == len(requests), f"the teacher answered {len(traces)} of {len(requests)} requests"
    return traces


def conflicts(prompts: pl.DataFrame, traces: pl.DataFrame) -> dict[str, int]:
    """How many traces answer a question for which the prompts' source holds several references."""
    doubtful = prompts.filter(pl.col("drop_reason") == "conflicting_reference")["prompt_id"].unique()
    return {"conflicting_reference": int(traces["prompt_id"].is_in(doubtful.to_list()).sum())}


def count(
    traces: pl.DataFrame,
    sampled: Sequence[str],
    seconds: float,
    dropped: Mapping[str, int] = EMPTY,
    notes: Mapping[str, Any] = EMPTY,
) -> StageCounts:
    """What the report says of the samples; a run without any reasoning, or with failures, is warned of."""
    good = traces.filter(pl.col("finish_reason") != "error")
    failed = len(traces) - len(good)
    new_tokens = int(good.filter(pl.col("trace_id").is_in(list(sampled)))["completion_tokens"].sum() or 0)
    silent = good["reasoning"].null_count()
    if len(good) and silent == len(good):
        log.warning("none of %d completions has reasoning: the teacher did not think between <think> tags", len(good))
    if failed:
        example = traces.filter(pl.col("finish_reason") == "error")["error"][0]
        log.warning("%d of %d samples failed, for example: %s", failed, len(traces), example)
    reasons = {**dropped, **({"error": failed} if failed else {})}
    return StageCounts(
        rows_in=len(traces) + sum(dropped.values()),
        rows_kept=len(good),
        dropped=reasons,
        tokens=int(good["completion_tokens"].sum() or 0),
        notes={
            "truncated": int((good["finish_reason"] == "length").sum()),
            "without_reasoning": silent,
            "sampled": len(sampled),
            "reused": len(traces) - len(sampled),
            "tokens_per_second": round(new_tokens / seconds) if sampled else None,
            **notes,
        },
    )
