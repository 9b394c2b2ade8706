"""A second of a voice that says "ah": the smallest sound that a search for speech does not throw away. Pure.

Silence and tones are left out before the model hears them, so that they would prove nothing of it.
"""

import array
import math

RATE_HZ = 16_000
SECONDS = 1
PITCH_HZ = 125
NUM_OVERTONES = 29
SYLLABLES_HZ = 4
PEAK = 16_000
FORMANTS_HZ = ((700, 80), (1220, 90), (2600, 120))  # of an "ah": middle and width


def voice() -> bytes:
    """Samples of 16 bits, little-endian, one channel."""
    period = _period()
    samples = array.array("h")
    for number in range(RATE_HZ * SECONDS):
        loudness = (1 - math.cos(2 * math.pi * SYLLABLES_HZ * number / RATE_HZ)) / 2
        samples.append(int(PEAK * loudness * period[number % len(period)]))
    return samples.tobytes()


def _period() -> list[float]:
    """One beat of the vocal cords, -1..1."""
    length = RATE_HZ // PITCH_HZ
    strengths = [_strength(overtone) for overtone in range(1, NUM_OVERTONES + 1)]
    wave = [
        sum(
            strength * math.sin(2 * math.pi * overtone * place / length)
            for overtone, strength in enumerate(strengths, start=1)
        )
        for place in range(length)
    ]
    highest = max(map(abs, wave))
    return [value / highest for value in wave]


def _strength(overtone: int) -> float:
    resonances = (1 / (1 + ((overtone * PITCH_HZ - middle) / width) ** 2) for middle, width in FORMANTS_HZ)
    return sum(resonances) / math.pow(overtone, 0.3)
