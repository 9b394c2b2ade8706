"""Judges an output and an error file against what was planned. Knows no server."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from proof.events import PlannedLine

Fault = tuple[str, str, int]


@dataclass
class Found:
    """`faults` are (kind, text, number of lines)."""

    recorded: int = 0
    num_output: int = 0
    num_error: int = 0
    repeated_attempts: int = 0
    faults: list[Fault] = field(default_factory=list)


def judge(plan: list[PlannedLine], output: str, error: str, allowed: set[str]) -> Found:
    """`allowed` are the codes with which a line may end that was not answered."""
    found = Found()
    planned = {line.custom_id: line for line in plan}
    place = {line.custom_id: number for number, line in enumerate(plan)}
    times: Counter[str] = Counter()
    for kind, text in (("output", output), ("error", error)):
        order = []
        for result in _parse(text, kind, found):
            custom_id = str(result.get("custom_id"))
            times[custom_id] += 1
            order.append(custom_id)
            found.repeated_attempts += max(0, int(result.get("attempts") or 0) - 1)
            if custom_id not in planned:
                found.faults.append(("unexpected", f"{kind} file has {custom_id!r}", 1))
            elif complaint := _complaint(planned[custom_id], kind, result, allowed):
                found.faults.append(("wrong_content", f"{custom_id}: {complaint}", 1))
        setattr(found, f"num_{kind}", len(order))
        places = [place[custom_id] for custom_id in order if custom_id in place]
        if places != sorted(places):
            found.faults.append(("wrong_content", f"the {kind} file is not in the input's order", 1))
    _count(planned, times, found)
    return found


def text_of(body: Any) -> str | None:
    """The answer in a body of either dialect."""
    try:
        return str(body.get("data", body)["choices"][0]["message"]["content"])
    except (AttributeError, KeyError, IndexError, TypeError):
        return None


def _parse(text: str, kind: str, found: Found) -> list[dict[str, Any]]:
    results = []
    if text and not text.endswith("\n"):
        found.faults.append(("wrong_content", f"the {kind} file ends within a line", 1))
    for line in text.splitlines():
        try:
            results.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            found.faults.append(("wrong_content", f"no JSON object in the {kind} file: {line[:80]!r}", 1))
    return results


def _complaint(plan: PlannedLine, kind: str, result: dict[str, Any], allowed: set[str]) -> str | None:
    """What is wrong with this result, None if nothing is."""
    response, error = result.get("response"), result.get("error")
    if kind == "output":
        if error is not None or response is None or response.get("status_code") != 200:
            return f"in the output file with {response}, {error}"
        right = text_of(response.get("body"))
        return None if right == plan.answer else f"answered {right!r} instead of {plan.answer!r}"
    if response is not None:
        status = response.get("status_code")
        is_right = error is None and plan.answer is None and status == plan.status
        return None if is_right else f"refused with {status}, {error}, planned {plan.status}"
    code = error.get("code") if isinstance(error, dict) else None
    return None if code in allowed else f"ended with {error}, allowed {sorted(allowed)}"


def _count(planned: dict[str, PlannedLine], times: Counter[str], found: Found) -> None:
    lost = [custom_id for custom_id in planned if not times[custom_id]]
    doubled = {custom_id: number for custom_id, number in times.items() if number > 1}
    found.recorded = len(planned) - len(lost)
    if lost:
        found.faults.append(("lost", f"{len(lost)} lines, the first {lost[0]}", len(lost)))
    if doubled:
        first = next(iter(doubled.items()))
        found.faults.append(("duplicated", f"{first}", sum(doubled.values()) - len(doubled)))
