"""What the hammer finds, from samples, changes and answers that are made up."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from hammering import judging, picture, report
from hammering.crowd import Crowd, Tally
from hammering.judging import Verdict
from hammering.memory import Sample
from hammering.questions import FirstAnswers, questions
from hammering.watching import Change, Ledger
from proof.api import Address

MIB = 1024**2
SEED = 3  # with which the first client asks properly, and stays for the answer
(HELLO, *_) = questions("chat", "starter/chat")
(DOG, *_) = questions("embed", "starter/embed")


def make_verdict(
    sizes_mib: list[int],
    *,
    changes: list[Change] | None = None,
    counted: dict[tuple[str, str], int] | None = None,
) -> Verdict:
    """Of one model in process group 7, looked at every tenth of a second, with a budget of 100 MiB."""
    samples = [Sample(i / 10, {7: size * MIB}, {7: 2 * size * MIB}) for i, size in enumerate(sizes_mib)]
    return Verdict(
        seconds=1.0,
        needs={"be_a": 60 * MIB},
        budget_bytes=100 * MIB,
        tally=Tally(),
        evictions=judging.evictions(changes or []),
        counted=Counter(counted or {}),
        loads_s=[1.0, 2.0, 9.0],
        samples=samples,
        ledger=[Ledger(0.0, 60 * MIB, {"be_a": 60 * MIB})],
        owners={7: "be_a"},
        left_over={"SIGTERM": [], "SIGKILL": []},
    )


def chat(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


def test_samples_over_the_budget_are_told_with_what_the_ledger_said() -> None:
    verdict = make_verdict([60, 101, 100])

    assert verdict.findings == ["over the budget: 0.1 s: 101 of 100 MiB: be_a 101 (ledger 60)"]
    assert "| **samples over the budget** | 1 of 3 |" in report.render("short", verdict)


def test_an_eviction_has_to_be_told_with_who_wanted_the_memory() -> None:
    told = [
        Change(0.1, "be_a", "draining", "gives way to be_b"),
        Change(0.2, "be_a", "stopped", ""),
        Change(0.3, "be_a", "draining", "was idle"),
    ]

    explained = make_verdict([60], changes=told, counted={("be_a", "memory"): 1, ("be_a", "idle"): 1})
    unexplained = make_verdict([60], changes=told, counted={("be_a", "memory"): 2})

    assert explained.findings == []
    assert unexplained.findings == ["evictions do not add up: be_a: 2 counted, 1 told"]


def test_processes_that_stay_are_found() -> None:
    verdict = make_verdict([60])

    verdict.left_over["SIGKILL"].append("123 python")

    assert verdict.findings == ["left over after SIGKILL: 123 python"]


def test_an_answer_that_is_not_the_first_one_is_wrong() -> None:
    answers = FirstAnswers()

    assert answers.check(HELLO, chat("Hello!")) is None
    assert answers.check(HELLO, chat("Hello!")) is None
    assert answers.check(HELLO, chat("Good day")) == "starter/chat Hello!: 'Good day' after 'Hello!'"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"choices": []}', chat(" ")])
def test_an_answer_without_text_is_wrong(content: bytes) -> None:
    assert FirstAnswers().check(HELLO, content) is not None


def test_vectors_may_differ_in_their_last_digits_only() -> None:
    answers = FirstAnswers()

    found = [
        answers.check(DOG, json.dumps({"data": [{"embedding": vector}]}).encode()) is None
        for vector in ([0.6, 0.8], [0.60001, 0.79999], [0.61, 0.7924], [0.6, 0.8, 0.0])
    ]

    assert found == [True, True, False, False]


@contextmanager
def refusing(status: int, code: str, **headers: str) -> Iterator[tuple[Address, threading.Event]]:
    """A server that refuses everything so; the event tells that it has."""
    has_refused = threading.Event()

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.dumps({"error": {"code": code}}).encode()
            self.send_response(status)
            for name, value in (headers | {"Content_Length": str(len(content))}).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)
            has_refused.set()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(port=server.server_port, key="sgk_x"), has_refused
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "headers", "is_documented"),
    [
        (429, "BACKEND_RATE_LIMITED", {"Retry_After": "60"}, True),
        (503, "MODEL_UNAVAILABLE", {"Retry_After": "60"}, True),
        (503, "MODEL_UNAVAILABLE", {}, False),
        (503, "SHUTTING_DOWN", {"Retry_After": "60"}, False),
        (502, "BACKEND_ERROR", {}, False),
    ],
)
def test_a_refusal_is_documented_with_its_code_and_when_to_come_again(
    status: int, code: str, headers: dict[str, str], is_documented: bool
) -> None:
    with refusing(status, code, **headers) as (server, has_refused):
        crowd = Crowd(server, {HELLO.model: [HELLO]}, FirstAnswers(), seed=SEED, num_clients=1)

        crowd.start()
        assert has_refused.wait(30)
        crowd.stop()

    assert crowd.tally.codes[f"{status} {code}"] == crowd.tally.asked
    assert (crowd.tally.failed == 0) is is_documented
    assert (crowd.tally.heeded, crowd.tally.asked) == (1, 1) or not is_documented


def test_the_picture_keeps_every_peak() -> None:
    verdict = make_verdict([60] * 2000 + [150] + [60] * 2000)

    drawn = picture.render("short", verdict)

    assert "budget 100 MiB" in drawn
    assert f",{88 + 260 * (1 - 150 / (1.12 * 150)):.1f}" in drawn
