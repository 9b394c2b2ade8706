"""Options of the speech engine, and the voices that they make; must import without coqui-tts."""

from typing import Annotated

import msgspec

from engines.contract.spec import PositiveInt
from engines.contract.speech import VoiceCard

VoiceName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ONLY_VOICE = "default"
"""The name of the voice of a model for which none is configured."""


class Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One voice. `speaker` is the model's own name for it. `reference` are sound files (relative to the weights, or
    absolute) whose voice XTTS takes on. `language` is spoken where a request names none.
    """

    speaker: str | None = None
    reference: tuple[str, ...] = ()
    language: str | None = None
    display_name: str | None = None

    def __post_init__(self) -> None:
        if self.speaker is not None and self.reference:
            raise ValueError("a voice has either a speaker or reference files")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a backend with `engine: coqui_speech`.

    Voices:
    `voices`: what clients may name; left out, the model has one voice, `default`. `default_voice`: else the first one.
    `voice_aliases`: further names, not listed, for clients that send those of another service.

    Files:
    `checkpoint`: the file of weights below `weights`; else the first of model.safetensors, model.pth, model_file.pth.
    `vocoder`: folder below `weights` with a vocoder of coqui-tts; without it models that need one use Griffin-Lim.

    Speaking:
    `max_input_chars`: longest text. `max_sentence_chars`: longer sentences are cut at commas, else between words.
    `sentence_pause_s`: silence between sentences. `stream_tokens`: XTTS gives sound after so many tokens.

    Process:
    `omp_num_threads`: of PyTorch; on a CPU half the processors unless given.
    """

    voices: dict[VoiceName, Voice] = {}
    default_voice: str | None = None
    voice_aliases: dict[VoiceName, str] = {}
    checkpoint: str | None = None
    vocoder: str | None = None
    max_input_chars: PositiveInt = 4096
    max_sentence_chars: Annotated[int, msgspec.Meta(ge=40, le=1000)] = 250
    sentence_pause_s: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.2
    stream_tokens: Annotated[int, msgspec.Meta(ge=5, le=500)] = 20
    omp_num_threads: PositiveInt | None = None

    def __post_init__(self) -> None:
        known = self.voices or {ONLY_VOICE: Voice()}
        if self.default_voice is not None and self.default_voice not in known:
            raise ValueError(f"default_voice `{self.default_voice}` is none of the voices")
        for alias, name in self.voice_aliases.items():
            if name not in known:
                raise ValueError(f"voice_aliases.{alias} names `{name}`, which is none of the voices")
            if alias in known:
                raise ValueError(f"voice_aliases.{alias} is a voice itself")

    @property
    def all_voices(self) -> dict[str, Voice]:
        """By name, at least one."""
        return self.voices or {ONLY_VOICE: Voice()}

    @property
    def first_voice(self) -> str:
        """The name of the voice of a request that names none."""
        return self.default_voice or next(iter(self.all_voices))

    def find_voice(self, name: str | None) -> str | None:
        """The name of the voice that `name` stands for, None if there is no such voice."""
        if name is None:
            return self.first_voice
        found = self.voice_aliases.get(name, name)
        return found if found in self.all_voices else None

    def cards(self) -> tuple[VoiceCard, ...]:
        return tuple(
            VoiceCard(name, voice.display_name or name, voice.language, name == self.first_voice)
            for name, voice in self.all_voices.items()
        )
