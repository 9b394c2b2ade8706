"""What a loaded model is for the rest of the engine, and how a folder becomes one."""

import logging
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.coqui_parts.folder import model_name, read_config, refused
from engines.coqui_parts.options import Options

Sound = NDArray[np.float32]
"""Samples of one channel, -1..1, `(n,)`."""
WHOLE_KINDS = ("fast_pitch", "fast_speech", "fastspeech2", "forward_tts", "glow_tts", "speedy_speech", "vits")


class Utterance(NamedTuple):
    """A passage to speak. `voice` is one of the options', `language` one of the model's own names."""

    text: str
    voice: str
    language: str
    speed: float
    seed: int | None


class SpeechModel(Protocol):
    """A model on its device. `languages` maps codes that clients send to the model's own names."""

    sample_rate_hz: int
    languages: Mapping[str, str]

    def most_chars(self, language: str) -> int:
        """The longest passage that the model speaks well."""

    def reads(self, text: str, language: str) -> bool:
        """Whether anything of the passage would be spoken. Raises EngineError for what it cannot read at all."""

    def move(self, device: str) -> None:
        """Everything that lies on a device goes to this one; blocks."""

    def speak(self, utterance: Utterance) -> Iterator[Sound]:
        """Sound as it is made; for the compute thread only. May be left before its end."""


def load_model(spec: BackendSpec, options: Options, device: str) -> SpeechModel:
    """The model of the spec's folder with all its voices; blocks. Raises EngineError(VALIDATION_ERROR)."""
    logging.getLogger("TTS").setLevel(logging.CRITICAL)  # it logs texts that it cannot read
    folder = Path(spec.weights)
    config = read_config(folder)
    kind = model_name(config)
    if kind == "xtts":
        from engines.coqui_parts.xtts import Xtts

        return Xtts.load(spec, options, config, device)
    if kind not in WHOLE_KINDS:
        raise refused(f"models of kind `{kind}` are not supported; {', '.join(WHOLE_KINDS)} and xtts are")
    from engines.coqui_parts.whole import WholeModel

    return WholeModel.load(spec, options, config, device)


def sow(seed: int | None) -> None:
    """Make what follows repeatable, or, without a seed, as random as ever."""
    chosen = random.SystemRandom().getrandbits(63) if seed is None else seed % 2**63
    torch.manual_seed(chosen)
    np.random.seed(chosen % 2**32)  # Griffin-Lim's


def as_sound(samples: object) -> Sound:
    """Raises EngineError(BACKEND_ERROR) for what is no sound: a broken model computes such things."""
    if isinstance(samples, torch.Tensor):
        samples = samples.detach().float().cpu().numpy()
    sound = np.asarray(samples, dtype=np.float32).reshape(-1)
    if not np.isfinite(sound).all():
        raise EngineError(ErrorCode.BACKEND_ERROR, "the model computed no sound")
    return sound


def check_voice_languages(options: Options, languages: Mapping[str, str]) -> None:
    """Every voice must have a language of the model, or the model one alone. Raises EngineError(VALIDATION_ERROR)."""
    for name, voice in options.all_voices.items():
        if voice.language is None and len(languages) > 1:
            raise refused(f"options.voices.{name}.language must be one of {', '.join(languages)}")
        if voice.language is not None and voice.language not in languages:
            raise refused(
                f"options.voices.{name}.language is `{voice.language}`; the model speaks {', '.join(languages)}"
            )
