"""Options of the speech-to-text engine; must import without its library."""

from typing import Annotated, Literal

import msgspec

from engines.contract.spec import PositiveInt, PositiveSeconds

Temperature = Annotated[float, msgspec.Meta(ge=0, le=1)]
ComputeType = Literal[
    "auto", "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"
]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a backend with `engine: whisper_transcribe`.

    Model:
    `compute_type`: number format of the weights in memory; `auto` is the folder's own or the nearest possible.
    `omp_num_threads`: on a CPU half the processors unless given.

    Search, with Whisper's own defaults:
    `beam_size`: candidates at temperature 0. `best_of`: samples drawn at temperatures above 0.
    `temperatures`: tried in turn while a result is poor; a request's own `temperature` is used alone.
    `compression_ratio_threshold`: a result that compresses better is repetitive, and so poor.
    `log_prob_threshold`: a result whose tokens are less likely on average is poor.
    `no_speech_threshold`: an unlikely result is left out if silence is more probable than this.

    Sound:
    `vad`: look for speech first and skip the rest; without it windows end where it is quietest.
    `window_s`: longest stretch that is heard at once; cuts are made at pauses.
    `max_batch_windows`: most windows, of any requests, computed together; unset is 16 on a GPU, 4 on a CPU.
    `max_audio_s`: longest file. `decode_timeout_s`: longest time for decoding a file to samples.
    """

    compute_type: ComputeType = "auto"
    omp_num_threads: PositiveInt | None = None
    beam_size: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    best_of: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    temperatures: Annotated[tuple[Temperature, ...], msgspec.Meta(min_length=1)] = (
        0.0,
        0.2,
        0.4,
        0.6,
        0.8,
        1.0,
    )
    compression_ratio_threshold: float | None = 2.4
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    vad: bool = True
    window_s: Annotated[float, msgspec.Meta(ge=2, le=30)] = 30.0
    max_batch_windows: PositiveInt | None = None
    max_audio_s: PositiveSeconds = 4 * 3600.0
    decode_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=100)] = 90.0
