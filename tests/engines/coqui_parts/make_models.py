"""Writes tiny models of coqui-tts with random weights; run by the engines' Python.

python -m tests.engines.coqui_parts.make_models KIND FOLDER
"""
# ruff: noqa: E402 coqui-tts must be helped before it is imported

import argparse
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from engines.coqui_parts.library import import_tts

import_tts()

from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PUNCTUATION = "!'(),-.:;? "
SPEAKERS = ("p1", "p2")


def vits(folder: Path, *, as_pickle: bool = False, hidden: int = 16, decoder_channels: int = 32) -> None:
    """Two speakers, 16 kHz. As a pickle with a discriminator, as training leaves it."""
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits, VitsArgs

    arguments = VitsArgs(
        hidden_channels=hidden,
        num_layers_text_encoder=1,
        hidden_channels_ffn_text_encoder=2 * hidden,
        num_heads_text_encoder=2,
        kernel_size_posterior_encoder=3,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        upsample_initial_channel_decoder=decoder_channels,
        use_sdp=False,
        init_discriminator=False,
        use_speaker_embedding=True,
    )
    config = VitsConfig(
        model_args=arguments,
        audio=BaseAudioConfig(
            sample_rate=16000,
            num_mels=80,
            fft_size=1024,
            win_length=1024,
            hop_length=256,
            mel_fmin=0,
            mel_fmax=None,
            do_trim_silence=False,
        ),
        use_phonemes=False,
        text_cleaner="basic_cleaners",
        speakers=list(SPEAKERS),
        characters=_characters("TTS.tts.models.vits.VitsCharacters", blank="_"),
        test_sentences=[],
    )
    model = Vits(config)
    _save(model, folder, as_pickle=as_pickle, more={"disc.weight": torch.zeros(1)} if as_pickle else {})


def fast_pitch(folder: Path) -> None:
    """One speaker, 16 kHz, for Griffin-Lim; a frame of 12.5 ms for each letter."""
    from TTS.tts.configs.fast_pitch_config import FastPitchConfig
    from TTS.tts.configs.forward_tts_config import ForwardTTSArgs
    from TTS.tts.models.forward_tts import ForwardTTS

    arguments = ForwardTTSArgs(
        out_channels=40,
        hidden_channels=16,
        use_aligner=False,
        positional_encoding=False,
        pitch_predictor_hidden_channels=16,
        duration_predictor_hidden_channels=16,
        encoder_type="residual_conv_bn",
        encoder_params={"kernel_size": 3, "dilations": [1], "num_conv_blocks": 1, "num_res_blocks": 1},
        decoder_type="residual_conv_bn",
        decoder_params={"kernel_size": 3, "dilations": [1], "num_conv_blocks": 1, "num_res_blocks": 1},
    )
    config = FastPitchConfig(
        model_args=arguments,
        audio=_audio(num_mels=40),
        characters=_characters("TTS.tts.utils.text.characters.Graphemes", bos="^", eos="$", blank=None),
        use_phonemes=False,
        text_cleaner="english_cleaners",
        enable_eos_bos_chars=True,
        test_sentences=[],
    )
    model = ForwardTTS(config)
    with torch.no_grad():  # about five frames a letter
        model.duration_predictor.proj.bias.fill_(1.8)
    _save(model, folder)


def fast_pitch_with_vocoder(folder: Path) -> None:
    """A HiFi-GAN in `vocoder/`."""
    from TTS.vocoder.configs import HifiganConfig
    from TTS.vocoder.models.gan import GAN

    fast_pitch(folder)
    generator = {
        "upsample_factors": [10, 5, 4],
        "upsample_kernel_sizes": [20, 10, 8],
        "upsample_initial_channel": 16,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 3, 5]],
        "resblock_type": "1",
    }
    config = HifiganConfig(audio=_audio(num_mels=40), generator_model_params=generator)
    model = GAN(config)
    model.model_d = None
    _save(model, folder / "vocoder", config=config)


def glow(folder: Path) -> None:
    from TTS.tts.configs.glow_tts_config import GlowTTSConfig
    from TTS.tts.models.glow_tts import GlowTTS

    config = GlowTTSConfig(
        use_phonemes=False,
        text_cleaner="basic_cleaners",
        audio=_audio(num_mels=80),
        characters=_characters("TTS.tts.utils.text.characters.Graphemes", blank=None),
        test_sentences=[],
    )
    _save(GlowTTS(config), folder)


def xtts(folder: Path) -> None:
    """A GPT of two layers; the decoder has a fixed size, 90 MB. With a sound file to clone a voice from."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts

    folder.mkdir(parents=True, exist_ok=True)
    special = ["[STOP]", "[UNK]", "[SPACE]", "[en]", "[START]"]
    vocabulary = {token: number for number, token in enumerate([*special, *LETTERS, *"'.,?!-"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "vocab.json"))
    arguments = XttsArgs(
        gpt_layers=2,
        gpt_n_model_channels=64,
        gpt_n_heads=2,
        gpt_num_audio_tokens=130,
        gpt_start_audio_token=128,
        gpt_stop_audio_token=129,
        decoder_input_dim=64,
        gpt_max_audio_tokens=60,
        gpt_use_perceiver_resampler=True,
        tokenizer_file="/somewhere/else/vocab.json",
    )
    config = XttsConfig(model_args=arguments, languages=["en"])
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    _save(model, folder, config=config)
    _save_hum(folder / "anna.wav", seconds=2.0)


def _characters(kind: str, *, bos: str = "", eos: str = "", blank: str | None) -> CharactersConfig:
    return CharactersConfig(
        characters_class=kind,
        pad="_",
        eos=eos,
        bos=bos,
        blank=blank,
        characters=LETTERS,
        punctuations=PUNCTUATION,
        phonemes=None,
    )


def _audio(num_mels: int) -> BaseAudioConfig:
    return BaseAudioConfig(
        sample_rate=16000,
        num_mels=num_mels,
        fft_size=1024,
        win_length=640,
        hop_length=200,
        mel_fmin=0,
        mel_fmax=8000,
        griffin_lim_iters=10,
        do_trim_silence=False,
    )


def _save(
    model: Any,
    folder: Path,
    *,
    config: Any = None,
    as_pickle: bool = False,
    more: dict[str, torch.Tensor] | None = None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()} | (
        more or {}
    )
    (config or model.config).save_json(str(folder / "config.json"))
    if as_pickle:
        torch.save({"model": weights, "step": 3}, folder / "model.pth")
    else:
        save_file(weights, folder / "model.safetensors")


def _save_hum(path: Path, seconds: float) -> None:
    times = np.arange(int(22050 * seconds)) / 22050
    samples = (8000 * np.sin(2 * np.pi * 140 * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(samples.tobytes())


KINDS: dict[str, Callable[[Path], None]] = {
    "vits": vits,
    "vits_pickle": lambda folder: vits(folder, as_pickle=True),
    "fast_pitch": fast_pitch,
    "fast_pitch_with_vocoder": fast_pitch_with_vocoder,
    "glow": glow,
    "xtts": xtts,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    KINDS[given.kind](given.folder)


if __name__ == "__main__":
    main()
