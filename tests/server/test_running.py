"""The list of running requests: each key sees its own."""

from engines.contract.image import ImageProgress
from engines.contract.types import Modality
from server.running import RunningRequests


def test_request_is_listed_until_it_ends() -> None:
    running = RunningRequests()
    first = running.begin("req_1", "key_1", "a/one", Modality.CHAT)
    second = running.begin("req_2", "key_1", "a/two", Modality.IMAGE)

    assert running.of("key_1") == [first, second]
    running.end(first)
    assert running.of("key_1") == [second]
    assert running.find("key_1", "req_1") is None


def test_other_keys_see_nothing() -> None:
    running = RunningRequests()
    running.begin("req_1", "key_1", "a/one", Modality.CHAT)

    assert running.of("key_2") == []
    assert running.find("key_2", "req_1") is None


def test_of_several_with_one_id_the_newest_is_found_and_all_are_listed() -> None:
    running = RunningRequests()
    first = running.begin("same", "key_1", "a/one", Modality.CHAT)
    second = running.begin("same", "key_1", "a/one", Modality.CHAT)
    foreign = running.begin("same", "key_2", "a/one", Modality.CHAT)

    assert running.find("key_1", "same") is second
    assert running.of("key_1") == [first, second]
    running.end(second)
    assert running.find("key_1", "same") is first
    assert running.find("key_2", "same") is foreign


def test_card_tells_state_and_progress() -> None:
    request = RunningRequests().begin("req_1", "key_1", "a/one", Modality.IMAGE)

    queued = request.card()
    request.is_accepted = True
    request.progress = ImageProgress(3, 15)
    running = request.card()

    assert (queued["state"], queued["progress"]) == ("queued", None)
    assert (running["state"], running["progress"]) == ("running", {"step": 3, "num_steps": 15})
    assert set(running) == {"id", "model", "modality", "state", "progress", "started_at", "elapsed_s"}
