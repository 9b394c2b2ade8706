"""Judges store, address and models."""

from collections.abc import Iterator

from server.doctor.facts import PortState, Serving, StoreState
from server.doctor.judging.engines import judge_server_packages
from server.doctor.verdict import Finding, ok, problem, warning


def judge_serving(serving: Serving) -> Iterator[Finding]:
    yield judge_server_packages(serving.server_mismatches)
    yield _store(serving)
    yield _port(serving)
    yield from _models(serving)


def _store(serving: Serving) -> Finding:
    match serving.store_state:
        case StoreState.DAMAGED:
            fix = "hearth keys list names the command that restores the newest backup"
            return problem("store", f"{serving.store} is damaged", fix)
        case StoreState.UNREACHABLE:
            found = f"{serving.store} cannot be read: {serving.store_detail}"
            return problem(
                "store", found, "check its rights, or HEARTH_DATABASE_URL and that its server runs"
            )
        case StoreState.ABSENT:
            return ok("store", f"{serving.store} will be made at the first start")
        case StoreState.IN_USE:
            return ok("store", f"{serving.store} is in use by a running server")
        case StoreState.WHOLE:
            return ok("store", f"{serving.store} can be read")


def _port(serving: Serving) -> Finding:
    match serving.port_state:
        case PortState.TAKEN:
            fix = "choose another with HEARTH_PORT or --port, or end what listens there (ss -ltnp)"
            return problem("address", f"{serving.address} is taken by another program", fix)
        case PortState.FORBIDDEN:
            found = f"cannot listen on {serving.address}: {serving.port_detail}"
            return problem(
                "address", found, "set HEARTH_HOST to an address of this machine, HEARTH_PORT above 1023"
            )
        case PortState.OURS:
            return ok("address", f"our own server answers on {serving.address}")
        case PortState.FREE:
            return ok("address", f"{serving.address} is free")


def _models(serving: Serving) -> Iterator[Finding]:
    for line in serving.model_problems:
        yield problem("models", line, "correct the file: docs/configuration.md has every key")
    for item in serving.weights:
        if not item.exists:
            found = f"{item.backend_id}: no weights in {item.path}"
            yield problem("models", found, "put them there, or correct `weights` in its file")
    if serving.model_problems:
        return
    if not serving.weights:
        yield warning("models", "there are none", "put a file into models_dir; see its examples/")
    elif all(item.exists for item in serving.weights):
        yield ok("models", f"{len(serving.weights)} with their weights")
