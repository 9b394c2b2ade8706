"""Speech from espeak-ng (Debian's package `espeak-ng`), the voice that both starter models learn from."""

import subprocess
import wave
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 22050
"""What espeak-ng's own voices are made at."""


def say(
    text: str, *, voice: str = "en-us", words_per_minute: int = 175, pitch: int = 50
) -> NDArray[np.float32]:
    """`(samples,) float32` in -1..1 at SAMPLE_RATE_HZ, with espeak-ng's own silence at both ends.

    The same arguments give the same samples. Takes some 20 ms a sentence; safe to call from threads.
    """
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text]
    spoken = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    with wave.open(BytesIO(spoken.stdout)) as file:
        if file.getframerate() != SAMPLE_RATE_HZ or file.getnchannels() != 1:
            raise RuntimeError(f"espeak-ng gave {file.getframerate()} Hz, {file.getnchannels()} channels")
        samples = np.frombuffer(file.readframes(-1), "<i2")
    return samples.astype(np.float32) / 32768
