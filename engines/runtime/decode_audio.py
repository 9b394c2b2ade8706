"""From a sound file of any usual format to plain samples, with PyAV; runs only in the short-lived children of
`decoding`. Knows neither engines nor requests. What comes in is hostile until proven otherwise.
"""

import os
import wave
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

SAMPLE_RATE_HZ = 16000
BYTES_PER_SAMPLE = 2

Verdict = Literal[
    "decoded",
    "empty",
    "not_audio",
    "no_audio_stream",
    "no_sample_rate",
    "too_long",
    "too_short",
    "broken",
    "too_slow",
]

# Containers that hold nothing but media: none of these opens other files, and no playlist is among them.
_DEMUXERS = (
    "aac aiff ac3 eac3 amr amrnb amrwb ape asf au avi caf flac flv gsm latm loas matroska mov mp3 mpegts ogg rm sox "
    "tak tta voc w64 wav wv"
)
# Decoders of sound only, so that probing a film never starts one for pictures.
_CODECS = (
    "aac aac_fixed aac_latm ac3 ac3_fixed eac3 adpcm_g722 adpcm_g726 adpcm_ima_qt adpcm_ima_wav adpcm_ms "
    "adpcm_swf alac amrnb amrwb ape cook dca flac gsm gsm_ms mp1 mp1float mp2 mp2float mp3 mp3float "
    "nellymoser opus libopus pcm_alaw pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be "
    "pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 pcm_u16le pcm_u24le pcm_u32le speex "
    "libspeex tak tta vorbis libvorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice"
)
_OPTIONS = {
    "format_whitelist": _DEMUXERS.replace(" ", ","),
    "codec_whitelist": _CODECS.replace(" ", ","),
    "protocol_whitelist": "none",  # the file is read through our descriptor; nothing else may be opened
}
_READ_BYTES = 256 * 1024
_GROUP_SAMPLES = 200_000  # frames of a few milliseconds are joined before they are resampled
_MAX_SAMPLE_RATE_HZ = 768_000


class Report(msgspec.Struct, frozen=True):
    """How it went; `num_samples` were written, 16 kHz mono 16 bit."""

    verdict: Verdict
    num_samples: int = 0


def prepare() -> None:
    """Import and set up everything that decoding a file needs, by decoding one: children may open nothing later."""
    import av.subtitles.codeccontext
    import av.subtitles.stream
    import av.video.codeccontext
    import av.video.stream  # noqa: F401

    source, target = os.memfd_create("source"), os.memfd_create("target")
    with os.fdopen(os.dup(source), "wb") as file, wave.open(file, "wb") as sound:
        sound.setparams((1, BYTES_PER_SAMPLE, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    os.lseek(source, 0, os.SEEK_SET)
    if decode(source, target, min_audio_s=0, max_audio_s=10).verdict != "decoded":
        raise RuntimeError("PyAV cannot decode a plain file")
    os.close(target)


def decode(source: int, target: int, *, min_audio_s: float, max_audio_s: float) -> Report:
    """Decode the first sound stream of the file behind descriptor `source`, write its samples to `target`.

    Stops as soon as there is more than `max_audio_s`, whatever the file says of itself. A file that breaks off is as
    long as what could be read.
    """
    import av

    if os.fstat(source).st_size == 0:
        return Report("empty")
    file = os.fdopen(source, "rb", buffering=0)
    try:
        container = av.open(file, "r", options=_OPTIONS, metadata_errors="ignore", buffer_size=_READ_BYTES)
    except (av.error.FFmpegError, ValueError, OSError):
        return Report("not_audio")
    if not container.streams.audio:
        return Report("no_audio_stream")
    stream = container.streams.audio[0]
    if not 0 < (stream.codec_context.sample_rate or 0) <= _MAX_SAMPLE_RATE_HZ:
        return Report("no_sample_rate")
    stream.thread_type = "NONE"
    return _write_samples(container, stream, target, range_s=(min_audio_s, max_audio_s))


def _write_samples(container: Any, stream: Any, target: int, *, range_s: tuple[float, float]) -> Report:
    import av

    least, most = (int(seconds * SAMPLE_RATE_HZ) for seconds in range_s)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    num_samples = 0
    is_whole = True
    try:
        for frame in _resampled(_grouped(_frames(container, stream)), resampler):
            num_samples += frame.samples
            if num_samples > most:
                return Report("too_long", num_samples)
            _write_all(target, memoryview(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE])
    except (av.error.FFmpegError, ValueError):
        is_whole = False
    if num_samples >= least:
        return Report("decoded", num_samples)
    return Report("too_short" if is_whole and num_samples else "broken", num_samples)


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Frames of the stream; packets that cannot be decoded are left out, as players do."""
    import av

    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _grouped(frames: Iterable[Any]) -> Iterator[Any]:
    import av

    fifo = av.AudioFifo()
    for frame in frames:
        frame.pts = None  # gaps and jumps of a stream's clock are no matter of ours
        fifo.write(frame)
        if fifo.samples >= _GROUP_SAMPLES:
            yield fifo.read()
    if fifo.samples > 0:
        yield fifo.read()


def _resampled(frames: Iterable[Any], resampler: Any) -> Iterator[Any]:
    for frame in frames:
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _write_all(target: int, samples: memoryview) -> None:
    while samples:
        samples = samples[os.write(target, samples) :]
