"""The starter transcriber's windows, targets, folder and training script; needs the engines' environment.

Sentences are beeps here, so that espeak-ng need not be installed.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch", reason="needs the engines' environment")
pytest.importorskip("faster_whisper", reason="needs the engines' environment")

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from starter_transcribe import sounds  # noqa: E402
from starter_transcribe.batches import IGNORED, WHOLE_FRAMES, Batch, BatchMaker  # noqa: E402
from starter_transcribe.clips import Clip, Clips  # noqa: E402
from starter_transcribe.evaluate import load, num_word_errors, transcribe  # noqa: E402
from starter_transcribe.export import Run, export, load_state, save_state, size_bytes  # noqa: E402
from starter_transcribe.model import Transcriber  # noqa: E402
from starter_transcribe.recordings import Recording  # noqa: E402
from starter_transcribe.tokenizer import LANGUAGES, SPECIAL, build_tokenizer  # noqa: E402
from starter_transcribe.training import train  # noqa: E402
from starter_transcribe.windows import Mixer, Spoken, Window  # noqa: E402
from starter_voice.sentences import draw_sentence  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer(num_sentences=2000)


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Forty beeps of half a second to two seconds that claim to be sentences."""
    rng = Random(0)
    listed, parts, start = [], [], 0
    for index in range(40):
        sentence = draw_sentence(rng, "de" if index % 4 == 0 else "en", held_out=False)
        times = np.arange(rng.randint(8000, 32000)) / sounds.SAMPLE_RATE_HZ
        beep = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 2000) * times)
        listed.append(Clip(sentence.text, sentence.language, start, len(beep)))
        parts.append((beep * 32767).astype(np.int16))
        start += len(beep)
    return Clips(listed, np.concatenate(parts))


@pytest.fixture
def mixer(clips: Clips) -> Mixer:
    return Mixer(clips, Random(0))


def make_batch(tokenizer: Tokenizer, mixer: Mixer, *windows: Window, num_frames: int | None = None) -> Batch:
    maker = BatchMaker(tokenizer, mixer, Random(0))
    return maker.make(list(windows), with_previous=False, num_frames=num_frames, masks=False)


def silence(seconds: float) -> sounds.Samples:
    return np.zeros(int(seconds * sounds.SAMPLE_RATE_HZ), np.float32)


def targets(tokenizer: Tokenizer, mixer: Mixer, window: Window) -> set[str]:
    """What a window may be trained to become, labels alone, over some draws of its form."""
    maker, found = BatchMaker(tokenizer, mixer, Random(0)), set()
    for _ in range(20):
        batch = maker.make([window], with_previous=False, num_frames=None, masks=False)
        labels = [label for label in batch.labels[0].tolist() if label != IGNORED]
        found.add("".join(tokenizer.id_to_token(label).replace("Ġ", " ") for label in labels))
    return found


def test_known_words_are_one_token_and_anything_survives(tokenizer: Tokenizer) -> None:
    rng = Random(5)
    texts = [draw_sentence(rng, language, held_out=True).text for language in ("en", "de") for _ in range(50)]
    words = {word for text in texts for word in text.split()}

    assert {word for word in words if len(tokenizer.encode(f" {word}").ids) != 1} == set()
    assert tokenizer.decode(tokenizer.encode(" Grüße, 99 Öl!").ids) == " Grüße, 99 Öl!"


def test_special_tokens_lie_in_whispers_order(tokenizer: Tokenizer) -> None:
    first = tokenizer.token_to_id(SPECIAL[0])

    placed = [tokenizer.id_to_token(first + index) for index in range(len(SPECIAL) + 2)]

    assert placed == [*SPECIAL, "<|0.00|>", "<|0.02|>"]
    assert tokenizer.id_to_token(tokenizer.get_vocab_size() - 1) == "<|30.00|>"


def test_sentences_lie_where_the_window_says(clips: Clips, mixer: Mixer) -> None:
    """Beeps are louder than any noise that a window is given."""
    for _ in range(30):
        window = mixer.draw_speech(3)
        loudest = np.abs(window.samples).max()

        assert 1 <= len(window.spoken) <= 3
        assert all(a.end_s <= b.start_s for a, b in zip(window.spoken, window.spoken[1:], strict=False))
        for spoken in window.spoken:
            start, end = (round(at * sounds.SAMPLE_RATE_HZ) for at in (spoken.start_s, spoken.end_s))
            assert np.abs(window.samples[start:end]).max() > 0.5 * loudest


def test_full_window_ends_in_the_middle_of_a_sentence_or_between_two(mixer: Mixer) -> None:
    windows = [mixer.draw_full_speech() for _ in range(20)]

    cut_off = [window for window in windows if window.cut_off_s is not None]
    assert {len(window.samples) for window in windows} == {30 * sounds.SAMPLE_RATE_HZ}
    assert 0 < len(cut_off) < len(windows)
    assert all(window.spoken[-1].end_s < window.cut_off_s < 29.5 for window in cut_off)


def test_targets_give_each_sentence_its_times(tokenizer: Tokenizer, mixer: Mixer) -> None:
    """A first sentence begins within a second, as faster-whisper demands."""
    window = Window(silence(6), "en", [Spoken("hello anna", 1.5, 2.5), Spoken("good night", 3, 4.01)])

    found = targets(tokenizer, mixer, window)

    assert found == {
        "<|en|> hello anna good night<|endoftext|>",
        "<|en|><|1.00|> hello anna<|2.50|><|3.00|> good night<|4.00|><|endoftext|>",
    }


def test_targets_leave_a_cut_off_sentence_to_the_next_window(tokenizer: Tokenizer, mixer: Mixer) -> None:
    window = Window(silence(30), "de", [Spoken("guten tag", 0.5, 2)], cut_off_s=29)

    assert targets(tokenizer, mixer, window) == {"<|de|><|0.50|> guten tag<|2.00|><|29.00|><|endoftext|>"}


def test_nothing_is_written_where_nothing_is_said(tokenizer: Tokenizer, mixer: Mixer) -> None:
    found = targets(tokenizer, mixer, Window(silence(2), None))

    assert found == {"<|nospeech|><|endoftext|>", "<|nospeech|><|0.00|><|endoftext|>"}


def test_padding_is_zero_and_unlike_silence(tokenizer: Tokenizer, mixer: Mixer) -> None:
    batch = make_batch(tokenizer, mixer, Window(silence(1), None), num_frames=WHOLE_FRAMES)

    assert batch.features.shape == (1, 80, WHOLE_FRAMES)
    assert torch.allclose(batch.features[..., :100], torch.tensor(-1.5))
    assert torch.equal(batch.features[..., 100:], torch.zeros(1, 80, WHOLE_FRAMES - 100))


def test_encoder_agrees_with_the_library(tokenizer: Tokenizer, mixer: Mixer) -> None:
    model = Transcriber(tokenizer, seed=0).eval()
    batch = make_batch(tokenizer, mixer, mixer.draw_speech(2), num_frames=WHOLE_FRAMES)

    with torch.no_grad():
        ours = model.encode(batch.features)
        theirs = model.whisper.model.encoder(batch.features).last_hidden_state

    assert torch.allclose(ours, theirs, atol=1e-5)


def test_vocoder_and_telephone_keep_length_and_loudness() -> None:
    times = np.arange(22050) / 22050
    voice = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)

    vocoded = sounds.through_griffin_lim(
        voice, np.random.default_rng(0), highest_hz=8000, num_iterations=3, power=1.0, blur=0.3
    )

    assert abs(len(vocoded) - len(voice)) < sounds.VOCODER_HOP
    assert float(np.abs(vocoded).max()) == pytest.approx(0.5, abs=0.01)
    assert len(sounds.resampled(voice)) == 16000
    assert len(sounds.through_telephone(sounds.resampled(voice))) == 16000


def test_mp3_gives_the_sound_back() -> None:
    times = np.arange(16000) / 16000
    samples = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)

    decoded = sounds.through_mp3(samples)

    assert abs(len(decoded) - len(samples)) < 4000
    assert float(np.abs(decoded).max()) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("expected", "actual", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a x c", 1), ("a b c", "a c", 1), ("", "a b", 2), ("a b", "b a", 2)],
)
def test_word_errors(expected: str, actual: str, errors: int) -> None:
    assert num_word_errors(expected.split(), actual.split()) == errors


def test_state_comes_back_with_its_history(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = Run("python x.py", seed=7, steps=10, sentences=100, elapsed_s=60.0, cpu_s=30.0)
    saved, loaded = Transcriber(tokenizer, seed=0), Transcriber(tokenizer, seed=1)
    save_state(saved, tmp_path, [run])

    runs = load_state(loaded, tmp_path)

    assert runs == [run]
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), loaded.parameters(), strict=True))


def test_training_goes_through_every_phase_and_its_folder_transcribes(
    tokenizer: Tokenizer, clips: Clips, tmp_path: Path
) -> None:
    """What it writes after three steps means nothing; that faster-whisper takes the folder does."""
    model = Transcriber(tokenizer, seed=0)
    progress = train(
        model,
        tokenizer,
        clips,
        steps=3,
        seed=0,
        is_fresh=True,
        on_checkpoint=lambda progress: None,
        checkpoint_minutes=60,
    )

    export(model, tokenizer, tmp_path)

    whisper = load(tmp_path)
    sound = Recording(np.sin(np.arange(16000) / 10).astype(np.float32), "", "en")
    _, language = transcribe(whisper, sound, word_timestamps=True, max_new_tokens=5)
    assert progress.steps == 3
    assert whisper.model.is_multilingual
    assert language in LANGUAGES
    assert size_bytes(tmp_path) < 6_000_000
    assert {file.name for file in tmp_path.iterdir()} == {
        "config.json",
        "model.bin",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocabulary.json",
    }


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_script_writes_a_folder_with_a_card(tmp_path: Path) -> None:
    folder, clips = tmp_path / "transcribe", tmp_path / "clips"
    script = [sys.executable, str(SCRIPTS / "train_starter_transcribe.py"), "--out", str(folder)]
    script += ["--steps", "2", "--num-clips", "40", "--clips", str(clips), "--checkpoints", str(clips)]

    subprocess.run([*script, "--share", "0.001"], check=True, timeout=500, cwd=tmp_path, capture_output=True)

    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "Seed 0, 2 steps," in card
    assert len(json.loads((folder / "config.json").read_text())["alignment_heads"]) == 1
