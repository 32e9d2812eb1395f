"""Part of distill-toolkit: prompts, sampling, engines, the ledger. The public names are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generators.contract.engine import Engine, EngineOptions, Outcome, SampleRequest, SamplingConfig

DISTRIBUTION = "distill-toolkit"
_PUBLIC = {  # name -> module:name
    "Engine": "generators.contract.engine:Engine",
    "EngineOptions": "generators.contract.engine:EngineOptions",
    "Outcome": "generators.contract.engine:Outcome",
    "SampleRequest": "generators.contract.engine:SampleRequest",
    "SamplingConfig": "generators.contract.engine:SamplingConfig",
}
__all__ = [
    "Engine",
    "EngineOptions",
    "Outcome",
    "SampleRequest",
    "SamplingConfig",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)
