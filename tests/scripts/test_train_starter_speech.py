"""The starter speech model's texts, timing and training script; needs the engines' environment."""

import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch", reason="needs the engines' environment")
pytest.importorskip("torchaudio", reason="needs the engines' environment")

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import numpy as np  # noqa: E402
from starter_speech import texts, words  # noqa: E402
from starter_speech.alignment import Aligner  # noqa: E402
from starter_speech.batches import collate, draw_batches  # noqa: E402
from starter_speech.card import Facts, describe_training, read_training, write_card  # noqa: E402
from starter_speech.evaluate import Likeness, Speed, Understanding, count_word_errors, speak  # noqa: E402
from starter_speech.examples import OTHER_SOUND, Example, spread_frames  # noqa: E402
from starter_speech.model import NUM_MELS, build_model, load_model, save_model  # noqa: E402
from starter_speech.pitch import LOWEST_HZ, find_pitch  # noqa: E402
from starter_speech.timing import Timed, split_groups, time_characters  # noqa: E402
from starter_speech.training import Progress, train  # noqa: E402
from starter_speech.voice import Mark, Spoken  # noqa: E402
from starter_voice.sentences import is_held_out  # noqa: E402
from TTS.tts.models.forward_tts import ForwardTTS  # noqa: E402
from TTS.tts.utils.text.cleaners import english_cleaners  # noqa: E402
from TTS.utils.synthesizer import Synthesizer  # noqa: E402

PAIRS = [
    *[("tip", ("t", "I", "p")), ("pit", ("p", "I", "t")), ("it", ("I", "t")), ("tap", ("t", "a", "p"))] * 5,
    *[
        ("ship", ("S", "I", "p")),
        ("hat", ("h", "a", "t")),
        ("sat", ("s", "a", "t")),
        ("six", ("s", "I", "k", "s")),
    ],
]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")


@pytest.fixture(scope="module")
def model() -> ForwardTTS:
    """Untrained, so that its speech means nothing."""
    return build_model(seed=0).eval()


def example(num_ids: int, num_frames: int) -> Example:
    rng = np.random.default_rng(num_frames)
    return Example(
        text="",
        ids=[1] * num_ids,
        durations=spread_frames(list(range(num_ids)), num_frames),
        sounds=[0] * num_ids,
        mel=rng.normal(size=(num_frames, NUM_MELS)).astype(np.float32),
        pitch=np.zeros(num_frames, np.float32),
    )


def test_texts_depend_on_the_seed_alone_and_are_never_held_out() -> None:
    first, second = Random(3), Random(3)

    drawn = [texts.draw_text(first) for _ in range(2000)]

    assert drawn == [texts.draw_text(second) for _ in range(2000)]
    assert not any(is_held_out(text.rstrip(".,!?").replace(",", "")) for text in drawn)


def test_texts_hold_what_the_model_can_spell(model: ForwardTTS) -> None:
    rng = Random(4)

    drawn = [texts.draw_text(rng) for _ in range(500)]

    assert [model.tokenizer.decode(model.tokenizer.text_to_ids(text)[1:-1]) for text in drawn] == [
        english_cleaners(text) for text in drawn
    ]
    assert model.tokenizer.not_found_characters == []


def test_words_are_spelled_with_letters_and_apostrophes() -> None:
    assert [word for word in words.ALL_WORDS if not word.replace("'", "").isalpha()] == []


def test_aligner_finds_silent_letters_and_letters_of_two_sounds() -> None:
    aligner = Aligner(PAIRS)

    assert aligner.align(("tip", ("t", "I", "p"))) == [1, 1, 1]
    assert aligner.align(("six", ("s", "I", "k", "s"))) == [1, 1, 2]
    assert sum(aligner.align(("ship", ("S", "I", "p"))) or ()) == 3
    assert aligner.align(("a", ("t",) * 5)) is None


def test_characters_are_timed_by_the_phonemes_they_make() -> None:
    """espeak-ng marks the space before a sentence's first word when it is not the text's first."""
    marks = (
        Mark("word", "", 0, 0),
        *(Mark("phoneme", name, sample, 0) for name, sample in (("t", 0), ("I", 40), ("p", 100))),
        Mark("phoneme", "_:", 150, 3),
        Mark("word", "", 300, 4),
        *(Mark("phoneme", name, sample, 4) for name, sample in (("I", 300), ("t", 350))),
    )

    groups = split_groups("tip. it.", Spoken(np.zeros(400, np.float32), marks))

    assert [(group.spelling, group.gap) for group in groups] == [("tip", ". "), ("it", ".")]
    assert time_characters(groups, Aligner(PAIRS), 400) == Timed(
        starts=[0, 40, 100, 150, 300, 300, 350, 400], sounds=["t", "I", "p", "_", "_", "I", "t", "_"]
    )


def test_words_run_together_are_one_group() -> None:
    marks = (
        Mark("word", "", 0, 0),
        *(Mark("phoneme", name, sample, 0) for name, sample in (("I", 0), ("t", 9), ("a", 20), ("t", 30))),
    )

    groups = split_groups("it at", Spoken(np.zeros(40, np.float32), marks))

    assert [(group.spelling, group.gap) for group in groups] == [("it at", "")]


@pytest.mark.parametrize("starts", [[1, 2], []])
def test_marks_that_do_not_cover_the_text_give_no_groups(starts: list[int]) -> None:
    marks = tuple(Mark("word", "", start, start) for start in starts)

    assert split_groups("a tip", Spoken(np.zeros(9, np.float32), marks)) == []


def test_every_character_gets_a_frame() -> None:
    assert spread_frames([0, 4, 4, 4, 9, 9], 10) == [4, 1, 1, 2, 1, 1]
    assert spread_frames([0, 9, 9, 9], 10) == [7, 1, 1, 1]


def test_pitch_of_a_tone_and_of_silence() -> None:
    tone = np.sin(2 * np.pi * 2 * LOWEST_HZ * np.arange(8000) / 16000).astype(np.float32)

    found = find_pitch(
        np.concatenate([tone, np.zeros(8000, np.float32)]), sample_rate_hz=16000, hop_length=200
    )

    assert found.shape == (81,)
    assert found[5:35] == pytest.approx(1.0, abs=0.02)
    assert not found[50:].any()


def test_batches_use_every_example_in_every_pass() -> None:
    examples = [example(3, num_frames) for num_frames in range(10, 20)]

    batches = list(draw_batches(iter(examples), Random(0), batch_size=4, pool_size=5, num_passes=2))

    lengths = sorted(length for batch in batches for length in batch.num_frames.tolist())
    assert lengths == sorted([*range(10, 20)] * 2)


def test_short_examples_are_padded() -> None:
    batch = collate([example(3, 12), example(5, 20)])

    assert batch.ids.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.sounds[0].tolist() == [0, 0, 0, OTHER_SOUND, OTHER_SOUND]
    assert (batch.mels.shape, batch.pitch.shape) == ((2, 20, NUM_MELS), (2, 1, 20))
    assert batch.durations.sum(1).tolist() == batch.num_frames.tolist() == [12, 20]


def test_training_moves_the_weights_and_counts_its_cost() -> None:
    model = build_model(seed=0)
    before = model.emb.weight.detach().clone()
    checkpoints: list[Progress] = []
    batches = draw_batches(
        iter([example(4, 20 + place) for place in range(6)]),
        Random(0),
        batch_size=2,
        pool_size=6,
        num_passes=1,
    )

    progress = train(
        model, batches, num_steps=3, num_sounds=2, checkpoint_steps=2, on_checkpoint=checkpoints.append
    )

    assert (progress.steps, [checkpoint.steps for checkpoint in checkpoints]) == (3, [2])
    assert not model.training
    assert not before.equal(model.emb.weight)


def test_saved_folder_is_read_by_coqui_and_speaks_the_same(model: ForwardTTS, tmp_path: Path) -> None:
    """Half precision in the file moves the spectrogram by little."""
    save_model(model, tmp_path)

    synthesizer = Synthesizer(tts_checkpoint=tmp_path / "model.pth", tts_config_path=tmp_path / "config.json")

    config = (tmp_path / "config.json").read_text()
    ids = model.tokenizer.text_to_ids("hello world.")
    read = synthesizer.tts_model.tokenizer.text_to_ids("Hello world.")
    assert "Infinity" not in config
    assert (read, synthesizer.output_sample_rate) == (ids, 16000)
    assert len(speak(load_model(tmp_path), "hello world.")) == len(speak(model, "hello world."))


@pytest.mark.parametrize("text", ["a", "ok", "...", "a " * 200])
@pytest.mark.parametrize("length_scale", [0.25, 1.0, 4.0])
def test_any_length_and_speed_can_be_spoken(model: ForwardTTS, text: str, length_scale: float) -> None:
    model.length_scale = length_scale

    speech = speak(model, text)

    model.length_scale = 1.0
    assert len(speech) > 0
    assert np.isfinite(speech).all()


def test_word_errors_are_counted() -> None:
    assert count_word_errors(["a", "b", "c"], ["a", "x", "c"]) == 1
    assert count_word_errors(["a", "b", "c"], ["b", "c", "d", "e"]) == 3
    assert count_word_errors(["a"], []) == 1


def test_card_states_what_was_measured_and_keeps_how_it_was_made() -> None:
    made_by = describe_training(
        Progress(100, 1600, 120.0, 300.0), command="python x.py", seed=7, machine="a machine"
    )

    card = write_card(
        Facts(num_parameters=2_900_000, num_words=2000, num_mels=100, sample_rate_hz=16000, sha256="abc"),
        likeness=[Likeness("held-out sentences", 3.14, 0.021)],
        num_compared=50,
        speed=Speed(0.11, 0.15),
        transcriber="a transcriber",
        understanding=Understanding(50, 0.01, 0.02, 0.05, 0.8),
        made_by=made_by,
    )

    assert "| held-out sentences | 3.1 dB | 2.1% |" in card
    assert "| this model | 0.050 |" in card
    assert (
        "Seed 7, 100 steps, 1600 sentences. Training took 2 minutes of CPU time,\n5 by the clock, on a machine."
        in card
    )
    assert read_training(card) == made_by


@needs_espeak
def test_script_writes_a_folder_with_card_and_can_measure_again(tmp_path: Path) -> None:
    folder = tmp_path / "speech"
    script = [
        sys.executable,
        str(SCRIPTS / "train_starter_speech.py"),
        "--out",
        str(folder),
        "--sentences",
        "2",
    ]
    script += ["--steps", "3", "--batch-size", "4", "--pool", "8", "--alignment-texts", "40"]

    subprocess.run(script, check=True, timeout=300, cwd=tmp_path, capture_output=True)
    first = (folder / "README.md").read_text()
    subprocess.run([*script, "--measure-again"], check=True, timeout=300, cwd=tmp_path, capture_output=True)

    assert first.startswith("---\nlicense: apache-2.0\n")
    assert read_training(first) == read_training((folder / "README.md").read_text())
    assert len(speak(load_model(folder), "hello.")) > 0
