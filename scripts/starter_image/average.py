"""The moving average of a model's weights while it trains, which paints better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

DECAY = 0.999


class Average:
    def __init__(self, model: nn.Module) -> None:
        self._weights = list(model.parameters())
        self._averages = [weight.detach().clone() for weight in self._weights]
        self._num_updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's weights of now into the average; early on it forgets faster."""
        self._num_updates += 1
        decay = min(DECAY, self._num_updates / (self._num_updates + 10))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The model has the averages as its weights inside, its own again after."""
        own = [weight.detach().clone() for weight in self._weights]
        self.keep()
        try:
            yield
        finally:
            _copy(own, self._weights)

    def keep(self) -> None:
        """Give the model the averages for good."""
        _copy(self._averages, self._weights)


@torch.no_grad()
def _copy(values: list[torch.Tensor], weights: list[nn.Parameter]) -> None:
    for value, weight in zip(values, weights, strict=True):
        weight.copy_(value)
