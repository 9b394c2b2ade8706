"""Says from a history of calls and answers what was lost, doubled, wrong or changed. Knows no server and no clock.

An acknowledged batch must end and hold every line once, with its one right answer. A batch that was asked for and
never acknowledged may exist or not; if it does, the same holds. What was seen once may not change or shrink.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from proof import events
from proof.events import TERMINAL, AnyEvent, Observed, PlannedLine
from proof.results import judge

MAX_FINDINGS = 50


@dataclass
class Verdict:
    """Numbers of lines, unless named otherwise. Everything from `lost` to `surprises` must be 0."""

    batches: int = 0
    attempted: int = 0
    acknowledged: int = 0
    recorded: int = 0
    recovered: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    wrong_content: int = 0
    changed_later: int = 0
    sums_wrong: int = 0
    shrunk: int = 0
    doubled_batches: int = 0
    lost_files: int = 0
    not_ended: int = 0
    not_resumed: int = 0
    surprises: int = 0
    repeated_attempts: int = 0
    ended_as: Counter[str] = field(default_factory=Counter)
    strikes: Counter[str] = field(default_factory=Counter)
    resumed_s: list[float] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    FAULTS = (
        "lost",
        "duplicated",
        "unexpected",
        "wrong_content",
        "changed_later",
        "sums_wrong",
        "shrunk",
        "doubled_batches",
        "lost_files",
        "not_ended",
        "not_resumed",
        "surprises",
    )

    @property
    def is_clean(self) -> bool:
        return not any(getattr(self, name) for name in self.FAULTS)

    def fault(self, name: str, text: str, count: int = 1) -> None:
        setattr(self, name, getattr(self, name) + count)
        if count and len(self.findings) < MAX_FINDINGS:
            self.findings.append(f"{name}: {text}")


class History:
    """The events by what they are about, in their order."""

    def __init__(self, happened: Iterable[AnyEvent]) -> None:
        self.plans: dict[str, list[PlannedLine]] = {}
        self.acknowledged: defaultdict[str, list[str]] = defaultdict(list)
        self.observed: defaultdict[str, list[Observed]] = defaultdict(list)
        self.missing: set[str] = set()
        self.downloads: defaultdict[tuple[str, str], list[tuple[str, str | None]]] = defaultdict(list)
        self.codes: defaultdict[str, set[str]] = defaultdict(set)
        self.files: dict[str, str] = {}
        self.files_read: defaultdict[str, list[str | None]] = defaultdict(list)
        self.strikes: Counter[str] = Counter()
        self.resumed: list[float | None] = []
        self.surprises: list[str] = []
        for event in happened:
            self._take(event)

    @property
    def worker_deaths(self) -> int:
        return sum(self.strikes[what] for what in ("worker", "both", "pause"))

    def submission_of(self, batch_id: str) -> str | None:
        for submission, batch_ids in self.acknowledged.items():
            if batch_id in batch_ids:
                return submission
        return next((seen.submission for seen in self.observed[batch_id] if seen.submission), None)

    def _take(self, event: AnyEvent) -> None:  # noqa: C901 one case a kind
        match event:
            case events.Planned(submission, lines):
                self.plans[submission] = lines
            case events.Acknowledged(submission, batch_id):
                self.acknowledged[submission].append(batch_id)
            case events.Observed(batch_id=batch_id):
                self.observed[batch_id].append(event)
            case events.Missing(batch_id):
                self.missing.add(batch_id)
            case events.Downloaded(batch_id, kind, file_id, text):
                self.downloads[batch_id, kind].append((file_id, text))
            case events.MayEnd(batch_id, code):
                self.codes[batch_id].add(code)
            case events.FileAcknowledged(file_id, sha256):
                self.files[file_id] = sha256
            case events.FileRead(file_id, sha256):
                self.files_read[file_id].append(sha256)
            case events.Struck(what, point):
                self.strikes[what if point is None else f"at {point}"] += 1
            case events.Resumed(after_s):
                self.resumed.append(after_s)
            case events.Surprise(text):
                self.surprises.append(text)


def check(happened: Iterable[AnyEvent]) -> Verdict:
    """The verdict on a whole run, whose last events are the readings after its end."""
    history, verdict = History(happened), Verdict()
    verdict.attempted = sum(map(len, history.plans.values()))
    verdict.strikes = history.strikes
    verdict.resumed_s = sorted(after_s for after_s in history.resumed if after_s is not None)
    verdict.not_resumed = history.resumed.count(None)
    for surprise in history.surprises:
        verdict.fault("surprises", surprise)
    _check_submissions(history, verdict)
    _check_files(history, verdict)
    acknowledged = {batch_id for batch_ids in history.acknowledged.values() for batch_id in batch_ids}
    for batch_id in sorted(acknowledged | {batch for batch, seen in history.observed.items() if seen}):
        _check_batch(history, verdict, batch_id, is_acknowledged=batch_id in acknowledged)
    return verdict


def _check_submissions(history: History, verdict: Verdict) -> None:
    batches: defaultdict[str, set[str]] = defaultdict(set)
    for submission, batch_ids in history.acknowledged.items():
        batches[submission] |= set(batch_ids)
    for batch_id, seen in list(history.observed.items()):
        its_submission = history.submission_of(batch_id) if seen else None
        if its_submission is not None:
            batches[its_submission].add(batch_id)
    for submission, found in batches.items():
        if len(found) > 1:
            verdict.fault("doubled_batches", f"{submission} became {sorted(found)}", len(found) - 1)


def _check_files(history: History, verdict: Verdict) -> None:
    for file_id, sha256 in history.files.items():
        readings = history.files_read[file_id]
        if not readings or any(reading != sha256 for reading in readings):
            verdict.fault("lost_files", f"{file_id}: {readings or 'never read'}")


def _check_batch(history: History, verdict: Verdict, batch_id: str, *, is_acknowledged: bool) -> None:
    submission = history.submission_of(batch_id)
    plan = history.plans.get(submission or "")
    if plan is None:
        verdict.fault("unexpected", f"{batch_id} is nobody's")
        return
    verdict.batches += 1
    verdict.acknowledged += len(plan) if is_acknowledged else 0
    seen = history.observed[batch_id]
    if batch_id in history.missing or not seen:
        verdict.fault("lost", f"{batch_id} was acknowledged and is not there", len(plan))
        return
    _check_counts(verdict, batch_id, seen)
    last = seen[-1]
    verdict.ended_as[last.status] += 1
    if last.status not in TERMINAL:
        verdict.fault("not_ended", f"{batch_id} is {last.status}, {last.counts}")
        return
    texts = {kind: _only_text(history, verdict, batch_id, kind) for kind in ("output", "error")}
    allowed = set(history.codes[batch_id]) | ({"worker_crashed"} if history.worker_deaths >= 2 else set())
    found = judge(plan, texts["output"], texts["error"], allowed)
    for name, text, count in found.faults:
        verdict.fault(name, f"{batch_id}: {text}", count)
    verdict.recorded += found.recorded
    verdict.recovered += 0 if is_acknowledged else found.recorded
    verdict.repeated_attempts += found.repeated_attempts
    counts = last.counts
    in_files = (found.num_output, found.num_error)
    if (counts.total, counts.completed, counts.done - counts.completed) != (len(plan), *in_files):
        verdict.fault("sums_wrong", f"{batch_id}: {counts}, in the files {in_files}, planned {len(plan)}")


def _check_counts(verdict: Verdict, batch_id: str, seen: list[Observed]) -> None:
    before: Observed | None = None
    for now in seen:
        counts = now.counts
        if counts.done + counts.pending != counts.total:
            verdict.fault("sums_wrong", f"{batch_id}: {counts}")
        if before is not None and _has_shrunk(before, now):
            verdict.fault(
                "shrunk", f"{batch_id}: {before.status} {before.counts}, then {now.status} {counts}"
            )
        if before is not None and before.status in TERMINAL and _ending(before) != _ending(now):
            verdict.fault("changed_later", f"{batch_id}: {before}, then {now}")
        before = now


def _has_shrunk(before: Observed, now: Observed) -> bool:
    names = ("total", "completed", "failed", "cancelled", "expired")
    return any(getattr(now.counts, name) < getattr(before.counts, name) for name in names)


def _ending(seen: Observed) -> tuple[object, ...]:
    return seen.status, seen.counts, seen.output_file_id, seen.error_file_id


def _only_text(history: History, verdict: Verdict, batch_id: str, kind: str) -> str:
    """What all downloads of this file had in common; empty where there is none."""
    readings = history.downloads[batch_id, kind]
    texts = [text for _, text in readings]
    if len(set(readings)) > 1:
        verdict.fault("changed_later", f"{batch_id}: the {kind} file was read as {len(set(readings))} things")
    if None in texts:
        verdict.fault("lost_files", f"{batch_id}: its {kind} file is not there")
    return next((text for text in reversed(texts) if text is not None), "")
