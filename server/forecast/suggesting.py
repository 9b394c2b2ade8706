"""A setting with which a backend would fit that does not: found by reckoning with other values. Knows no engine."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from engines.contract.options import OptionsError, parse_options
from engines.contract.spec import BackendSpec
from server.forecast.reckoning import arguments_of, reckon
from server.workers.devices import need_bytes
from server.workers.ledger import CPU

LEAST_CONTEXT = 512
_MIB = 1024**2


class Suggestion(msgspec.Struct, frozen=True):
    """Key of the model's file (`context_window`, `options.max_batch_tokens`), its value now, and one that would fit."""

    key: str
    now: int | str
    value: int | str
    need_bytes: int


class _Knob(msgspec.Struct, frozen=True):
    key: str
    now: int
    least: int
    turned: Callable[[int], BackendSpec]


def suggest(
    spec: BackendSpec, devices: tuple[str, ...], need: int, budgets: Mapping[str, int]
) -> list[Suggestion]:
    """Each is enough alone; the largest value of its key that fits. What was measured beyond the estimate is added."""
    estimate = reckon(spec)
    if estimate is None:
        return []
    surplus = max(0, need - need_bytes(estimate, devices))
    budget = min(budgets.get(device, need) for device in devices)

    def need_of(other: BackendSpec) -> int | None:
        reckoned = reckon(other)
        return None if reckoned is None else need_bytes(reckoned, devices) + surplus

    found = (_largest(knob, budget, need_of) for knob in _knobs(spec, is_cpu=devices == (CPU,)))
    return [*filter(None, found), *_other_devices(spec, devices, budgets)]


def _largest(knob: _Knob, budget: int, need_of: Callable[[BackendSpec], int | None]) -> Suggestion | None:
    def fits(value: int) -> bool:
        needed = need_of(knob.turned(value))
        return needed is not None and needed <= budget

    if knob.now <= knob.least or not fits(knob.least):
        return None
    low, high = knob.least, knob.now  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    value = max(knob.least, _rounded(low))
    needed = need_of(knob.turned(value))
    return None if needed is None else Suggestion(knob.key, knob.now, value, needed)


def _rounded(value: int) -> int:
    """A number that a person would write, and not more."""
    step = 16 * _MIB if value >= 64 * _MIB else 256 if value >= 1024 else 1
    return value - value % step


def _knobs(spec: BackendSpec, *, is_cpu: bool) -> Iterator[_Knob]:
    replace = msgspec.structs.replace
    if spec.context_window is not None:
        yield _Knob(
            "context_window", spec.context_window, LEAST_CONTEXT, lambda n: replace(spec, context_window=n)
        )
    limits = spec.limits
    yield _Knob(
        "limits.max_concurrency",
        limits.max_concurrency,
        1,
        lambda n: replace(spec, limits=replace(limits, max_concurrency=n)),
    )
    for name, now in _numbers(spec, is_cpu=is_cpu):
        yield _Knob(f"options.{name}", now, 1, _option(spec, name))


def _option(spec: BackendSpec, name: str) -> Callable[[int], BackendSpec]:
    return lambda n: msgspec.structs.replace(spec, options=spec.options | {name: n})


def _numbers(spec: BackendSpec, *, is_cpu: bool) -> Iterator[tuple[str, int]]:
    """Options that are whole numbers, with their values now: as written, or as the library gets them."""
    try:
        options = msgspec.to_builtins(parse_options(spec.engine, spec.options))
    except OptionsError:
        return
    arguments = arguments_of(spec, is_cpu=is_cpu)
    for name, value in options.items():
        number = arguments.get(name) if value is None else value
        if isinstance(number, int) and not isinstance(number, bool):
            yield name, number


def _other_devices(
    spec: BackendSpec, devices: tuple[str, ...], budgets: Mapping[str, int]
) -> Iterator[Suggestion]:
    for device, budget in budgets.items():
        if device in devices:
            continue
        needed = need_bytes(reckon(msgspec.structs.replace(spec, device=device)), (device,))
        if needed <= budget:
            yield Suggestion("device", spec.device, device, needed)
