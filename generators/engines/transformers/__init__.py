"""Sample with a transformers model in this process: small models, on a CPU or one GPU."""

from generators.engines.transformers.engine import Options, build

__all__ = ["Options", "build"]
