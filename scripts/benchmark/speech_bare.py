"""The bare library, run by the engines' interpreter: sentences as JSON lines on stdin, seconds as JSON lines on stdout.

Knows nothing of ours but the files of a model.
"""

import importlib.machinery
import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import torch
from safetensors.torch import load_file

# TTS refuses to start without a package that it does not need.
if importlib.util.find_spec("torchcodec") is None:
    sys.modules["torchcodec"] = types.ModuleType("torchcodec")
    sys.modules["torchcodec"].__spec__ = importlib.machinery.ModuleSpec("torchcodec", None)

from TTS.config import load_config
from TTS.tts.models import setup_model


def main() -> None:
    folder = Path(sys.argv[1])
    model = setup_model(load_config(folder / "config.json"))
    weights = folder / "model.safetensors"
    if weights.exists():
        model.load_state_dict(load_file(weights))
    else:
        model.load_state_dict(
            torch.load(folder / "model.pth", map_location="cpu", weights_only=True)["model"]
        )
    model.eval()
    names = model.speaker_manager.speaker_names if model.speaker_manager else [None]
    model.synthesize("warm up.", speaker=names[0], use_griffin_lim=True)
    print("ready", flush=True)
    for line in sys.stdin:
        latencies = []
        for text in json.loads(line):
            begun_at = time.perf_counter()
            model.synthesize(text, speaker=names[0], use_griffin_lim=True)
            latencies.append(time.perf_counter() - begun_at)
        print(json.dumps(latencies), flush=True)


if __name__ == "__main__":
    main()
