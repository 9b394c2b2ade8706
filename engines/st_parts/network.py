"""Tokens to what a model computes of them, on the compute thread.

Calls the modules themselves: `encode` and `predict` would tokenise and sort once more.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from engines.st_parts.pieces import Tokens
from engines.torch_parts import devices


class Network:
    """A sentence-transformers model, ready to compute unless it sleeps. `reopen` reads it from its files again."""

    def __init__(self, model: Any, device: str, reopen: Callable[[], Any]) -> None:
        self.model = model.eval()
        self._device = device
        self._reopen = reopen
        tokenizer = model.tokenizer
        self._has_type_ids = "token_type_ids" in tokenizer.model_input_names
        self._pad_id: int = tokenizer.pad_token_id or 0
        self._pads_left: bool = tokenizer.padding_side == "left"

    def sleep(self, level: int) -> None:
        """Level 1: to host RAM. Level 2: the whole model goes, since numbers that no file holds hang on it too."""
        self.model = self.model.to("cpu") if level == 1 else None
        devices.release(self._device)

    def wake(self) -> None:
        self.model = self._reopen().eval() if self.model is None else self.model.to(self._device)

    def forward(self, texts: Sequence[Tokens], output: str) -> torch.Tensor:
        """`output` of the last module in float32, one row per text, on the CPU. Raises what PyTorch raises."""
        with torch.inference_mode():
            rows: torch.Tensor = self.model(self._features(texts))[output].float().cpu()
            return rows

    def _features(self, texts: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        width = max(len(text.ids) for text in texts)
        features = {
            "input_ids": self._matrix([text.ids for text in texts], width, self._pad_id),
            "attention_mask": self._matrix([[1] * len(text.ids) for text in texts], width, 0),
        }
        if self._has_type_ids:
            features["token_type_ids"] = self._matrix([text.type_ids for text in texts], width, 0)
        return features

    def _matrix(self, rows: Sequence[list[int]], width: int, padding: int) -> torch.Tensor:
        pads = ([padding] * (width - len(row)) for row in rows)
        if self._pads_left:
            filled = [pad + row for pad, row in zip(pads, rows, strict=True)]
        else:
            filled = [row + pad for pad, row in zip(pads, rows, strict=True)]
        return torch.tensor(filled).to(self._device)
