"""Speech to text: a folder of CTranslate2 with a Whisper in it; other Whispers have to be converted first."""

import re

from engines.contract.types import Modality
from server.weights.detect.detected import Detected, architectures
from server.weights.documents import Documents
from server.weights.problem import NotServed

CTRANSLATE2_MODEL = "model.bin"
_KEYS = ("suppress_ids", "alignment_heads")  # CTranslate2 writes them for Whisper, and nobody else does
_TRANSLATES = re.compile(r"(tiny|base|small|medium|large)(-v[123])?(?![\w.]*en\b)")
_DOES_NOT = re.compile(r"turbo|distil|\.en\b")


def detect_transcribe(documents: Documents) -> Detected | None:
    config = documents.get("config.json")
    if is_ctranslate2_whisper(documents):
        translates = _can_translate(documents)
        return Detected(
            engine="whisper_transcribe",
            modality=Modality.AUDIO,
            summary="speech to text, on faster-whisper",
            capabilities={"transcribe": True} | ({"translate": True} if translates else {}),
            limits={"max_concurrency": 32},
        )
    if config.get("model_type") == "whisper" or "WhisperForConditionalGeneration" in architectures(config):
        raise NotServed(
            f"{documents.model} is a Whisper in transformers' format: take one for CTranslate2, such as"
            " Systran/faster-whisper-large-v3, or convert it with ct2-transformers-converter"
        )
    return None


def is_ctranslate2_whisper(documents: Documents) -> bool:
    config = documents.get("config.json")
    return (
        documents.has(CTRANSLATE2_MODEL)
        and any(key in config for key in _KEYS)
        and not (config.get("model_type") or architectures(config))
    )


def _can_translate(documents: Documents) -> bool:
    """The files do not say; the published names do. Turbo and distilled models were not trained to translate."""
    name = documents.model.rsplit("/", 1)[-1].lower()
    return bool(_TRANSLATES.search(name)) and not _DOES_NOT.search(name)
