"""Reads a model folder of coqui-tts: its configuration made harmless, its weights as tensors; builds no model."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors.torch import load_file
from TTS.config import register_config
from TTS.config.shared_configs import BaseDatasetConfig
from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig

from engines.contract.errors import EngineError, ErrorCode

_CHECKPOINTS = ("model.safetensors", "model.pth", "model_file.pth")
# The library opens these wherever they lead, also on other machines; only files of the folder are let through.
_FILE_KEYS = {
    "speakers_file": ("speaker_ids.json", "speaker_ids.pth", "speakers.json", "speakers.pth"),
    "d_vector_file": ("speakers.json", "speakers.pth"),
    "language_ids_file": ("language_ids.json",),
    "stats_path": ("scale_stats.npy",),
}  # with the names that published folders give them
_DROPPED_KEYS = ("speaker_encoder_model_path", "speaker_encoder_config_path", "tokenizer_file")
_OLD_PLACE = "TTS.tts.models.xtts"  # where XTTS v2's own checkpoint says that its classes are


def read_config(folder: Path) -> Any:
    """The library's configuration object for the folder's `config.json`. Raises EngineError(VALIDATION_ERROR).

    Names of files lead into the folder, names of classes into the library; what only training needs is switched off.
    """
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refused(f"{path} cannot be read as JSON") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("model", raw.get("generator_model")), str):
        raise refused(f"{path} names no `model` of coqui-tts")
    parts = [part for part in (raw, raw.get("model_args"), raw.get("audio")) if isinstance(part, dict)]
    for part in parts:
        _keep_inside(part, folder)
    for key in (
        _FILE_KEYS.keys() & raw.keys()
    ):  # the library looks into model_args first, also where nothing is
        for part in parts[1:]:
            if key in part:
                part[key] = part[key] or raw[key]
    _check_classes(raw.get("characters"))
    return _build(raw)


def model_name(config: Any) -> str:
    return str(config.get("model") or "").lower()


def read_weights(folder: Path, checkpoint: str | None) -> dict[str, torch.Tensor]:
    """The model's tensors by name, on the CPU. Raises EngineError(VALIDATION_ERROR)."""
    path = _find_checkpoint(folder, checkpoint)
    if path.suffix == ".safetensors":
        return load_file(path)
    content = read_pickle(path)
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict):
        raise refused(f"{path.name} holds no weights of a model")
    return weights


def read_pickle(path: Path) -> Any:
    """A file of PyTorch's, read without running code in it."""
    known = [
        BaseDatasetConfig,
        XttsConfig,
        XttsArgs,
        XttsAudioConfig,
        (XttsArgs, f"{_OLD_PLACE}.XttsArgs"),
        (XttsAudioConfig, f"{_OLD_PLACE}.XttsAudioConfig"),
    ]
    with torch.serialization.safe_globals(known):
        return torch.load(path, map_location="cpu", weights_only=True)


def load_into(
    model: torch.nn.Module, weights: dict[str, torch.Tensor], *, without: tuple[str, ...] = ()
) -> None:
    """Set the model's weights, all of them; those that begin with one of `without` are of no use for speaking."""
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(without)}
    try:
        model.load_state_dict(kept)
    except RuntimeError as error:
        raise refused("the weights do not fit config.json") from error


def inside(folder: Path, name: str) -> Path:
    """`folder / name`. Raises EngineError(VALIDATION_ERROR) if that leads out of the folder."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise refused(f"{name} must lie within {folder}")
    return folder / name


def refused(message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message)


def _find_checkpoint(folder: Path, checkpoint: str | None) -> Path:
    names = _CHECKPOINTS if checkpoint is None else (checkpoint,)
    for name in names:
        if (path := inside(folder, name)).is_file():
            return path
    raise refused(f"there is no {' or '.join(names)} in {folder}")


def _keep_inside(part: dict[str, Any], folder: Path) -> None:
    for key in _DROPPED_KEYS:
        if key in part:
            part[key] = ""
    if "use_speaker_encoder_as_loss" in part:
        part["use_speaker_encoder_as_loss"] = False
    for key in _FILE_KEYS:
        if isinstance(value := part.get(key), list):
            part[key] = [_local(key, name, folder) for name in value]
        elif value:
            part[key] = _local(key, value, folder)


def _local(key: str, value: object, folder: Path) -> str:
    """The file of the folder with the same name as the one where the model was trained."""
    own = str(value).replace("\\", "/").rsplit("/", 1)[-1]
    for name in (own, *_FILE_KEYS[key]):
        if (folder / name).is_file():
            return str(folder / name)
    raise refused(f"config.json names {key} `{own}`, which is not in {folder}")


def _check_classes(characters: object) -> None:
    name = characters.get("characters_class") if isinstance(characters, dict) else None
    if name and not str(name).startswith("TTS.tts."):
        raise refused("config.json names a characters_class that is not coqui-tts's own")


def _build(raw: dict[str, Any]) -> Any:
    name = str(raw.get("model") or raw.get("generator_model")).lower()
    try:
        config = register_config(name.replace("_generator", ""))()
        config.from_dict(raw)
    except (ModuleNotFoundError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise refused(f"coqui-tts does not understand config.json ({type(error).__name__})") from error
    return config
