"""The shape of the starter speech model, in Coqui's configuration, and how its folder is written and read."""

from pathlib import Path

import torch
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.fast_pitch_config import FastPitchConfig
from TTS.tts.configs.forward_tts_config import ForwardTTSArgs
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.models.forward_tts import ForwardTTS

SAMPLE_RATE_HZ = 16000
HOP_LENGTH = 200
NUM_MELS = 100
WEIGHTS = "model.pth"
CONFIG = "config.json"
_NO_LIMIT = 2**31 - 1
"""Coqui's own is an infinity, which JSON cannot say."""

_CHARACTERS = CharactersConfig(
    characters_class="TTS.tts.utils.text.characters.Graphemes",
    pad="_",
    bos="^",
    eos="$",
    blank=None,
    characters="abcdefghijklmnopqrstuvwxyz",
    punctuations=" .,!?'",
    is_unique=True,
)
_AUDIO = BaseAudioConfig(
    sample_rate=SAMPLE_RATE_HZ,
    fft_size=1024,
    win_length=640,
    hop_length=HOP_LENGTH,
    num_mels=NUM_MELS,
    mel_fmin=0.0,
    mel_fmax=SAMPLE_RATE_HZ / 2,
    power=1.0,
    griffin_lim_iters=20,
    do_trim_silence=False,
    pitch_fmin=60.0,
    pitch_fmax=250.0,
)


def build_model(*, seed: int) -> ForwardTTS:
    """FastPitch with a transformer that reads and convolutions that draw the spectrogram.

    No positions are added, so that a sentence may be of any length, and no layer looks further than three
    places at once, so that it may be as short as one letter: Coqui's other encoders fail below three.
    """
    torch.manual_seed(seed)
    arguments = ForwardTTSArgs(
        out_channels=NUM_MELS,
        hidden_channels=128,
        use_aligner=False,
        positional_encoding=False,
        pitch_predictor_hidden_channels=128,
        duration_predictor_hidden_channels=128,
        detach_duration_predictor=False,
        encoder_type="fftransformer",
        encoder_params={"hidden_channels_ffn": 384, "num_heads": 2, "num_layers": 5, "dropout_p": 0.05},
        decoder_type="residual_conv_bn",
        decoder_params={"kernel_size": 3, "dilations": [1] * 9, "num_conv_blocks": 2, "num_res_blocks": 9},
    )
    config = FastPitchConfig(
        run_name="hearth-starter-speech",
        run_description="",
        model_args=arguments,
        audio=_AUDIO,
        characters=_CHARACTERS,
        use_phonemes=False,
        text_cleaner="english_cleaners",
        enable_eos_bos_chars=True,
        test_sentences=[],
        max_audio_len=_NO_LIMIT,
        max_text_len=_NO_LIMIT,
    )
    return ForwardTTS(config)


def save_model(model: ForwardTTS, folder: Path) -> None:
    """Numbers are kept in half precision, as half the size; loading makes them float32 again."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.half() if weight.is_floating_point() and "running" not in name else weight
        for name, weight in model.state_dict().items()
    }
    torch.save({"model": weights}, folder / WEIGHTS)
    model.config.save_json(str(folder / CONFIG))


def load_model(folder: Path) -> ForwardTTS:
    from TTS.config import load_config

    config = load_config(folder / CONFIG)
    model = ForwardTTS(config)
    model.load_checkpoint(config, checkpoint_path=folder / WEIGHTS, eval=True)
    return model
