"""Models that speak a whole passage at once (VITS, FastPitch and its kin, GlowTTS), with a vocoder or Griffin-Lim."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from TTS.tts.models import setup_model

from engines.contract.spec import BackendSpec
from engines.coqui_parts.folder import load_into, model_name, read_weights, refused
from engines.coqui_parts.models import Sound, Utterance, as_sound, check_voice_languages, sow
from engines.coqui_parts.options import Options
from engines.coqui_parts.vocoder import Vocoder

_SHORT_CHARS = 16
_FILLER = " ..."


class WholeModel:
    """A `SpeechModel`; speed is the model's own length scale."""

    def __init__(self, model: Any, vocoder: Vocoder | None, options: Options) -> None:
        self._model = model
        self._vocoder = vocoder
        self._options = options
        self._length_scale = float(model.length_scale)
        self._vocabulary = frozenset(model.tokenizer.characters.vocab)
        own = model.language_manager.language_names
        self.languages = {name.split("-")[0]: name for name in own} | {name: name for name in own}
        audio = model.config.audio
        own_rate_hz = int(audio.get("output_sample_rate") or audio["sample_rate"])
        self.sample_rate_hz = own_rate_hz if vocoder is None else vocoder.sample_rate_hz

    @classmethod
    def load(cls, spec: BackendSpec, options: Options, config: Any, device: str) -> "WholeModel":
        folder = Path(spec.weights)
        if model_name(config) == "vits":
            config.model_args.init_discriminator = False  # 190 MB that only training needs
        model = _build(config)
        load_into(model, read_weights(folder, options.checkpoint), without=("disc.", "speaker_encoder."))
        model.eval()
        if hasattr(model, "store_inverse"):
            model.store_inverse()
        model.to(device)
        _check_voices(model, options)
        vocoder = None if options.vocoder is None else Vocoder.load(folder, options.vocoder, device)
        loaded = cls(model, vocoder, options)
        check_voice_languages(options, loaded.languages)
        return loaded

    def most_chars(self, language: str) -> int:
        return self._options.max_sentence_chars

    def reads(self, text: str, language: str) -> bool:
        tokenizer = self._model.tokenizer
        if tokenizer.use_phonemes:
            return True  # which sounds a text has is known only when the phonemizer has read it
        cleaned = (
            tokenizer.text_cleaner(text, lang=language.split("-")[0]) if tokenizer.text_cleaner else text
        )
        return any(char.isalnum() and char in self._vocabulary for char in cleaned)

    def move(self, device: str) -> None:
        self._model.to(device)
        if self._vocoder is not None:
            self._vocoder.move(device)

    def speak(self, utterance: Utterance) -> Iterator[Sound]:
        sow(utterance.seed)
        self._model.length_scale = self._length_scale / utterance.speed
        try:
            made = self._synthesize(utterance.text, utterance)
        except RuntimeError:  # a word can be shorter than a convolution of the model
            if len(utterance.text) > _SHORT_CHARS:
                raise
            made = self._synthesize(utterance.text + _FILLER, utterance)
        yield self._sound(made)

    def _synthesize(self, text: str, utterance: Utterance) -> Any:
        return self._model.synthesize(
            text,
            speaker=self._options.all_voices[utterance.voice].speaker,
            language=utterance.language,
            use_griffin_lim=self._vocoder is None,
        )

    def _sound(self, made: Any) -> Sound:
        if self._vocoder is None:
            sound = as_sound(made["wav"])
        else:
            sound = as_sound(self._vocoder.speak(self._model.ap, made["outputs"]["model_outputs"][0]))
        is_trimmed = self._model.config.audio.get("do_trim_silence")
        return sound[: self._model.ap.find_endpoint(sound)] if is_trimmed else sound


def _build(config: Any) -> Any:
    try:
        return setup_model(config)
    except FileNotFoundError as error:
        raise refused("this model reads phonemes: install the program espeak-ng") from error
    except (ImportError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise refused(f"coqui-tts cannot build the model of config.json ({type(error).__name__})") from error


def _check_voices(model: Any, options: Options) -> None:
    names = [] if model.speaker_manager is None else list(model.speaker_manager.speaker_names)
    for name, voice in options.all_voices.items():
        if voice.reference:
            raise refused(f"options.voices.{name}.reference: only XTTS takes on the voice of a file")
        if voice.speaker is None and len(names) > 1:
            raise refused(f"options.voices.{name}.speaker must be one of {', '.join(names[:20])} ...")
        if voice.speaker is not None and voice.speaker not in names:
            known = ", ".join(names[:20]) or "none"
            raise refused(
                f"options.voices.{name}.speaker `{voice.speaker}` is unknown; the model has {known}"
            )
