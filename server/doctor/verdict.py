"""What is said of one thing that was looked at."""

import enum

import msgspec


class Verdict(enum.StrEnum):
    """A warning works, but badly or not for long; with a problem something does not work at all."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """`fix` is one line, and None where nothing is wrong."""

    check: str
    verdict: Verdict
    found: str
    fix: str | None = None


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, fix: str) -> Finding:
    return Finding(check, Verdict.WARNING, found, fix)


def problem(check: str, found: str, fix: str) -> Finding:
    return Finding(check, Verdict.PROBLEM, found, fix)
