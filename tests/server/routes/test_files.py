"""Files over HTTP in both dialects, over a real store and a real folder."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.disk import DiskGuard
from server.files import FileStore
from server.store import open_store
from server.store.database import Database
from tests.fakes.forms import CONTENT_TYPE, form, part
from tests.fakes.surface import REQUEST_ID, Surface

NATIVE = "/v1/files"
OPENAI = "/oai/v1/files"
BOTH = pytest.mark.parametrize("path", [NATIVE, OPENAI])
CONTENT = b'{"custom_id": "1"}\n'
FILE = {"file": ("in.jsonl", CONTENT, "text/html")}
NO_LIMIT = 0
EVERYTHING = 1 << 62


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    store = open_store(f"sqlite:///{tmp_path}/hearth.db")
    made = Database(store)
    yield made
    made.close()
    store.close()


@pytest.fixture(autouse=True)
async def files(surface: Surface, database: Database, folder: Path) -> FileStore:
    disk = DiskGuard(folder, NO_LIMIT)
    made = FileStore(database, folder, disk)
    await made.start()
    surface.keep_files(made, disk, database)
    return made


async def upload(client: httpx.AsyncClient, path: str = NATIVE, **data: str) -> dict[str, Any]:
    answer = await client.post(path, data={"purpose": "batch"} | data, files=FILE)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body["data"] if path == NATIVE else body


def left(folder: Path) -> list[str]:
    """Names of all content, finished or not."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


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

    answer = await client.post(path, content=_unread())

    assert (answer.status_code, answer.json()["error"]["code"]) == (507, ErrorCode.STORAGE_FULL)
    assert answer.headers["retry-after"] == "60"


async def _unread() -> Any:
    raise AssertionError("the body was read")
    yield b""


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
        await client.post(path, content=_unread()),
        await client.get(path),
        await client.get(f"{path}/{file_id}"),
        await client.get(f"{path}/{file_id}/content"),
        await client.delete(f"{path}/{file_id}"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5


@BOTH
async def test_file_of_another_key_is_not_there_not_even_for_an_administrator(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    file_id = (await upload(client))["id"]
    surface.key_id = "key_2"

    answers = [
        await client.get(f"{path}/{file_id}"),
        await client.get(f"{path}/{file_id}/content"),
        await client.delete(f"{path}/{file_id}"),
    ]
    listed = (await client.get(path)).json()

    assert [answer.status_code for answer in answers] == [404] * 3
    assert (listed["data"]["items"] if path == NATIVE else listed["data"]) == []


@BOTH
@pytest.mark.parametrize(
    "file_id", ["incoming", "..", "..%2fhearth.db", "%2e%2e%2fhearth.db", "file_" + "0" * 24]
)
async def test_names_that_are_no_files_of_ours_are_not_found(
    client: httpx.AsyncClient, path: str, file_id: str
) -> None:
    answer = await client.get(f"{path}/{file_id}/content")

    assert answer.status_code == 404


@BOTH
async def test_file_is_shown_and_deleted(client: httpx.AsyncClient, folder: Path, path: str) -> None:
    made = await upload(client, path)

    shown = (await client.get(f"{path}/{made['id']}")).json()
    deleted = (await client.delete(f"{path}/{made['id']}")).json()
    again = await client.delete(f"{path}/{made['id']}")

    told = {"id": made["id"], "object": "file", "deleted": True}
    assert (
        (shown["data"], deleted["data"]) == (made, told)
        if path == NATIVE
        else (shown, deleted) == (made, told)
    )
    assert (again.status_code, left(folder)) == (404, [])


async def test_native_list_goes_on_by_cursor(client: httpx.AsyncClient) -> None:
    made = [(await upload(client))["id"] for _ in range(3)]

    first = (await client.get(NATIVE, params={"limit": 2})).json()
    cursor = first["pagination"]["next_cursor"]
    await client.delete(f"{NATIVE}/{first['data']['items'][-1]['id']}")
    rest = (await client.get(NATIVE, params={"limit": 2, "cursor": cursor})).json()

    assert [item["id"] for item in first["data"]["items"]] == made[:0:-1]
    assert [item["id"] for item in rest["data"]["items"]] == made[:1]
    assert rest["pagination"] == {"has_more": False, "next_cursor": None}


async def test_openai_list_goes_on_after_an_id_in_both_orders(client: httpx.AsyncClient) -> None:
    made = [(await upload(client, OPENAI))["id"] for _ in range(3)]

    first = (await client.get(OPENAI, params={"limit": 2, "order": "asc"})).json()
    rest = (await client.get(OPENAI, params={"after": first["last_id"], "order": "asc"})).json()
    newest = (await client.get(OPENAI, params={"limit": 1})).json()

    assert [entry["id"] for entry in first["data"] + rest["data"]] == made
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, made[0], made[1])
    assert (rest["has_more"], newest["first_id"]) == (False, made[2])


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (NATIVE, {"cursor": "!"}, "cursor"),
        (NATIVE, {"cursor": "bm8"}, "cursor"),
        (NATIVE, {"cursor": "MjAyNi0wMS0wMSBmaWxlXzE"}, "cursor"),
        (NATIVE, {"limit": "0"}, "limit"),
        (NATIVE, {"purpose": "all"}, "purpose"),
        (OPENAI, {"limit": "10001"}, "limit"),
        (OPENAI, {"order": "up"}, "order"),
        (OPENAI, {"after": "file_none"}, "after"),
    ],
)
async def test_wrong_query_is_refused_by_name(
    client: httpx.AsyncClient, path: str, query: dict[str, str], field: str
) -> None:
    answer = await client.get(path, params=query)

    error = answer.json()["error"]
    assert answer.status_code == (422 if path == NATIVE else 400)
    assert (error["details"][0]["field"] if path == NATIVE else error["param"]) == field


@BOTH
async def test_content_is_sent_to_be_saved(client: httpx.AsyncClient, path: str) -> None:
    file_id = (await upload(client))["id"]

    answer = await client.get(f"{path}/{file_id}/content")

    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"].startswith('attachment; filename="in.jsonl"')
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-length"] == str(len(CONTENT))


@BOTH
async def test_one_range_of_content_is_sent(client: httpx.AsyncClient, path: str) -> None:
    url = f"{path}/{(await upload(client))['id']}/content"

    part_of = await client.get(url, headers={"Range": "bytes=2-5"})
    behind = await client.get(url, headers={"Range": "bytes=900-"})

    assert (part_of.status_code, part_of.content) == (206, CONTENT[2:6])
    assert part_of.headers["content-range"] == f"bytes 2-5/{len(CONTENT)}"
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert ("status" in behind.json()) == (path == NATIVE)


async def test_empty_file_is_a_file(client: httpx.AsyncClient) -> None:
    made = (await client.post(NATIVE, files={"file": ("e", b"")})).json()["data"]

    answer = await client.get(f"{NATIVE}/{made['id']}/content")

    assert (made["bytes"], answer.status_code, answer.content) == (0, 200, b"")


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
