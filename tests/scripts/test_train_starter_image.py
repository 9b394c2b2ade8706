"""The starter image model's data, reading of pictures and training script; needs the engines' environment."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch", reason="needs the engines' environment")
pytest.importorskip("diffusers", reason="needs the engines' environment")

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import torch  # noqa: E402
from diffusers import DiffusionPipeline  # noqa: E402
from PIL import Image  # noqa: E402
from starter_image.average import Average  # noqa: E402
from starter_image.card import Cost, Origin, write_card  # noqa: E402
from starter_image.drawing import draw_picture  # noqa: E402
from starter_image.evaluate import Score  # noqa: E402
from starter_image.parts import build_pipeline  # noqa: E402
from starter_image.prompts import SIZE_WORDS, write_prompt  # noqa: E402
from starter_image.reading import NOTHING, read_picture  # noqa: E402
from starter_image.text_encoder import UNSAID, draw_prompt, tokenize  # noqa: E402
from starter_image.tokenizer import MAX_TOKENS, build_tokenizer  # noqa: E402
from starter_image.world import COLOURS, Picture, pictures  # noqa: E402

EVERY_PICTURE = [*pictures(held_out=False), *pictures(held_out=True)]


def test_held_out_combinations_and_training_make_up_the_world() -> None:
    training, held_out = set(pictures(held_out=False)), set(pictures(held_out=True))

    assert training.isdisjoint(held_out)
    assert len(training | held_out) == 8 * 7 * 4 * 2
    assert {picture.shape for picture in held_out} == {"circle", "square", "triangle", "cross"}


def test_drawings_are_read_back_without_error() -> None:
    rng = Random(0)

    misread = [
        picture for picture in EVERY_PICTURE * 2 if read_picture(draw_picture(picture, rng)) != picture
    ]

    assert misread == []


def test_larger_pictures_are_read_by_their_own_measure() -> None:
    picture = Picture("blue", "red", "triangle", "small")
    drawing = draw_picture(picture, Random(1))

    assert read_picture(drawing.resize((160, 160))) == picture


def test_reading_does_not_invent_a_shape() -> None:
    noise = Image.effect_noise((64, 64), 200).convert("RGB")
    plain = Image.new("RGB", (64, 64), COLOURS["green"])

    assert read_picture(plain) == Picture("green", NOTHING, NOTHING, NOTHING)
    assert read_picture(noise).shape == NOTHING


def test_prompts_say_all_that_is_not_understood_without_words() -> None:
    rng = Random(2)
    for picture in EVERY_PICTURE:
        prompt = write_prompt(picture, rng).lower()

        assert picture.colour in prompt
        assert picture.shape in prompt
        assert any(word in prompt for word in SIZE_WORDS[picture.size])
        assert picture.background in prompt or picture.background in ("white", "black")


def test_prompts_without_a_size_name_none() -> None:
    rng = Random(3)
    sizes = {word for words in SIZE_WORDS.values() for word in words}
    asked = [draw_prompt(rng.choice(EVERY_PICTURE), rng) for _ in range(500)]

    sizeless = [prompt for prompt, said in asked if said.size == UNSAID]

    assert 20 < len(sizeless) < 200
    assert all(sizes.isdisjoint(prompt.lower().split()) for prompt in sizeless)


def test_words_of_the_prompts_are_single_tokens_and_anything_else_is_spelled() -> None:
    rng = Random(4)
    tokenizer = build_tokenizer()
    prompts = [write_prompt(picture, rng) for picture in EVERY_PICTURE]

    tokens = {token for prompt in prompts for token in tokenizer.tokenize(prompt)}

    assert [token for token in tokens if not token.endswith("</w>")] == []
    assert tokenizer.decode(tokenizer.encode("Grüße, Zebra!"), skip_special_tokens=True).startswith("grüße")
    assert max(len(tokenizer.encode(prompt)) for prompt in prompts) <= MAX_TOKENS
    assert tokenize(tokenizer, ["", "x" * 100]).shape == (2, MAX_TOKENS)


def test_average_lags_behind_and_leaves_the_weights_as_they_were() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = Average(model)
    with torch.no_grad():
        model.weight.fill_(11.0)

    average.update()
    with average.in_use():
        inside = model.weight.item()

    assert inside == pytest.approx(10.0)
    assert model.weight.item() == 11.0


def test_card_states_what_was_measured() -> None:
    pipeline = build_pipeline()
    origin = Origin(command="python x.py", seed=7, machine="2 CPU cores", cost=Cost(100, 240.0, 120.0))
    right = {"background": 10, "colour": 9, "shape": 8}

    card = write_card(pipeline, origin, [Score("size not said", 10, right, 7)])

    assert "| size not said | 1.000 | 0.900 | 0.800 |  | 0.700 |" in card
    assert "Seed 7, 100 steps" in card
    assert "4 minutes, 2 of them CPU time, on 2 CPU cores" in card.replace("\n", " ")


def test_script_writes_a_folder_that_paints(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    script = [sys.executable, str(SCRIPTS / "train_starter_image.py"), "--out", str(folder)]
    script += ["--steps", "2", "--checkpoint-steps", "1", "--text-steps", "2", "--autoencoder-steps", "2"]
    script += ["--decoder-steps", "2", "--drawings", "64", "--questions", "1"]

    subprocess.run(script, check=True, timeout=300, cwd=tmp_path, capture_output=True)

    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pictures_painted = pipeline("a red circle", num_inference_steps=2, output_type="np").images
    wide = pipeline("a red circle", num_inference_steps=2, height=72, width=104).images[0]
    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    assert pictures_painted.shape == (1, 64, 64, 3)
    assert wide.size == (104, 72)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 10_000_000
    assert (folder / "README.md").read_text().startswith("---\nlicense: apache-2.0\n")
