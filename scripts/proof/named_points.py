"""The run that kills the server at each named point of its code, at the first, second, third ... time it gets there.

One scenario is repeated with the kill one occurrence later, until it completes without being killed. Each scenario
goes on over the restart as a client would.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from proof.checker import Verdict, check
from proof.client import Client, GaveUp, has_ended
from proof.crowd import read_everything
from proof.events import Journal, MayEnd, Struck, Surprise, read
from proof.progress import Progress
from proof.site import NotReadyError, Nursery, Site, running
from proof.workload import Workload
from server.failpoints import FAILPOINTS

FAST, SLOW = "fake/fast", "fake/slow"
DEFAULT_CAP = 1_000
SCENARIO_S = 60.0
_SOON = timedelta(seconds=1.0)
_LONG = timedelta(days=2)


class Stage:
    """What scenarios use: one server with its models, and a client that insists."""

    def __init__(self, site: Site, journal: Journal, *, seed: int) -> None:
        self.site = site
        self.journal = journal
        self.few = Workload(seed, [FAST], num_lines=(6, 9))
        self.many = Workload(seed + 1, [SLOW], num_lines=(120, 120), prefix="m")
        self.ends = threading.Event()
        self.client = self._client(journal)
        site.add_backend(FAST, 0.0)
        site.add_backend(SLOW, 0.1)

    @contextlib.contextmanager
    def aside(self) -> Iterator[Client]:
        """A client whose batches may go, so that the checker must not know them."""
        with contextlib.closing(Journal(self.journal.path.with_name("aside.jsonl"))) as journal:
            yield self._client(journal)

    def _client(self, journal: Journal) -> Client:
        return Client([self.site], journal, Progress(), seed=1, ends=self.ends)


def complete(stage: Stage) -> None:
    """Two batches at once, from the upload to the files."""
    batches = [stage.client.submit(stage.few.draw()) for _ in range(2)]
    for batch_id in batches:
        stage.client.download(batch_id)


def cancel(stage: Stage) -> None:
    batch_id = stage.client.submit(stage.many.draw())
    stage.client.watch(batch_id, lambda seen: seen.counts.done > 0 or has_ended(seen))
    stage.client.cancel(batch_id)
    stage.client.download(batch_id)


def submit_what_expires(stage: Stage) -> None:
    """A batch whose window ends soon after the next start."""
    batch_id = stage.client.submit(stage.many.draw())
    stage.client.watch(batch_id, lambda seen: seen.counts.done > 0 or has_ended(seen))
    stage.journal.write(MayEnd(batch_id, "batch_expired"))
    _move_times(stage, _SOON, "UPDATE batches SET expires_at = :time WHERE id = :id", batch_id)


def await_all(stage: Stage) -> None:
    """Until nothing is under way."""
    for batch_id in stage.client.list_batches():
        stage.client.download(batch_id)


def leave_what_is_swept(stage: Stage) -> None:
    """Files and batches whose time is over at the next start, beside those that stay."""
    with stage.aside() as aside:
        batches = [aside.submit(stage.few.draw()) for _ in range(2)]
        for batch_id in batches:
            aside.watch(batch_id, has_ended)
    for batch_id in batches:
        _move_times(stage, -_LONG, "UPDATE batches SET kept_until = :time WHERE id = :id", batch_id)
        _move_times(stage, -_LONG, "UPDATE files SET expires_at = :time WHERE batch_id = :id", batch_id)


def _move_times(stage: Stage, by: timedelta, statement: str, batch_id: str) -> None:
    """The server is killed, and what it will do at a time from now is set: moved, not waited for."""
    if stage.site.is_running:
        stage.site.kill()
        stage.journal.write(Struck("server"))
    moment = (datetime.now(UTC) + by).strftime("%Y-%m-%d %H:%M:%S.%f")
    with contextlib.closing(sqlite3.connect(stage.site.data_dir / "hearth.db")) as store, store:
        store.execute(statement, {"time": moment, "id": batch_id})


class Scenario(NamedTuple):
    """`prepare` runs before the point is armed, `act` after the start with the point armed."""

    prepare: Callable[[Stage], None]
    act: Callable[[Stage], None]


def _nothing(stage: Stage) -> None:
    return


SCENARIOS = {
    "complete": Scenario(_nothing, complete),
    "cancel": Scenario(_nothing, cancel),
    "expire": Scenario(submit_what_expires, await_all),
    "sweep": Scenario(leave_what_is_swept, complete),
}
_OWN_SCENARIO = {"cancel.flagged": "cancel", "expiry.found": "expire", "sweep.deleted": "sweep"}


def run(
    nursery: Nursery,
    folder: Path,
    *,
    seed: int,
    cap: int = DEFAULT_CAP,
    is_long: bool = False,
    points: Sequence[str] = tuple(sorted(FAILPOINTS)),
    tell: Callable[[str], None] = lambda text: None,
) -> Verdict:
    """Each point in the scenario that is meant for it, at most `cap` times; with `is_long` in all scenarios."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        site = Site(nursery, folder)
        stage = Stage(site, journal, seed=seed)
        with running(site):
            for point in points:
                for name in SCENARIOS if is_long else [_OWN_SCENARIO.get(point, "complete")]:
                    number = _repeat(stage, point, SCENARIOS[name], cap)
                    tell(f"{point} while batches {name}: {number} kills")
            for _ in range(2):
                _start(stage, None)
                read_everything([site], journal, timeout_s=SCENARIO_S)
        journal.flush()
        return check(read(journal.path))


def _repeat(stage: Stage, point: str, scenario: Scenario, cap: int) -> int:
    """How often the server was killed there."""
    for number in range(1, cap + 1):
        _start(stage, None)
        scenario.prepare(stage)
        if not _is_killed(stage, f"{point}:{number}:kill", scenario):
            return number - 1
    return cap


def _is_killed(stage: Stage, failpoint: str, scenario: Scenario) -> bool:
    """Act with the point armed; once killed, the server is started without it and the scenario goes on."""
    is_killed = not _start(stage, failpoint)

    def look_after() -> None:
        nonlocal is_killed
        if not stage.site.is_running:
            stage.journal.write(Struck("server", failpoint.partition(":")[0]))
            is_killed = True
            stage.site.start()

    act(stage, scenario.act, look_after, name=failpoint)
    return is_killed


def act(
    stage: Stage, scenario: Callable[[Stage], None], look_after: Callable[[], None], *, name: str
) -> None:
    """Carry the scenario through in a thread, calling `look_after` all the time."""

    def carry_through() -> None:
        with contextlib.suppress(GaveUp):
            scenario(stage)

    acting = threading.Thread(target=carry_through, daemon=True)
    acting.start()
    deadline = time.monotonic() + SCENARIO_S
    while acting.is_alive() and time.monotonic() < deadline:
        look_after()
        acting.join(0.005)
    if acting.is_alive():
        stage.journal.write(Surprise(f"{name}: not through after {SCENARIO_S:.0f} s"))
        stage.ends.set()
        acting.join()
        stage.ends.clear()


def _start(stage: Stage, failpoint: str | None) -> bool:
    """Start afresh; False where the server died at the point while it started, and runs again without it."""
    if stage.site.is_running:
        stage.site.kill()
    try:
        stage.site.start(**({"failpoints": failpoint} if failpoint else {}))
    except NotReadyError as error:
        if failpoint is None or stage.site.is_running:
            stage.journal.write(Surprise(f"the server did not start: {error}"))
        else:
            stage.journal.write(Struck("server", failpoint.partition(":")[0]))
        stage.site.start()
        return False
    return True
