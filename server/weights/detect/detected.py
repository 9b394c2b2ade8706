"""What was found out about a model, as the keys of a backend's file. Knows no kind of model."""

from typing import Any

import msgspec

from engines.contract.types import Modality


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """`remarks` are said behind a key of the file, `notes` above it; `summary` is half a sentence for people."""

    engine: str
    modality: Modality
    summary: str
    context_window: int | None = None
    accept_license: bool | None = None
    capabilities: dict[str, bool] = {}
    limits: dict[str, int] = {}
    options: dict[str, Any] = {}
    remarks: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def as_int(value: object) -> int | None:
    """A positive whole number of a document, which may hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def architectures(config: dict[str, Any]) -> tuple[str, ...]:
    found = config.get("architectures")
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()
