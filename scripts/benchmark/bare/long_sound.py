"""Writes a long WAV file of short sounds: `python -m benchmark.bare.long_sound SECONDS WRITTEN SOUND...`.

Takes the sounds in turn, with half a second to two seconds of silence between them.
"""

import itertools
import random
import sys
import wave

import numpy as np
from faster_whisper import decode_audio

_RATE_HZ = 16000


def main() -> None:
    num_samples = int(sys.argv[1]) * _RATE_HZ
    sounds = itertools.cycle([decode_audio(path, sampling_rate=_RATE_HZ) for path in sys.argv[3:]])
    source = random.Random(0)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < num_samples:
        silence = np.zeros(int(source.uniform(0.5, 2.0) * _RATE_HZ), np.float32)
        parts += [next(sounds), silence]
    samples = np.concatenate(parts)[:num_samples]
    with wave.open(sys.argv[2], "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
