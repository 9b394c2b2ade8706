"""Threads that ask random questions of random models, in bursts and quiet times. Knows no memory."""

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proof.api import Address

from hammering.questions import FirstAnswers, Question, draw_bad

TIMEOUT_S = 900.0
DOCUMENTED = {429: "BACKEND_RATE_LIMITED", 503: "MODEL_UNAVAILABLE"}
ENDING = {503: "SHUTTING_DOWN"}
MOST_HEEDED_S = 20.0
_LEAVES, _BAD = 0.08, 0.07
_MOST_FINDINGS = 50


@dataclass
class Tally:
    """What became of the requests. `codes` are refusals by status and code; `waits_s` are of answers, by model."""

    asked: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    cut_off: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    heeded: int = 0
    failed: int = 0
    wrong: int = 0
    waits_s: list[float] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def find(self, kind: str, text: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {kind}: {text}")


class Weather:
    """How dense the requests are: a burst, steady traffic or near silence, each for some seconds."""

    def __init__(self, seed: int, is_short: bool) -> None:
        self._chance = random.Random(seed)
        self._until = 0.0
        self._pause_s = 0.0
        self._lengths_s = (0.5, 3.0) if is_short else (3.0, 20.0)
        self._lock = threading.Lock()

    def pause_s(self) -> float:
        """The mean time between two requests of one client now."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._until = time.monotonic() + self._chance.uniform(*self._lengths_s)
                (self._pause_s,) = self._chance.choices((0.0, 0.5, 5.0), (3, 5, 2))
            return self._pause_s


class Crowd:
    """Clients of one server, each with one request at a time. Ask `tally` only once it has been stopped."""

    def __init__(
        self,
        server: Address,
        pool: Mapping[str, Sequence[Question]],
        first_answers: FirstAnswers,
        *,
        seed: int,
        num_clients: int,
        is_short: bool = False,
    ) -> None:
        self.tally = Tally()
        self._server = server
        self._pool = pool
        self._first_answers = first_answers
        self._weather = Weather(seed, is_short)
        self._ends = threading.Event()
        self._may_be_cut = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed * 1000 + number),), daemon=True)
            for number in range(num_clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def expect_the_end(self) -> None:
        """From now on the server may refuse or die."""
        self._may_be_cut.set()

    def stop(self) -> None:
        """Every request that runs is waited for."""
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _work(self, chance: random.Random) -> None:
        while not self._ends.is_set():
            question = chance.choice(self._pool[chance.choice(list(self._pool))])
            heed_s = self._ask(chance, question)
            pause_s = self._weather.pause_s()
            rest_s = chance.expovariate(1.0 / pause_s) if pause_s else 0.0
            self._ends.wait(max(heed_s, rest_s))

    def _ask(self, chance: random.Random, question: Question) -> float:
        """One request; returns for how long the server asked not to be asked again."""
        fate, statuses = chance.random(), frozenset[int]()
        if fate < _BAD:
            question, statuses = draw_bad(chance, question)
        leaves_after_s = chance.choice((0.01, 0.3, 2.0, 8.0)) if fate > 1.0 - _LEAVES else None
        begun_at = time.monotonic()
        with self._lock:
            self.tally.asked += 1
        try:
            status, retry_after_s, content = self._send(question, leaves_after_s or TIMEOUT_S)
        except TimeoutError:
            self._note_leaving(question, leaves_after_s)
            return 0.0
        except (OSError, http.client.HTTPException) as error:
            self._note_cut(question, error)
            return 1.0
        return self._judge(question, statuses, status, retry_after_s, content, time.monotonic() - begun_at)

    def _send(self, question: Question, timeout_s: float) -> tuple[int, float, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self._server.key}", "Content-Type": question.content_type}
        with contextlib.closing(connection):
            connection.request("POST", question.path, question.content, headers)
            answer = connection.getresponse()
            return answer.status, float(answer.getheader("Retry-After") or 0), answer.read()

    def _note_leaving(self, question: Question, leaves_after_s: float | None) -> None:
        with self._lock:
            if leaves_after_s is None:
                self.tally.find("failed", f"{question.name}: no answer in {TIMEOUT_S:.0f} s")
            else:
                self.tally.cancelled += 1

    def _note_cut(self, question: Question, error: Exception) -> None:
        with self._lock:
            if self._may_be_cut.is_set():
                self.tally.cut_off += 1
            else:
                self.tally.find("failed", f"{question.name}: {type(error).__name__}: {error}")

    def _judge(
        self,
        question: Question,
        statuses: frozenset[int],
        status: int,
        retry_after_s: float,
        content: bytes,
        took_s: float,
    ) -> float:
        complaint = self._first_answers.check(question, content) if status == 200 and not statuses else None
        code = "" if status == 200 else code_of(content)
        with self._lock:
            if statuses:
                return self._count_refusal(question, f"{status} {code}", status in statuses)
            if status == 200 and complaint is None:
                self.tally.answered[question.model] += 1
                self.tally.waits_s.append(took_s)
            elif status == 200:
                self.tally.find("wrong", str(complaint))
            else:
                is_known = self._is_documented(status, code) and retry_after_s > 0
                self._count_refusal(question, f"{status} {code}", is_known, content)
                self.tally.heeded += is_known
                return min(retry_after_s, MOST_HEEDED_S)
            return 0.0

    def _is_documented(self, status: int, code: str) -> bool:
        return DOCUMENTED.get(status) == code or (self._may_be_cut.is_set() and ENDING.get(status) == code)

    def _count_refusal(self, question: Question, code: str, is_right: bool, content: bytes = b"") -> float:
        self.tally.codes[code] += 1
        if not is_right:
            text = content[:300].decode(errors="replace")
            self.tally.find("failed", f"{question.name} at {question.path}: {code} {text}")
        return 0.0


def code_of(content: bytes) -> str:
    """The error code of an answer in either dialect."""
    try:
        error = json.loads(content)["error"]
        return str(error["code"])
    except (ValueError, KeyError, TypeError):
        return "no code"
