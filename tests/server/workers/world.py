"""Five models that do not fit together, workers that hold what they were started with, and what must always be true.

The scheduler's actions are carried out in numbers: processes, the bytes they hold, tickets and who has them.
"""

from typing import Literal, NamedTuple

from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.workers.actions import Action, Grant, Refuse, SleepWorker, StartWorker, StopWorker, WakeWorker
from server.workers.backoff import RestartPolicy
from server.workers.ledger import Memory
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec

LIMITS = Limits(max_concurrency=2, max_queue=3, queue_timeout_s=20, load_timeout_s=40, request_timeout_s=600)
BUDGETS = {"cpu": 1000, "cuda:0": 1000, "cuda:1": 1000}
SLEEP_BUDGET = 700
HOST_BYTES = 60
DEVICES = {
    "be_0": ("cpu",),
    "be_1": ("cpu",),
    "be_2": ("cuda:0",),
    "be_3": ("cuda:0",),
    "be_4": ("cuda:0", "cuda:1"),
}
NEEDS = {"be_0": 450, "be_1": 500, "be_2": 600, "be_3": 700, "be_4": 550}
WEIGHTS = {"be_0": 400, "be_1": 450}
BACKENDS = tuple(DEVICES)

Kind = Literal[
    "nothing",
    "request",
    "batch",
    "leave",
    "tick",
    "answer",
    "exit",
    "measured",
    "pin",
    "load",
    "stop",
    "sleep",
]
KINDS: tuple[Kind, ...] = (
    "nothing", *("request",) * 4, "batch", *("leave",) * 4, "tick", *("answer",) * 6,
    "exit", "measured", "pin", "load", "stop", "sleep", "sleep",
)  # fmt: skip


class Event(NamedTuple):
    """After `pause_s`, something of `kind` happens to a backend; `roll` (0..9) says how."""

    pause_s: float
    kind: Kind
    backend_id: str
    roll: int


class World:
    """`answer` is whatever the worker owes: that it is ready, asleep or awake, or that it has ended."""

    def __init__(self, keep_alive: int = -1, sleep_for: int = -1, pinned: int | None = None) -> None:
        self.now = 0.0
        specs = [
            make_spec(
                name,
                limits=LIMITS,
                keep_alive=keep_alive,
                sleep_for=sleep_for,
                pinned=number == pinned,
                priority=number % 2,
            )
            for number, name in enumerate(BACKENDS)
        ]
        memory = Memory(BUDGETS, NEEDS, lambda spec: DEVICES[spec.id], HOST_BYTES, WEIGHTS, SLEEP_BUDGET)
        self.scheduler = Scheduler(specs, RestartPolicy(), lambda: 0.5, 0.0, memory=memory)
        self.held: dict[str, dict[str, int]] = {}  # by every process there is
        self.owed: dict[str, Action] = {}
        self.present: set[int] = set()
        self.granted: dict[int, str] = {}
        self.next_ticket = 1

    def happen(self, event: Event) -> None:
        self.now += event.pause_s
        if event.kind in ("pin", "load", "stop", "sleep"):
            self._order(event)
        else:
            self._befall(event)
        self.check()

    def _befall(self, event: Event) -> None:
        name, roll, scheduler = event.backend_id, event.roll, self.scheduler
        match event.kind:
            case "request" | "batch":
                self._ask(name, Priority.INTERACTIVE if event.kind == "request" else Priority.BATCH)
            case "leave":
                self._leave(roll)
            case "tick":
                self._apply(scheduler.on_tick(self.now))
            case "answer":
                self._answer(name, roll)
            case "exit" if name in self.held and roll < 3:
                self._exit(name, "ended by SIGKILL")
            case "measured" if name in self.held:
                self._apply(scheduler.on_measured(self.now, name, dict(self.held[name])))

    def _order(self, event: Event) -> None:
        """An operator does something."""
        name, scheduler = event.backend_id, self.scheduler
        match event.kind:
            case "pin":
                self._apply(scheduler.on_pin(self.now, name, event.roll < 3))
            case "load":
                self._apply(scheduler.on_load(self.now, name))
            case "stop" if event.roll < 5:
                self._apply(scheduler.on_stop(self.now, name))
            case "sleep":
                self._apply(scheduler.on_sleep(self.now, name))

    def settle(self) -> None:
        """Let everybody leave and every worker answer, for a long time: then nothing may be left over."""
        for _ in range(400):
            for ticket in sorted(self.granted):
                self.present.discard(ticket)
                del self.granted[ticket]
                self._apply(self.scheduler.on_leave(self.now, ticket))
            for name in BACKENDS:
                self._answer(name, 0)
            wake_at = self.scheduler.next_wake()
            if wake_at is None and not self.owed and not self.granted:
                break
            self.now = max(self.now, wake_at or 0.0)
            self._apply(self.scheduler.on_tick(self.now))
            self.check()
        assert not self.present - self._held_up(), "somebody waits for ever"

    def _ask(self, name: str, priority: Priority) -> None:
        ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
        self.present.add(ticket)
        self._apply(self.scheduler.on_request(self.now, ticket, name, priority))

    def _leave(self, roll: int) -> None:
        if not self.present:
            return
        ticket = sorted(self.present)[roll % len(self.present)]
        self.present.remove(ticket)
        self.granted.pop(ticket, None)
        self._apply(self.scheduler.on_leave(self.now, ticket))

    def _answer(self, name: str, roll: int) -> None:
        match self.owed.pop(name, None):
            case StartWorker():
                self.held[name] = dict.fromkeys(DEVICES[name], NEEDS[name])
                self.held[name].setdefault("cpu", HOST_BYTES)
                self._apply(self.scheduler.on_ready(self.now, name, 5.0, self._levels(name)))
            case SleepWorker(level=level):
                self._fall_asleep(name, level, roll)
            case WakeWorker():
                self.held[name] = {"cpu": HOST_BYTES} | dict.fromkeys(DEVICES[name], NEEDS[name])
                self._apply(self.scheduler.on_awake(self.now, name, 0.5))
            case StopWorker(reason=reason):
                self._exit(name, reason)

    def _levels(self, name: str) -> tuple[int, ...]:
        return (2,) if DEVICES[name] == ("cpu",) else (1, 2)

    def _fall_asleep(self, name: str, level: int, roll: int) -> None:
        """Some refuse, some keep nearly all, most keep little. Level 1 moves what it frees to the host."""
        if roll == 9:
            self._apply(self.scheduler.on_sleep_refused(self.now, name, "requests are in flight"))
            return
        before = self.held[name]
        share = 0.95 if roll == 8 else 0.1
        kept = {device: int(before[device] * share) for device in DEVICES[name]}
        moved = sum(before[device] - kept[device] for device in kept) if level == 1 else 0
        freed = {device: before[device] - kept[device] for device in kept}
        self.held[name] = {"cpu": before["cpu"] + moved} | kept
        self._apply(self.scheduler.on_asleep(self.now, name, {"cpu": -moved} | freed))

    def _exit(self, name: str, error: str | None) -> None:
        del self.held[name]
        self.owed.pop(name, None)
        self._apply(self.scheduler.on_exit(self.now, name, error))

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Grant(ticket=ticket, backend_id=name):
                    assert ticket in self.present, "granted to somebody who is gone"
                    assert name in self.held.keys() - self.owed.keys(), "granted where nobody serves"
                    self.granted[ticket] = name
                case Refuse(ticket=ticket):
                    assert ticket not in self.granted, "refused while it ran"
                    self.present.remove(ticket)
                case StartWorker(backend_id=name):
                    assert name not in self.held, "loaded twice"
                    self.held[name] = {}
                    self.owed[name] = action
                case StopWorker(backend_id=name, reason=reason):
                    assert reason or name not in self.granted.values(), "stopped while it served somebody"
                    self.owed[name] = action
                case SleepWorker(backend_id=name) | WakeWorker(backend_id=name):
                    assert name not in self.owed, "two orders at once"
                    assert name not in self.granted.values(), "put to sleep while it served somebody"
                    self.owed[name] = action

    def check(self) -> None:
        ledger, records = self.scheduler.ledger, self.scheduler.records
        for device, budget in BUDGETS.items():
            assert ledger.used_bytes(device) <= budget, f"{device} is over its budget"
            assert sum(held.get(device, 0) for held in self.held.values()) <= budget, f"{device} is overfull"
        for name, record in records.items():
            is_held = any(ledger.held_bytes(device, name) for device in record.needs)
            assert is_held == (name in self.held), "the ledger and the processes differ"
        waiting = {t for r in records.values() for t in (*r.waiting, *r.batch_waiting)}
        assert waiting | self.granted.keys() == self.present, "somebody was lost"
        assert not waiting & self.granted.keys(), "somebody waits for what it has"
        coming_up = [device for r in records.values() if r.state.is_coming_up for device in r.devices]
        assert len(coming_up) == len(set(coming_up)), "two loads on one device"
        asleep = [name for name, r in records.items() if r.state is WorkerState.ASLEEP]
        assert sum(ledger.held_bytes("cpu", name) for name in asleep) <= SLEEP_BUDGET, "too much sleeps"
        is_moving = self.scheduler.next_wake() is not None or self.owed or self.granted
        assert is_moving or not waiting - self._held_up(), "nobody will ever look again"

    def _held_up(self) -> set[int]:
        """Batches that may wait for ever: somebody has pinned a model."""
        records = self.scheduler.records.values()
        is_pinned = any(record.is_pinned for record in records)
        return {ticket for record in records for ticket in record.batch_waiting} if is_pinned else set()
