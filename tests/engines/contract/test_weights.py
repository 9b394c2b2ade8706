"""A model directory that could run code, or that is not whole, is refused with a reason before anything opens it."""

import hashlib
import json
import pickle
import struct
from pathlib import Path

import pytest

from engines.contract.weights import WeightsRefused, check_weights


def safetensors(num_bytes: int = 8) -> bytes:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"a": "b"}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(num_bytes)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory that is in order."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"auto_map": 7}}}')
    return tmp_path


def refusal(model: Path, allowed: dict[str, str] | None = None) -> str:
    with pytest.raises(WeightsRefused) as caught:
        check_weights(model, allowed or {})
    return str(caught.value)


def test_whole_model_passes(model: Path) -> None:
    check_weights(model, {})


def test_missing_directory_is_named(tmp_path: Path) -> None:
    assert "no directory" in refusal(tmp_path / "nothing")


def test_missing_config_is_named(tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["modeling.py", "kernel.so", "libx.so.1", "sub/evil.PY"])
def test_code_is_refused(model: Path, name: str) -> None:
    (model / "sub").mkdir()
    (model / name).write_bytes(b"")

    assert f"{name} is code" in refusal(model)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "x.pth", "x.ckpt", "x.pkl", "x.npy", "x.H5"]
)
def test_kinds_that_can_run_code_are_refused(model: Path, name: str) -> None:
    (model / name).write_bytes(b"x")

    assert name in refusal(model)


def test_file_is_allowed_by_its_hash_and_only_by_it(model: Path) -> None:
    (model / "model.bin").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()

    check_weights(model, {"model.bin": digest})

    (model / "model.bin").write_bytes(b"altered")
    assert "model.bin" in refusal(model, {"model.bin": digest})


@pytest.mark.parametrize("key", ["auto_map", "custom_pipeline"])
def test_json_that_loads_code_is_refused_at_any_depth(model: Path, key: str) -> None:
    (model / "processor_config.json").write_text(json.dumps({"a": [{"b": {key: "x"}}]}))

    assert f"has the key `{key}`" in refusal(model)


def test_escaped_key_is_found_too(model: Path) -> None:
    (model / "config.json").write_text('{"\\u0061uto_map": {}}')

    assert "`auto_map`" in refusal(model)


def test_json_with_infinity_is_read_as_coqui_writes_it(model: Path) -> None:
    (model / "config.json").write_text('{"model": "vits", "max_audio_len": Infinity}')

    check_weights(model, {})


def test_broken_json_is_refused(model: Path) -> None:
    (model / "config.json").write_text("{")

    assert "cannot be read as JSON" in refusal(model)


@pytest.mark.parametrize("content", [b"", b"\x01", safetensors(7), safetensors(9), b"\xff" * 64])
def test_truncated_or_altered_safetensors_is_refused(model: Path, content: bytes) -> None:
    (model / "model.safetensors").write_bytes(content)

    assert "model.safetensors" in refusal(model)


def test_missing_shard_is_named(model: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))

    assert "model-2.safetensors is missing" in refusal(model)


def test_link_to_a_directory_is_refused(model: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (model / "elsewhere").symlink_to(tmp_path_factory.mktemp("elsewhere"))

    assert "link to a directory" in refusal(model)


def ctranslate2(version: int = 6, kind: bytes = b"WhisperSpec", aliases: int = 1) -> bytes:
    """A model file as CTranslate2's converters write it, with one tensor."""

    def named(text: bytes) -> bytes:
        return struct.pack("<H", len(text) + 1) + text + b"\0"

    tensor = named(b"encoder/weight") + struct.pack("<B2IBI", 2, 1, 2, 0, 8) + bytes(8)
    head = struct.pack("<I", version) + named(kind) + struct.pack("<II", 3, 1)
    alias = named(b"decoder/weight") + named(b"encoder/weight")
    return head + tensor + struct.pack("<I", aliases) + alias * aliases


@pytest.mark.parametrize("content", [ctranslate2(), ctranslate2(aliases=0), ctranslate2(version=5)])
def test_a_ctranslate2_model_passes_although_it_ends_in_bin(model: Path, content: bytes) -> None:
    (model / "model.bin").write_bytes(content)

    check_weights(model, {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps({"a": 1}),
        b"PK\3\4" + bytes(100),
        ctranslate2()[:-1],
        ctranslate2() + b"x",
        ctranslate2() + pickle.dumps({"a": 1}),
        ctranslate2(version=7),
        ctranslate2(kind=b"cos\nsystem"),
        ctranslate2(kind=b"Whisper"),
        ctranslate2()[:20] + b"\xff" * 40,
    ],
)
def test_what_only_looks_like_a_ctranslate2_model_is_refused(model: Path, content: bytes) -> None:
    (model / "model.bin").write_bytes(content)

    assert "model.bin is of a kind that can run code" in refusal(model)


def test_a_ctranslate2_model_of_another_name_is_refused(model: Path) -> None:
    (model / "model.pt").write_bytes(ctranslate2())

    assert "model.pt" in refusal(model)
