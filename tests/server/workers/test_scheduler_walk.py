"""Random walks over the scheduler: thousands of events in any order, and what must hold after each."""

import random

import pytest

from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.workers.actions import Action, Grant, Refuse, StartWorker
from server.workers.backoff import RestartPolicy
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec

LIMITS = Limits(max_concurrency=3, max_queue=4, queue_timeout_s=20, load_timeout_s=40, request_timeout_s=600)
NUM_EVENTS = 3000


class Walk:
    """A world of one scheduler: its processes are a set of names, its requesters a set of tickets."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        specs = [make_spec(f"be_{n}", device=f"cuda:{n % 2}", limits=LIMITS) for n in range(4)]
        self.scheduler = Scheduler(specs, RestartPolicy(), self.random.random, self.now)
        self.names = [spec.id for spec in specs]
        self.running: set[str] = set()
        self.present: set[int] = set()
        self.granted: dict[int, str] = {}
        self.next_ticket = 1

    def step(self) -> None:
        self.now += self.random.choice((0.0, 0.1, 1.0, 15.0))
        name = self.random.choice(self.names)
        roll = self.random.random()
        if roll < 0.40:
            self.request(name)
        elif roll < 0.70:
            self.leave()
        elif roll < 0.78:
            self.apply(self.scheduler.on_tick(self.now))
        elif roll < 0.80:
            self.apply(self.scheduler.on_load(self.now, name))
        elif roll < 0.83:
            self.apply(self.scheduler.on_stop(self.now, name))
        elif name in self.running:
            self.happen_to_worker(name)

    def request(self, name: str) -> None:
        ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
        self.present.add(ticket)
        priority = self.random.choice(
            (Priority.INTERACTIVE, Priority.DEFAULT, Priority.BATCH, Priority.BATCH)
        )
        self.apply(self.scheduler.on_request(self.now, ticket, name, priority))

    def leave(self) -> None:
        if self.present:
            ticket = self.random.choice(sorted(self.present))
            self.present.remove(ticket)
            self.granted.pop(ticket, None)
            self.apply(self.scheduler.on_leave(self.now, ticket))

    def happen_to_worker(self, name: str) -> None:
        roll = self.random.random()
        if roll < 0.1:
            self.scheduler.on_hang_up(name)
        elif roll < 0.3:
            self.scheduler.on_progress(self.now, name, WorkerState.LOADING, "")
        elif roll < 0.8:
            self.apply(self.scheduler.on_ready(self.now, name))
        else:
            self.running.remove(name)
            error = self.random.choice((None, "ended by SIGKILL"))
            permanent = self.random.random() < 0.1
            self.apply(self.scheduler.on_exit(self.now, name, error, permanent=permanent))

    def apply(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Grant):
                assert action.ticket in self.present, "granted to someone who has gone or was refused"
                assert action.ticket not in self.granted, "granted twice"
                assert action.backend_id in self.running, "granted on no process"
                record = self.scheduler.records[action.backend_id]
                is_batch = action.ticket in record.batch_leases
                assert not (is_batch and record.waiting), "a batch overtook somebody"
                self.granted[action.ticket] = action.backend_id
            elif isinstance(action, Refuse):
                assert action.ticket not in self.granted, "refused after a grant"
                self.present.remove(action.ticket)
            elif isinstance(action, StartWorker):
                assert action.backend_id not in self.running, "started twice"
                self.running.add(action.backend_id)
            else:
                assert action.backend_id in self.running, "stopped without a process"

    def check(self) -> None:
        known: set[int] = set()
        for record in self.scheduler.records.values():
            assert len(record.leases) <= LIMITS.max_concurrency
            assert len(record.waiting) <= LIMITS.max_queue
            assert record.batch_leases <= record.leases
            assert len(record.batch_leases) <= record.batch_room < LIMITS.max_concurrency
            assert len(record.batch_waiting) <= record.max_batch_waiting
            if record.batch_waiting and record.num_free_for_batch:
                wake_at = self.scheduler.next_wake()
                assert wake_at is not None, "a batch waits beside idle places, and nothing will wake it"
                assert wake_at <= record.pace.next_at, "a batch waits longer than its pace asks for"
            assert record.state.has_process == (record.spec.id in self.running)
            assert not (record.waiting and record.num_free > 0), "someone waits beside a free place"
            is_awaited = bool(record.waiting or record.batch_waiting)
            assert not (is_awaited and record.state in (WorkerState.STOPPED, WorkerState.FAILED))
            known |= record.leases | record.waiting.keys() | record.batch_waiting.keys()
        assert known == self.present, "a ticket of someone who has gone is still known, or one was lost"
        coming_up = [r.spec.device for r in self.scheduler.records.values() if r.state.is_coming_up]
        assert len(coming_up) == len(set(coming_up)), "two loads on one device"

    def check_no_busy_loop(self) -> None:
        """A tick at the wake time leaves nothing to do at that same time."""
        wake_at = self.scheduler.next_wake()
        if wake_at is not None and wake_at <= self.now:
            self.apply(self.scheduler.on_tick(self.now))
            wake_at = self.scheduler.next_wake()
            assert wake_at is None or wake_at > self.now, "the next wake stays in the past"


@pytest.mark.parametrize("seed", range(8))
def test_invariants_hold_on_a_random_walk(seed: int) -> None:
    walk = Walk(seed)

    for _ in range(NUM_EVENTS):
        walk.step()
        walk.check()
        walk.check_no_busy_loop()


@pytest.mark.parametrize("seed", range(4))
def test_drained_scheduler_comes_to_rest(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(300):
        walk.step()

    walk.apply(walk.scheduler.on_drain(walk.now))
    for name in sorted(walk.running):
        walk.running.remove(name)
        walk.apply(walk.scheduler.on_exit(walk.now, name, None))
    for ticket in sorted(walk.present):
        walk.present.remove(ticket)
        walk.apply(walk.scheduler.on_leave(walk.now, ticket))

    walk.check()
    assert walk.scheduler.next_wake() is None
