"""The teacher: espeak-ng as a library, which tells when each phoneme of its speech begins.

`starter_voice.espeak` gives the same voice without times; this speaks to libespeak-ng (same Debian package).
"""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_short, c_uint, c_void_p
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from starter_voice.espeak import SAMPLE_RATE_HZ

_LIBRARY = "libespeak-ng.so.1"
# What these numbers mean: espeak-ng's header speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE = 0x0001 | 0x8000  # phoneme events; do not end the process when the voices are missing
_POSITION_CHARACTER = 1
_CHARACTERS_UTF8 = 1
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_EVENT_WORD, _EVENT_PHONEME = 1, 7


@dataclass(frozen=True)
class Mark:
    """Where a word or a phoneme begins. Phonemes whose name begins with `_` are pauses."""

    kind: Literal["word", "phoneme"]
    name: str
    sample: int
    text_start: int
    """Of a word: index of its first character. espeak-ng may run words together and mark the first alone."""


@dataclass(frozen=True)
class Spoken:
    samples: NDArray[np.float32]
    """`(samples,)` in -1..1 at SAMPLE_RATE_HZ, without the silence after the last phoneme."""
    marks: tuple[Mark, ...]


class _EventId(ctypes.Union):
    _fields_ = (("number", c_int), ("name", c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        *(("type", c_int), ("unique_identifier", c_uint), ("text_position", c_int), ("length", c_int)),
        *(("audio_position", c_int), ("sample", c_int), ("user_data", c_void_p), ("id", _EventId)),
    )


class Voice:
    """espeak-ng's American English. One per process: the library keeps one state."""

    def __init__(self, *, words_per_minute: int = 175, pitch: int = 50) -> None:
        """Raises `OSError` where libespeak-ng is not installed."""
        self._library = ctypes.CDLL(_LIBRARY)
        rate = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, None, _INITIALIZE)
        if rate != SAMPLE_RATE_HZ:
            raise OSError(f"libespeak-ng speaks at {rate} Hz, not at {SAMPLE_RATE_HZ} Hz")
        self._chunks: list[NDArray[np.int16]] = []
        self._marks: list[Mark] = []
        self._callback = _callback_type()(self._take)  # kept: the library holds no reference
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetVoiceByName(b"en-us")
        self._library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)

    def speak(self, text: str) -> Spoken:
        """Takes some 3 ms a sentence. The samples depend a little on what was spoken before."""
        self._chunks.clear()
        self._marks.clear()
        encoded = text.encode()
        self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None
        )
        samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return Spoken(samples.astype(np.float32) / 32768, tuple(self._marks))

    def _take(
        self, samples: "ctypes._Pointer[c_short]", num_samples: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if samples and num_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        place = 0
        while (event := events[place]).type != 0:
            if event.type == _EVENT_WORD and event.length > 0:
                self._marks.append(Mark("word", "", event.sample, event.text_position - 1))
            elif event.type == _EVENT_PHONEME:
                name = event.id.string.decode()
                self._marks.append(Mark("phoneme", name, event.sample, event.text_position - 1))
            place += 1
        return 0


def _callback_type() -> Callable[..., object]:
    return ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))
