"""The learning rate of each optimizer step."""

import math

from distill.settings import TrainConfig


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Return the rate of step 1..steps: a linear warm-up to the peak, then half a cosine to `final_lr_ratio` of it."""
    warmup = math.ceil(config.warmup_ratio * steps)
    if step <= warmup:
        return config.learning_rate * step / warmup
    share = (step - warmup) / max(1, steps - warmup)
    cosine = 0.5 * (1.0 + math.cos(math.pi * share))
    return config.learning_rate * (config.final_lr_ratio + (1.0 - config.final_lr_ratio) * cosine)
