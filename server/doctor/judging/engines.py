"""Judges the engines' environment and the packages on both sides."""

from collections.abc import Iterator, Sequence

from server.doctor.facts import Engines, Mismatch
from server.doctor.verdict import Finding, ok, problem, warning
from server.engine_envs import State

INSTALL = "hearth engines install"
_MOST_NAMED = 5


def judge_engines(engines: Engines) -> Iterator[Finding]:
    yield _environment(engines)
    for module, error in engines.failures or ():
        yield problem(
            "engines import", f"{module}: {error}", f"{_remedy(engines)}; its log is in engines_dir"
        )
    if engines.failures == ():
        yield ok("engines import", "every library can be imported")
    if engines.mismatches:
        yield warning("engines versions", describe(engines.mismatches), f"{INSTALL} --force")


def judge_server_packages(mismatches: Sequence[Mismatch]) -> Finding:
    if mismatches:
        fix = "make setup, or: pip install --require-hashes -r requirements.lock"
        return warning("server versions", describe(mismatches), fix)
    return ok("server versions", "as locked")


def describe(mismatches: Sequence[Mismatch]) -> str:
    named = [f"{item.package} {item.installed or 'missing'} instead of {item.locked}" for item in mismatches]
    rest = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _environment(engines: Engines) -> Finding:
    if engines.given is not None:
        found = f"engines_python: {engines.given}"
        if engines.state is State.MISSING:
            return problem("engines", f"{found} does not exist", "correct HEARTH_ENGINES_PYTHON, or unset it")
        return ok("engines", found)
    found = f"{engines.name or engines.flavour} is {engines.state}"
    if engines.state in (State.MISSING, State.BROKEN):
        return problem("engines", found, f"{INSTALL} --flavour {engines.flavour}")
    if engines.state is State.OUTDATED and not engines.is_chosen:
        return warning("engines", found, INSTALL)
    return ok("engines", found)


def _remedy(engines: Engines) -> str:
    return "mend the environment of engines_python" if engines.given else f"{INSTALL} --force"
