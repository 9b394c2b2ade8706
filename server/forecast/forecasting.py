"""Puts a backend's plan together with what explains it. Reads file sizes; starts nothing, changes nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engines.contract.spec import BackendSpec
from server.forecast.reckoning import Parts, arguments_of, parts_of, reckon
from server.forecast.suggesting import Suggestion, suggest
from server.forecast.together import Claim, Together, pack
from server.workers.ledger import CPU
from server.workers.planning import Plan

START_S = 10.0
"""What a worker takes besides reading weights. `hearth plan` after loads of the starter models: 3 to 20 s on two busy
cores, and 100 s for vLLM."""
READ_BYTES_PER_S = 500e6  # a plain disk


class Forecast(msgspec.Struct, frozen=True):
    """`verdict`: it is `loaded`, `fits`, `evicts` others, `waits`, or fits `never`. `need_bytes` are on each device.

    `load_s` is what the last load took, None if none was seen; `expected_load_s` is that, or reckoned from the bytes on
    disk. `parts` are None where nothing could be reckoned. `arguments` is what the engine gets.
    """

    backend_id: str
    models: tuple[str, ...]
    engine: str
    verdict: str
    devices: tuple[str, ...]
    need_bytes: int
    is_measured: bool
    evicts: tuple[str, ...]
    detail: str | None
    load_s: float | None
    expected_load_s: float
    is_load_measured: bool
    parts: Parts | None
    arguments: dict[str, Any]
    suggestions: tuple[Suggestion, ...]


class Forecaster:
    """`budgets` by device; `peaks` and `load_seconds` are what was measured, by backend id."""

    def __init__(
        self, budgets: Mapping[str, int], peaks: Mapping[str, int], load_seconds: Mapping[str, float]
    ) -> None:
        self._budgets = budgets
        self._peaks = peaks
        self._load_seconds = load_seconds

    def forecast(self, spec: BackendSpec, plan: Plan) -> Forecast:
        """Blocks: reads the folder of the weights."""
        if spec.device == "auto":
            spec = msgspec.structs.replace(spec, device=plan.devices[0])
        estimate = reckon(spec)
        arguments = arguments_of(spec, is_cpu=plan.devices == (CPU,))
        load_s = self._load_seconds.get(spec.id) if plan.load_s is None else plan.load_s
        weights_bytes = 0 if estimate is None else estimate.weights_bytes
        never = plan.verdict == "never"
        return Forecast(
            backend_id=spec.id,
            models=tuple(frontend.slug for frontend in spec.frontends),
            engine=spec.engine,
            verdict=plan.verdict,
            devices=plan.devices,
            need_bytes=plan.need_bytes,
            is_measured=plan.is_measured or spec.id in self._peaks,
            evicts=plan.evicts,
            detail=plan.detail,
            load_s=load_s,
            expected_load_s=START_S + weights_bytes / READ_BYTES_PER_S if load_s is None else load_s,
            is_load_measured=load_s is not None,
            parts=None if estimate is None else parts_of(estimate, plan.devices, arguments),
            arguments=arguments,
            suggestions=tuple(suggest(spec, plan.devices, plan.need_bytes, self._budgets)) if never else (),
        )

    def together(self, specs: Iterable[BackendSpec], plans: Mapping[str, Plan]) -> Together:
        """Which of them can be resident at once."""
        claims = (
            Claim(spec, dict.fromkeys(plans[spec.id].devices, plans[spec.id].need_bytes)) for spec in specs
        )
        return pack(claims, self._budgets)
