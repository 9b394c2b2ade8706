"""What happens to speech between a mouth and a file: resampling, vocoders, codecs, telephones, noise.

It knows nothing of text. Samples are `(n,) float32` at SAMPLE_RATE_HZ unless a docstring says otherwise.
"""

from functools import cache
from io import BytesIO

import av
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt
from starter_voice.espeak import SAMPLE_RATE_HZ as VOICE_RATE_HZ
from transformers.audio_utils import mel_filter_bank

Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16000
VOCODER_FFT = 1024
VOCODER_HOP = 256
AUDIBLE = 1e-3


def resampled(voice: Samples) -> Samples:
    """`voice` at espeak-ng's rate, at SAMPLE_RATE_HZ."""
    up, down = SAMPLE_RATE_HZ // 50, VOICE_RATE_HZ // 50
    return resample_poly(voice, up, down).astype(np.float32)


def trimmed(samples: Samples) -> Samples:
    """Without the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


@cache
def _mel_bands(highest_hz: int) -> tuple[torch.Tensor, torch.Tensor]:
    """80 slaney bands, `(80, bins)`, and their pseudo-inverse."""
    bands = mel_filter_bank(
        VOCODER_FFT // 2 + 1, 80, 0.0, float(highest_hz), VOICE_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    forward = torch.from_numpy(bands.T.copy()).float()
    return forward, torch.linalg.pinv(forward)


def through_griffin_lim(
    voice: Samples,
    rng: np.random.Generator,
    *,
    highest_hz: int,
    num_iterations: int,
    power: float,
    blur: float,
) -> Samples:
    """`voice` (and the result) at espeak-ng's rate: to 80 mel bands, blurred over time, and back with guessed phases.

    ``power`` sharpens magnitudes before phases are guessed, as text-to-speech libraries do; ``blur`` is the
    share of each frame taken from its two neighbours, as an acoustic model that averages would give.
    """
    forward, backward = _mel_bands(highest_hz)
    window = torch.hann_window(VOCODER_FFT)

    def spectrum(signal: torch.Tensor) -> torch.Tensor:
        return torch.stft(signal, VOCODER_FFT, VOCODER_HOP, window=window, return_complex=True)

    mel = (forward @ spectrum(torch.from_numpy(voice)).abs()).clamp(min=1e-5).log()
    mel[:, 1:-1] = (1 - blur) * mel[:, 1:-1] + blur / 2 * (mel[:, :-2] + mel[:, 2:])
    magnitude = (backward @ mel.exp()).clamp(min=1e-5) ** power
    angle = torch.from_numpy(rng.uniform(0, 2 * np.pi, magnitude.shape).astype(np.float32))
    phases, previous = torch.polar(torch.ones_like(magnitude), angle), torch.zeros(())
    for _ in range(num_iterations):
        signal = torch.istft(magnitude * phases, VOCODER_FFT, VOCODER_HOP, window=window)
        current = spectrum(signal)
        ahead = current + 0.9 * (current - previous)
        phases, previous = ahead / ahead.abs().clamp(min=1e-8), current
    signal = torch.istft(magnitude * phases, VOCODER_FFT, VOCODER_HOP, window=window)
    return (signal / signal.abs().max().clamp(min=1e-5) * float(np.abs(voice).max())).numpy()


def as_mp3(samples: Samples, *, bits_per_second: int = 64000) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = bits_per_second
        whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16p", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=SAMPLE_RATE_HZ)
        for part in [*resampler.resample(frame), None]:
            for packet in stream.encode(part):
                container.mux(packet)
    return file.getvalue()


def through_mp3(samples: Samples) -> Samples:
    """Some tenths of a second longer: the codec adds silence at both ends."""
    with av.open(BytesIO(as_mp3(samples))) as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(parts).astype(np.float32)


def through_telephone(samples: Samples) -> Samples:
    filters = butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return sosfilt(filters, samples).astype(np.float32)


def low_passed(samples: Samples, highest_hz: float) -> Samples:
    filters = butter(2, highest_hz, "lowpass", fs=SAMPLE_RATE_HZ, output="sos")
    return sosfilt(filters, samples).astype(np.float32)


def draw_noise(rng: np.random.Generator, num_samples: int) -> Samples:
    """White, falling with frequency, or a hum: root mean square 1."""
    kind = rng.integers(4)
    noise = rng.standard_normal(num_samples).astype(np.float32)
    if kind == 2:
        noise = low_passed(noise, rng.uniform(200, 3000))
    if kind == 3:
        base = rng.uniform(50, 400)
        times = np.arange(num_samples) / SAMPLE_RATE_HZ
        hum = sum(np.sin(2 * np.pi * base * k * times) / k for k in range(1, 4))
        noise = (hum + 0.1 * noise).astype(np.float32)
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-9)
