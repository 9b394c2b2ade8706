"""Every import from faster-whisper, CTranslate2 and NumPy; checked with faster-whisper 1.2.1 and CTranslate2 4.8.5.

Importing this module fails without them: only `whisper_transcribe.Engine.load` starts it, in a thread. What begins
with an underscore is faster-whisper's own and may change with any release: its version is pinned.
"""

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import _LANGUAGE_CODES as LANGUAGE_CODES
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens
from faster_whisper.vad import SpeechTimestampsMap, VadOptions, get_speech_timestamps

__all__ = [
    "LANGUAGE_CODES",
    "SpeechTimestampsMap",
    "Tokenizer",
    "VadOptions",
    "WhisperModel",
    "ctranslate2",
    "get_compression_ratio",
    "get_speech_timestamps",
    "get_suppressed_tokens",
    "np",
    "pad_or_trim",
]
