"""Which attention head knows where words are: the one whose words' times are the least wrong, by trying each."""

import json
from pathlib import Path

from starter_transcribe.evaluate import evaluate_times, load
from starter_transcribe.model import NUM_HEADS, NUM_LAYERS
from starter_transcribe.recordings import SEVERAL


def choose_alignment_head(folder: Path, *, seed: int, share: float) -> tuple[int, int]:
    """Layer and head; written into the folder's configuration, where CTranslate2 reads it."""
    errors = {}
    for head in [(layer, head) for layer in range(NUM_LAYERS) for head in range(NUM_HEADS)]:
        _write(folder, head)
        times = evaluate_times(load(folder), SEVERAL, seed=seed, share=share)
        errors[head] = float(times.first_word_start_s + times.last_word_end_s)
    best = min(errors, key=lambda head: errors[head])
    print(f"  errors of words' times in seconds by head: {errors}", flush=True)
    _write(folder, best)
    return best


def _write(folder: Path, head: tuple[int, int]) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"alignment_heads": [head]}, indent=2) + "\n")
