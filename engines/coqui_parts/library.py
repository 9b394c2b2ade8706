"""Imports coqui-tts, which asks for a package that it does not need here."""

import importlib.machinery
import importlib.util
import sys
import types

_ASKED_FOR = "torchcodec"


def import_tts() -> None:
    """Import `TTS`, also where torchcodec is missing; call it before anything of `TTS` is imported.

    TTS refuses to start unless it finds torchcodec, and uses it only to read sound files, which PyAV does here; its
    libraries want CUDA and would break vLLM's import. A stand-in must not stay: transformers would ask for its version.
    """
    if importlib.util.find_spec(_ASKED_FOR) is not None:
        import TTS

        return
    stand_in = types.ModuleType(_ASKED_FOR)
    stand_in.__spec__ = importlib.machinery.ModuleSpec(_ASKED_FOR, None)
    sys.modules[_ASKED_FOR] = stand_in
    try:
        import TTS  # noqa: F401
    finally:
        del sys.modules[_ASKED_FOR]
