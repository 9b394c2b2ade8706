"""Sound files whose voice a model takes on: any format that FFmpeg reads, to one channel of samples."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SHORTEST_S = 1.0
LONGEST_S = 120.0


def read_reference(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """The file's samples at `rate_hz`, `(n,)`. Raises ValueError for what is no such file, too short or too long."""
    try:
        samples = _decode(path, rate_hz)
    except OSError as error:  # FFmpeg's errors are OSErrors
        raise ValueError("is no sound file that can be read") from error
    if len(samples) < SHORTEST_S * rate_hz:
        raise ValueError(f"is shorter than {SHORTEST_S:.0f} s")
    return samples


def _decode(path: Path, rate_hz: int) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    pieces: list[NDArray[np.float32]] = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError("has no sound")
        for frame in container.decode(audio=0):
            pieces += [made.to_ndarray()[0] for made in resampler.resample(frame)]
            if sum(map(len, pieces)) > LONGEST_S * rate_hz:
                raise ValueError(f"is longer than {LONGEST_S:.0f} s")
        pieces += [made.to_ndarray()[0] for made in resampler.resample(None)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
