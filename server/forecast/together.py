"""Which of all backends can be loaded at once, and in which order they would be. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from engines.contract.spec import BackendSpec


class Together(msgspec.Struct, frozen=True):
    """From empty devices: `order` is resident at once, `left_out` would each have to displace others.

    `used_bytes` by device is what those in `order` take together.
    """

    order: tuple[str, ...]
    left_out: tuple[str, ...]
    used_bytes: dict[str, int]


class Claim(NamedTuple):
    """`needs` by device."""

    spec: BackendSpec
    needs: Mapping[str, int]


def pack(claims: Iterable[Claim], budgets: Mapping[str, int]) -> Together:
    """Pinned ones first, then those that are preloaded, then by priority, then as the files come."""
    used: dict[str, int] = dict.fromkeys(budgets, 0)
    order: list[str] = []
    left_out: list[str] = []
    for claim in sorted(claims, key=_rank):
        if all(used.get(name, 0) + need <= budgets.get(name, need) for name, need in claim.needs.items()):
            order.append(claim.spec.id)
            for name, need in claim.needs.items():
                used[name] = used.get(name, 0) + need
        else:
            left_out.append(claim.spec.id)
    return Together(tuple(order), tuple(left_out), used)


def _rank(claim: Claim) -> tuple[bool, bool, int]:
    return (not claim.spec.pinned, not claim.spec.preload, -claim.spec.priority)
