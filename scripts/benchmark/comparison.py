"""From samples of two contestants to the rows of a table. Knows no server, no modality and no clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import mean, median
from typing import Literal

from benchmark.contestants import BARE, HEARTH, Sample
from benchmark.report import table

HEADING = ("Load", HEARTH, "Bare", "Ratio or added (range)", "Cores", "Target")


@dataclass(frozen=True)
class Side:
    """A figure of one contestant under one load."""

    contestant: str
    load: str
    figure: Callable[[Sample], float]

    def values(self, samples: Sequence[Sample]) -> list[float]:
        """In order of the rounds."""
        return [self.figure(sample) for sample in self.of(samples)]

    def of(self, samples: Sequence[Sample]) -> list[Sample]:
        return [
            sample for sample in samples if (sample.contestant, sample.load) == (self.contestant, self.load)
        ]


@dataclass(frozen=True)
class Target:
    """Of the median over the rounds."""

    kind: Literal["at most", "at least"]
    value: float

    def is_met(self, found: float) -> bool:
        return found <= self.value if self.kind == "at most" else found >= self.value


@dataclass(frozen=True)
class Row:
    """`ours` against `theirs`, round by round: as a ratio, or as what ours takes more (`is_added`, in the unit)."""

    title: str
    ours: Side
    theirs: Side
    target: Target | None = None
    is_added: bool = False

    def compared(self, samples: Sequence[Sample]) -> list[float]:
        """One number for each round of which both sides have a sample."""
        pairs = zip(self.ours.values(samples), self.theirs.values(samples), strict=True)
        return [ours - theirs if self.is_added else ours / theirs for ours, theirs in pairs]

    def cells(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        found = self.compared(samples)
        sides = (self.ours, self.theirs)
        return (
            self.title,
            *(_digits(median(side.values(samples))) for side in sides),
            " ".join(
                [self._shown(median(found)), f"({self._shown(min(found))} to {self._shown(max(found))})"]
            ),
            " / ".join(f"{median(map(cores, side.of(samples))):.1f}" for side in sides),
            self._verdict(median(found)),
        )

    def _shown(self, value: float) -> str:
        return f"{value:+.1f}" if self.is_added else f"{value:.2f}"

    def _verdict(self, found: float) -> str:
        if self.target is None:
            return ""
        verdict = "met" if self.target.is_met(found) else "missed"
        return f"{self.target.kind} {self._shown(self.target.value)}: {verdict}"


def comparison(rows: Sequence[Row], samples: Sequence[Sample]) -> str:
    """A Markdown table of medians over the rounds."""
    return table(HEADING, [row.cells(samples) for row in rows])


def same_share(load: str, samples: Sequence[Sample]) -> float:
    """How much of the words of the answers under one load both sides share in the same order, over all rounds."""
    ours, theirs = (Side(name, load, per_s).of(samples) for name in (HEARTH, BARE))
    return mean(
        SequenceMatcher(None, our.split(), their.split(), autojunk=False).ratio()
        for one, other in zip(ours, theirs, strict=True)
        for our, their in zip(sorted(one.contents), sorted(other.contents), strict=True)
    )


def per_s(sample: Sample) -> float:
    return sample.num_items / sample.elapsed_s


def p50_ms(sample: Sample) -> float:
    return 1e3 * median(sample.latencies_s)


def first_p50_ms(sample: Sample) -> float:
    return 1e3 * median(sample.firsts_s)


def cores(sample: Sample) -> float:
    return sample.cpu_s / sample.elapsed_s


def added(load: str, title: str, most_ms: float | None = None) -> Row:
    """How many milliseconds an answer takes more than a bare call."""
    target = None if most_ms is None else Target("at most", most_ms)
    sides = Side(HEARTH, load, p50_ms), Side(BARE, load, p50_ms)
    return Row(f"{title}: answer p50, ms", *sides, target, is_added=True)


def rate(load: str, title: str, least: float | None = None, *, other: str = BARE) -> Row:
    """Items per second as a share of another's."""
    target = None if least is None else Target("at least", least)
    return Row(title, Side(HEARTH, load, per_s), Side(other, load, per_s), target)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"
