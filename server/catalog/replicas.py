"""One file with `replicas` and `gpus` to as many ordinary backends. Pure."""

from collections.abc import Iterator

import msgspec

from engines.contract.spec import BackendSpec
from server.catalog.check import Mistake

_OPEN_DEVICES = ("auto", "cuda")  # those that leave the numbers to `gpus`


def find_replica_mistakes(spec: BackendSpec) -> Iterator[Mistake]:
    """Why the GPUs cannot be dealt out to the replicas; all by the name of the key that is at fault."""
    if not spec.gpus:
        return
    if spec.device not in _OPEN_DEVICES:
        yield Mistake("gpus", f"cannot go with `device: {spec.device}`: leave `device` out")
    if len(set(spec.gpus)) < len(spec.gpus):
        yield Mistake("gpus", "names a GPU twice")
    if len(spec.gpus) % spec.replicas:
        message = f"{len(spec.gpus)} cannot be dealt out evenly to {spec.replicas} replicas"
        yield Mistake("gpus", message)


def expand(spec: BackendSpec) -> tuple[BackendSpec, ...]:
    """The backends of a file: ids `be_x_1`, `be_x_2` ... where there are several. `spec` has no mistakes."""
    if spec.replicas == 1:
        return (_replica(spec, spec.id, 0),)
    return tuple(_replica(spec, f"{spec.id}_{place + 1}", place) for place in range(spec.replicas))


def _replica(spec: BackendSpec, backend_id: str, place: int) -> BackendSpec:
    each = len(spec.gpus) // spec.replicas
    gpus = spec.gpus[place * each : (place + 1) * each]
    device = f"cuda:{','.join(map(str, gpus))}" if gpus else spec.device
    return msgspec.structs.replace(spec, id=backend_id, device=device, gpus=(), replicas=1)
