"""A vocoder of coqui-tts: spectrograms of one model to sound, its own normalisation in between."""

from pathlib import Path
from typing import Any

import torch
from TTS.utils.audio import AudioProcessor
from TTS.vocoder.models import setup_model
from TTS.vocoder.utils.generic_utils import interpolate_vocoder_input

from engines.coqui_parts.folder import inside, load_into, read_config, read_weights, refused


class Vocoder:
    def __init__(self, model: Any, config: Any, device: str) -> None:
        self._model = model
        self._audio = AudioProcessor(config.audio)
        self._device = device
        self.sample_rate_hz = int(config.audio["sample_rate"])

    @classmethod
    def load(cls, folder: Path, name: str, device: str) -> "Vocoder":
        """The vocoder in the folder `name` below `folder`. Raises EngineError(VALIDATION_ERROR)."""
        place = inside(folder, name)
        config = read_config(place)
        try:
            model = setup_model(config)
        except (ImportError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise refused(f"coqui-tts cannot build the vocoder in {name} ({type(error).__name__})") from error
        model.model_d = None  # the discriminator, which only training needs
        load_into(model, read_weights(place, None), without=("model_d.",))
        model.eval()
        if hasattr(model.model_g, "remove_weight_norm"):
            model.model_g.remove_weight_norm()
        return cls(model.to(device), config, device)

    def move(self, device: str) -> None:
        self._model.to(device)
        self._device = device

    def speak(self, audio: Any, spectrogram: torch.Tensor) -> torch.Tensor:
        """Sound of a spectrogram `(frames, mels)` that was normalised by `audio`, the model's AudioProcessor."""
        plain = audio.denormalize(spectrogram.detach().float().cpu().numpy().T)
        own = self._audio.normalize(plain)
        scale = [1, self.sample_rate_hz / audio.sample_rate]
        batch = torch.tensor(own).unsqueeze(0) if scale[1] == 1 else interpolate_vocoder_input(scale, own)
        return self._model.inference(batch.to(self._device))
