"""From the trained Whisper to the folder that faster-whisper loads, and back to the weights to go on from."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ctranslate2.converters import TransformersConverter
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor

from starter_transcribe.model import Transcriber

STATE = "training.safetensors"


@dataclass(frozen=True)
class Run:
    """One run of the script, and what it has cost so far."""

    command: str
    seed: int
    steps: int
    sentences: int
    elapsed_s: float
    cpu_s: float


def export(model: Transcriber, tokenizer: Tokenizer, folder: Path, *, weights: str = "float16") -> None:
    """``weights``: how numbers are stored (CTranslate2's ``quantization``); what computes with them is free."""
    with TemporaryDirectory() as temporary:
        source, converted = Path(temporary, "source"), Path(temporary, "converted")
        model.whisper.save_pretrained(source)
        tokenizer.save(str(source / "tokenizer.json"))
        WhisperFeatureExtractor(feature_size=80).save_pretrained(source)
        kind = {"tokenizer_class": "WhisperTokenizerFast", "model_max_length": 448}
        (source / "tokenizer_config.json").write_text(json.dumps(kind))
        copied = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(str(source), copy_files=copied).convert(str(converted), quantization=weights)
        _mark_as_multilingual(converted / "vocabulary.json", tokenizer)
        folder.mkdir(parents=True, exist_ok=True)
        for file in converted.iterdir():
            shutil.copyfile(file, folder / file.name)


def _mark_as_multilingual(vocabulary: Path, tokenizer: Tokenizer) -> None:
    """CTranslate2 takes a model for multilingual when its vocabulary holds an empty token; zero bytes never occur."""
    tokens = json.loads(vocabulary.read_text())
    tokens[tokenizer.encode("\x00").ids[0]] = ""
    vocabulary.write_text(json.dumps(tokens))


def save_state(model: Transcriber, folder: Path, runs: list[Run]) -> None:
    """All that training needs to go on, the speller too, and how it came about."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if "proj_out" not in name}
    save_file(state, folder / STATE, metadata={"runs": json.dumps([asdict(run) for run in runs])})


def load_state(model: Transcriber, folder: Path) -> list[Run]:
    """Fill ``model``; the runs that led there."""
    with safe_open(folder / STATE, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        runs = json.loads(file.metadata()["runs"])
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any("proj_out" not in name for name in missing):
        raise ValueError(f"{folder} holds another model's weights")
    return [Run(**run) for run in runs]


def size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
