"""From what was asked, sampled and told to a verdict. Knows no server and no clock."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hammering.crowd import Tally
from hammering.memory import Sample
from hammering.watching import Change, Ledger


@dataclass(frozen=True)
class Eviction:
    at: float
    victim: str
    wanted_by: str
    is_sleep: bool


@dataclass
class Verdict:
    """Of one run. `left_over` are processes by what ended the server; `excesses` are samples over the budget."""

    seconds: float
    needs: Mapping[str, int]
    budget_bytes: int
    tally: Tally
    evictions: Sequence[Eviction]
    counted: Counter[tuple[str, str]]
    loads_s: Sequence[float]
    samples: Sequence[Sample]
    ledger: Sequence[Ledger]
    owners: Mapping[int, str]
    left_over: dict[str, list[str]] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)

    @property
    def excesses(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.total_bytes > self.budget_bytes]

    @property
    def ledger_excesses(self) -> list[Ledger]:
        return [look for look in self.ledger if look.used_bytes > self.budget_bytes]

    @property
    def unexplained(self) -> list[str]:
        """Evictions for memory that were counted and not told with a reason, or told and not counted."""
        told = Counter(eviction.victim for eviction in self.evictions)
        counted = Counter(
            {name: number for (name, cause), number in self.counted.items() if cause == "memory"}
        )
        names = sorted(set(told) | set(counted))
        return [f"{n}: {counted[n]} counted, {told[n]} told" for n in names if counted[n] != told[n]]

    @property
    def longest_gap_s(self) -> float:
        """Between two samples."""
        times = [sample.at for sample in self.samples]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    @property
    def findings(self) -> list[str]:
        """One line for each thing that is wrong."""
        found = list(self.tally.findings) + [f"died: {death}" for death in self.deaths]
        found += [f"evictions do not add up: {line}" for line in self.unexplained]
        found += [f"left over after {how}: {name}" for how, names in self.left_over.items() for name in names]
        found += [f"over the budget: {self.describe(sample)}" for sample in self.excesses[:20]]
        return found + [
            f"ledger over the budget: {mib(look.used_bytes)} of {mib(self.budget_bytes)} MiB, {look.held_bytes}"
            for look in self.ledger_excesses[:20]
        ]

    def describe(self, sample: Sample) -> str:
        """What a sample found, by model, and what the ledger said just before."""
        place = bisect_right(self.ledger, sample.at, key=lambda look: look.at) - 1
        said = self.ledger[place].held_bytes if place >= 0 else {}
        parts = [
            f"{self.owners.get(group, str(group))} {mib(size)} (ledger {mib(said.get(self.owners.get(group, ''), 0))})"
            for group, size in sample.pss_bytes.items()
        ]
        since_s = sample.at - self.samples[0].at
        return (
            f"{since_s:.1f} s: {mib(sample.total_bytes)} of {mib(self.budget_bytes)} MiB: {', '.join(parts)}"
        )


def evictions(changes: Sequence[Change]) -> list[Eviction]:
    """Those that were told with who gave way to whom."""
    return [
        Eviction(change.at, change.backend_id, change.evicted_for, change.state == "falling_asleep")
        for change in changes
        if change.evicted_for is not None
    ]


def mib(size_bytes: float) -> int:
    return round(size_bytes / 1024**2)
