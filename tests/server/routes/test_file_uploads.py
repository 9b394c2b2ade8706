"""Uploads of files in both dialects: what is taken, what is refused, and what a repeated one gives."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.disk import DiskGuard
from server.files import FileStore
from server.store.database import Database
from tests.fakes.forms import CONTENT_TYPE, form, part
from tests.fakes.surface import REQUEST_ID, Surface
from tests.server.routes.filing import BOTH, CONTENT, FILE, NATIVE, OPENAI, left, unread, upload

pytestmark = pytest.mark.usefixtures("files")
EVERYTHING = 1 << 62


async def test_native_upload_tells_all_about_the_file(client: httpx.AsyncClient, folder: Path) -> None:
    answer = await client.post(NATIVE, files=FILE)

    data = answer.json()["data"]
    times = (data.pop("created_at"), data.pop("expires_at"))
    assert data == {
        "id": left(folder)[0],
        "object": "file",
        "bytes": len(CONTENT),
        "filename": "in.jsonl",
        "purpose": "batch",
        "status": "processed",
        "uri": f"scaigrid://file/{data['id']}",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "content_type": "application/jsonl",
    }
    assert all(time.endswith("Z") for time in times)
    assert answer.json()["meta"] == {"request_id": REQUEST_ID}


async def test_openai_upload_has_the_sdks_shape(client: httpx.AsyncClient) -> None:
    data = await upload(
        client, OPENAI, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "7200"}
    )

    assert set(data) == {"id", "object", "bytes", "filename", "purpose", "status", "created_at", "expires_at"}
    assert data["expires_at"] - data["created_at"] == 7200


@pytest.mark.parametrize("fields_first", [True, False])
async def test_fields_may_come_before_or_after_the_file(
    client: httpx.AsyncClient, fields_first: bool
) -> None:
    parts = [part("purpose", "user_data"), part("file", b"x", "a.wav")]
    body = form(*(parts if fields_first else reversed(parts)))

    answer = await client.post(NATIVE, content=body, headers={"Content-Type": CONTENT_TYPE})

    data = answer.json()["data"]
    assert (data["purpose"], data["content_type"]) == ("user_data", "application/octet-stream")


@BOTH
@pytest.mark.parametrize(
    ("data", "sent", "field"),
    [
        ({"purpose": "batch"}, {}, "file"),
        ({"purpose": "batch_output"}, FILE, "purpose"),
        ({"purpose": "assistants"}, FILE, "purpose"),
        ({"purpose": "BATCH"}, FILE, "purpose"),
        ({"purpose": "batch", "expires_after": "3600"}, FILE, "expires_after"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, FILE, "expires_after.anchor"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, FILE, "expires_after.seconds"),
        (
            {"purpose": "batch", "expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            FILE,
            "expires_after.anchor",
        ),
        *(
            (
                {
                    "purpose": "batch",
                    "expires_after[anchor]": "created_at",
                    "expires_after[seconds]": seconds,
                },
                FILE,
                "expires_after.seconds",
            )
            for seconds in ("3599", "2592001", "1e9", "-1", "soon", "9" * 400, "3600.5")
        ),
        ({"purpose": ["batch", "batch"]}, FILE, "purpose"),
        (
            {"purpose": "batch", "expires_after[anchor]": ["created_at", "created_at"]},
            FILE,
            "expires_after[anchor]",
        ),
    ],
)
async def test_wrong_form_names_its_field_and_leaves_nothing(
    client: httpx.AsyncClient, folder: Path, path: str, data: Any, sent: Any, field: str
) -> None:
    answer = await client.post(path, data=data, files=sent or {"other": b"x"})

    error = answer.json()["error"]
    assert answer.status_code == (422 if path == NATIVE else 400)
    assert (error["details"][0]["field"] if path == NATIVE else error["param"]) == field
    assert left(folder) == []


async def test_purpose_is_required_by_openai_only(client: httpx.AsyncClient, folder: Path) -> None:
    answer = await client.post(OPENAI, files=FILE)

    assert answer.json()["error"]["param"] == "purpose"
    assert left(folder) == []


@BOTH
async def test_full_disk_is_told_before_the_body_is_read(
    surface: Surface,
    client: httpx.AsyncClient,
    files: FileStore,
    database: Database,
    folder: Path,
    path: str,
) -> None:
    surface.keep_files(files, DiskGuard(folder, EVERYTHING), database)

    answer = await client.post(path, content=unread())

    assert (answer.status_code, answer.json()["error"]["code"]) == (507, ErrorCode.STORAGE_FULL)
    assert answer.headers["retry-after"] == "60"


@BOTH
async def test_too_large_a_file_is_refused_and_leaves_nothing(
    surface: Surface, client: httpx.AsyncClient, folder: Path, path: str
) -> None:
    surface.set(max_file_bytes=1000)

    answer = await client.post(path, data={"purpose": "batch"}, files={"file": b"x" * 1001})
    fits = await client.post(path, data={"purpose": "batch"}, files={"file": b"x" * 1000})

    assert (answer.status_code, fits.status_code) == (413, 200)
    assert len(left(folder)) == 1


@BOTH
async def test_key_without_models_use_is_refused_everywhere(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    file_id = (await upload(client))["id"]
    surface.permissions = frozenset(Permission) - {Permission.MODELS_USE}

    answers = [
        await client.post(path, content=unread()),
        await client.get(path),
        await client.get(f"{path}/{file_id}"),
        await client.get(f"{path}/{file_id}/content"),
        await client.delete(f"{path}/{file_id}"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5


@pytest.mark.parametrize(
    ("told", "kept", "header"),
    [
        (
            "../../etc/passwd",
            "../../etc/passwd",
            "filename=\".._.._etc_passwd\"; filename*=UTF-8''.._.._etc_passwd",
        ),
        ('a";b', 'a";b', "filename=\"a__b\"; filename*=UTF-8''a%22%3Bb"),
        ("käse.wav", "käse.wav", "filename=\"k_se.wav\"; filename*=UTF-8''k%C3%A4se.wav"),
        ("x" * 300, "x" * 255, f"filename=\"{'x' * 255}\"; filename*=UTF-8''{'x' * 255}"),
        ("a\x07b\u202ec", "abc", "filename=\"abc\"; filename*=UTF-8''abc"),
        ("", "file", "filename=\"file\"; filename*=UTF-8''file"),
    ],
)
async def test_clients_name_is_kept_but_harmless(
    client: httpx.AsyncClient, folder: Path, told: str, kept: str, header: str
) -> None:
    name = told.replace('"', '\\"')
    body = form(part("file", b"x", name))
    made = (await client.post(NATIVE, content=body, headers={"Content-Type": CONTENT_TYPE})).json()["data"]

    answer = await client.get(f"{NATIVE}/{made['id']}/content")

    assert made["filename"] == kept
    assert answer.headers["content-disposition"] == f"attachment; {header}"
    assert left(folder) == [made["id"]]
    assert os.listdir(folder.parent / "files" / "incoming") == []


ONCE = {"Idempotency-Key": "upload-1"}


@BOTH
async def test_repeated_upload_gives_the_first_ones_answer_and_makes_nothing(
    client: httpx.AsyncClient, folder: Path, path: str
) -> None:
    first = await client.post(path, data={"purpose": "batch"}, files=FILE, headers=ONCE)
    again = await client.post(path, data={"purpose": "batch"}, files=FILE, headers=ONCE)

    assert (again.status_code, again.content) == (200, first.content)
    assert len(left(folder)) == 1


@BOTH
@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ({"purpose": "user_data"}, FILE),
        ({"purpose": "batch"}, {"file": ("other.jsonl", CONTENT)}),
        ({"purpose": "batch"}, {"file": ("in.jsonl", CONTENT + b" ")}),
        (
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"},
            FILE,
        ),
    ],
)
async def test_other_upload_under_the_same_key_is_refused(
    client: httpx.AsyncClient, folder: Path, path: str, data: dict[str, str], sent: Any
) -> None:
    await client.post(path, data={"purpose": "batch"}, files=FILE, headers=ONCE)

    answer = await client.post(path, data=data, files=sent, headers=ONCE)

    assert answer.status_code == (422 if path == NATIVE else 400)
    assert "Idempotency-Key" in answer.json()["error"]["message"]
    assert len(left(folder)) == 1


async def test_uploads_at_once_under_one_key_make_one_file(client: httpx.AsyncClient, folder: Path) -> None:
    answers = await asyncio.gather(*(client.post(NATIVE, files=FILE, headers=ONCE) for _ in range(6)))

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses) <= {200, 409}
    assert len(left(folder)) == 1


async def test_refused_upload_frees_its_key(client: httpx.AsyncClient) -> None:
    wrong = await client.post(NATIVE, data={"purpose": "no"}, files=FILE, headers=ONCE)
    right = await client.post(NATIVE, files=FILE, headers=ONCE)

    assert (wrong.status_code, right.status_code) == (422, 200)
