"""Pages over a sorted list."""

import pytest

from server.errors import ServiceError
from server.wire.paging import page

NAMES = ["a", "b/ü", "c", "d"]


def test_pages_cover_everything_once() -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        found, pagination = page(NAMES, str, limit=3, cursor=cursor)
        seen += found
        cursor = pagination["next_cursor"]
        if not pagination["has_more"]:
            break

    assert seen == NAMES
    assert cursor is None


def test_page_that_ends_with_the_list_has_no_more() -> None:
    assert page(NAMES, str, limit=4, cursor=None)[1] == {"has_more": False, "next_cursor": None}


def test_cursor_outlives_the_entry_it_names() -> None:
    cursor = page(NAMES, str, limit=2, cursor=None)[1]["next_cursor"]

    assert page(["a", "c", "d"], str, limit=9, cursor=cursor)[0] == ["c", "d"]


@pytest.mark.parametrize("cursor", ["!", "x", "_w", "é", "YQ==YQ"])
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        page(NAMES, str, limit=2, cursor=cursor)

    assert refusal.value.details[0].field == "cursor"
