"""What is seen of real folders, sockets and files, and of a pretended card."""

import fcntl
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from server.doctor.facts import Mismatch, PortState, StoreState
from server.doctor.gathering.engines import compare, look_at_engines
from server.doctor.gathering.gpus import look_at_gpus
from server.doctor.gathering.machine import look_at_machine
from server.doctor.gathering.places import file_system_of, look_at, look_at_places
from server.doctor.gathering.serving import look_at_serving
from server.engine_envs import State
from server.settings import Settings
from tests.fakes.postgresql import Cluster

SMI = """#!/bin/sh
case "$1" in
--query-gpu=*)
    echo "0, GPU-a, NVIDIA H100, 81559, 60000, 580.95.05"
    echo "1, GPU-b, NVIDIA GB10, [N/A], [N/A], 580.95.05";;
*) echo "71, GPU-a, 20000"; echo "72, GPU-a, [N/A]";;
esac
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", port=port)


@pytest.fixture
def card(tmp_path: Path) -> tuple[Path, Path]:
    """A PCI bus with one NVIDIA card, and /proc with a child of a worker and a stranger."""
    device = tmp_path / "pci" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")
    proc = tmp_path / "proc"
    for pid, parent, command in (
        (71, 70, "VLLM::EngineCore"),
        (70, 1, "python\0-m\0engines.runtime\0"),
        (72, 1, "x"),
    ):
        (proc / str(pid)).mkdir(parents=True)
        (proc / str(pid) / "cmdline").write_text(command)
        (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
    return tmp_path / "pci", proc


def tool(folder: Path, script: str) -> str:
    file = folder / "nvidia-smi"
    file.write_text(script)
    file.chmod(0o755)
    return str(file)


def test_this_machine_can_be_looked_at() -> None:
    machine = look_at_machine()

    assert machine.memory_bytes > machine.memory_available_bytes > 0
    assert machine.num_cpus > 0
    assert machine.now > machine.code_time > 1.7e9
    assert machine.libc.startswith("glibc")


def test_cards_and_whose_processes_run_on_them(tmp_path: Path, card: tuple[Path, Path]) -> None:
    pci, proc = card

    gpus = look_at_gpus(tool(tmp_path, SMI), pci, proc)

    assert [(gpu.name, gpu.total_bytes >> 20, gpu.free_bytes >> 20) for gpu in gpus.gpus] == [
        ("NVIDIA H100", 81559, 60000),
        ("NVIDIA GB10", 0, 0),
    ]
    assert gpus.driver_version == "580.95.05"
    assert [(item.pid, item.command, item.is_ours) for item in gpus.processes] == [
        (71, "VLLM::EngineCore", True),
        (72, "x", False),
    ]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", "mismatch"),
        ("#!/no/such/interpreter\n", "cannot be run"),
    ],
)
def test_tool_that_fails_says_why(tmp_path: Path, card: tuple[Path, Path], script: str, reason: str) -> None:
    gpus = look_at_gpus(tool(tmp_path, script), *card)

    assert (gpus.num_cards, reason in (gpus.tool_error or "")) == (1, True)


def test_innermost_mount_decides(tmp_path: Path) -> None:
    mounts = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        f"23 22 0:5 / {tmp_path} rw,relatime shared:1 - nfs4 server:/export rw\n"
        f"24 22 0:6 / {tmp_path}x rw - tmpfs tmpfs rw\n"
    )

    assert file_system_of(tmp_path, mounts) == "nfs4"
    assert file_system_of(Path("/"), mounts) == "ext4"


def test_folder_that_is_still_to_come_is_judged_by_the_one_above(tmp_path: Path) -> None:
    place = look_at(tmp_path / "a" / "b")

    assert (place.exists, place.nearest, place.can_write) == (False, tmp_path, True)
    assert place.free_bytes > 0


def test_store_lies_where_its_link_leads(settings: Settings, tmp_path: Path) -> None:
    settings.data_dir.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (settings.data_dir / "hearth.db").symlink_to(tmp_path / "elsewhere" / "hearth.db")

    places = look_at_places(settings)

    assert places.store is not None
    assert places.store.path == tmp_path / "elsewhere"


def test_nothing_is_made_by_looking(settings: Settings) -> None:
    serving = look_at_serving(settings)

    assert (serving.store_state, serving.port_state) == (StoreState.ABSENT, PortState.FREE)
    assert not settings.data_dir.exists()


def test_store_is_whole_or_damaged_or_in_use(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / "hearth.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()

    states = [look_at_serving(settings).store_state]
    with path.with_name("hearth.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        states.append(look_at_serving(settings).store_state)
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    states.append(look_at_serving(settings).store_state)

    assert states == [StoreState.WHOLE, StoreState.IN_USE, StoreState.DAMAGED]


def test_postgresql_is_reached_or_not(settings: Settings, cluster: Cluster) -> None:
    url = cluster.new_database()
    gone = "postgresql://nobody@127.0.0.1:1/none"

    states = [
        look_at_serving(settings.model_copy(update={"database_url": item})).store_state
        for item in (url, gone)
    ]

    assert states == [StoreState.WHOLE, StoreState.UNREACHABLE]


def test_port_of_a_stranger_is_taken(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        assert look_at_serving(settings).port_state is PortState.TAKEN


def test_address_of_another_machine_is_forbidden(settings: Settings) -> None:
    serving = look_at_serving(settings.model_copy(update={"host": "192.0.2.1"}))

    assert serving.port_state is PortState.FORBIDDEN


def test_models_and_their_weights_are_looked_for(settings: Settings, tmp_path: Path) -> None:
    text = (
        "{{engine: st_embed, modality: embedding, frontends: [a/{0}], weights: ../{0}, licence: MIT,"
        " context_window: 8}}"
    )
    for name in ("one", "two"):
        (settings.models_dir / f"{name}.yaml").write_text(text.format(name))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "model.safetensors").write_text("x")

    serving = look_at_serving(settings)

    assert [(item.backend_id, item.exists) for item in serving.weights] == [
        ("be_one", True),
        ("be_two", False),
    ]


def test_mistakes_in_model_files_are_told(settings: Settings) -> None:
    (settings.models_dir / "one.yaml").write_text("engin: x\n")

    assert any("engin" in line for line in look_at_serving(settings).model_problems)


def test_given_interpreter_is_tried(settings: Settings) -> None:
    given = settings.model_copy(update={"engines_python": Path(sys.executable)})

    engines = look_at_engines(given, with_imports=True)

    assert engines.state is State.COMPLETE
    assert "vllm.v1.engine.async_llm" in [module for module, _ in engines.failures or ()]
    assert "msgspec" not in [module for module, _ in engines.failures or ()]


def test_engines_that_are_missing_are_not_tried(settings: Settings, tmp_path: Path) -> None:
    engines = look_at_engines(
        settings.model_copy(update={"engines_dir": tmp_path / "none"}), with_imports=True
    )

    assert (engines.state, engines.failures) == (State.MISSING, None)


def test_packages_are_compared_as_registries_name_them() -> None:
    locked = {"huggingface_hub": "2.4.0", "torch": "2.13.0", "six": "1.17.0", "gone": "1"}
    installed = {"huggingface-hub": "2.4.0", "torch": "2.13.0+cpu", "six": "1.16.0"}

    assert compare(locked, installed) == (Mismatch("six", "1.17.0", "1.16.0"), Mismatch("gone", "1", None))
