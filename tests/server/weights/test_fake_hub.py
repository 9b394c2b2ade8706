"""The fake hub is one that the field's own client library accepts, so that what our client does to it counts."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.engines.in_engines import run_module
from tests.fakes.hub import FakeModel, blob_id, running_hub
from tests.server.weights.models import chat_model


@pytest.mark.engines
def test_huggingface_hub_fetches_from_it(tmp_path: Path) -> None:
    files = chat_model(5000)
    with running_hub() as hub:
        hub.models["acme/tiny"] = FakeModel(files)

        told = run_module(
            "tests.server.weights.fetch_with_the_library", hub.endpoint, "acme/tiny", str(tmp_path)
        )

    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert json.loads(told)["config.json"] == blob_id(files["config.json"])
    assert json.loads(told)["model.safetensors"] == hashlib.sha256(files["model.safetensors"]).hexdigest()
