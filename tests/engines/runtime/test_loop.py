"""The worker keeps its promises over a real socket, whatever its engine does."""

import asyncio
import signal
from pathlib import Path

import pytest

from engines.contract.chat import Delta, GenerateRequest, Sampling
from engines.contract.errors import ErrorCode
from engines.contract.frames import (
    Accepted,
    Attach,
    Done,
    Dying,
    Failed,
    LoadFailed,
    Progress,
    Ready,
    Shutdown,
    Start,
)
from tests.engines.running_worker import RunningWorker, chat
from tests.engines.runtime.conftest import Worker
from tests.fakes.specs import make_spec


async def test_answer_is_accepted_then_streamed_then_done(worker: Worker) -> None:
    _, peer = worker

    answer = await peer.ask(chat("one two three", stream=True))

    assert [type(event) for event in answer.events] == [Accepted, Delta, Delta, Delta, Done]
    assert (answer.text(), answer.finish_reason()) == ("one two three", "stop")


async def test_unstreamed_answer_comes_in_one_delta(worker: Worker) -> None:
    _, peer = worker

    answer = await peer.ask(chat("one two three"))

    assert [delta.content for delta in answer.deltas] == ["one two three"]


async def test_generate_reaches_the_engine(worker: Worker) -> None:
    _, peer = worker

    answer = await peer.ask(GenerateRequest(("a b", "c"), Sampling(n=2)))

    assert [answer.text(index) for index in range(4)] == ["a b", "a b", "c", "c"]


async def test_requests_of_one_step_share_a_frame(worker: Worker) -> None:
    _, peer = worker

    answers = await asyncio.gather(*(peer.ask(chat("a b c d", stream=True)) for _ in range(16)))

    num_deltas = sum(len(answer.deltas) for answer in answers)
    assert num_deltas == 64
    assert peer.num_items <= num_deltas / 4


async def test_refusal_comes_instead_of_acceptance(worker: Worker) -> None:
    _, peer = worker

    answer = await peer.ask(chat("!refuse:0:BACKEND_RATE_LIMITED"))

    assert not answer.is_accepted
    assert (answer.failure.code, answer.failure.field, answer.failure.retry_after_s) == (
        ErrorCode.BACKEND_RATE_LIMITED,
        "messages",
        1,
    )


async def test_failure_in_the_middle_follows_the_deltas_before_it(worker: Worker) -> None:
    _, peer = worker

    answer = await peer.ask(chat("a b c !fail:2:BACKEND_TIMEOUT", stream=True))

    assert answer.text() == "a b"
    assert answer.failure.code is ErrorCode.BACKEND_TIMEOUT


async def test_bug_in_the_engine_fails_its_request_alone_and_hides_its_words(worker: Worker) -> None:
    running_worker, peer = worker

    crashed, fine = await asyncio.gather(
        peer.ask(chat("a !crash:1", stream=True)), peer.ask(chat("b c", stream=True))
    )

    assert crashed.failure.code is ErrorCode.BACKEND_ERROR
    assert crashed.failure.message.startswith("internal error ")
    assert crashed.failure.message.split()[-1] in running_worker.log.read_text()
    assert fine.text() == "b c"


async def test_cancelled_request_ends_once_and_the_worker_goes_on(worker: Worker) -> None:
    _, peer = worker
    request = peer.start(chat("a b !hang:1", stream=True))
    assert [type(await request.next()) for _ in range(2)] == [Accepted, Delta]

    request.cancel()
    request.cancel()
    answer = await request.answer()

    assert answer.failure.code is ErrorCode.BACKEND_ERROR
    assert (await peer.ask(chat("again"))).text() == "again"
    assert not request.has_more()


async def test_request_cancelled_before_it_began_ends_too(worker: Worker) -> None:
    _, peer = worker
    request = peer.start(chat("a !hang"))

    request.cancel()

    assert isinstance((await request.answer()).end, Failed)


async def test_unknown_cancel_is_ignored(worker: Worker) -> None:
    _, peer = worker
    request = peer.start(chat("one"))
    await request.answer()

    request.cancel()

    assert (await peer.ask(chat("two"))).text() == "two"


async def test_stats_tell_of_a_request_that_stands_still(worker: Worker) -> None:
    _, peer = worker
    request = peer.start(chat("!hang"))
    await request.next()

    await peer.next_stats()
    stats = await peer.next_stats()

    assert (stats.in_flight, stats.engine.running) == (1, 1)
    assert stats.oldest_idle_s > 0.5


async def test_second_gateway_attaches_and_its_end_cancels_only_its_requests(worker: Worker) -> None:
    running_worker, peer = worker
    other = await running_worker.attach()
    assert isinstance(await other.wait_ready(), Ready)
    request = other.start(chat("!hang"))
    await request.next()
    mine = peer.start(chat("a !hang:1", stream=True))
    await mine.next()

    other.close()
    while (await peer.next_stats()).in_flight != 1:
        pass

    assert not mine.has_more() or isinstance(await mine.next(), Delta)


async def test_second_supervisor_is_refused(worker: Worker) -> None:
    running_worker, _ = worker
    other = await running_worker.supervise(make_spec())

    assert await other.wait_ready() is None


async def test_wrong_protocol_version_is_refused(worker: Worker) -> None:
    running_worker, _ = worker
    other = await running_worker.connect()
    other.send(Attach(99))

    assert await other.wait_ready() is None


async def test_garbage_ends_its_connection_and_no_other(worker: Worker) -> None:
    running_worker, peer = worker
    other = await running_worker.attach()
    await other.wait_ready()

    other.send_raw(b"\xff\xff\xff\xff")
    await other.is_lost.wait()

    assert (await peer.ask(chat("fine"))).text() == "fine"


async def test_sick_engine_ends_the_worker_with_an_error(worker: Worker) -> None:
    running_worker, peer = worker
    hanging = peer.start(chat("!hang"))

    await peer.ask(chat("!sick"))

    failure = (await hanging.answer()).failure
    assert (failure.code, failure.worker_died) == (ErrorCode.BACKEND_ERROR, True)
    assert await running_worker.exit_code() == 5
    assert Dying("told to be sick") in peer.others


async def test_request_without_memory_fails_alone(worker: Worker) -> None:
    _, peer = worker

    large, fine = await asyncio.gather(
        peer.ask(chat("a b !oom:1", stream=True)), peer.ask(chat("b c", stream=True))
    )

    assert (large.failure.code, large.failure.worker_died) == (ErrorCode.BACKEND_ERROR, False)
    assert "too little memory" in large.failure.message
    assert fine.text() == "b c"
    assert (await peer.ask(chat("again"))).text() == "again"


async def test_device_that_failed_ends_the_worker_and_says_why(worker: Worker) -> None:
    running_worker, peer = worker
    hanging = peer.start(chat("!hang"))

    await peer.ask(chat("!device"))

    assert (await hanging.answer()).failure.worker_died
    assert await running_worker.exit_code() == 5
    assert Dying("the device failed: illegal memory access") in peer.others


async def test_shutdown_fails_what_runs_and_exits_cleanly(worker: Worker) -> None:
    running_worker, peer = worker
    hanging = peer.start(chat("!hang"))

    peer.send(Shutdown())

    failure = (await hanging.answer()).failure
    assert (failure.code, failure.worker_died) == (ErrorCode.SHUTTING_DOWN, False)
    assert await running_worker.exit_code() == 0


async def test_sigterm_is_a_shutdown(worker: Worker) -> None:
    running_worker, peer = worker
    hanging = peer.start(chat("!hang"))
    await hanging.next()

    running_worker.process.send_signal(signal.SIGTERM)

    assert (await hanging.answer()).failure.code is ErrorCode.SHUTTING_DOWN
    assert await running_worker.exit_code() == 0


async def test_worker_ends_when_its_supervisor_leaves(worker: Worker) -> None:
    running_worker, peer = worker

    peer.close()

    assert await running_worker.exit_code() == 0


async def test_death_of_the_process_is_a_lost_connection(worker: Worker) -> None:
    running_worker, peer = worker

    answer = await peer.ask(chat("a b !die:2", stream=True))

    assert (answer.text(), answer.end) == ("a b", None)
    assert await running_worker.exit_code() == 9


async def test_request_before_the_model_is_ready_is_refused(tmp_path: Path) -> None:
    worker = RunningWorker(tmp_path)
    peer = await worker.supervise(make_spec(options={"load_delay_s": 0.2}))
    peer.send(Start(1, chat("too early")))

    ready = await peer.wait_ready()

    assert isinstance(ready, Ready)
    assert [frame.code for frame in peer.others if isinstance(frame, Failed)] == [ErrorCode.MODEL_UNAVAILABLE]
    assert [frame.phase for frame in peer.others if isinstance(frame, Progress)] == ["loading", "warming"]
    await worker.aclose()


async def test_closing_an_engine_that_hangs_takes_a_bounded_time(tmp_path: Path) -> None:
    worker = RunningWorker(tmp_path, arguments=["--close-timeout-s", "0.1"])
    peer = await worker.supervise(make_spec(options={"close_delay_s": 3600}))
    await peer.wait_ready()

    peer.send(Shutdown())

    assert await worker.exit_code() == 0
    await worker.aclose()


@pytest.mark.parametrize(
    ("options", "is_permanent"),
    [({"load_failure": "permanent"}, True), ({"load_failure": "passing"}, False), ({"tokens": 1}, True)],
)
async def test_failed_load_says_whether_trying_again_helps(
    tmp_path: Path, options: dict[str, object], is_permanent: bool
) -> None:
    worker = RunningWorker(tmp_path)
    peer = await worker.supervise(make_spec(options=options))

    failed = await peer.wait_ready()

    assert isinstance(failed, LoadFailed)
    assert failed.permanent is is_permanent
    assert await worker.exit_code() == 3
    await worker.aclose()


async def test_socket_is_closed_to_other_users(worker: Worker) -> None:
    running_worker, _ = worker

    assert running_worker.socket.stat().st_mode & 0o077 == 0
