"""The base of every section of a recipe."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every recipe section: unknown keys are refused, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Keys that say how the work is done, not what comes out: changing one reruns nothing.
    EXECUTION: ClassVar[frozenset[str]] = frozenset()

    def identity(self) -> dict[str, Any]:
        """The JSON values that decide what comes out; a stage reruns when they change."""
        values = self.model_dump(mode="json", exclude=set(self.EXECUTION))
        nested = {key: getattr(self, key) for key in values}
        return {k: v.identity() if isinstance(v, Config) else values[k] for k, v in nested.items()}
