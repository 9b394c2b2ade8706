"""Sound to the bytes of a file, piece by piece, into something that cannot seek; knows no model."""

import io
import struct
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from engines.contract.speech import AudioFormat
from engines.coqui_parts.models import Sound

PCM_RATE_HZ = 24000
_OPUS_RATE_HZ = 48000
_OPEN_ENDED = 0xFFFFFFFF  # of a length in a WAV header: readers take it as "until the end"
_LAME_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class Encoder(Protocol):
    """One file. Not for two threads at a time."""

    def encode(self, sound: Sound) -> bytes:
        """What the file grows by; may be empty while a codec gathers a frame."""

    def finish(self) -> bytes:
        """The rest of the file."""


class _Codec(NamedTuple):
    container: str
    name: str
    bit_rate: int | None = None
    options: Mapping[str, str] = MappingProxyType({})


_CODECS = {
    # No Xing frame: it would have to be written again at the end, with the file's length.
    "mp3": _Codec("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    # A page each 100 ms, not each second.
    "opus": _Codec("ogg", "libopus", 32_000, {"page_duration": "100000"}),
    "aac": _Codec("adts", "aac", 64_000),
    "flac": _Codec("flac", "flac"),
}


def make_encoder(audio_format: AudioFormat, rate_hz: int) -> Encoder:
    """For sound of `rate_hz`, which the file keeps, except: Opus is 48 kHz, raw PCM 24 kHz."""
    if audio_format == "pcm":
        return _Raw(rate_hz, PCM_RATE_HZ)
    if audio_format == "wav":
        return _Raw(rate_hz, rate_hz, header=_wav_header(rate_hz))
    return _Compressed(_CODECS[audio_format], rate_hz, _file_rate_hz(audio_format, rate_hz))


class _Raw:
    """16-bit little-endian samples, behind a header if there is one."""

    def __init__(self, rate_hz: int, file_rate_hz: int, header: bytes = b"") -> None:
        self._rate_hz = rate_hz
        self._header = header
        self._resampler = (
            None
            if rate_hz == file_rate_hz
            else av.AudioResampler(format="s16", layout="mono", rate=file_rate_hz)
        )
        self._num_samples = 0

    def encode(self, sound: Sound) -> bytes:
        samples = to_int16(sound)
        if self._resampler is None:
            data = samples.tobytes()
        else:
            data = self._resampled(_frame(samples, self._rate_hz, self._num_samples))
        self._num_samples += len(samples)
        header, self._header = self._header, b""
        return header + data

    def finish(self) -> bytes:
        return self._header + (b"" if self._resampler is None else self._resampled(None))

    def _resampled(self, frame: av.AudioFrame | None) -> bytes:
        if self._resampler is None:
            return b""
        return b"".join(made.to_ndarray().astype("<i2").tobytes() for made in self._resampler.resample(frame))


class _Compressed:
    def __init__(self, codec: _Codec, rate_hz: int, file_rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._sink = _Sink()
        self._file = av.open(self._sink, "w", format=codec.container, options=dict(codec.options))
        self._stream = self._file.add_stream(codec.name, rate=file_rate_hz, layout="mono")
        if codec.bit_rate is not None:
            self._stream.bit_rate = codec.bit_rate
        self._stream.codec_context.open()
        self._resampler = av.AudioResampler(
            format=self._stream.codec_context.format,
            layout="mono",
            rate=file_rate_hz,
            frame_size=self._stream.codec_context.frame_size or None,
        )
        self._num_samples = 0

    def encode(self, sound: Sound) -> bytes:
        frame = _frame(to_int16(sound), self._rate_hz, self._num_samples)
        self._num_samples += len(sound)
        self._write(frame)
        return self._sink.take()

    def finish(self) -> bytes:
        if self._num_samples:
            self._write(None)
        for packet in self._stream.encode(None):
            self._file.mux(packet)
        self._file.close()
        return self._sink.take()

    def _write(self, frame: av.AudioFrame | None) -> None:
        for made in self._resampler.resample(frame):
            for packet in self._stream.encode(made):
                self._file.mux(packet)


class _Sink(io.RawIOBase):
    """What FFmpeg writes to; it cannot seek, as an HTTP body cannot."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        before = len(self._written)
        self._written += data  # type: ignore[arg-type]  # a buffer
        return len(self._written) - before

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def to_int16(sound: Sound) -> NDArray[np.int16]:
    return (np.clip(sound, -1.0, 1.0) * 32767).astype("<i2")


def _frame(samples: NDArray[np.int16], rate_hz: int, first: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frame.pts = first
    frame.time_base = Fraction(1, rate_hz)
    return frame


def _file_rate_hz(audio_format: str, rate_hz: int) -> int:
    if audio_format == "opus":
        return _OPUS_RATE_HZ
    if audio_format == "flac" or rate_hz in _LAME_RATES_HZ:
        return rate_hz
    return min(_LAME_RATES_HZ, key=lambda rate: (rate < rate_hz, abs(rate - rate_hz)))


def _wav_header(rate_hz: int) -> bytes:
    sizes = _OPEN_ENDED
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", sizes) + b"WAVEfmt " + form + b"data" + struct.pack("<I", sizes)
