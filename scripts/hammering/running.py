"""One run: measure what each model needs, choose a budget for two, hammer, end the server twice. Draws no table."""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proof import api, processes
from proof.site import Site

from hammering import judging, watching
from hammering.crowd import Crowd
from hammering.judging import Verdict
from hammering.memory import Sampler
from hammering.questions import FirstAnswers, Question

LOAD_S = 600.0
SETTLE_S, SHORT_SETTLE_S = 3.0, 1.5
GONE_S = 10.0
MINUTE_S = 60.0
SLACK = 1.03  # memory moves by some percent with who else maps the same libraries
SERVER_SETTINGS = {"max_restarts": "5", "heartbeat_timeout_s": "10", "drain_grace_s": "0.5"}


@dataclass(frozen=True)
class Plan:
    """`budget_bytes` is chosen from the needs where it is None."""

    pool: Mapping[str, list[Question]]
    seconds: float
    seed: int
    num_clients: int = 12
    killed_after_s: float = 20.0
    budget_bytes: int | None = None
    is_short: bool = False
    tell: Callable[[str], None] = field(default=lambda text: None)


def run(site: Site, plan: Plan) -> Verdict:
    """The site's models are all in the pool. Raises NotReadyError, and RuntimeError if a model does not load at all."""
    first_answers = FirstAnswers()
    needs = _measure(site, plan, first_answers)
    budget = plan.budget_bytes or budget_for_two(needs)
    plan.tell(f"needs {_shown(needs)}, budget {judging.mib(budget)} MiB")
    verdict = _hammer(site, plan, first_answers, needs, budget)
    site.start(ram_budget_bytes=str(budget))
    verdict.left_over["SIGKILL"] = _kill_amid_requests(site, plan, first_answers, verdict)
    return verdict


def budget_for_two(needs: Mapping[str, int]) -> int:
    """The two largest, and a little: any two are loaded together."""
    return int(sum(sorted(needs.values())[-2:]) * SLACK)


def _measure(site: Site, plan: Plan, first_answers: FirstAnswers) -> dict[str, int]:
    """Each model alone, with all its questions asked: needs by backend. What was measured is kept in the store."""
    site.start()
    needs: dict[str, int] = {}
    try:
        for backend_id, item in watching.backends(site).items():
            plan.tell(f"measuring {backend_id}")
            for question in plan.pool[item["models"][0]]:
                answer = _insist(site, question)
                if complaint := first_answers.check(question, answer):
                    raise RuntimeError(f"{backend_id} answers wrongly when alone: {complaint}")
            _wait_until(lambda name=backend_id: watching.plan(site, name)["is_measured"])
            time.sleep(SHORT_SETTLE_S if plan.is_short else SETTLE_S)
            needs[backend_id] = watching.plan(site, backend_id)["need_bytes"]
            api.call(site, "POST", f"/v1/backends/{backend_id}/stop")
            _wait_until(lambda name=backend_id: watching.backends(site)[name]["state"] == "stopped")
    finally:
        site.stop()
    return needs


def _hammer(
    site: Site, plan: Plan, first_answers: FirstAnswers, needs: Mapping[str, int], budget: int
) -> Verdict:
    begins_at_byte = site.log.stat().st_size
    site.start(ram_budget_bytes=str(budget))
    sampler, watcher, crowd = Sampler(), watching.Watcher(site), _crowd(site, plan, first_answers)
    sampler.start(site.pid)
    watcher.start()
    crowd.start()
    begun_at = time.monotonic()
    _wait(plan, begun_at, crowd, sampler)
    crowd.stop()
    seconds = time.monotonic() - begun_at
    counted = _settled_evictions(site)
    watcher.stop()
    site.stop()
    left_over = _left_over(sampler)
    sampler.stop()
    log = _read_log(site.log, begins_at_byte)
    return Verdict(
        seconds=seconds,
        needs=needs,
        budget_bytes=budget,
        tally=crowd.tally,
        evictions=judging.evictions(watcher.changes),
        counted=counted,
        loads_s=_loads(log),
        samples=[sample for sample in sampler.samples if sample.at <= begun_at + seconds],
        ledger=watcher.ledger,
        owners=_owners(log),
        left_over={"SIGTERM": left_over},
        deaths=[str(line) for line in log if line["event"] == "worker.ended" and line.get("error")],
    )


def _kill_amid_requests(site: Site, plan: Plan, first_answers: FirstAnswers, verdict: Verdict) -> list[str]:
    """SIGKILL to the server while models are loaded and one may come up; what is left of its workers."""
    sampler, crowd = Sampler(), _crowd(site, plan, first_answers)
    sampler.start(site.pid)
    crowd.start()
    time.sleep(plan.killed_after_s)
    crowd.expect_the_end()
    os.kill(site.pid, signal.SIGKILL)
    processes.wait_for_end(site.pid, GONE_S)
    left_over = _left_over(sampler)
    crowd.stop()
    sampler.stop()
    verdict.tally.failed += crowd.tally.failed
    verdict.tally.wrong += crowd.tally.wrong
    verdict.tally.cut_off += crowd.tally.cut_off
    verdict.tally.findings += crowd.tally.findings
    return left_over


def _crowd(site: Site, plan: Plan, first_answers: FirstAnswers) -> Crowd:
    return Crowd(
        site, plan.pool, first_answers, seed=plan.seed, num_clients=plan.num_clients, is_short=plan.is_short
    )


def _wait(plan: Plan, begun_at: float, crowd: Crowd, sampler: Sampler) -> None:
    told_at = begun_at
    while (now := time.monotonic()) < begun_at + plan.seconds:
        time.sleep(min(0.5, begun_at + plan.seconds - now))
        if now - told_at >= 30.0:
            told_at = now
            tally, size = crowd.tally, max(sample.total_bytes for sample in sampler.samples)
            plan.tell(
                f"{now - begun_at:.0f} s: {tally.asked} asked, {tally.answered.total()} answered,"
                f" {tally.failed} failed, {tally.wrong} wrong, at most {judging.mib(size)} MiB"
            )


def _settled_evictions(site: Site) -> Counter[tuple[str, str]]:
    """Once the feed has had time to tell the last."""
    time.sleep(1.0)
    return watching.counted_evictions(site)


def _left_over(sampler: Sampler) -> list[str]:
    """What is there although the server has ended so long ago."""
    deadline = time.monotonic() + GONE_S
    while (left := sampler.left_over()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [f"{identity.pid} {name}" for identity, name in left.items()]


def _insist(site: Site, question: Question) -> bytes:
    """The answer of a server that has all the memory it wants."""
    answer = api.call(
        site, "POST", question.path, question.content, timeout_s=LOAD_S, Content_Type=question.content_type
    )
    if answer.status != 200:
        raise RuntimeError(
            f"{question.name}: {answer.status} {answer.content[:500].decode(errors='replace')}"
        )
    return answer.content


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MINUTE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError("a model was not measured, or did not stop, within a minute")
        time.sleep(0.1)


def _read_log(path: Path, start: int) -> list[dict[str, Any]]:
    with path.open("rb") as log:
        log.seek(start)
        return list(_parsed(log.read().decode(errors="replace")))


def _parsed(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith('{"time"'):
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _owners(log: list[dict[str, Any]]) -> dict[int, str]:
    """Backends by the process group of each of their workers."""
    return {line["pid"]: line["backend"] for line in log if line["event"] == "worker.started"}


def _loads(log: list[dict[str, Any]]) -> list[float]:
    """How long each took, in seconds."""
    return [float(line["load_s"]) for line in log if line["event"] == "worker.ready"]


def _shown(needs: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {judging.mib(size)}" for name, size in needs.items())
