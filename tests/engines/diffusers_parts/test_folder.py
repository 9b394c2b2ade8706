"""What is read from a folder of diffusers without diffusers: the pipeline's parts and its size."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec, Frontend
from engines.contract.types import Modality
from engines.diffusers_image import Options, estimate
from engines.diffusers_parts.folder import read_index, weight_files

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def write_tensors(file: Path, *shapes: list[int]) -> None:
    """A safetensors file with half-precision tensors of these shapes, whose content nobody reads."""
    header = {f"t{number}": {"dtype": "F16", "shape": shape} for number, shape in enumerate(shapes)}
    raw = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(len(raw).to_bytes(8, "little") + raw)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    write_tensors(tmp_path / "text_encoder/model.safetensors", [10, 10])
    write_tensors(tmp_path / "unet/diffusion_pytorch_model-00001-of-00002.safetensors", [1000, 100])
    write_tensors(tmp_path / "unet/diffusion_pytorch_model-00002-of-00002.safetensors", [1000, 200], [5])
    write_tensors(tmp_path / "vae/diffusion_pytorch_model.safetensors", [100])
    (tmp_path / "vae/config.json").write_text(json.dumps({"block_out_channels": [16, 32, 48]}))
    write_tensors(tmp_path / "all-in-one.safetensors", [1000, 1000])
    return tmp_path


def weights_bytes(folder: Path, device: str = "cpu", **options: Any) -> int:
    spec = BackendSpec(
        id="be_image",
        engine="diffusers_image",
        modality=Modality.IMAGE,
        frontends=(Frontend("a/image"),),
        weights=str(folder),
        licence="none",
        device=device,
    )
    return estimate(spec, Options(**options)).weights_bytes


def test_parts_that_are_not_used_are_named_apart(folder: Path) -> None:
    index = read_index(folder)

    assert index.class_name == "StableDiffusionPipeline"
    assert set(index.components) == {"scheduler", "text_encoder", "unet", "vae"}
    assert set(index.unused) == {"feature_extractor", "safety_checker"}


@pytest.mark.parametrize(
    "changed",
    [
        {"_class_name": ["my_pipeline", "MyPipeline"]},
        {"_class_name": "os.system"},
        {"_class_name": None},
        {"unet": ["evil.module", "UNet"]},
        {"unet": ["diffusers", "UNet", "more"]},
        {"unet": ["diffusers", None]},
        {"unet": [["a"], "b"]},
    ],
)
def test_index_that_names_no_plain_class_is_refused(folder: Path, changed: dict[str, Any]) -> None:
    (folder / "model_index.json").write_text(json.dumps(INDEX | changed))

    with pytest.raises(EngineError, match=r"^model_index\.json: "):
        read_index(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_broken_index_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model_index.json").write_bytes(content)

    with pytest.raises(EngineError):
        read_index(folder)


def test_weights_are_counted_in_the_format_in_which_they_are_loaded(folder: Path) -> None:
    """Only the components' files count, not those that lie beside them."""
    num_items = 100 + 300_005 + 100

    assert weights_bytes(folder) == 4 * num_items
    assert weights_bytes(folder, dtype="bfloat16") == 2 * num_items
    assert weights_bytes(folder, dtype="bfloat16", quantization={"unet": "torchao_float8"}) == (
        2 * 200 + 300_005
    )


@pytest.mark.parametrize(
    "name", ["model_index.json", "unet/diffusion_pytorch_model-00001-of-00002.safetensors"]
)
def test_folder_that_cannot_be_read_has_no_estimate(folder: Path, name: str) -> None:
    """An error that the catalog expects: a server with such a folder must start."""
    (folder / name).write_bytes((5).to_bytes(8, "little") + b"{")

    with pytest.raises(ValueError, match=r"cannot read|broken header"):
        weights_bytes(folder)


def test_variant_takes_the_place_of_the_plain_files(folder: Path) -> None:
    write_tensors(folder / "vae/diffusion_pytorch_model.fp16.safetensors", [7])

    assert [file.name for file in weight_files(folder / "vae", "fp16")] == [
        "diffusion_pytorch_model.fp16.safetensors"
    ]
    assert [file.name for file in weight_files(folder / "vae", None)] == [
        "diffusion_pytorch_model.safetensors"
    ]
    assert len(weight_files(folder / "unet", "fp16")) == 2


def test_larger_sizes_and_batches_need_more_to_work(folder: Path) -> None:
    spec = BackendSpec(
        id="be_image",
        engine="diffusers_image",
        modality=Modality.IMAGE,
        frontends=(Frontend("a/image"),),
        weights=str(folder),
        licence="none",
        device="cpu",
    )

    def working(**options: Any) -> int:
        return estimate(spec, Options(**options)).working_bytes

    least = working(sizes=("512x512",), max_batch_pictures=1)
    assert least < working(sizes=("512x512", "1024x1024"), max_batch_pictures=1)
    assert least < working(sizes=("512x512",), max_batch_pictures=4)
    assert least == working(sizes=("512x512",), max_batch_pictures=4, vae_slicing=True)
    assert msgspec.structs.asdict(estimate(spec, Options()))
