"""One passage a call, to a file's bytes: `python -m benchmark.bare.speech WEIGHTS`; a call is `[text, format]`."""

import importlib.machinery
import importlib.util
import io
import sys
import types
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from safetensors.torch import load_file

from benchmark.bare.calls import answer_calls

# TTS refuses to start without a package that it does not need.
if importlib.util.find_spec("torchcodec") is None:
    sys.modules["torchcodec"] = types.ModuleType("torchcodec")
    sys.modules["torchcodec"].__spec__ = importlib.machinery.ModuleSpec("torchcodec", None)

from TTS.config import load_config
from TTS.tts.models import setup_model

_MP3_BITS_PER_S = 64_000  # as our engine


def main() -> None:
    model = _load(Path(sys.argv[1]))
    names = model.speaker_manager.speaker_names if model.speaker_manager else [None]
    rate_hz = int(model.config.audio["sample_rate"])

    def speak(call: list[str]) -> str:
        text, audio_format = call
        sound = model.synthesize(text, speaker=names[0], use_griffin_lim=True)["wav"]
        samples = (np.clip(np.asarray(sound), -1, 1) * 32767).astype("<i2")
        if audio_format == "mp3":
            _mp3(samples, rate_hz)
        return str(len(samples))

    answer_calls(speak, ["warm up.", "mp3"])


def _load(folder: Path) -> Any:
    model = setup_model(load_config(folder / "config.json"))
    weights = folder / "model.safetensors"
    if weights.exists():
        model.load_state_dict(load_file(weights))
    else:
        pickled = torch.load(folder / "model.pth", map_location="cpu", weights_only=True)
        model.load_state_dict(pickled["model"])
    return model.eval()


def _mp3(samples: np.ndarray, rate_hz: int) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp3") as file:
        stream = file.add_stream("libmp3lame", rate=rate_hz, layout="mono")
        stream.bit_rate = _MP3_BITS_PER_S
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return written.getvalue()


if __name__ == "__main__":
    main()
