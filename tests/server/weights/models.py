"""Small models as a hub or a folder holds them: real formats, hardly any content."""

import json
import struct
from pathlib import Path
from typing import Any


def safetensors(num_bytes: int = 64) -> bytes:
    """One tensor of zeros and ones in turn, so that a part is not like another."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [num_bytes], "data_offsets": [0, num_bytes]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(number % 251 for number in range(num_bytes))


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def chat_model(size_bytes: int = 64, **config: Any) -> dict[str, bytes]:
    """A Qwen3 in one file of weights."""
    told = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "max_position_embeddings": 40960}
    template = "{% if tools %}<tools></tools><tool_call>{% endif %}"
    template += "{% if enable_thinking is false %}<think></think>{% endif %}"
    return {
        ".gitattributes": b"*.safetensors filter=lfs",
        "README.md": b"---\nlicense: apache-2.0\n---\n# A model\n",
        "LICENSE": b"Apache\n",
        "config.json": as_json(told | config),
        "model.safetensors": safetensors(size_bytes),
        "tokenizer.json": b"{}",
        "tokenizer_config.json": as_json({"chat_template": template}),
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
