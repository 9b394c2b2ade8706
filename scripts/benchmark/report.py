"""From samples to ratios and tables. Knows no server and no clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from benchmark.workload import LONG, ONE_BY_ONE, SHORT, STREAMED, TOGETHER, Load

OURS, PEERS = "Hearth", "vllm serve"
_ROLES = ("api", "worker", "engine core", "other")


class Busy(Protocol):
    """A sample that knows how busy the machine was."""

    @property
    def load_average(self) -> float: ...
    @property
    def foreign_cores(self) -> float: ...


@dataclass(frozen=True)
class Sample:
    """One load on one server. `client` has the fields of `client.Measured`; the machine's CPU is all CPU."""

    server: str
    load: str
    client: dict[str, float]
    cpu_s: dict[str, float]
    machine_cpu_s: float
    load_average: float

    @property
    def requests_per_s(self) -> float:
        return self.client["num_requests"] / self.client["elapsed_s"]

    @property
    def tokens_per_s(self) -> float:
        return self.client["num_tokens"] / self.client["elapsed_s"]

    @property
    def foreign_cores(self) -> float:
        """Cores that processes other than this server and its client kept busy meanwhile."""
        foreign_s = self.machine_cpu_s - sum(self.cpu_s.values()) - self.client["cpu_s"]
        return max(0.0, foreign_s / self.client["elapsed_s"])

    def cpu_per_request_ms(self, role: str) -> float:
        return 1e3 * self.cpu_s.get(role, 0.0) / self.client["num_requests"]

    def cpu_per_token_us(self, role: str) -> float:
        return 1e6 * self.cpu_s.get(role, 0.0) / self.client["num_tokens"]


@dataclass(frozen=True)
class Run:
    """Everything that one call of the benchmark measured; samples of a load are in order of the rounds."""

    date: str
    commit: str
    command: str
    machine: str
    model: str
    commands: dict[str, str]
    loads: list[Load]
    samples: list[Sample]

    def of(self, server: str, load: Load) -> list[Sample]:
        return [sample for sample in self.samples if (sample.server, sample.load) == (server, load.name)]


Figure = Callable[[Sample], float]


@dataclass(frozen=True)
class Ratio:
    """Ours by theirs, pair by pair of the same round."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    pairs = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Ratio(median(pairs), min(pairs), max(pairs))


def brief(sample: Sample) -> str:
    """One line for who watches."""
    cpu = ", ".join(f"{role} {sample.cpu_per_request_ms(role):.2f}" for role in sample.cpu_s)
    return (
        f"{sample.requests_per_s:7.1f} requests/s, CPU ms/request: {cpu};"
        f" others busy: {sample.foreign_cores:.2f} cores"
    )


def tables(run: Run) -> str:
    return "\n\n".join([_head(run), _rates(run), _latencies(run), _batching(run), _cpu(run)]) + "\n"


def insert(page: str, text: str, part: str) -> str:
    """The page with everything between the markers of `part` replaced. Raises ValueError if it has none."""
    opening, closing = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    before, begin, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {opening} and {closing}")
    return f"{before}{opening}\n{text}{closing}{after}"


def _head(run: Run) -> str:
    lines = [
        f"- {run.date}, commit {run.commit}: `{run.command}`, {len(run.of(OURS, SHORT))} rounds.",
        f"- {run.machine}; model `{run.model}`.",
        "- " + noise(run.samples),
    ]
    return "\n".join(lines + [f"- {name}: `{command}`" for name, command in run.commands.items()])


def noise(samples: Sequence[Busy]) -> str:
    """How busy the machine was meanwhile."""
    loads = [sample.load_average for sample in samples]
    foreign = [sample.foreign_cores for sample in samples]
    return (
        f"Load average {min(loads):.1f} to {max(loads):.1f}, the benchmark's own included. Other processes"
        f" kept {median(foreign):.2f} cores busy (at most {max(foreign):.2f})."
    )


def _rates(run: Run) -> str:
    rows = [
        _compared(run, SHORT, f"{SHORT.title}, requests/s", lambda s: s.requests_per_s, 1),
        _compared(run, LONG, f"{LONG.title}, requests/s", lambda s: s.requests_per_s, 1),
        _compared(run, STREAMED, f"{STREAMED.title}, requests/s", lambda s: s.requests_per_s, 1),
        _compared(run, STREAMED, f"{STREAMED.title}, tokens/s", lambda s: s.tokens_per_s, 0),
    ]
    return table(("More is better", OURS, PEERS, "Ratio (range)"), rows)


def _latencies(run: Run) -> str:
    rows = [
        _compared(run, load, f"{load.title}, {name} {percent}, ms", _milliseconds(f"{key}_{percent}_s"), 1)
        for load, kinds in ((SHORT, _WHOLE), (LONG, _WHOLE), (STREAMED, _TIMES))
        for name, key in kinds
        for percent in ("p50", "p99")
    ]
    return table(("Less is better", OURS, PEERS, "Ratio (range)"), rows)


def _batching(run: Run) -> str:
    rows = []
    for server in (OURS, PEERS):
        together, alone = (run.of(server, load) for load in (TOGETHER, ONE_BY_ONE))
        times = [f"{median(s.client['elapsed_s'] for s in samples):.2f} s" for samples in (together, alone)]
        speed_up = ratio([s.requests_per_s for s in together], [s.requests_per_s for s in alone])
        rows.append((server, *times, str(speed_up)))
    return table(("Continuous batching", TOGETHER.title, ONE_BY_ONE.title, "Speed-up (range)"), rows)


def _cpu(run: Run) -> str:
    rows = []
    for load in (SHORT, LONG, STREAMED):
        for server in (OURS, PEERS):
            samples = run.of(server, load)
            per_request = [median(s.cpu_per_request_ms(role) for s in samples) for role in _ROLES]
            per_token = [median(s.cpu_per_token_us(role) for s in samples) for role in _ROLES]
            cells = [
                f"{ms:.2f} / {us:.0f}" if ms else "-" for ms, us in zip(per_request, per_token, strict=True)
            ]
            total = f"{sum(per_request):.2f} / {sum(per_token):.0f}"
            rows.append((f"{load.title}: {server}", *cells, total))
    heading = ("CPU, ms per request / \u00b5s per token", *(role for role in _ROLES), "all")
    return table(heading, rows)


_WHOLE = (("answer", "latency"),)
_TIMES = (("first token", "ttft"), ("between tokens", "itl"))


def _milliseconds(key: str) -> Figure:
    return lambda sample: 1e3 * sample.client[key]


def _compared(run: Run, load: Load, title: str, figure: Figure, digits: int) -> tuple[str, str, str, str]:
    ours, theirs = ([figure(sample) for sample in run.of(server, load)] for server in (OURS, PEERS))
    return (
        title,
        f"{median(ours):.{digits}f}",
        f"{median(theirs):.{digits}f}",
        str(ratio(ours, theirs)),
    )


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, numbers to the right."""
    lines = [heading, ["---"] + ["---:"] * (len(heading) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
