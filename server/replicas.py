"""Which of a model's replicas takes a request. Pure: reads how busy they are, leases nothing."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engines.contract.chat import ChatRequest, GenerateRequest
from engines.contract.requests import Request
from server.workers.occupancy import Occupancy
from server.workers.status import WorkerState

BEGINNING_CHARS = 1024
BEGINNING_TOKENS = 256
_MOST_ALIVE = (
    WorkerState.READY,
    WorkerState.WAKING,
    WorkerState.WARMING,
    WorkerState.LOADING,
    WorkerState.STARTING,
    WorkerState.QUEUED,
    WorkerState.ASLEEP,
    WorkerState.STOPPED,
    WorkerState.FALLING_ASLEEP,
    WorkerState.DRAINING,
    WorkerState.FAILED,
)


class Choice(NamedTuple):
    """`wake` is another replica that shall be told to load meanwhile."""

    backend_id: str
    wake: str | None = None


def choose(replicas: Mapping[str, Occupancy], beginning: bytes | None, *, is_batch: bool = False) -> Choice:
    """Of at least one replica, in the order of preference.

    A ready one with a free place; among several, requests with the same beginning go to the same one as long as it is
    not notably busier than the least busy. If all are full a client waits at a ready one while another is told to load;
    only if it cannot wait there, at one that comes up, or that its coming brings up. A batch waits without a deadline,
    thus at such a one first, so that all replicas work on it. Those that have failed come last.
    """
    free = {name: one for name, one in replicas.items() if has_room(one, is_batch=is_batch)}
    if free:
        return Choice(_nearest(free, beginning, is_batch=is_batch))
    idle = _soonest({name: one for name, one in replicas.items() if one.is_idle})
    ready = _waitable(replicas, is_serving=True)
    if ready and not is_batch:
        is_one_coming = any(one.is_coming_up for one in replicas.values())
        return Choice(_lightest(ready), None if is_one_coming else idle)
    coming = {name: one for name, one in replicas.items() if one.is_coming_up}
    early = {
        name: one for name, one in coming.items() if _load(one, is_batch=is_batch) < _places(one, is_batch)
    }
    if early:
        return Choice(_lightest(early, is_batch=is_batch))
    if idle is not None:
        return Choice(idle)
    return Choice(_least_bad(replicas, is_batch=is_batch))


def has_room(one: Occupancy, *, is_batch: bool) -> bool:
    """A place that can be had now."""
    return one.is_serving and _load(one, is_batch=is_batch) < _places(one, is_batch)


def can_take(one: Occupancy, *, is_batch: bool) -> bool:
    """It serves, and has a place; a client may also queue there."""
    return has_room(one, is_batch=is_batch) or (
        one.is_serving and not is_batch and one.num_waiting < one.max_waiting
    )


def joint_state(states: Iterable[WorkerState]) -> WorkerState:
    """Of a model whose replicas are in `states`: that of the one that is nearest to serving."""
    return min(states, key=_MOST_ALIVE.index)


def joint_batch_room(replicas: Sequence[Occupancy]) -> int:
    """How many requests of batches a model may run at once: replicas that have yet to come up count half, and those
    that were given up not at all, unless all were.
    """
    if len(replicas) == 1:
        return replicas[0].batch_room
    rooms = [
        one.batch_room if one.is_serving else -(-one.batch_room // 2)
        for one in replicas
        if not one.is_given_up
    ]
    return sum(rooms) or replicas[0].batch_room


def beginning_of(request: Request) -> bytes | None:
    """A digest of what the prompt begins with, per cache salt; None for requests without a prompt.

    A conversation keeps its beginning while it grows: what comes after the first message of its user does not count.
    """
    match request:
        case ChatRequest():
            text = _opening(request)
        case GenerateRequest():
            first = request.prompts[0] if request.prompts else ""
            text = first[:BEGINNING_CHARS] if isinstance(first, str) else str(first[:BEGINNING_TOKENS])
        case _:
            return None
    return hashlib.blake2b(
        text.encode(errors="replace"), key=(request.cache_salt or "").encode(), digest_size=16
    ).digest()


def _opening(request: ChatRequest) -> str:
    text = ""
    for message in request.messages:
        text += (message.content or "")[: BEGINNING_CHARS - len(text)]
        if message.role == "user" or len(text) == BEGINNING_CHARS:
            break
    return text


def _nearest(free: Mapping[str, Occupancy], beginning: bytes | None, *, is_batch: bool) -> str:
    """Rendezvous hashing with bounded load: every replica ranks every beginning, so that one that comes or goes moves
    only its own.
    """
    if beginning is None:
        return _lightest(free, is_batch=is_batch)
    least = min(_load(one, is_batch=is_batch) for one in free.values())
    near = [name for name, one in free.items() if _load(one, is_batch=is_batch) <= least + _slack(one)]
    return max(near, key=lambda name: hashlib.blake2b(name.encode(), key=beginning, digest_size=8).digest())


def _soonest(idle: Mapping[str, Occupancy]) -> str | None:
    """A sleeping one is back sooner than one that was stopped."""
    return min(idle, key=lambda name: idle[name].state is not WorkerState.ASLEEP, default=None)


def _slack(one: Occupancy) -> int:
    """By how many requests a replica may be busier than another before it is notable."""
    return max(1, one.max_running // 8)


def _load(one: Occupancy, *, is_batch: bool) -> int:
    """Clients do not wait behind batches."""
    return one.num_running + one.num_waiting + (one.num_batch_waiting if is_batch else 0)


def _places(one: Occupancy, is_batch: bool) -> int:
    return one.batch_room if is_batch else one.max_running


def _waitable(replicas: Mapping[str, Occupancy], *, is_serving: bool) -> dict[str, Occupancy]:
    return {
        name: one
        for name, one in replicas.items()
        if one.is_serving is is_serving and not one.is_given_up and one.num_waiting < one.max_waiting
    }


def _lightest(replicas: Mapping[str, Occupancy], *, is_batch: bool = False) -> str:
    return min(replicas, key=lambda name: _load(replicas[name], is_batch=is_batch))


def _least_bad(replicas: Mapping[str, Occupancy], *, is_batch: bool) -> str:
    """All are full or failed: whatever queue is left, else one that will refuse in the right words."""
    if is_batch:
        serving = {name: one for name, one in replicas.items() if one.is_serving}
    else:
        serving = _waitable(replicas, is_serving=False)
    alive = {name: one for name, one in replicas.items() if not one.is_given_up}
    return _lightest(serving or alive or replicas, is_batch=is_batch)
