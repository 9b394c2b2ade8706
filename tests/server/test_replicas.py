"""Which replica is chosen, from how busy they are."""

import pytest

from engines.contract.chat import ChatRequest, GenerateRequest, Message
from engines.contract.embed import EmbedRequest
from server.replicas import Choice, beginning_of, choose, joint_batch_room, joint_state
from server.workers.occupancy import Occupancy
from server.workers.status import WorkerState

READY, ASLEEP, WAKING, STOPPED, LOADING, QUEUED, DRAINING, FAILED = (
    WorkerState.READY,
    WorkerState.ASLEEP,
    WorkerState.WAKING,
    WorkerState.STOPPED,
    WorkerState.LOADING,
    WorkerState.QUEUED,
    WorkerState.DRAINING,
    WorkerState.FAILED,
)
BEGINNINGS = [bytes([number]) * 16 for number in range(200)]


def one(
    state: WorkerState = READY, *, running: int = 0, waiting: int = 0, batch_waiting: int = 0
) -> Occupancy:
    """16 places, 12 of them for batches, and a queue of 4."""
    return Occupancy(
        state,
        is_serving=state is READY,
        is_queued=state is QUEUED,
        is_given_up=state is FAILED,
        num_running=running,
        num_waiting=waiting,
        num_batch_waiting=batch_waiting,
        max_running=16,
        max_waiting=4,
        batch_room=12,
    )


FULL = one(running=16)
CROWDED = one(running=16, waiting=4)


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ([one(), one(STOPPED)], Choice("a")),
        ([one(STOPPED), one()], Choice("b")),
        ([one(running=5), one(running=3)], Choice("b")),
        ([one(running=15), one(LOADING)], Choice("a")),
        ([FULL, one(running=15)], Choice("b")),
        ([FULL, one(STOPPED)], Choice("a", wake="b")),
        ([FULL, one(running=16, waiting=1), one(STOPPED)], Choice("a", wake="c")),
        ([FULL, one(LOADING), one(STOPPED)], Choice("a")),
        ([FULL, one(STOPPED), one(ASLEEP)], Choice("a", wake="c")),
        ([FULL, one(STOPPED), one(ASLEEP)._replace(is_queued=True)], Choice("a")),
        ([FULL, one(STOPPED), one(WAKING)], Choice("a")),
        ([one(STOPPED), one(ASLEEP)], Choice("b")),
        ([one(WorkerState.FALLING_ASLEEP), one(STOPPED)], Choice("b")),
        ([FULL, one(FAILED)], Choice("a")),
        ([CROWDED, one(STOPPED)], Choice("b")),
        ([CROWDED, one(LOADING), one(STOPPED)], Choice("b")),
        ([CROWDED, CROWDED], Choice("a")),
        ([CROWDED, one(FAILED)], Choice("a")),
        ([one(STOPPED), one(STOPPED)], Choice("a")),
        ([one(LOADING, waiting=3), one(STOPPED)], Choice("a")),
        ([one(QUEUED), one(FAILED)], Choice("a")),
        ([one(FAILED), one(STOPPED)], Choice("b")),
        ([one(DRAINING), one(STOPPED)], Choice("b")),
        ([one(FAILED), one(DRAINING)], Choice("b")),
        ([one(FAILED), one(FAILED)], Choice("a")),
    ],
)
def test_client_goes_where_it_is_served_soonest(replicas: list[Occupancy], expected: Choice) -> None:
    assert choose(dict(zip("abc", replicas, strict=False)), None) == expected


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ([one(running=12), one(running=3)], "b"),
        ([one(running=12), one(STOPPED)], "b"),
        ([one(running=12), one(LOADING, batch_waiting=11)], "b"),
        ([one(running=12), one(LOADING, batch_waiting=12)], "a"),
        ([one(running=12), one(LOADING, batch_waiting=12), one(STOPPED)], "c"),
        ([one(running=12, batch_waiting=9), one(running=12, batch_waiting=8)], "b"),
        ([one(running=12), one(FAILED)], "a"),
        ([one(STOPPED), one(STOPPED)], "a"),
    ],
)
def test_batch_uses_all_replicas_and_wakes_none_besides(replicas: list[Occupancy], expected: str) -> None:
    assert choose(dict(zip("abc", replicas, strict=False)), None, is_batch=True) == Choice(expected)


def test_replica_that_is_lost_but_not_gone_is_not_chosen() -> None:
    lost = one()._replace(is_serving=False)

    assert choose({"a": lost, "b": one(running=15)}, None) == Choice("b")


def test_beginnings_are_spread_and_each_goes_to_the_same_replica() -> None:
    replicas = {"a": one(), "b": one(), "c": one()}

    chosen = [choose(replicas, beginning).backend_id for beginning in BEGINNINGS]

    assert chosen == [choose(replicas, beginning).backend_id for beginning in BEGINNINGS]
    assert all(chosen.count(name) > 40 for name in replicas)


def test_beginnings_stay_where_they_are_when_another_replica_comes() -> None:
    before = [choose({"a": one(), "b": one()}, beginning).backend_id for beginning in BEGINNINGS]
    after = [choose({"a": one(), "b": one(), "c": one()}, beginning).backend_id for beginning in BEGINNINGS]

    assert all(old == new for old, new in zip(before, after, strict=True) if new != "c")


@pytest.mark.parametrize(("running", "is_loyal"), [(2, True), (3, False)])
def test_beginning_leaves_a_replica_that_is_notably_busier(running: int, is_loyal: bool) -> None:
    for beginning in BEGINNINGS:
        home = choose({"a": one(), "b": one()}, beginning).backend_id
        busy = {name: one(running=running if name == home else 0) for name in "ab"}

        assert (choose(busy, beginning).backend_id == home) is is_loyal


def chat(*texts: str, salt: str = "s", system: str | None = None) -> ChatRequest:
    """Turns of user and assistant."""
    roles = ("user", "assistant")
    turns = [Message(roles[number % 2], text) for number, text in enumerate(texts)]
    first = [] if system is None else [Message("system", system)]
    return ChatRequest((*first, *turns), cache_salt=salt)


def test_conversation_keeps_its_beginning_while_it_grows() -> None:
    assert beginning_of(chat("hi")) == beginning_of(chat("hi", "hello", "and then?"))


def test_long_beginning_is_enough() -> None:
    long = "You are a helper. " * 100

    assert beginning_of(chat("one", system=long)) == beginning_of(chat("two", system=long))
    assert beginning_of(chat("one", system="short")) != beginning_of(chat("two", system="short"))


def test_beginnings_of_two_keys_differ() -> None:
    assert beginning_of(chat("hi", salt="one")) != beginning_of(chat("hi", salt="two"))


def test_prompts_of_text_and_of_tokens_have_a_beginning() -> None:
    texts = [GenerateRequest((text,)) for text in ("a" * 2000, "a" * 3000, "b")]
    tokens = [GenerateRequest((ids,)) for ids in ((1,) * 300, (1,) * 400, (2,))]

    for requests in (texts, tokens):
        first, longer, other = map(beginning_of, requests)
        assert first == longer != other


def test_text_that_is_no_unicode_has_a_beginning() -> None:
    assert beginning_of(chat("\ud800")) is not None


def test_request_without_a_prompt_has_none() -> None:
    assert beginning_of(EmbedRequest(("hi",))) is None


@pytest.mark.parametrize("state", WorkerState)
def test_model_is_in_the_state_of_its_replica_that_is_nearest_to_serving(state: WorkerState) -> None:
    assert joint_state([WorkerState.FAILED, state]) is state
    assert joint_state([state, WorkerState.READY]) is WorkerState.READY


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ([one(STOPPED)], 12),
        ([one(), one()], 24),
        ([one(), one(LOADING)], 18),
        ([one(), one(FAILED)], 12),
        ([one(FAILED), one(FAILED)], 12),
    ],
)
def test_batches_have_room_on_all_replicas(replicas: list[Occupancy], expected: int) -> None:
    assert joint_batch_room(replicas) == expected
