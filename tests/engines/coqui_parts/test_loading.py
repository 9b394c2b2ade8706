"""Folders to models that speak, and what is refused; in the engines' Python, through `run_in_engines`."""
# ruff: noqa: E402 coqui-tts must be helped before it is imported

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="runs in the engines' Python")

from engines.coqui_parts.library import import_tts

import_tts()

import numpy as np
import torch

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.options import parse_options
from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.types import Modality
from engines.contract.weights import WeightsRefused, check_weights
from engines.coqui_parts.models import SpeechModel, Utterance, load_model
from tests.engines.coqui_parts.make_models import KINDS

VOICES = {"anna": {"speaker": "p1"}, "ben": {"speaker": "p2"}}
XTTS_VOICES = {"anna": {"reference": ["anna.wav"], "language": "en"}}
MakeModel = Callable[[str], Path]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Each kind is made once."""
    made: dict[str, Path] = {}

    def model(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("models") / kind
            torch.manual_seed(0)
            KINDS[kind](made[kind])
        return made[kind]

    return model


def load(folder: Path, *, accept_license: bool = False, **options: Any) -> SpeechModel:
    spec = BackendSpec(
        id="be_speech",
        engine="coqui_speech",
        modality=Modality.AUDIO,
        frontends=(Frontend("test/speech"),),
        weights=str(folder),
        licence="none",
        accept_license=accept_license,
        capabilities=Capabilities(synthesize=True),
        device="cpu",
        options=options,
    )
    parsed: Any = parse_options(spec.engine, spec.options)
    return load_model(spec, parsed, "cpu")


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(EngineError) as caught:
        load(folder, **options)
    assert caught.value.code is ErrorCode.VALIDATION_ERROR
    return caught.value.message


def pieces(model: SpeechModel, text: str, voice: str, **more: Any) -> list[int]:
    """Lengths of the pieces of sound."""
    utterance = Utterance(text, voice, "en", **({"speed": 1.0, "seed": 1} | more))
    return [len(sound) for sound in model.speak(utterance)]


@pytest.mark.parametrize(
    ("kind", "options", "voice"),
    [
        ("vits", {"voices": VOICES}, "ben"),
        ("vits_pickle", {"voices": VOICES}, "anna"),
        ("fast_pitch", {}, "default"),
        ("fast_pitch_with_vocoder", {"vocoder": "vocoder"}, "default"),
        ("glow", {}, "default"),
    ],
)
def test_models_speak_at_their_rate_with_any_speed(
    models: MakeModel, kind: str, options: dict[str, Any], voice: str
) -> None:
    model = load(models(kind), **options)

    plain, fast, short = (
        sum(pieces(model, text, voice, speed=speed))
        for text, speed in (("this is a sentence.", 1.0), ("this is a sentence.", 4.0), ("a", 1.0))
    )

    assert model.sample_rate_hz == 16000
    assert plain >= fast > 0
    assert short > 0


def test_griffin_lim_repeats_itself_with_a_seed(models: MakeModel) -> None:
    model = load(models("fast_pitch"))

    first, same, other = (
        np.concatenate(list(model.speak(Utterance("hello there.", "default", "en", 1.0, seed))))
        for seed in (1, 1, None)
    )

    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_pickle_is_let_through_only_by_its_hash(models: MakeModel) -> None:
    folder = models("vits_pickle")
    digest = hashlib.sha256((folder / "model.pth").read_bytes()).hexdigest()

    with pytest.raises(WeightsRefused, match=r"model\.pth"):
        check_weights(folder, {})
    check_weights(folder, {"model.pth": digest})


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"voices": {"anna": {"speaker": "p9"}}}, "p9"),
        ({}, "options.voices.default.speaker"),
        ({"voices": {"anna": {"reference": ["a.wav"]}}}, "only XTTS"),
        ({"voices": {"anna": {"speaker": "p1", "language": "de"}}}, "options.voices.anna.language"),
        ({"voices": VOICES, "vocoder": "../elsewhere"}, "within"),
        ({"voices": VOICES, "vocoder": "nowhere"}, "config.json"),
        ({"voices": VOICES, "checkpoint": "best.pth"}, "best.pth"),
    ],
)
def test_wrong_options_are_refused(models: MakeModel, options: dict[str, Any], word: str) -> None:
    assert word in refusal(models("vits"), **options)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": "bark"}, "bark"),
        ({"model": None}, "model"),
        ({"model": "nonsense"}, "config.json"),
        ({"characters": {"characters_class": "antigravity.Graphemes"}}, "characters_class"),
        ({"speakers_file": "https://example.org/speakers.json"}, "speakers.json"),
        ({"audio": {"stats_path": "/elsewhere/stats.npy"}}, "stats.npy"),
        ({"speakers": ["p1"]}, "weights do not fit"),
    ],
)
def test_configuration_that_cannot_be_trusted_or_used_is_refused(
    tmp_path: Path, models: MakeModel, change: dict[str, Any], word: str
) -> None:
    config = json.loads((models("vits") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    (tmp_path / "model.safetensors").symlink_to(models("vits") / "model.safetensors")

    assert word in refusal(tmp_path, voices={"anna": {"speaker": "p1"}})


def test_files_of_the_training_machine_are_looked_for_in_the_folder(
    tmp_path: Path, models: MakeModel
) -> None:
    config = json.loads((models("vits") / "config.json").read_text())
    config |= {"speakers": [], "speakers_file": "/data/training/speakers.json"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "speaker_ids.json").write_text('{"p1": 0, "p2": 1}')
    (tmp_path / "model.safetensors").symlink_to(models("vits") / "model.safetensors")

    model = load(tmp_path, voices=VOICES)

    assert sum(pieces(model, "hello there.", "ben")) > 0


def test_xtts_loads_only_with_its_licence_accepted(models: MakeModel) -> None:
    assert "accept_license: true" in refusal(models("xtts"), voices=XTTS_VOICES)


@pytest.mark.parametrize("reference", ["nothing.wav", "config.json"])
def test_xtts_refuses_a_reference_that_is_no_sound(models: MakeModel, reference: str) -> None:
    voices = {"anna": {"reference": [reference], "language": "en"}}

    told = refusal(models("xtts"), accept_license=True, voices=voices)

    assert f"options.voices.anna.reference {reference}" in told


def test_xtts_without_a_voice_is_refused(models: MakeModel) -> None:
    assert "options.voices.default needs" in refusal(models("xtts"), accept_license=True)


def test_xtts_takes_a_voice_from_a_file_and_gives_sound_within_a_sentence(models: MakeModel) -> None:
    model = load(models("xtts"), accept_license=True, voices=XTTS_VOICES, stream_tokens=10)

    first = pieces(model, "hello you", "anna")

    assert (model.sample_rate_hz, model.languages) == (24000, {"en": "en"})
    assert len(first) > 1
    assert pieces(model, "hello you", "anna") == first
    assert model.most_chars("en") == 250


def test_xtts_names_the_field_of_a_passage_with_too_many_tokens(models: MakeModel) -> None:
    model = load(models("xtts"), accept_license=True, voices=XTTS_VOICES)

    with pytest.raises(EngineError) as caught:
        model.reads("9,876,543,210,123 " * 13, "en")

    assert caught.value.field == "input"
