"""Prints what PyAV finds in sound files, as one line of JSON; run by the engines' Python.

python -m tests.engines.coqui_parts.read_sounds FILE ...      a file `.pcm` is taken as 24 kHz, 16 bits, one channel
"""

import json
import sys
from pathlib import Path

import av


def read(path: Path) -> dict[str, float]:
    if path.suffix == ".pcm":
        return {"seconds": path.stat().st_size / 2 / 24000, "rate_hz": 24000, "channels": 1}
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    rate_hz = frames[0].sample_rate
    num_samples = sum(frame.samples for frame in frames)
    return {"seconds": num_samples / rate_hz, "rate_hz": rate_hz, "channels": len(frames[0].layout.channels)}


if __name__ == "__main__":
    print(json.dumps([read(Path(name)) for name in sys.argv[1:]]))  # noqa: T201 its purpose
