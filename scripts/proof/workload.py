"""Batches whose every right answer is known beforehand. Knows no server.

The engine of these runs repeats the prompt, so a line's answer is its prompt; some lines must be refused.
"""

import json
import random
from dataclasses import dataclass
from typing import Any

from proof.events import PlannedLine

NATIVE_URL, OPENAI_URL = "/v1/inference/chat", "/oai/v1/chat/completions"
_WORDS = ("ember", "ash", "coal", "spark", "flame", "hearth", "kindling", "smoke", "draught", "grate", "oven")


@dataclass(frozen=True)
class Submission:
    """`content` is the JSONL of `lines`."""

    name: str
    lines: list[PlannedLine]
    content: bytes


class Workload:
    """Draws submissions; the same seed draws the same."""

    def __init__(
        self, seed: int, models: list[str], *, num_lines: tuple[int, int] = (50, 300), prefix: str = "s"
    ) -> None:
        self._chance = random.Random(seed)
        self._models = models
        self._num_lines = num_lines
        self._prefix = prefix
        self._number = 0

    def draw(self) -> Submission:
        self._number += 1
        name = f"{self._prefix}{self._number}"
        pairs = [self._line(f"{name}-{number}") for number in range(self._chance.randint(*self._num_lines))]
        content = "".join(json.dumps(request) + "\n" for request, _ in pairs)
        return Submission(name, [plan for _, plan in pairs], content.encode())

    def _line(self, custom_id: str) -> tuple[dict[str, Any], PlannedLine]:
        model, kind = self._chance.choice(self._models), self._chance.random()
        words = self._chance.choices(_WORDS, k=self._chance.randint(1, 8))
        text = f"{custom_id} " + " ".join(words)
        url = OPENAI_URL if self._chance.random() < 0.3 else NATIVE_URL
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
        plan = PlannedLine(custom_id, text)
        if kind < 0.03:
            body["model"], plan = "fake/none", PlannedLine(custom_id, None, 404)
        elif kind < 0.06:
            body["temperature"] = "hot"
            plan = PlannedLine(custom_id, None, 400 if url == OPENAI_URL else 422)
        return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}, plan
