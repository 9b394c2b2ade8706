"""Files that were uploaded: shown, listed, read and deleted, by their own key only."""

from pathlib import Path

import httpx
import pytest

from tests.fakes.surface import Surface
from tests.server.routes.filing import BOTH, CONTENT, NATIVE, OPENAI, left, upload

pytestmark = pytest.mark.usefixtures("files")


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


@BOTH
async def test_file_whose_content_was_lost_is_not_found(
    client: httpx.AsyncClient, folder: Path, path: str
) -> None:
    file_id = (await upload(client))["id"]
    (folder / file_id).unlink()

    answer = await client.get(f"{path}/{file_id}/content")

    assert answer.status_code == 404


async def test_empty_file_is_a_file(client: httpx.AsyncClient) -> None:
    made = (await client.post(NATIVE, files={"file": ("e", b"")})).json()["data"]

    answer = await client.get(f"{NATIVE}/{made['id']}/content")

    assert (made["bytes"], answer.status_code, answer.content) == (0, 200, b"")
