"""Libraries are told to stay offline, and which devices they may see."""

import os
from collections.abc import Iterator

import pytest

from engines.runtime import environment


@pytest.fixture(autouse=True)
def _same_environment_afterwards() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_hubs_and_telemetry_are_off() -> None:
    environment.prepare()

    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
    assert os.environ["VLLM_NO_USAGE_STATS"] == os.environ["DO_NOT_TRACK"] == "1"


def test_caches_lie_below_the_folder_of_the_parent() -> None:
    os.environ["HEARTH_ENGINE_CACHE"] = "/var/cache/hearth"

    environment.prepare()

    assert os.environ["VLLM_CACHE_ROOT"] == "/var/cache/hearth/vllm"


@pytest.mark.parametrize(("device", "visible"), [("cpu", ""), ("cuda:1", "1"), ("cuda:0,2", "0,2")])
def test_only_the_devices_of_the_spec_are_visible(device: str, visible: str) -> None:
    environment.use_devices(device)

    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_auto_leaves_all_devices_visible() -> None:
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)

    environment.use_devices("auto")

    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_number_of_threads_is_the_options_then_the_operators_then_half_the_processors() -> None:
    os.environ.pop("OMP_NUM_THREADS", None)
    environment.limit_threads(None, "cpu")
    default = os.environ["OMP_NUM_THREADS"]

    os.environ["OMP_NUM_THREADS"] = "3"
    environment.limit_threads(None, "cpu")
    operators = os.environ["OMP_NUM_THREADS"]

    environment.limit_threads(5, "cpu")

    assert (default, operators) == (str(max(1, len(os.sched_getaffinity(0)) // 2)), "3")
    assert os.environ["OMP_NUM_THREADS"] == "5"
