"""The voices that a caller may use, over all models that speak. Reads specs; loads nothing."""

from collections.abc import Iterable
from typing import NamedTuple

from engines.contract.spec import BackendSpec
from engines.contract.speech import VoiceCard
from engines.contract.voices import voices_of
from server.caller import Caller
from server.wire.listing import usable_models


class ModelVoice(NamedTuple):
    """A voice under one public name of a model."""

    model: str
    card: VoiceCard

    @property
    def sort_key(self) -> str:
        """Neither part can hold a space."""
        return f"{self.model} {self.card.voice_id}"

    def fields(self) -> dict[str, object]:
        return {
            "voice_id": self.card.voice_id,
            "display_name": self.card.display_name,
            "model": self.model,
            "language": self.card.language,
            "is_default": self.card.is_default,
        }


def usable_voices(
    backends: Iterable[BackendSpec], caller: Caller, *, model: str | None, language: str | None
) -> list[ModelVoice]:
    """Sorted by model and name; `model` and `language` leave only theirs."""
    voices = [
        ModelVoice(found.frontend.slug, card)
        for found in usable_models(backends, caller)
        if model in (None, found.frontend.slug)
        for card in voices_of(found.backend)
        if language in (None, card.language)
    ]
    return sorted(voices, key=lambda voice: voice.sort_key)
