"""Part of distill-toolkit: verifiers, selection and statistics. The public names are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filters.grade import grade as grade_file
    from filters.verification.pool import Pool
    from filters.verification.verdicts import Item, Judgement, Verdict, load_verifier

DISTRIBUTION = "distill-toolkit"
_PUBLIC = {  # name -> module:name
    "Item": "filters.verification.verdicts:Item",
    "Judgement": "filters.verification.verdicts:Judgement",
    "Pool": "filters.verification.pool:Pool",
    "Verdict": "filters.verification.verdicts:Verdict",
    "grade_file": "filters.grade:grade",
    "load_verifier": "filters.verification.verdicts:load_verifier",
}
__all__ = [
    "Item",
    "Judgement",
    "Pool",
    "Verdict",
    "grade_file",
    "load_verifier",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)
