"""The pitch of speech, frame by frame, by autocorrelation."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 60, 250
_WINDOW = 1024
_FFT_SIZE = 1350
"""Enough for the window and the longest lag."""
_VOICED = 0.5


def find_pitch(samples: NDArray[np.float32], *, sample_rate_hz: int, hop_length: int) -> NDArray[np.float32]:
    """`(1 + samples // hop_length,)`: octaves above LOWEST_HZ in frames centred as a spectrogram's, 0 if unvoiced."""
    num_frames = 1 + len(samples) // hop_length
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop_length][:num_frames]
    window = np.hanning(_WINDOW).astype(np.float32)
    shortest, longest = sample_rate_hz // HIGHEST_HZ, sample_rate_hz // LOWEST_HZ
    correlation = _correlate(frames * window, longest) / _normalised(_correlate(window, longest))
    lags = shortest + np.argmax(correlation[:, shortest:], axis=1)
    peaks = correlation[np.arange(num_frames), lags]
    is_voiced = (peaks > _VOICED * correlation[:, 0]) & (correlation[:, 0] > 1e-2)
    return np.where(is_voiced, np.log2(sample_rate_hz / lags / LOWEST_HZ), 0.0).astype(np.float32)


def _correlate(frames: NDArray[np.float32], num_lags: int) -> NDArray[np.float32]:
    spectrum = scipy.fft.rfft(frames, _FFT_SIZE)
    return scipy.fft.irfft(np.abs(spectrum) ** 2, _FFT_SIZE)[..., :num_lags]


def _normalised(correlation: NDArray[np.float32]) -> NDArray[np.float32]:
    return correlation / correlation[0]
