"""Each judgement, from facts of machines that are not here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.doctor import Finding, Verdict
from server.doctor.facts import (
    Engines,
    Gpu,
    GpuProcess,
    Gpus,
    Machine,
    Mismatch,
    Place,
    Places,
    PortState,
    Serving,
    StoreState,
    Weights,
)
from server.doctor.judging.engines import judge_engines
from server.doctor.judging.gpus import judge_gpus
from server.doctor.judging.machine import judge_machine
from server.doctor.judging.places import judge_places
from server.doctor.judging.serving import judge_serving
from server.engine_envs import State

GIB = 2**30
MACHINE = Machine(
    system="Debian",
    release="6.1",
    processor="x86_64",
    libc="glibc 2.36",
    python="3.12.4",
    num_cpus=8,
    cpu_flags=frozenset({"avx2"}),
    memory_bytes=64 * GIB,
    memory_available_bytes=60 * GIB,
    memory_limit_bytes=None,
    open_files=65536,
    shared_memory_bytes=32 * GIB,
    now=2e9,
    code_time=1.9e9,
    is_clock_synchronized=True,
)
CARD = Gpu(0, "GPU-a", "H100", 80 * GIB, 79 * GIB)
GPUS = Gpus(num_cards=1, num_driven=1, cuda_version=(13, 0), driver_version="580.1", gpus=(CARD,))
ENGINES = Engines(flavour="cuda", given=None, name="cuda-1", state=State.COMPLETE, failures=())
PLACE = Place(
    path=Path("/srv/hearth"),
    nearest=Path("/srv/hearth"),
    is_folder=True,
    can_read=True,
    can_write=True,
    mode=0o700,
    file_system="ext4",
    free_bytes=100 * GIB,
)
PLACES = Places(
    data=PLACE, files=PLACE, models=PLACE, engines=PLACE, temporary=PLACE, store=PLACE, min_free_bytes=GIB
)
SERVING = Serving(
    store="sqlite:///hearth.db",
    store_state=StoreState.WHOLE,
    store_detail=None,
    address="127.0.0.1 port 8000",
    port_state=PortState.FREE,
    port_detail=None,
    model_problems=(),
    weights=(Weights("be_a", "/models/a", exists=True),),
    server_mismatches=(),
)


def bad(findings: Iterable[Finding]) -> list[tuple[str, Verdict]]:
    """What is not right; each of it has a fix of one line, and nothing else has one."""
    found = list(findings)
    assert all((finding.fix is None) == (finding.verdict is Verdict.OK) for finding in found)
    assert not any("\n" in (finding.fix or "") for finding in found)
    return [(finding.check, finding.verdict) for finding in found if finding.verdict is not Verdict.OK]


def places(**changes: Any) -> list[tuple[str, Verdict]]:
    changed = msgspec.structs.replace(PLACES, **changes)
    return bad(judge_places(changed, flavour="cuda", has_engines=False))


def place(**changes: Any) -> Place:
    return msgspec.structs.replace(PLACE, **changes)


def test_good_machine_has_nothing_to_mend() -> None:
    findings = [
        *judge_machine(MACHINE, has_gpu=True),
        *judge_gpus(GPUS),
        *judge_engines(ENGINES),
        *judge_places(PLACES, flavour="cuda", has_engines=True),
        *judge_serving(SERVING),
    ]

    assert bad(findings) == []
    assert len({finding.check for finding in findings}) > 15


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"libc": "musl 1.2"}, ("system", Verdict.PROBLEM)),
        ({"memory_limit_bytes": GIB}, ("memory", Verdict.PROBLEM)),
        ({"memory_bytes": 4 * GIB}, ("memory", Verdict.WARNING)),
        ({"processor": "riscv64"}, ("processor", Verdict.PROBLEM)),
        ({"cpu_flags": frozenset({"sse2"})}, ("processor", Verdict.PROBLEM)),
        ({"now": 1e9}, ("clock", Verdict.PROBLEM)),
        ({"is_clock_synchronized": False}, ("clock", Verdict.WARNING)),
        ({"open_files": 1024}, ("open files", Verdict.WARNING)),
        ({"shared_memory_bytes": 64 * 2**20}, ("/dev/shm", Verdict.WARNING)),
        ({"shared_memory_bytes": None}, ("/dev/shm", Verdict.WARNING)),
    ],
)
def test_faults_of_the_machine(changes: dict[str, Any], expected: tuple[str, Verdict]) -> None:
    assert bad(judge_machine(msgspec.structs.replace(MACHINE, **changes), has_gpu=False)) == [expected]


def test_old_processor_is_no_problem_beside_a_gpu() -> None:
    machine = msgspec.structs.replace(MACHINE, cpu_flags=frozenset())

    assert bad(judge_machine(machine, has_gpu=True)) == [("processor", Verdict.WARNING)]


def test_no_gpu_is_no_fault() -> None:
    (finding,) = judge_gpus(Gpus(num_cards=0, num_driven=0))

    assert (finding.verdict, finding.found) == (Verdict.OK, "no GPU: models run on the CPU")


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (Gpus(num_cards=2, num_driven=0), ("GPU", Verdict.WARNING)),
        (
            Gpus(num_cards=1, num_driven=1, tool_error="nvidia-smi cannot be run"),
            ("GPU tools", Verdict.WARNING),
        ),
        (msgspec.structs.replace(GPUS, cuda_version=(12, 8)), ("GPU driver", Verdict.PROBLEM)),
        (msgspec.structs.replace(GPUS, cuda_version=None), ("GPU driver", Verdict.WARNING)),
    ],
)
def test_faults_of_the_driver(gpus: Gpus, expected: tuple[str, Verdict]) -> None:
    assert bad(judge_gpus(gpus)) == [expected]


def test_foreign_process_on_a_card_is_named_with_what_it_holds() -> None:
    ours = GpuProcess(1, "GPU-a", GIB, "python -m engines.runtime", is_ours=True)
    foreign = GpuProcess(77, "GPU-a", 20 * GIB, "python train.py", is_ours=False)
    elsewhere = GpuProcess(78, "GPU-b", 20 * GIB, "python other.py", is_ours=False)
    gpus = msgspec.structs.replace(GPUS, processes=(ours, foreign, elsewhere))

    finding = list(judge_gpus(gpus))[-1]

    assert finding.verdict is Verdict.WARNING
    assert finding.found.endswith("held by others: 20.0 GiB by 77 (python train.py)")
    assert finding.fix == "end what is not needed: kill 77"


def test_memory_of_a_card_that_nobody_seems_to_hold_is_noticed() -> None:
    full = msgspec.structs.replace(CARD, free_bytes=10 * GIB)

    assert bad(judge_gpus(msgspec.structs.replace(GPUS, gpus=(full,)))) == [("GPU 0", Verdict.WARNING)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": State.MISSING, "name": None}, ("engines", Verdict.PROBLEM)),
        ({"state": State.BROKEN}, ("engines", Verdict.PROBLEM)),
        ({"state": State.OUTDATED}, ("engines", Verdict.WARNING)),
        ({"given": Path("/x"), "state": State.MISSING}, ("engines", Verdict.PROBLEM)),
        ({"failures": (("vllm", "ImportError: no"),)}, ("engines import", Verdict.PROBLEM)),
        ({"mismatches": (Mismatch("torch", "2", None),)}, ("engines versions", Verdict.WARNING)),
    ],
)
def test_faults_of_the_engines(changes: dict[str, Any], expected: tuple[str, Verdict]) -> None:
    assert bad(judge_engines(msgspec.structs.replace(ENGINES, **changes))) == [expected]


def test_version_that_was_chosen_is_no_fault() -> None:
    engines = msgspec.structs.replace(ENGINES, state=State.OUTDATED, is_chosen=True, failures=None)

    assert bad(judge_engines(engines)) == []


@pytest.mark.parametrize("file_system", ["nfs4", "cifs", "fuse.sshfs", "lustre"])
def test_sqlite_on_a_network_file_system_is_refused(file_system: str) -> None:
    assert places(store=place(file_system=file_system)) == [("store's disk", Verdict.PROBLEM)]


def test_postgresql_needs_no_disk_for_the_store() -> None:
    assert places(store=None, data=place(file_system="nfs4")) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"store": place(file_system="tmpfs")}, ("store's disk", Verdict.WARNING)),
        ({"data": place(can_write=False)}, ("data_dir", Verdict.PROBLEM)),
        ({"data": place(mode=0o755)}, ("data_dir", Verdict.WARNING)),
        ({"data": place(is_folder=False)}, ("data_dir", Verdict.PROBLEM)),
        ({"files": place(free_bytes=GIB - 1)}, ("files_dir", Verdict.PROBLEM)),
        ({"models": place(nearest=Path("/srv"))}, ("models_dir", Verdict.PROBLEM)),
        ({"models": place(can_read=False)}, ("models_dir", Verdict.PROBLEM)),
        ({"engines": place(free_bytes=10 * GIB)}, ("engines_dir", Verdict.PROBLEM)),
        ({"temporary": place(can_write=False)}, ("temporary files", Verdict.PROBLEM)),
        ({"temporary": place(free_bytes=1)}, ("temporary files", Verdict.WARNING)),
    ],
)
def test_faults_of_places(changes: dict[str, Any], expected: tuple[str, Verdict]) -> None:
    assert places(**changes) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"store_state": StoreState.DAMAGED}, ("store", Verdict.PROBLEM)),
        ({"store_state": StoreState.UNREACHABLE}, ("store", Verdict.PROBLEM)),
        ({"port_state": PortState.TAKEN}, ("address", Verdict.PROBLEM)),
        ({"port_state": PortState.FORBIDDEN}, ("address", Verdict.PROBLEM)),
        ({"model_problems": ("a.yaml: unknown key",), "weights": ()}, ("models", Verdict.PROBLEM)),
        ({"weights": (Weights("be_a", "/none", exists=False),)}, ("models", Verdict.PROBLEM)),
        ({"weights": ()}, ("models", Verdict.WARNING)),
        ({"server_mismatches": (Mismatch("httpx", "1", "2"),)}, ("server versions", Verdict.WARNING)),
    ],
)
def test_faults_of_serving(changes: dict[str, Any], expected: tuple[str, Verdict]) -> None:
    assert bad(judge_serving(msgspec.structs.replace(SERVING, **changes))) == [expected]


@pytest.mark.parametrize("state", [StoreState.ABSENT, StoreState.IN_USE, StoreState.WHOLE])
def test_store_that_is_used_or_still_to_come_is_no_fault(state: StoreState) -> None:
    serving = msgspec.structs.replace(SERVING, store_state=state, port_state=PortState.OURS)

    assert bad(judge_serving(serving)) == []
