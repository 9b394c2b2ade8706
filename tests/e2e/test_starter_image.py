"""The image model that comes with Hearth, through the API: prompts decide what its pictures show."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, RunningServer, start
from tests.engines.conftest import engines_python

WEIGHTS = ROOT / "model_configs/starter/image"
READER = ROOT / "scripts/starter_image/reading.py"
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        not (WEIGHTS / "model_index.json").exists() or not READER.exists(),
        reason="the starter image model is not in this checkout",
    ),
]
MODEL = "starter/image"
NUM_PICTURES = 32
AT_LEAST = {"background": 0.95, "colour": 0.9, "shape": 0.8}

# Combinations that training never saw; the words are those of the training's closed world.
CHOOSE = f"""
import json
from random import Random
from starter_image.world import pictures
print(json.dumps([p._asdict() for p in Random(1).sample(pictures(held_out=True), {NUM_PICTURES})]))
"""
READ = """
import json, sys
from pathlib import Path
from PIL import Image
from starter_image.reading import read_picture
files = sorted(Path(sys.argv[1]).iterdir())
print(json.dumps([read_picture(Image.open(file))._asdict() for file in files]))
"""


def run_with_reader(script: str, *arguments: str) -> list[dict[str, str]]:
    """Output of a script that needs numpy and Pillow, which the engines' environment has."""
    done = subprocess.run(
        [engines_python(), "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        check=True,
        timeout=120,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The shipped configuration of this one model."""
    folder = tmp_path_factory.mktemp("starter")
    (folder / "models/starter").mkdir(parents=True)
    (folder / "models/starter-image.yaml").write_text((ROOT / "model_configs/starter-image.yaml").read_text())
    (folder / "models/starter/image").symlink_to(WEIGHTS)
    running = start(folder / "data", folder / "server.log", models_dir=str(folder / "models"))
    yield running
    assert running.stop() == 0


def test_pictures_show_what_their_prompts_say(server: RunningServer, tmp_path: Path) -> None:
    wanted = run_with_reader(CHOOSE)

    def draw(number: int) -> None:
        prompt = "a {size} {colour} {shape} on a {background} background".format(**wanted[number])
        body: dict[str, Any] = {
            "model": MODEL,
            "prompt": prompt,
            "seed": number,
            "response_format": "b64_json",
        }
        with server.client() as client:
            answer = client.post("/v1/inference/images/generate", json=body).raise_for_status()
        png = base64.b64decode(answer.json()["data"]["data"][0]["b64_json"])
        (tmp_path / f"{number:03}.png").write_bytes(png)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(draw, range(len(wanted))))
    shown = run_with_reader(READ, str(tmp_path))

    right = {
        part: sum(one[part] == other[part] for one, other in zip(wanted, shown, strict=True)) / len(wanted)
        for part in AT_LEAST
    }
    assert {part: share for part, share in right.items() if share < AT_LEAST[part]} == {}, right
