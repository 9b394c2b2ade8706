"""Ten thousand events in any order over five models that do not fit together, and what must hold after each."""

import random

import pytest

from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.workers.actions import Action, Grant, Refuse, StartWorker, StopWorker
from server.workers.backoff import RestartPolicy
from server.workers.ledger import Memory
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec

LIMITS = Limits(max_concurrency=3, max_queue=4, queue_timeout_s=20, load_timeout_s=40, request_timeout_s=600)
NUM_EVENTS = 2000
NUM_SEEDS = 5
BUDGETS = {"cpu": 100, "cuda:0": 100, "cuda:1": 100}


class World:
    """Real processes that hold what they were started with, up to a tenth more or less."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        devices = {"be_0": "cpu", "be_1": "cpu", "be_2": "cpu", "be_3": "cuda:0", "be_4": "cuda:0,1"}
        self.needs = {"be_0": 40, "be_1": 50, "be_2": 70, "be_3": 60, "be_4": 55}
        specs = [
            make_spec(
                name,
                limits=LIMITS,
                keep_alive=self.random.choice((-1, 0, "1m")),
                pinned=self.random.random() < 0.1,
                priority=self.random.randrange(3),
            )
            for name in devices
        ]
        memory = Memory(BUDGETS, self.needs, lambda spec: _devices(devices[spec.id]))
        self.scheduler = Scheduler(specs, RestartPolicy(), self.random.random, 0.0, memory=memory)
        self.running: set[str] = set()
        self.stopping: set[str] = set()
        self.present: set[int] = set()
        self.granted: dict[int, str] = {}
        self.next_ticket = 1

    def step(self) -> None:
        self.now += self.random.choice((0.0, 0.1, 1.0, 15.0, 40.0))
        name = self.random.choice(list(self.needs))
        roll = self.random.random()
        if roll < 0.35:
            ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
            self.present.add(ticket)
            priority = self.random.choice((Priority.INTERACTIVE, Priority.BATCH))
            self.apply(self.scheduler.on_request(self.now, ticket, name, priority))
        elif roll < 0.65 and self.present:
            ticket = self.random.choice(sorted(self.present))
            self.present.remove(ticket)
            self.granted.pop(ticket, None)
            self.apply(self.scheduler.on_leave(self.now, ticket))
        elif roll < 0.75:
            self.apply(self.scheduler.on_tick(self.now))
        elif roll < 0.77:
            self.apply(self.scheduler.on_pin(self.now, name, self.random.random() < 0.3))
        elif roll < 0.78:
            self.apply(self.scheduler.on_stop(self.now, name))
        elif name in self.running:
            self.happen_to_worker(name)

    def happen_to_worker(self, name: str) -> None:
        roll = self.random.random()
        if name in self.stopping or roll < 0.1:
            self.running.discard(name)
            self.stopping.discard(name)
            error = None if self.scheduler.records[name].state is WorkerState.DRAINING else "ended by SIGKILL"
            self.apply(self.scheduler.on_exit(self.now, name, error))
        elif roll < 0.8:
            self.apply(self.scheduler.on_ready(self.now, name, 5.0))
        else:
            seen = self.needs[name] - self.random.randrange(5)
            devices = self.scheduler.records[name].devices
            self.apply(self.scheduler.on_measured(self.now, name, dict.fromkeys(devices, seen)))

    def apply(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Grant):
                assert action.ticket in self.present
                assert action.backend_id in self.running
                self.granted[action.ticket] = action.backend_id
            elif isinstance(action, Refuse):
                self.present.remove(action.ticket)
            elif isinstance(action, StartWorker):
                assert action.backend_id not in self.running, "loaded twice"
                self.running.add(action.backend_id)
            elif isinstance(action, StopWorker):
                self.stopping.add(action.backend_id)
                if action.reason is None:
                    assert action.backend_id not in self.granted.values(), "stopped while it served somebody"

    def check(self) -> None:
        ledger = self.scheduler.ledger
        for device, budget in BUDGETS.items():
            assert ledger.used_bytes(device) <= budget
        for name, record in self.scheduler.records.items():
            is_held = any(ledger.held_bytes(device, name) for device in record.devices)
            assert is_held == (name in self.running), "the ledger and the processes differ"
        waiting = {t for r in self.scheduler.records.values() for t in (*r.waiting, *r.batch_waiting)}
        assert waiting | self.granted.keys() == self.present, "somebody was lost"
        coming_up = [r for r in self.scheduler.records.values() if r.state.is_coming_up]
        devices = [device for record in coming_up for device in record.devices]
        assert len(devices) == len(set(devices)), "two loads on one device"


def _devices(name: str) -> tuple[str, ...]:
    kind, _, numbers = name.partition(":")
    return tuple(f"{kind}:{number}" for number in numbers.split(",")) if numbers else (kind,)


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_a_random_walk_keeps_every_invariant(seed: int) -> None:
    world = World(seed)

    for _ in range(NUM_EVENTS):
        world.step()
        world.check()
