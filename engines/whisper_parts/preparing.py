"""From samples to what the model reads: where speech is, where to cut, mel spectra. Blocks: runs on a thread."""

from collections.abc import Iterator

import msgspec

from engines.runtime.decode_audio import SAMPLE_RATE_HZ
from engines.runtime.media import Sound
from engines.whisper_parts.library import VadOptions, WhisperModel, get_speech_timestamps, np
from engines.whisper_parts.options import Options
from engines.whisper_parts.windows import Cut, Span, Window, cut_block

# The first block is short, so that the first words of a long file come soon; all are short, so that the files of
# others need not wait long.
_FIRST_BLOCK_S = 60
_BLOCK_S = 240
_LEAD_S = (
    8  # so much before a block is listened to again: the search for speech remembers what it has just heard
)
_VAD_FRAME = 512  # samples; blocks keep to the grid of the file
_SEARCH_S = 5  # without a search for speech, a window ends at the quietest place of its last seconds
_QUIET_S = 0.2


class Heard(msgspec.Struct, frozen=True):
    """A window ready for the model: log-mel spectrum `(n_mels, frames)` float32, and what of the file it is."""

    mel: "np.ndarray"
    spans: Window


class Preparer:
    """`steps` counts finished pieces of work: while it rises, nothing is stuck."""

    def __init__(self, model: WhisperModel, options: Options) -> None:
        self._extract = model.feature_extractor
        self._uses_vad = options.vad
        self._longest = int(options.window_s * SAMPLE_RATE_HZ)
        self._vad_options = VadOptions(max_speech_duration_s=options.window_s, min_silence_duration_ms=160)
        self.steps = 0

    def prepare(self, sound: Sound) -> Iterator[Heard]:
        """All windows of the sound, in order. Each step of the iterator is one bounded piece of work."""
        samples = np.frombuffer(sound.samples, "<i2")
        for window in self._windows(samples):
            heard = Heard(self._mel(samples, window), window)
            self.steps += 1
            yield heard

    def _windows(self, samples: "np.ndarray") -> Iterator[Window]:
        start, length_s = 0, _FIRST_BLOCK_S
        while start < len(samples):
            block = (start, min(start + length_s * SAMPLE_RATE_HZ, len(samples)))
            cut = (
                self._cut_at_pauses(samples, block) if self._uses_vad else self._cut_anywhere(samples, start)
            )
            self.steps += 1
            yield from cut.windows
            start, length_s = cut.next_start, _BLOCK_S

    def _cut_at_pauses(self, samples: "np.ndarray", block: Span) -> Cut:
        start, end = block
        lead = max(0, start - _LEAD_S * SAMPLE_RATE_HZ) // _VAD_FRAME * _VAD_FRAME
        found = get_speech_timestamps(_as_float(samples[lead:end]), self._vad_options)
        spans = [(max(start, lead + int(each["start"])), lead + int(each["end"])) for each in found]
        spans = [span for span in spans if span[1] > span[0]]
        return cut_block(spans, block=block, total=len(samples), longest=self._longest)

    def _cut_anywhere(self, samples: "np.ndarray", start: int) -> Cut:
        end = start + self._longest
        if end >= len(samples):
            return Cut([((start, len(samples)),)], len(samples))
        begin = max(start + self._longest // 2, end - _SEARCH_S * SAMPLE_RATE_HZ)
        end = begin + _quietest(_as_float(samples[begin:end]))
        return Cut([((start, end),)], end)

    def _mel(self, samples: "np.ndarray", window: Window) -> "np.ndarray":
        sound = np.concatenate([samples[start:end] for start, end in window])
        return self._extract(_as_float(sound))


def _as_float(samples: "np.ndarray") -> "np.ndarray":
    return samples.astype(np.float32) / np.float32(32768)


def _quietest(samples: "np.ndarray") -> int:
    """The middle of the quietest stretch."""
    length = int(_QUIET_S * SAMPLE_RATE_HZ)
    energy = np.convolve(samples**2, np.ones(length, np.float32), mode="valid")
    return int(energy.argmin()) + length // 2
