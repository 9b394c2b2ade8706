"""A full disk: batches pause, creating is refused with 507, everything else goes on, and all resumes by itself."""

import base64
import time
from pathlib import Path

import httpx

from tests.e2e.conftest import running_fake
from tests.e2e.test_batches import CHAT, chat_line, get, has_ended, jsonl, lines_of, submit, until
from tests.fakes.tiny_disk import tiny_disk

DISK_MIB = 48
RESERVE_BYTES = 16 * 1024 * 1024


def ask(client: httpx.Client) -> int:
    body = {"model": "fake/slow", "messages": [{"role": "user", "content": "hi"}]}
    return client.post(CHAT, json=body).status_code


def test_a_full_disk_pauses_batches_and_nothing_is_lost(tmp_path: Path) -> None:
    lines = [chat_line(f"{number}", f"say {number}", model="fake/slow") for number in range(1500)]
    with (
        tiny_disk(tmp_path / "disk", DISK_MIB) as disk,
        running_fake(
            tmp_path,
            {"slow": "{token_delay_s: 0.1}"},
            files_dir=str(disk / "files"),
            database_url=f"sqlite:///{disk}/hearth.db",
            min_free_bytes=str(RESERVE_BYTES),
        ) as server,
        server.client() as client,
    ):
        batch_id = submit(client, jsonl(*lines))["id"]
        until(client, batch_id, lambda batch: batch["request_counts"]["completed"] >= 50)
        filler = disk / "filler"
        filler.write_bytes(bytes(DISK_MIB * 1024 * 1024 - RESERVE_BYTES))

        encoded = base64.b64encode(jsonl(*lines[:1])).decode()
        refused = client.post("/v1/inference/batch", json={"input_file_base64": encoded})
        upload = client.post("/v1/files", files={"file": ("a.jsonl", jsonl(*lines[:1]))})
        online = ask(client)
        paused = until_it_stands_still(client, batch_id)
        filler.unlink()
        batch = until(client, batch_id, has_ended)
        output = lines_of(client, batch["output_file_url"])

    assert [refused.status_code, upload.status_code] == [507, 507]
    assert refused.json()["error"]["code"] == "STORAGE_FULL"
    assert int(refused.headers["Retry-After"]) > 0
    assert online == 200
    assert paused < len(lines)
    assert batch["status"] == "completed"
    assert batch["request_counts"]["completed"] == len(output) == len(lines)


def until_it_stands_still(client: httpx.Client, batch_id: str) -> int:
    """How many lines had ended when no more did for two seconds."""
    deadline = time.monotonic() + 60
    last, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        done = get(client, batch_id)["request_counts"]["completed"]
        if done != last:
            last, since = done, time.monotonic()
        elif time.monotonic() - since > 2:
            return int(done)
        time.sleep(0.1)
    raise AssertionError("the batch never paused")
