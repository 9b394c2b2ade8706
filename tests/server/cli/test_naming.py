"""Names are read from the files alone, also where some of them are wrong, and guessed when they are misspelt."""

from pathlib import Path

import pytest

from server.cli.naming import nearest, written_names


def test_names_and_ids_are_found_in_files_that_are_wrong_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "chat-a.yaml").write_text("frontends: [acme/chat, {slug: acme/talk}]\n")
    (tmp_path / "b.yaml").write_text("id: be_own\nfrontends: [other/embed]\nunknown: 1\n")
    (tmp_path / "broken.yaml").write_text("frontends: [\n")

    assert list(written_names(tmp_path)) == ["other/embed", "be_own", "acme/chat", "acme/talk", "be_chat_a"]


def test_without_a_folder_there_are_no_names() -> None:
    assert list(written_names(Path("/nowhere"))) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("starter/chta", "starter/chat"), ("chat", "starter/chat"), ("be_starter_embd", "be_starter_embed")],
)
def test_nearest_looks_at_last_parts_too(name: str, found: str) -> None:
    assert nearest(name, ["starter/chat", "be_starter_chat", "starter/embed", "be_starter_embed"]) == found


def test_nothing_is_near_to_everything() -> None:
    assert nearest("xyz", ["starter/chat"]) is None
