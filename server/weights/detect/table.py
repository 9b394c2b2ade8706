"""The table of recognisers, tried in order: the more a kind says of itself in files of its own, the earlier."""

from collections.abc import Callable

from server.weights.detect.chat import detect_chat
from server.weights.detect.detected import Detected, architectures, as_text
from server.weights.detect.image import detect_image
from server.weights.detect.speech import detect_speech
from server.weights.detect.text import detect_embedding, detect_ranking
from server.weights.detect.transcribe import detect_transcribe
from server.weights.documents import Documents
from server.weights.problem import NotServed

Recogniser = Callable[[Documents], Detected | None]
RECOGNISERS: tuple[Recogniser, ...] = (
    detect_image,
    detect_transcribe,
    detect_speech,
    detect_ranking,
    detect_embedding,
    detect_chat,
)


def detect(documents: Documents) -> Detected:
    """How the model is served. Raises NotServed with the reason where it is not."""
    _refuse_other_formats(documents)
    for recognise in RECOGNISERS:
        if (found := recognise(documents)) is not None:
            return found
    config = documents.get("config.json")
    names = ", ".join(architectures(config)) or as_text(config.get("model_type"))
    what = f"its architecture {names[:200]!r}" if names else "a model without config.json"
    raise NotServed(f"{documents.model}: no engine serves {what}")


def _refuse_other_formats(documents: Documents) -> None:
    if documents.has("adapter_config.json") and not documents.has("config.json"):
        raise NotServed(f"{documents.model} is an adapter (LoRA); take a whole model")
    suffixes = {name.rsplit(".", 1)[-1].lower() for name in documents.sizes}
    if "gguf" in suffixes and not suffixes & {"safetensors", "bin"}:
        raise NotServed(f"{documents.model} is GGUF, which no engine serves; take the model with safetensors")
