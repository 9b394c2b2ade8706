"""What is logged and counted, and what is not."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from engines.contract.types import Usage
from server.telemetry import Metrics, configure_logging, log_event, request_id_var


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as text; logging is put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("hearth")
    before = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


def only_line(log: io.StringIO) -> dict[str, object]:
    (line,) = log.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_event_is_one_json_line_with_the_request_id(log: io.StringIO) -> None:
    token = request_id_var.set("req_1")
    log_event("worker.started", pid=7, backend="be_echo")
    request_id_var.reset(token)

    line = only_line(log)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "worker.started",
        "request_id": "req_1",
        "pid": 7,
        "backend": "be_echo",
    }


def test_fields_outside_the_list_are_named_but_not_written(log: io.StringIO) -> None:
    log_event("request.finished", prompt="my diary", status=200)

    assert only_line(log)["dropped_fields"] == ["prompt"]
    assert "diary" not in log.getvalue()


def test_exception_is_told_by_type_and_place_not_by_text(log: io.StringIO) -> None:
    try:
        raise ValueError("my diary")
    except ValueError as error:
        log_event("request.crashed", exception=error)

    line = only_line(log)
    assert line["exception"] == "ValueError"
    assert "test_telemetry.py" in str(line["frames"])
    assert "diary" not in log.getvalue()


def test_library_messages_lose_their_arguments_and_exception_text(log: io.StringIO) -> None:
    try:
        raise ValueError("my diary")
    except ValueError:
        logging.getLogger("some.library").warning("cannot read %s", "my diary", exc_info=True)

    line = only_line(log)
    assert (line["event"], line["logger"]) == ("library.message", "some.library")
    assert line["template"] == "cannot read %s"
    assert "diary" not in log.getvalue()


def test_less_severe_events_than_the_level_are_not_written(log: io.StringIO) -> None:
    log_event("request.finished", level=logging.DEBUG)

    assert log.getvalue() == ""


def test_documented_metric_names_are_all_there() -> None:
    metrics = Metrics(models=["fake/echo"], backends=["be_echo"])
    metrics.observe_request(
        model="fake/echo", backend="be_echo", status=200, protocol="native", duration_s=0.1
    )
    metrics.count_tokens("fake/echo", Usage(3, 5))
    metrics.observe_first_token("fake/echo", 0.05)
    metrics.set_backend("be_echo", is_healthy=True, in_flight=2, is_given_up=False, restarts=1, state="ready")
    metrics.count_disconnect()

    text = metrics.render().decode()

    assert 'scaigrid_requests_total{model="fake/echo",protocol="native",status="200"} 1.0' in text
    assert 'scaigrid_request_duration_seconds_count{backend="be_echo",model="fake/echo"} 1.0' in text
    assert 'scaigrid_tokens_total{direction="input",model="fake/echo",tenant_id="default"} 3.0' in text
    assert 'scaigrid_tokens_total{direction="output",model="fake/echo",tenant_id="default"} 5.0' in text
    assert 'scaigrid_time_to_first_token_seconds_count{model="fake/echo"} 1.0' in text
    assert 'scaigrid_backend_health{backend_id="be_echo"} 1.0' in text
    assert 'scaigrid_backend_inflight_requests{backend_id="be_echo"} 2.0' in text
    assert 'scaigrid_circuit_breaker_state{backend_id="be_echo"} 0.0' in text
    assert 'hearth_worker_restarts_total{backend_id="be_echo"} 1.0' in text
    assert "hearth_disconnects_total 1.0" in text


def test_batches_are_counted_by_state_line_and_outcome() -> None:
    metrics = Metrics(models=["fake/echo"])
    metrics.set_batches({"validating": 1, "in_progress": 2})
    metrics.set_batches({"in_progress": 3})
    metrics.count_line("fake/echo", "completed", 0.2)
    metrics.count_line("made/up", "failed")
    metrics.set_batch_paused(True)
    metrics.count_commit()
    metrics.count_webhook("told")

    text = metrics.render().decode()

    assert 'hearth_batches{state="in_progress"} 3.0' in text
    assert 'state="validating"' not in text
    assert 'hearth_batch_lines_total{model="fake/echo",outcome="completed"} 1.0' in text
    assert 'hearth_batch_lines_total{model="unknown",outcome="failed"} 1.0' in text
    assert 'hearth_batch_line_seconds_count{model="fake/echo"} 1.0' in text
    assert "hearth_batch_paused 1.0" in text
    assert "hearth_store_commits_total 1.0" in text
    assert 'hearth_webhooks_total{outcome="told"} 1.0' in text


def test_labels_stay_bounded_whatever_clients_name() -> None:
    metrics = Metrics(models=["fake/echo"])

    for number in range(100):
        metrics.observe_request(
            model=f"made/up-{number}", backend=None, status=404, protocol="openai", duration_s=0.1
        )

    text = metrics.render().decode()
    assert 'scaigrid_requests_total{model="unknown",protocol="openai",status="404"} 100.0' in text
    assert "made/up" not in text


def test_restarts_are_counted_once_however_often_they_are_read() -> None:
    metrics = Metrics(backends=["be_echo"])

    for restarts in (0, 2, 2, 3):
        metrics.set_backend(
            "be_echo", is_healthy=True, in_flight=0, is_given_up=False, restarts=restarts, state="ready"
        )

    assert 'hearth_worker_restarts_total{backend_id="be_echo"} 3.0' in metrics.render().decode()


def test_a_backend_is_in_one_state_at_a_time() -> None:
    metrics = Metrics(backends=["be_echo"])

    for state in ("ready", "asleep"):
        metrics.set_backend(
            "be_echo", is_healthy=True, in_flight=0, is_given_up=False, restarts=0, state=state, wake_s=0.5
        )

    text = metrics.render().decode()
    assert 'hearth_backend_state{backend_id="be_echo",state="ready"} 0.0' in text
    assert 'hearth_backend_state{backend_id="be_echo",state="asleep"} 1.0' in text
    assert 'hearth_backend_wake_seconds{backend_id="be_echo"} 0.5' in text
