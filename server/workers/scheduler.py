"""Decides which workers start and stop and which requests get a lease; events and times in, actions out.

Pure: it knows no process, socket or clock; the supervisor tells it what happened and does what it answers.
"""

from collections.abc import Callable, Iterable, Mapping

from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from server.workers.actions import Action, ProbeWorker, Refuse, StopWorker, shutting_down, stopped
from server.workers.backoff import RestartPolicy
from server.workers.ladder import gave_too_little
from server.workers.last_words import NOT_STARTED
from server.workers.ledger import NO_BOUNDS, Ledger, Memory, Need, gib
from server.workers.moves import Moves
from server.workers.record import Record, Stage
from server.workers.replacements import Replacements
from server.workers.status import WorkerState


class Scheduler:
    """State machine over all backends. `jitter()` returns 0..1; times are seconds of one monotonic clock."""

    def __init__(
        self,
        specs: Iterable[BackendSpec],
        policy: RestartPolicy,
        jitter: Callable[[], float],
        now: float,
        *,
        memory: Memory = NO_BOUNDS,
    ) -> None:
        self._policy = policy
        self._jitter = jitter
        self.ledger = Ledger(memory.budgets, memory.sleep_budget)
        self._memory = memory
        self.records = {
            spec.id: self._record(
                spec, Need(memory.needs.get(spec.id, 0), memory.weights.get(spec.id, 0)), now
            )
            for spec in specs
        }
        self._survivors: dict[int, str] = {}  # process group -> its name in the ledger
        self._moves = Moves(self.records, self.ledger, policy)
        self.replacements = Replacements(self.records, self.ledger, self._moves)

    def on_request(
        self, now: float, ticket: int, backend_id: str, priority: Priority = Priority.DEFAULT
    ) -> list[Action]:
        """Someone wants a lease. A batch gets places that nobody else wants, and waits without a deadline."""
        record = self.records[backend_id]
        if self._moves.is_draining:
            return [Refuse(ticket, shutting_down())]
        if record.state is WorkerState.FAILED and now < record.not_before:
            return [Refuse(ticket, record.refusal(now))]
        return self._moves.leases.ask(record, ticket, priority, now) or self._moves.bring_up(record, now)

    def on_leave(self, now: float, ticket: int) -> list[Action]:
        """The holder of a lease has finished, or someone who waited has gone."""
        record = self._moves.leases.leave(ticket, now)
        if record is None:
            return []
        if not record.leases and record.state in (WorkerState.DRAINING, WorkerState.FALLING_ASLEEP):
            return [self._moves.take_down(record)]
        relief = self._moves.relieve(now) if record.is_warned else []
        return relief + self._moves.leases.serve(record, now) + self._moves.load_queued(now)

    def on_load(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend up, even if it has failed a moment ago."""
        record = self.records[backend_id]
        record.is_wanted = record.state in (WorkerState.DRAINING, WorkerState.FALLING_ASLEEP)
        return self._moves.bring_up(record, now)

    def on_sleep(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend asleep. Nothing happens if it cannot sleep now; `can_sleep` tells."""
        record = self.records[backend_id]
        fall = self._moves.choose_fall(record)
        return [] if fall is None else self._moves.let_go(record, now, "by an operator", "operator", fall)

    def can_sleep(self, backend_id: str) -> bool:
        return self._moves.choose_fall(self.records[backend_id]) is not None

    def on_replace(self, now: float, spec: BackendSpec, need: Need) -> list[Action]:
        """An operator wants another version of the backend in the place of the one that serves.

        Raises EngineError: CONFLICT, SHUTTING_DOWN.
        """
        return self.replacements.begin(self._record(spec, need, now), spec, now)

    def on_probed(self, now: float, backend_id: str, error: str | None) -> list[Action]:
        """The new version of the backend has answered its probe, or cannot take over for the reason `error`."""
        if error is not None:
            return self.replacements.give_up(backend_id, error, now)
        return self.replacements.take_over(backend_id, now)

    def on_stop(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend down: running requests end, waiting ones are refused."""
        record = self.records[backend_id]
        record.deaths.clear()
        record.is_wanted = False
        actions = self._moves.leases.refuse_waiting(record, stopped())
        actions += self.replacements.give_up(backend_id, "stopped by an operator", now)
        if record.state.has_process:
            record.enter(WorkerState.DRAINING, now)
            return actions if record.leases else [*actions, StopWorker(backend_id)]
        record.enter(WorkerState.STOPPED, now)
        return actions

    def on_progress(self, now: float, backend_id: str, state: WorkerState, detail: str) -> None:
        """The worker reports a phase of its coming up."""
        record = self.records[backend_id]
        if record.state.is_coming_up:
            record.enter(state, now, detail)

    def on_ready(
        self, now: float, backend_id: str, load_s: float | None = None, sleep_levels: tuple[int, ...] = ()
    ) -> list[Action]:
        record = self.records[backend_id]
        if not record.is_loading:
            return []
        record.load_s = load_s
        record.sleep_levels = sleep_levels
        ready = self._moves.become_ready(record, now)
        return [*ready, ProbeWorker(backend_id)] if record.stage is Stage.COMING else ready

    def on_asleep(self, now: float, backend_id: str, freed: Mapping[str, int]) -> list[Action]:
        """The worker fell asleep and gave back so much of each device; less than nothing where weights went to."""
        record = self.records[backend_id]
        fall = record.fall
        if record.state is not WorkerState.FALLING_ASLEEP or fall is None:
            return []
        kept = {device: max(0, size - freed.get(device, 0)) for device, size in fall.held.items()}
        for device, size in kept.items():
            self.ledger.measure(device, backend_id, size)
        record.asleep_bytes[fall.level] = kept
        device = record.devices[0]
        if gave_too_little(fall.held[device], kept[device]):
            record.vain_levels.add(fall.level)
            reason = f"kept {gib(kept[device])} of {gib(fall.held[device])} of {device} when it slept"
            return self._moves.give_up_sleep(record, now, reason)
        record.enter(WorkerState.ASLEEP, now, f"level {fall.level}")
        again = self._moves.bring_up(record, now) if record.is_asked_for else []
        record.is_wanted = False
        return again or self._moves.load_queued(now)

    def on_awake(self, now: float, backend_id: str, wake_s: float) -> list[Action]:
        record = self.records[backend_id]
        if record.state is not WorkerState.WAKING or record.is_doomed:
            return []
        record.wake_s = wake_s
        for device, need in record.needs.items():  # weights have left the host's memory
            self.ledger.grant(device, backend_id, need)
        return self._moves.become_ready(record, now)

    def on_sleep_refused(self, now: float, backend_id: str, reason: str) -> list[Action]:
        """The worker stayed hot: memory that was promised must come back another way."""
        record = self.records[backend_id]
        if record.state is not WorkerState.FALLING_ASLEEP:
            return []
        return self._moves.give_up_sleep(record, now, f"did not fall asleep: {reason}")

    def on_measured(
        self, now: float, backend_id: str, sizes: Mapping[str, int], *, is_whole: bool = True
    ) -> list[Action]:
        """The worker was seen to hold so much of each device. The most that it held is what it will need.

        Unless it `is_whole`, a look from before the model was all there, it can only show that more is held.
        """
        record = self.records[backend_id]
        if not record.state.has_process:
            return []
        for device, size_bytes in sizes.items():
            is_more = size_bytes > self.ledger.held_bytes(device, backend_id)
            if is_more or (is_whole and not record.is_granted):
                self.ledger.measure(device, backend_id, size_bytes)
            if record.state.is_coming_up:
                record.load_peaks[device] = max(size_bytes, record.load_peaks.get(device, 0))
        if is_whole and record.state is WorkerState.READY:
            self._learn(record, sizes)
        return self._moves.relieve(now) + self._moves.load_queued(now)

    def on_free(self, now: float, free: Mapping[str, int]) -> list[Action]:
        """So much of each device is really free: other programs take memory and give it back."""
        self.ledger.free = free
        return self._moves.load_queued(now)

    def on_pin(self, now: float, backend_id: str, is_pinned: bool) -> list[Action]:
        """A pinned model never gives way and is not stopped for being idle."""
        self.records[backend_id].is_pinned = is_pinned
        return self._moves.load_queued(now)

    def on_hang_up(self, backend_id: str) -> None:
        """The worker's connection is lost: nobody gets a lease until the next worker is ready."""
        self.records[backend_id].is_doomed = True

    def on_exit(
        self,
        now: float,
        backend_id: str,
        error: str | None,
        *,
        permanent: bool = False,
        told_error: str | None = None,
    ) -> list[Action]:
        """The worker's process is gone; `error` is None after an orderly stop, `told_error` what clients may read."""
        record = self.records[backend_id]
        for device in record.needs:
            self.ledger.release(device, backend_id)
        record.fall = None
        if record.stage is not Stage.SERVING:
            return self.replacements.on_exit(record, error, now)
        if record.state is WorkerState.DRAINING or error is None or self._moves.is_draining:
            record.enter(WorkerState.STOPPED, now)
            again = self._moves.bring_up(record, now) if record.is_asked_for else []
            record.is_wanted = False
            return again + self._moves.load_queued(now)
        was_ready_s = now - record.since if record.state is WorkerState.READY else 0.0
        is_missed = record.is_asked_for or record.state not in (
            WorkerState.ASLEEP,
            WorkerState.FALLING_ASLEEP,
        )
        record.last_error = error
        record.told_error = told_error or NOT_STARTED
        record.deaths.add(now, error, lived_ready_s=was_ready_s)
        if permanent or record.deaths.is_hopeless:
            record.not_before = now + self._policy.failed_s
            record.deaths.give_up()
            record.enter(WorkerState.FAILED, now, error)
            return self._moves.leases.refuse_waiting(record, record.refusal(now)) + self._moves.load_queued(
                now
            )
        if not is_missed:
            record.enter(WorkerState.STOPPED, now, error)
            return self._moves.load_queued(now)
        record.restarts += 1
        record.not_before = now + record.deaths.delay_s(self._jitter())
        record.enter(WorkerState.QUEUED, now, f"restarting after: {error}")
        return self._moves.load_queued(now)

    def on_survivors(self, backend_id: str, group_id: int, names: str) -> None:
        """Processes of the backend's worker outlive it. What it held stays held, by them."""
        holder = self._survivors[group_id] = f"{backend_id}: {names}"
        for device in self.records[backend_id].needs:
            self.ledger.grant(device, holder, self.ledger.held_bytes(device, backend_id))

    def on_survivors_gone(self, now: float, group_id: int) -> list[Action]:
        holder = self._survivors.pop(group_id)
        for device in self.ledger.devices:
            self.ledger.release(device, holder)
        return self._moves.load_queued(now)

    def on_drain(self, now: float) -> list[Action]:
        """The server is going down: nothing starts, nobody waits any longer; running requests go on."""
        self._moves.is_draining = True
        actions = self.replacements.give_up_all("the server shuts down", now)
        for record in self.records.values():
            actions += self._moves.leases.refuse_waiting(record, shutting_down())
            record.queued_at = None
            if record.state is WorkerState.QUEUED:
                record.enter(WorkerState.STOPPED, now)
        return actions

    def on_tick(self, now: float) -> list[Action]:
        """Time has passed: waits and loads that took too long end, delayed starts begin."""
        actions = self.replacements.on_tick(now) + self._moves.load_queued(now)
        for record in self.records.values():
            actions += self._moves.leases.expire(record, now) + self._moves.leases.serve_batch(record, now)
            if record.keep_until is not None and record.keep_until <= now:
                actions += self._moves.retire(record, now)
            if record.is_loading and record.load_deadline <= now:
                record.is_doomed = True
                limit_s = record.spec.limits.load_timeout_s
                actions.append(StopWorker(record.spec.id, f"not ready within {limit_s:.0f} s"))
        return actions

    def next_wake(self) -> float | None:
        """The earliest time at which `on_tick` has something to do."""
        times = [time for record in self.records.values() for time in record.wake_times()]
        times += self.replacements.wake_times()
        if self._moves.look_again_at is not None:
            times.append(self._moves.look_again_at)
        return min(times, default=None)

    def _learn(self, record: Record, sizes: Mapping[str, int]) -> None:
        """The next load needs the most that was seen, while it came up or since."""
        before = record.needs if record.is_measured else {}
        for device, size_bytes in sizes.items():
            most = max(size_bytes, record.load_peaks.get(device, 0), before.get(device, 0))
            record.needs[device] = min(most, self.ledger.budgets.get(device, most))  # a leak is not a need
        record.is_measured = True

    def _record(self, spec: BackendSpec, need: Need, now: float) -> Record:
        return Record(
            spec,
            self._policy,
            now,
            devices=self._memory.devices_of(spec),
            need_bytes=need.total_bytes,
            host_bytes=self._memory.host_bytes,
            weights_bytes=need.weights_bytes,
        )
