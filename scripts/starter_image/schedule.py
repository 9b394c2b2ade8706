"""The learning rate over the steps of a training."""

from math import cos, pi

from torch.optim import Optimizer

WARM_UP_STEPS = 50
LEAST = 0.01


def set_rate(optimizer: Optimizer, rate: float, *, step: int, steps: int) -> None:
    """Warm up, then fall along half a cosine to a hundredth of ``rate``."""
    factor = min(1.0, (step + 1) / WARM_UP_STEPS)
    factor *= LEAST + (1 - LEAST) * (1 + cos(pi * step / steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate * factor
