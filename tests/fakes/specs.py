"""Backend specs for tests, with everything that a test does not care about filled in."""

from typing import Any

from engines.contract.spec import BackendSpec, Capabilities, Frontend, Limits
from engines.contract.types import Modality


def make_spec(
    backend_id: str = "be_a",
    *,
    device: str = "cpu",
    limits: Limits | None = None,
    capabilities: Capabilities | None = None,
    frontends: tuple[str, ...] = ("acme/chat",),
    preload: bool = False,
    engine: str = "tests.fakes.fake_engine",
    options: dict[str, Any] | None = None,
    keep_alive: int | str = -1,
    sleep_for: int | str = -1,
    pinned: bool = False,
    priority: int = 0,
) -> BackendSpec:
    return BackendSpec(
        id=backend_id,
        engine=engine,
        modality=Modality.CHAT,
        frontends=tuple(Frontend(slug) for slug in frontends),
        weights="/nowhere",
        licence="Apache-2.0",
        context_window=4096,
        capabilities=capabilities or Capabilities(),
        limits=limits or Limits(),
        device=device,
        preload=preload,
        options=options or {},
        keep_alive=keep_alive,
        sleep_for=sleep_for,
        pinned=pinned,
        priority=priority,
    )
