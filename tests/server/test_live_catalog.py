"""One backend's file can be read again: strictly, and beside the others."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec
from server.catalog import CatalogError, LiveCatalog, read_catalog
from server.catalog.estimates import estimate_memory
from server.workers.devices import settled
from tests.server.test_catalog import write


def reckon(specs: Iterable[BackendSpec]) -> dict[str, MemoryEstimate]:
    return estimate_memory(settled(specs, has_gpu=False))


def make_live(folder: Path) -> LiveCatalog:
    write(folder, "a.yaml", frontends=["acme/a"])
    write(folder, "b.yaml", frontends=["acme/b"])
    return LiveCatalog(read_catalog(folder), reckon)


def problems(live: LiveCatalog, backend_id: str = "be_a") -> list[tuple[str, str, str]]:
    with pytest.raises(CatalogError) as caught:
        live.check(live.read_again(backend_id))
    return [(item.file.name, item.path, item.message) for item in caught.value.problems]


def test_a_version_counts_from_the_moment_it_is_put(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    told: list[BackendSpec] = []
    live.on_change(told.append)
    write(tmp_path, "a.yaml", frontends=["acme/a", "acme/new"], context_window=2048)

    version = live.read_again("be_a")
    live.check(version)
    before = live.backends["be_a"].context_window
    live.put(version)

    assert before == 1024
    assert live.backends["be_a"].context_window == 2048
    assert list(live.backends) == ["be_a", "be_b"]
    assert told == [version.spec]


def test_estimates_follow_the_version(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    weights = tmp_path / "new"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"x" * 300)
    write(tmp_path, "a.yaml", frontends=["acme/a"], weights="new")

    live.put(live.read_again("be_a"))
    known = live.estimates["be_a"].weights_bytes
    (weights / "model.safetensors").unlink()
    live.put(live.read_again("be_a"))

    assert known == 300
    assert "be_a" not in live.estimates


def test_every_mistake_of_the_file_is_told(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    write(tmp_path, "a.yaml", without="licence", engin="vllm_chat", options={"max_model_length": 5})

    found = problems(live)

    assert [path for _, path, _ in found] == ["engin", "licence", "options.max_model_length"]


def test_a_file_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    (tmp_path / "a.yaml").unlink()

    assert problems(live) == [("a.yaml", "", "cannot be read: No such file or directory")]


def test_a_file_keeps_its_id(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    write(tmp_path, "a.yaml", id="be_other", frontends=["acme/a"])

    assert problems(live) == [
        ("a.yaml", "id", "and `replicas` must make `be_a` again: a new backend needs a start of the server")
    ]


def test_a_file_leaves_others_their_names(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    write(tmp_path, "a.yaml", frontends=["acme/a", "acme/b"])

    assert problems(live) == [("a.yaml", "frontends[1]", "`acme/b` is already taken by be_b")]


def test_what_another_file_says_by_now_does_not_count(tmp_path: Path) -> None:
    live = make_live(tmp_path)
    write(tmp_path, "b.yaml", frontends=["acme/a"])

    live.check(live.read_again("be_a"))


def test_each_replica_of_a_file_is_read_again_by_itself(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", frontends=["acme/a"], replicas=2)
    live = LiveCatalog(read_catalog(tmp_path), reckon)
    write(tmp_path, "a.yaml", frontends=["acme/a"], replicas=2, context_window=2048)

    version = live.read_again("be_a_1")
    live.check(version)
    live.put(version)

    assert [spec.context_window for spec in live.backends.values()] == [2048, 1024]


def test_the_number_of_replicas_stays_until_the_next_start(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", frontends=["acme/a"], replicas=2)
    live = LiveCatalog(read_catalog(tmp_path), reckon)
    write(tmp_path, "a.yaml", frontends=["acme/a"])

    assert [path for _, path, _ in problems(live, "be_a_1")] == ["id"]
