"""Voices and their names, as the operator writes them; without coqui-tts."""

from typing import Any

import pytest

from engines.contract.options import OptionsError, parse_options
from engines.contract.speech import VoiceCard
from engines.coqui_parts.options import Options

VOICES = {"anna": {"speaker": "p1", "language": "de"}, "ben": {"speaker": "p2", "display_name": "Ben"}}


def options(**given: Any) -> Options:
    parsed = parse_options("coqui_speech", given)
    assert isinstance(parsed, Options)
    return parsed


def test_without_voices_there_is_one() -> None:
    assert options().cards() == (VoiceCard("default", "default", None, True),)
    assert options().find_voice(None) == "default"


def test_first_voice_is_the_default_unless_another_is_named() -> None:
    assert options(voices=VOICES).first_voice == "anna"
    assert options(voices=VOICES, default_voice="ben").cards() == (
        VoiceCard("anna", "anna", "de", False),
        VoiceCard("ben", "Ben", None, True),
    )


def test_aliases_lead_to_voices_and_are_not_listed() -> None:
    aliased = options(voices=VOICES, voice_aliases={"alloy": "ben"})

    assert [aliased.find_voice(name) for name in ("alloy", "anna", "nova")] == ["ben", "anna", None]
    assert [card.voice_id for card in aliased.cards()] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"voices": VOICES, "default_voice": "carl"}, "carl"),
        ({"voice_aliases": {"alloy": "carl"}}, "carl"),
        ({"voices": VOICES, "voice_aliases": {"ben": "anna"}}, "ben"),
        ({"voices": {"a b": {}}}, "voices"),
        ({"voices": {"anna": {"speaker": "p1", "reference": ["a.wav"]}}}, "either"),
        ({"voices": {"anna": {"speed": 2}}}, "speed"),
        ({"max_sentence_chars": 10}, "max_sentence_chars"),
        ({"vocoderr": "x"}, "vocoder"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionsError, match=word):
        options(**given)
