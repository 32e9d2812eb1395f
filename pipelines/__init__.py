"""Part of distill-toolkit: recipes, stages, executors, reports. The public names are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.recipe.loading import load_recipe
    from pipelines.recipe.schema import Recipe
    from pipelines.run_folder import run_recipe

DISTRIBUTION = "distill-toolkit"
_PUBLIC = {  # name -> module:name
    "Recipe": "pipelines.recipe.schema:Recipe",
    "load_recipe": "pipelines.recipe.loading:load_recipe",
    "run_recipe": "pipelines.run_folder:run_recipe",
}
__all__ = [
    "Recipe",
    "load_recipe",
    "run_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)
