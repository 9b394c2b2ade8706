"""Verdicts as one table. Knows no server."""

from collections.abc import Mapping, Sequence

from proof.checker import Verdict

_ROWS = (
    ("batches", "batches"),
    ("lines attempted", "attempted"),
    ("lines acknowledged", "acknowledged"),
    ("lines recorded", "recorded"),
    ("recorded, though the batch was not acknowledged", "recovered"),
    ("attempts beyond the first", "repeated_attempts"),
    ("**lines lost**", "lost"),
    ("**lines recorded twice**", "duplicated"),
    ("**lines that nobody sent**", "unexpected"),
    ("**wrong content**", "wrong_content"),
    ("**changed after the end**", "changed_later"),
    ("**counts that do not sum**", "sums_wrong"),
    ("**counts that shrank**", "shrunk"),
    ("**second batches for one Idempotency-Key**", "doubled_batches"),
    ("**acknowledged files lost**", "lost_files"),
    ("**batches without an end**", "not_ended"),
    ("**not resumed within 10 s**", "not_resumed"),
    ("**answers that must not be**", "surprises"),
)


def table(verdicts: Mapping[str, Verdict]) -> str:
    """Markdown, one column a run; what is bold must be 0."""
    rows: list[Sequence[str]] = [["", *verdicts], ["---", *("---:" for _ in verdicts)]]
    rows.append(["strikes", *(_strikes(verdict) for verdict in verdicts.values())])
    for title, name in _ROWS:
        rows.append([title, *(f"{getattr(verdict, name):,}" for verdict in verdicts.values())])
    for title, percent in (("p50", 50), ("p99", 99), ("max", 100)):
        cells = (_resumed(verdict, percent) for verdict in verdicts.values())
        rows.append([f"ready to first line recorded, {title}, s", *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def findings(verdicts: Mapping[str, Verdict]) -> str:
    """One line for each thing that is wrong."""
    return "\n".join(
        f"{name}: {finding}" for name, verdict in verdicts.items() for finding in verdict.findings
    )


def num_strikes(verdict: Verdict) -> int:
    return sum(verdict.strikes.values())


def _strikes(verdict: Verdict) -> str:
    kinds: dict[str, int] = {}
    for what, number in verdict.strikes.items():
        kind = "at points" if what.startswith("at ") else what
        kinds[kind] = kinds.get(kind, 0) + number
    return f"{num_strikes(verdict)}: " + ", ".join(
        f"{what} {number}" for what, number in sorted(kinds.items())
    )


def _resumed(verdict: Verdict, percent: int) -> str:
    times = verdict.resumed_s
    return f"{times[max(0, -(-len(times) * percent // 100) - 1)]:.2f}" if times else "-"
