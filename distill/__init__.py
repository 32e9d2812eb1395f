"""Part of distill-toolkit: losses, soft targets and training of students. The public names are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.loss.distillation_loss import LossOutput, distillation_loss
    from distill.loss.heads import Head
    from distill.loss.targets import OnlineTeacher, SampledTargets, StoredTargets
    from distill.soft_targets.store import RowTargets, StoreMetadata, TargetStore, target_key

DISTRIBUTION = "distill-toolkit"
_PUBLIC = {  # name -> module:name
    "Head": "distill.loss.heads:Head",
    "LossOutput": "distill.loss.distillation_loss:LossOutput",
    "OnlineTeacher": "distill.loss.targets:OnlineTeacher",
    "RowTargets": "distill.soft_targets.store:RowTargets",
    "SampledTargets": "distill.loss.targets:SampledTargets",
    "StoreMetadata": "distill.soft_targets.store:StoreMetadata",
    "StoredTargets": "distill.loss.targets:StoredTargets",
    "TargetStore": "distill.soft_targets.store:TargetStore",
    "distillation_loss": "distill.loss.distillation_loss:distillation_loss",
    "target_key": "distill.soft_targets.store:target_key",
}
__all__ = [
    "Head",
    "LossOutput",
    "OnlineTeacher",
    "RowTargets",
    "SampledTargets",
    "StoreMetadata",
    "StoredTargets",
    "TargetStore",
    "distillation_loss",
    "target_key",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)
