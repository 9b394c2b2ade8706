"""Everything that the card reports of an exported folder."""

from dataclasses import dataclass
from pathlib import Path

from faster_whisper import WhisperModel

from starter_transcribe.evaluate import Score, Times, evaluate, evaluate_times, load
from starter_transcribe.recordings import (
    ENGLISH,
    GERMAN,
    GRIFFIN_LIM,
    LONG,
    MP3,
    NOISE,
    SEVERAL,
    SILENCE,
    TELEPHONE,
    VARIED,
    Kind,
)

SINGLE = (ENGLISH, VARIED, GERMAN, GRIFFIN_LIM, MP3, TELEPHONE)


@dataclass(frozen=True)
class Measured:
    scores: list[Score]
    silence: Score
    noise: Score
    times: Times


def measure(folder: Path, *, seed: int, share: float) -> Measured:
    """``share`` of the recordings of each kind; all of them take some five minutes of CPU time."""
    whole, int8 = load(folder), load(folder, compute_type="int8")

    def score(kind: Kind, name: str = "", *, model: WhisperModel = whole, **options: object) -> Score:
        found = evaluate(model, kind, name=name or kind.name, seed=seed, share=share, **options)
        print(f"  {found}", flush=True)
        return found

    scores = [score(kind) for kind in SINGLE]
    scores += [
        score(ENGLISH, f"{ENGLISH.name}, beam 5", beam_size=5),
        score(ENGLISH, f"{ENGLISH.name}, without timestamps", without_timestamps=True),
        score(ENGLISH, f"{ENGLISH.name}, computed in int8", model=int8),
        score(SEVERAL),
        score(SEVERAL, f"{SEVERAL.name}, VAD filter", vad_filter=True),
        score(LONG),
        score(LONG, f"{LONG.name}, VAD filter", vad_filter=True),
    ]
    silence, noise = score(SILENCE), score(NOISE)
    times = evaluate_times(whole, SEVERAL, seed=seed, share=share)
    print(f"  {times}", flush=True)
    return Measured(scores, silence, noise, times)
