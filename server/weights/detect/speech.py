"""Text to speech: a folder of coqui-tts, by the `model` of its configuration."""

from typing import Any

from engines.contract.types import Modality
from server.weights.detect.detected import Detected, as_dict, as_int, as_text
from server.weights.documents import Documents

KINDS = frozenset(
    {
        "vits",
        "xtts",
        "fast_pitch",
        "fast_speech",
        "fastspeech2",
        "forward_tts",
        "speedy_speech",
        "glow_tts",
    }
)
CHECKPOINTS = ("model.safetensors", "model.pth", "model_file.pth")
_MAX_VOICES = 8


def detect_speech(documents: Documents) -> Detected | None:
    config = documents.get("config.json")
    kind = as_text(config.get("model")).lower()
    if kind not in KINDS or "audio" not in config:
        return None
    is_xtts = kind == "xtts"
    voices = _XTTS_VOICES if is_xtts else _voices(documents)
    notes = ["It needs the program espeak-ng, since it reads phonemes."] if _reads_phonemes(config) else []
    if not voices and _has_speakers(config):
        notes.append("It has several speakers: name the voices that you want, see docs/configuration.md.")
    return Detected(
        engine="coqui_speech",
        modality=Modality.AUDIO,
        summary="text to speech, on coqui-tts",
        capabilities={"synthesize": True},
        limits={"max_concurrency": 16 if is_xtts else 32},
        accept_license=False if is_xtts else None,
        remarks={"accept_license": "set to true once you have read the licence"} if is_xtts else {},
        options={"voices": voices} if voices else {},
        notes=tuple(notes),
    )


_XTTS_VOICES = {"claribel": {"speaker": "Claribel Dervla", "language": "en"}}


def _voices(documents: Documents) -> dict[str, Any]:
    """The first speakers that the model names; one without speakers has a voice `default` anyway."""
    language = _language(documents.get("config.json"))
    names = sorted(name for name in documents.get("speaker_ids.json") if name.strip())
    return {
        _voice_name(name): {"speaker": name} | ({"language": language} if language else {})
        for name in names[:_MAX_VOICES]
    }


def _voice_name(speaker: str) -> str:
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in speaker.lower())
    return kept.strip("-")[:64] or "voice"


def _language(config: dict[str, Any]) -> str:
    found = as_text(config.get("phoneme_language")).partition("-")[0]
    languages = config.get("languages")
    return found or (as_text(languages[0]) if isinstance(languages, list) and languages else "")


def _reads_phonemes(config: dict[str, Any]) -> bool:
    return config.get("use_phonemes") is True


def _has_speakers(config: dict[str, Any]) -> bool:
    arguments = as_dict(config.get("model_args"))
    return (as_int(arguments.get("num_speakers")) or 0) > 1 or arguments.get("use_speaker_embedding") is True
