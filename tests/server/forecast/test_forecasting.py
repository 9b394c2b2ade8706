"""A forecast explains a plan: what its bytes are for, how it knows its seconds, what the engine is given."""

from pathlib import Path

import msgspec
import pytest

from engines.contract.spec import BackendSpec
from server.forecast import Forecaster
from server.forecast.forecasting import READ_BYTES_PER_S, START_S
from server.forecast.together import Claim, pack
from server.workers.ledger import PROCESS_BYTES
from server.workers.planning import Plan
from tests.fakes.specs import make_spec

BUDGETS = {"cpu": 10**12}


@pytest.fixture
def chat(tmp_path: Path) -> BackendSpec:
    (tmp_path / "model.safetensors").write_bytes(b"x" * 1000)
    spec = make_spec("be_v", engine="vllm_chat", options={"kv_cache_memory_bytes": 50, "max_num_seqs": 4})
    return msgspec.structs.replace(spec, weights=str(tmp_path))


def planned(spec: BackendSpec, load_s: float | None = None, verdict: str = "fits") -> Plan:
    return Plan(spec.id, verdict, ("cpu",), 5000, False, load_s=load_s)  # type: ignore[arg-type]  # a test's


def test_parts_add_up_to_what_was_reckoned(chat: BackendSpec) -> None:
    parts = Forecaster(BUDGETS, {}, {}).forecast(chat, planned(chat)).parts

    assert parts is not None
    assert msgspec.to_builtins(parts) == {
        "weights_bytes": 1000,
        "kv_cache_bytes": 50,
        "activations_bytes": 0,
        "overhead_bytes": PROCESS_BYTES,
    }


def test_arguments_are_those_of_vllm(chat: BackendSpec) -> None:
    arguments = Forecaster(BUDGETS, {}, {}).forecast(chat, planned(chat)).arguments

    assert arguments["max_num_seqs"] == 4
    assert arguments["max_model_len"] == 4096
    assert arguments["dtype"] == "float32"
    assert None not in arguments.values()


def test_arguments_of_another_engine_are_its_options_in_full() -> None:
    spec = make_spec("be_f", options={"ballast_mib": 3})

    arguments = Forecaster(BUDGETS, {}, {}).forecast(spec, planned(spec)).arguments

    assert (arguments["ballast_mib"], arguments["load_delay_s"]) == (3, 0.0)


def test_load_time_is_reckoned_until_one_was_seen(chat: BackendSpec) -> None:
    reckoned = Forecaster(BUDGETS, {}, {}).forecast(chat, planned(chat))
    stored = Forecaster(BUDGETS, {}, {"be_v": 3.0}).forecast(chat, planned(chat))
    seen = Forecaster(BUDGETS, {}, {"be_v": 3.0}).forecast(chat, planned(chat, load_s=2.0))

    assert (reckoned.expected_load_s, reckoned.is_load_measured) == (START_S + 1000 / READ_BYTES_PER_S, False)
    assert (stored.expected_load_s, stored.is_load_measured) == (3.0, True)
    assert seen.expected_load_s == 2.0


def test_a_stored_peak_counts_as_measured(chat: BackendSpec) -> None:
    assert Forecaster(BUDGETS, {"be_v": 5000}, {}).forecast(chat, planned(chat)).is_measured


def test_pinned_then_preloaded_then_by_priority_are_packed_until_it_is_full() -> None:
    specs = [
        make_spec("be_a"),
        make_spec("be_b", priority=5),
        make_spec("be_c", preload=True),
        make_spec("be_d", pinned=True),
    ]

    together = pack([Claim(spec, {"cpu": 4}) for spec in specs], {"cpu": 12})

    assert together.order == ("be_d", "be_c", "be_b")
    assert together.left_out == ("be_a",)
    assert together.used_bytes == {"cpu": 12}


def test_a_small_one_is_taken_where_a_large_one_has_no_room() -> None:
    claims = [Claim(make_spec("be_a"), {"cpu": 20}), Claim(make_spec("be_b"), {"cpu": 4})]

    assert pack(claims, {"cpu": 12}).order == ("be_b",)
