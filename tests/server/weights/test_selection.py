"""Which of a model's files are fetched."""

from typing import Any

import pytest

from server.weights.documents import read_documents
from server.weights.problem import WeightsError
from server.weights.repository import RemoteFile
from server.weights.selection import select
from tests.server.weights.models import as_json

CONFIG = as_json({"architectures": ["LlamaForCausalLM"]})


def chosen(files: dict[str, bytes | None], *patterns: str) -> list[str]:
    return [file.path for file in _select(files, patterns).files]


def _select(files: dict[str, bytes | None], patterns: tuple[str, ...] = ()) -> Any:
    contents = {name: content or b"{}" for name, content in files.items()}
    sizes = {name: len(content) for name, content in contents.items()}
    documents = read_documents("acme/model", sizes, contents.__getitem__)
    remote = [RemoteFile(name, size, None, "0") for name, size in sizes.items()]
    return select(remote, documents, patterns)


def names(*found: str) -> dict[str, bytes | None]:
    return {"config.json": CONFIG} | dict.fromkeys(found)


def test_text_and_one_format_of_weights_are_taken() -> None:
    taken = chosen(
        names(
            "README.md", "LICENSE.txt", "USE_POLICY.md", "generation_config.json", "model.safetensors",
            "tokenizer.model", "tokenizer.json", "chat_template.jinja", "merges.txt",
        )
    )  # fmt: skip

    assert len(taken) == 10


@pytest.mark.parametrize(
    "name",
    [
        ".gitattributes", "pytorch_model.bin", "tf_model.h5", "model.onnx", "onnx/model.onnx", "onnx/config.json",
        "openvino/openvino_model.xml", "modeling_evil.py", "original/consolidated.00.pth", "original/params.json",
        "consolidated.safetensors", "training_args.bin", "image.png", "model-q4.gguf", "adapter_model.safetensors",
        "pytorch_model.bin.index.json", "flax_model.msgpack", "model.fp16.safetensors", "runs/events",
    ],
)  # fmt: skip
def test_other_formats_code_and_copies_are_left_out(name: str) -> None:
    assert chosen(names("model.safetensors", name)) == ["config.json", "model.safetensors"]


def test_shards_come_with_their_index() -> None:
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]

    taken = chosen(names(*shards, "model.safetensors.index.json", "consolidated.safetensors.index.json"))

    assert taken == ["config.json", *shards, "model.safetensors.index.json"]


def test_parts_of_a_sentence_transformers_model_are_taken() -> None:
    parts = ["modules.json", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"]

    assert set(parts) < set(chosen(names("model.safetensors", "2_Dense/pytorch_model.bin", *parts)))


def test_pipeline_is_taken_by_its_parts_without_the_single_file_beside_them() -> None:
    index = {"_class_name": "FluxPipeline", "vae": ["diffusers", "V"], "safety_checker": ["x", "Y"]}
    files: dict[str, bytes | None] = {"model_index.json": as_json(index)}
    files |= dict.fromkeys(
        ["flux1.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    )
    files |= dict.fromkeys(["vae_decoder/model.safetensors", "safety_checker/model.safetensors"])

    assert chosen(files) == ["model_index.json", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]


def test_half_precision_of_a_pipeline_replaces_the_full() -> None:
    index = {"_class_name": "FluxPipeline", "vae": ["diffusers", "V"]}
    files: dict[str, bytes | None] = {"model_index.json": as_json(index)}
    files |= dict.fromkeys(
        ["vae/model.safetensors", "vae/model.fp16.safetensors", "vae/model.non_ema.safetensors"]
    )

    assert chosen(files) == ["model_index.json", "vae/model.fp16.safetensors"]


def test_ctranslate2_calls_its_weights_bin() -> None:
    config = as_json({"alignment_heads": [], "suppress_ids": []})

    taken = chosen({"config.json": config, "model.bin": None, "vocabulary.json": None})

    assert taken == ["config.json", "model.bin", "vocabulary.json"]


def test_patterns_choose_among_weights_only() -> None:
    taken = chosen(names("model.safetensors", "model.int8.safetensors", "README.md"), "*.int8.*")

    assert taken == ["config.json", "model.int8.safetensors", "README.md"]


def test_pickles_cannot_be_included() -> None:
    with pytest.raises(WeightsError, match=r"no weights of acme/model match \*\.bin"):
        chosen(names("model.safetensors", "pytorch_model.bin"), "*.bin")


def test_model_without_safetensors_is_refused_with_the_reason() -> None:
    with pytest.raises(WeightsError, match=r"can run code when it is read \(pytorch_model.bin\)"):
        chosen(names("pytorch_model.bin"))
    with pytest.raises(WeightsError, match="has no weights in safetensors"):
        chosen(names("model.onnx"))
