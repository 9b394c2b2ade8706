"""`hearth plan` reckons for this machine where no server runs, and shows what a running one says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.cli.conftest import FakeServer, Hearth

MIB = 1024**2
CHAT = """\
engine: vllm_chat
modality: chat
frontends: [acme/{name}]
weights: weights
licence: MIT
context_window: 2048
device: cpu
priority: {priority}
options: {{kv_cache_memory_bytes: {kv_bytes}}}
"""


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights/model.safetensors").write_bytes(b"x" * MIB)
    for name, priority, size in (("small", 0, 100 * MIB), ("dear", 5, 200 * MIB), ("huge", 9, 9000 * MIB)):
        text = CHAT.format(name=name, priority=priority, kv_bytes=size)
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def plan_json(hearth: Hearth, models_dir: Path) -> Any:
    def run(*arguments: str, budget_mib: int) -> Any:
        settings = {"models_dir": str(models_dir), "ram_budget_bytes": str(budget_mib * MIB)}
        result = hearth("plan", *arguments, "--json", port="1", api_key="k", **settings)
        return json.loads(result.stdout)

    return run


def test_all_models_are_planned_for_this_machine(plan_json: Any) -> None:
    found = plan_json(budget_mib=1000)

    assert {item["models"][0]: item["verdict"] for item in found["items"]} == {
        "acme/dear": "fits",
        "acme/huge": "never",
        "acme/small": "fits",
    }
    assert found["together"]["order"] == ["be_dear"]
    assert found["together"]["left_out"] == ["be_huge", "be_small"]
    assert found["devices"]["cpu"] == 1000 * MIB


def test_a_model_that_can_never_fit_is_told_what_would(
    hearth: Hearth, models_dir: Path, plan_json: Any
) -> None:
    settings = {"models_dir": str(models_dir), "ram_budget_bytes": str(1000 * MIB)}

    result = hearth("plan", "acme/huge", port="1", api_key="k", **settings)

    assert result.exit_code == 1
    assert "acme/huge: never" in result.stdout
    assert (
        "would fit with options.kv_cache_memory_bytes: 402653184 (384 MiB; now 9437184000)" in result.stdout
    )
    assert "max_model_len=2048" in result.stdout
    assert "no server answers at http://127.0.0.1:1; reckoned for this machine" in result.stderr


def test_the_suggestion_is_right(plan_json: Any, models_dir: Path) -> None:
    suggestion = plan_json("acme/huge", budget_mib=1000)["suggestions"][0]
    file = models_dir / "huge.yaml"
    file.write_text(file.read_text().replace(str(suggestion["now"]), str(suggestion["value"])))

    assert plan_json("acme/huge", budget_mib=1000)["verdict"] == "fits"


def test_a_file_is_planned_by_itself(plan_json: Any, models_dir: Path) -> None:
    found = plan_json(str(models_dir / "small.yaml"), budget_mib=5000)

    assert (found["backend_id"], found["verdict"]) == ("be_small", "fits")
    assert found["parts"]["kv_cache_bytes"] == 100 * MIB


def test_mistakes_of_a_file_are_told(hearth: Hearth, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("engien: x\n")

    result = hearth("plan", str(tmp_path / "bad.yaml"))

    assert result.exit_code == 1
    assert "engien: unknown key (did you mean `engine`?)" in result.stderr


def test_a_running_server_is_asked(hearth: Hearth, fake_server: FakeServer) -> None:
    item = {
        "backend_id": "be_a",
        "models": ["acme/chat"],
        "engine": "vllm_chat",
        "verdict": "evicts",
        "devices": ["cpu"],
        "need_bytes": 2**30,
        "is_measured": True,
        "evicts": ["be_b"],
        "detail": None,
        "expected_load_s": 61.0,
        "is_load_measured": True,
        "parts": None,
        "arguments": {},
        "suggestions": [],
    }
    together = {"order": ["be_a"], "left_out": [], "used_bytes": {"cpu": 2**30}}
    fake_server.answer = {"data": {"items": [item], "together": together, "devices": {"cpu": 2**31}}}

    result = hearth("plan", port=str(fake_server.port), api_key="k")

    lines = result.stdout.splitlines()
    assert lines[1].split() == [
        "acme/chat",
        "evicts",
        "1.00",
        "GiB",
        "measured",
        "-",
        "-",
        "-",
        "-",
        "cpu",
        "1m01s",
    ]
    assert "Resident at once, in this order: acme/chat" in lines
    assert "acme/chat: would displace be_b" in lines
    assert fake_server.asked == [("GET", "/v1/plan", "Bearer k")]
