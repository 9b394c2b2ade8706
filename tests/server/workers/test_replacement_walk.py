"""Thousands of events in any order while versions of models come, are swapped and fail; what must hold after each."""

import msgspec
import pytest

from engines.contract.errors import EngineError
from server.workers.record import Stage
from server.workers.replacements import LEAVING, NEWCOMER, owner_of
from tests.fakes.specs import make_spec
from tests.server.workers.test_memory_walk import LIMITS, NUM_EVENTS, World

PATIENT = msgspec.structs.replace(LIMITS, load_timeout_s=1000)  # a newcomer may wait long for its memory


class Needs(dict[str, int]):
    """Every version of a backend needs the same."""

    def __missing__(self, name: str) -> int:
        return self[owner_of(name)]


class SwappingWorld(World):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.needs = Needs(self.needs)
        self.num_swaps = 0
        self.num_given_up = 0

    def step(self) -> None:
        roll = self.random.random()
        if roll < 0.1:
            self.replace(self.random.choice(list(self.needs)))
        elif roll < 0.3:
            for name in sorted(self.running):
                if name != owner_of(name):
                    self.happen_to_worker(name)
        elif roll < 0.4:
            self.probe()
        else:
            super().step()

    def replace(self, name: str) -> None:
        spec = make_spec(name, limits=PATIENT, keep_alive=self.random.choice((-1, 0)))
        try:
            self.apply(self.scheduler.on_replace(self.now, spec, self.needs[name]))
        except EngineError:
            assert len(self.versions(name)) > 1 or self.needs[name] > 50, "refused without a reason"

    def probe(self) -> None:
        for name in sorted(self.running):
            if not self.scheduler.replacements.is_probed(name):
                continue
            owner = owner_of(name)
            error = "no answer" if self.random.random() < 0.5 else None
            actions = self.scheduler.on_probed(self.now, owner, error)
            if error is None:
                self.rename(owner, owner + LEAVING)
                self.rename(name, owner)
            self.num_swaps += error is None
            self.num_given_up += error is not None
            self.apply(actions)

    def rename(self, name: str, new: str) -> None:
        for names in (self.running, self.stopping):
            if name in names:
                names.remove(name)
                names.add(new)
        self.granted = {ticket: new if held == name else held for ticket, held in self.granted.items()}

    def versions(self, name: str) -> list[str]:
        return [found for found in self.scheduler.records if owner_of(found) == name]

    def check(self) -> None:
        super().check()
        for name in self.needs:
            versions = self.versions(name)
            assert name in versions
            assert len(versions) <= 2, "two replacements of one backend"
            record = self.scheduler.records[name]
            newcomer = self.scheduler.records.get(name + NEWCOMER)
            assert record.successor is None or record.successor is newcomer
            assert newcomer is None or newcomer.stage is Stage.COMING
            assert newcomer is None or not newcomer.leases, "served before it was probed"


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_with_replacements_keeps_every_invariant(seed: int) -> None:
    world = SwappingWorld(seed)

    for _ in range(NUM_EVENTS):
        world.step()
        world.check()

    assert world.num_swaps > 0
    assert world.num_given_up > 0
