"""A verdict as a table. Knows no server."""

import math
from collections.abc import Sequence
from statistics import median

from benchmark.report import table

from hammering.judging import Verdict, mib


def render(title: str, verdict: Verdict) -> str:
    """Markdown; what is bold must be 0."""
    return table(("", title), list(_cells(verdict).items())) + "\n"


def _cells(verdict: Verdict) -> dict[str, str]:
    tally = verdict.tally
    cells = {
        "seconds": f"{verdict.seconds:.0f}",
        "needs, MiB": ", ".join(f"{name} {mib(size)}" for name, size in verdict.needs.items()),
        "budget, MiB": f"{mib(verdict.budget_bytes):,}",
        "requests": f"{tally.asked:,}",
        "right answers": f"{tally.answered.total():,}: "
        + ", ".join(f"{_short(name)} {number}" for name, number in sorted(tally.answered.items())),
        "clients that hung up": f"{tally.cancelled:,}",
        "cut off by the server's end": f"{tally.cut_off:,}",
    }
    cells |= {f"refused: {code}": f"{number:,}" for code, number in sorted(tally.codes.items())}
    cells |= {"waited as `Retry-After` says": f"{tally.heeded:,}"}
    cells |= {"**failed requests**": f"{tally.failed:,}", "**wrong answers**": f"{tally.wrong:,}"}
    cells |= {f"answer, {name}, s": f"{value:.1f}" for name, value in _spread(tally.waits_s).items()}
    return cells | _memory(verdict) | _ends(verdict)


def _memory(verdict: Verdict) -> dict[str, str]:
    cells = {f"evictions: {cause}": f"{number:,}" for cause, number in sorted(_by_cause(verdict).items())}
    cells |= {
        "**evictions without a reason**": f"{len(verdict.unexplained):,}",
        "loads": f"{len(verdict.loads_s):,}",
    }
    cells |= {f"load, {name}, s": f"{value:.1f}" for name, value in _spread(verdict.loads_s).items()}
    sizes = [sample.total_bytes for sample in verdict.samples]
    said = [look.used_bytes for look in verdict.ledger]
    worst_rss = max((sum(sample.rss_bytes.values()) for sample in verdict.samples), default=0)
    return cells | {
        "samples, a second; longest gap, s": f"{_rate(verdict):.1f}; {verdict.longest_gap_s:.2f}",
        "most that workers held (PSS), MiB": f"{mib(max(sizes, default=0)):,}",
        "sum of RSS at most, MiB": f"{mib(worst_rss):,}",
        "most that the ledger said, MiB": f"{mib(max(said, default=0)):,}",
        "**samples over the budget**": f"{len(verdict.excesses):,} of {len(sizes):,}",
        "**ledger over the budget**": f"{len(verdict.ledger_excesses):,} of {len(said):,}",
    }


def _ends(verdict: Verdict) -> dict[str, str]:
    cells = {"**workers that died**": f"{len(verdict.deaths):,}"}
    return cells | {
        f"**left over after {how}**": f"{len(names):,}" for how, names in verdict.left_over.items()
    }


def _by_cause(verdict: Verdict) -> dict[str, int]:
    causes: dict[str, int] = {}
    for (_, cause), number in verdict.counted.items():
        causes[cause] = causes.get(cause, 0) + number
    return causes


def _rate(verdict: Verdict) -> float:
    span_s = verdict.samples[-1].at - verdict.samples[0].at if verdict.samples else 0.0
    return len(verdict.samples) / span_s if span_s else 0.0


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "p50": median(ordered),
        "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "max": ordered[-1],
    }


def _short(model: str) -> str:
    return model.rpartition("/")[2]
