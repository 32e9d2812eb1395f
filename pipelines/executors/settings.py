"""The section [execution] of a recipe."""

from typing import Literal

from pydantic import Field, model_validator

from generators.contract.config import Config


class ExecutionConfig(Config):
    """The places where work is done, and their resources; nothing here changes a result."""

    executor: Literal["local", "ray"] = Field("local", description="local: in this process; ray: on a Ray cluster")
    workers: int = Field(1, ge=1, description="Ray actors of a stage; each holds one engine or one model")
    cpus_per_worker: float = Field(1.0, ge=0, description="CPUs that Ray reserves for each actor")
    gpus_per_worker: float = Field(
        0.0, ge=0, description="GPUs of each actor; for an engine, tensor times pipeline parallel size"
    )
    across_nodes: bool = Field(False, description="an engine's GPUs may be on several nodes (a placement group)")
    address: str | None = Field(None, description="address of a running Ray cluster; without it a local one is started")
    verify_workers: int = Field(2, ge=1, description="verifier processes of a stage, or of each of its actors")

    @model_validator(mode="after")
    def _check(self) -> "ExecutionConfig":
        if self.across_nodes and (self.gpus_per_worker < 2 or self.gpus_per_worker % 1):
            raise ValueError(f"across_nodes needs a whole gpus_per_worker of 2 or more; it is {self.gpus_per_worker:g}")
        return self
