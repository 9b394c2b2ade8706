"""XTTS: takes on the voice of a sound file and gives sound while it still speaks a passage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts as CoquiXtts

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.coqui_parts.folder import load_into, read_pickle, read_weights, refused
from engines.coqui_parts.models import Sound, Utterance, as_sound, check_voice_languages, sow
from engines.coqui_parts.options import Options
from engines.coqui_parts.references import read_reference

_LICENCE = "XTTS is under the Coqui Public Model License (non-commercial, outputs too)"
_TRAINING_KEYS = ("torch_mel_spectrogram_style_encoder.", "torch_mel_spectrogram_dvae.", "dvae.")
_REFERENCE_RATE_HZ = 22050
_SPEAKERS = "speakers_xtts.pth"


class Latents(NamedTuple):
    """A voice as the model hears it."""

    gpt: torch.Tensor
    speaker: torch.Tensor


class Xtts:
    """A `SpeechModel`. Voices are computed once, when it loads."""

    def __init__(self, model: Any, voices: dict[str, Latents], options: Options) -> None:
        self._model = model
        self._voices = voices
        self._options = options
        config = model.config
        self.sample_rate_hz = int(config.model_args.output_sample_rate)
        self.languages = {name.split("-")[0]: name for name in config.languages}
        self.languages |= {name: name for name in config.languages}
        self._drawing = {
            name: config[name]
            for name in ("temperature", "length_penalty", "repetition_penalty", "top_k", "top_p")
        }

    @classmethod
    def load(cls, spec: BackendSpec, options: Options, config: Any, device: str) -> "Xtts":
        """Raises EngineError(VALIDATION_ERROR), also where the licence is not accepted."""
        if not spec.accept_license:
            raise refused(f"{_LICENCE}: read it, then set `accept_license: true` in the backend's file")
        folder = Path(spec.weights)
        model = _build(folder, config)
        weights = {
            name.removeprefix("xtts."): tensor
            for name, tensor in read_weights(folder, options.checkpoint).items()
        }
        load_into(model, weights, without=_TRAINING_KEYS)
        model.eval()  # also makes the GPT ready, with a key-value cache
        model.to(device)
        loaded = cls(model, _compute_voices(model, folder, options), options)
        check_voice_languages(options, loaded.languages)
        return loaded

    def most_chars(self, language: str) -> int:
        limits = self._model.tokenizer.char_limits
        return min(self._options.max_sentence_chars, limits.get(language.split("-")[0], 250))

    def reads(self, text: str, language: str) -> bool:
        try:
            tokens = self._model.tokenizer.encode(text.lower(), lang=language)
        except ImportError as error:
            raise EngineError(
                ErrorCode.VALIDATION_ERROR, "needs a package that is not installed here", field="language"
            ) from error
        if len(tokens) >= self._model.args.gpt_max_text_tokens:
            message = "has a passage that is too long to speak at once: put commas or full stops into it"
            raise EngineError(ErrorCode.VALIDATION_ERROR, message, field="input")
        return True

    def move(self, device: str) -> None:
        self._model.to(device)
        self._voices = {
            name: Latents(voice.gpt.to(device), voice.speaker.to(device))
            for name, voice in self._voices.items()
        }

    def speak(self, utterance: Utterance) -> Iterator[Sound]:
        sow(utterance.seed)
        voice = self._voices[utterance.voice]
        pieces = self._model.inference_stream(
            utterance.text,
            utterance.language,
            voice.gpt,
            voice.speaker,
            stream_chunk_size=self._options.stream_tokens,
            speed=utterance.speed,
            **self._drawing,
        )
        for piece in pieces:
            yield as_sound(piece)


def _build(folder: Path, config: Any) -> Any:
    vocabulary = folder / "vocab.json"
    if not vocabulary.is_file():
        raise refused(f"there is no vocab.json in {folder}")
    try:
        model = CoquiXtts(config)
        model.tokenizer = VoiceBpeTokenizer(vocab_file=str(vocabulary))
        model.init_models()
    except (ImportError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise refused(f"coqui-tts cannot build the model of config.json ({type(error).__name__})") from error
    return model


def _compute_voices(model: Any, folder: Path, options: Options) -> dict[str, Latents]:
    file = folder / _SPEAKERS
    known = read_pickle(file) if file.is_file() else {}
    voices = {}
    for name, voice in options.all_voices.items():
        if voice.reference:
            voices[name] = _clone(model, [_reference(folder, path, name) for path in voice.reference])
        elif voice.speaker in known:
            latents = known[voice.speaker]
            voices[name] = Latents(latents["gpt_cond_latent"], latents["speaker_embedding"])
        else:
            raise refused(
                f"options.voices.{name} needs `reference` files, or as `speaker` one of {_SPEAKERS}"
                f" ({len(known)} found)"
            )
    return voices


def _reference(folder: Path, path: str, voice: str) -> torch.Tensor:
    try:
        return torch.from_numpy(read_reference(folder / path, _REFERENCE_RATE_HZ))[None]
    except ValueError as error:
        raise refused(f"options.voices.{voice}.reference {path}: {error}") from error


def _clone(model: Any, references: list[torch.Tensor]) -> Latents:
    """As the library's `get_conditioning_latents`, which would need torchcodec to read files."""
    config = model.config
    longest = _REFERENCE_RATE_HZ * int(config.max_ref_len)
    heard = [reference[:, :longest].to(model.device) for reference in references]
    speakers = [model.get_speaker_embedding(sound, _REFERENCE_RATE_HZ) for sound in heard]
    gpt = model.get_gpt_cond_latents(
        torch.cat(heard, dim=-1),
        _REFERENCE_RATE_HZ,
        length=config.gpt_cond_len,
        chunk_length=config.gpt_cond_chunk_len,
    )
    return Latents(gpt, torch.stack(speakers).mean(dim=0))
