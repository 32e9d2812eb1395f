"""Errors for exhausted GPU memory that name the key of the recipe to lower, and its new value."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from generators.contract.config import Config
from generators.contract.errors import OutOfMemory

T = TypeVar("T")


def naming_the_key(stage: str, config: Config | None, work: Callable[[], T]) -> T:
    """Return `work()`; if it runs out of GPU memory, raise OutOfMemory, which names the stage's key to lower."""
    try:
        return work()
    except Exception as error:
        if not any(map(_is_out_of_memory, _causes(error))):
            raise
        raise OutOfMemory(f"{stage}: out of GPU memory; {_advice(stage.partition('/')[0], config)}") from error


def _is_out_of_memory(error: BaseException) -> bool:
    """Compare name and text: torch may not be loaded here, and an actor's error is wrapped in another one."""
    return type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _advice(section: str, config: Config | None) -> str:
    lower = config.less_memory() if config else None
    if lower is None:
        return "use a smaller model, or a GPU with more memory"
    key, value = lower
    return f"set {section}.{key} = {value} and run the command again: what was finished is kept"
