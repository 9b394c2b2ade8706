"""What a model says of itself in small files, read the same way from a folder and from a hub. Judges nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import yaml

from engines.contract.weights import WeightsRefused, find_code_key
from server.weights.problem import WeightsError

CARD = "README.md"
TEMPLATE = "chat_template.jinja"
INDEX = "model_index.json"
_MAX_DOCUMENT_BYTES = 16 << 20
_DOCUMENTS = (
    "config.json",
    INDEX,
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "0_Transformer/config.json",
    "0_Transformer/sentence_bert_config.json",
    "tokenizer_config.json",
    "chat_template.json",
    "adapter_config.json",
    "transformer/config.json",
    "unet/config.json",
    "vae/config.json",
    "speaker_ids.json",
)
Read = Callable[[str], bytes]


class Documents(msgspec.Struct, frozen=True):
    """`sizes` has every file of the model, `objects` those documents that hold an object (or a list, below `""`).

    `code_keys` are the documents that name code, each with its key.
    """

    sizes: Mapping[str, int]
    objects: Mapping[str, dict[str, Any]]
    card: Mapping[str, Any] = {}
    template: str | None = None
    code_keys: Mapping[str, str] = {}
    model: str = ""

    def get(self, name: str) -> dict[str, Any]:
        """A document's object; an empty one where there is none."""
        return self.objects.get(name, {})

    def has(self, name: str) -> bool:
        return name in self.sizes


def read_documents(
    model: str, sizes: Mapping[str, int], read: Read, card: Mapping[str, Any] | None = None
) -> Documents:
    """`read` gives a file's content. Raises WeightsError for a document that is no JSON.

    `model` is the hub's id or the folder's name; `card` what a hub says, instead of the front matter of README.md.
    """
    objects: dict[str, dict[str, Any]] = {}
    code_keys: dict[str, str] = {}
    for name in _DOCUMENTS:
        if name not in sizes:
            continue
        content = _bounded(name, sizes, read)
        objects[name] = _object(name, content)
        if key := _code_key(name, content):
            code_keys[name] = key
    if card is None:
        card = front_matter(_bounded(CARD, sizes, read)) if CARD in sizes else {}
    return Documents(sizes, objects, card, _template(sizes, objects, read), code_keys, model)


def front_matter(content: bytes) -> dict[str, Any]:
    """The YAML between two lines `---` at the beginning of a model card; empty if there is none that can be read."""
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return {}
    try:
        value = yaml.safe_load(text[4:].partition("\n---")[0])
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _bounded(name: str, sizes: Mapping[str, int], read: Read) -> bytes:
    if sizes[name] > _MAX_DOCUMENT_BYTES:
        raise WeightsError(f"{name} has {sizes[name]} bytes, which is not what such a file has")
    return read(name)


def _object(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)  # the lenient reader: Coqui's files hold Infinity
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name} cannot be read as JSON") from error
    return value if isinstance(value, dict) else {"": value}


def _code_key(name: str, content: bytes) -> str | None:
    try:
        return find_code_key(name, content)
    except WeightsRefused as error:
        raise WeightsError(str(error)) from error


def _template(sizes: Mapping[str, int], objects: Mapping[str, dict[str, Any]], read: Read) -> str | None:
    """The chat template, which lies in one of three places."""
    if TEMPLATE in sizes:
        return _bounded(TEMPLATE, sizes, read).decode("utf-8", "replace")
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = objects.get(name, {}).get("chat_template")
        if isinstance(found, str):
            return found
        if isinstance(found, list):  # several by name
            texts = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
            chosen = texts.get("tool_use") or texts.get("default")
            return chosen if isinstance(chosen, str) else None
    return None
