"""Tokens: what we signed and nothing else."""

import stat
from pathlib import Path

import pytest

from server.media.token import PATH_PREFIX, PUBLIC_PATH, Claim, Signer, load_key

CLAIM = Claim(bytes(range(32)), 1_760_000_000, "image/png")
SIGNER = Signer(b"k" * 32)


def test_token_says_what_was_signed() -> None:
    assert SIGNER.read(SIGNER.sign(CLAIM)) == CLAIM


def test_no_token_with_one_other_character_is_ours() -> None:
    """Also not one that base64 reads as the same bytes."""
    token = SIGNER.sign(CLAIM)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    changed = [
        token[:place] + character + token[place + 1 :]
        for place in range(len(token))
        for character in alphabet
        if character != token[place]
    ]

    assert [other for other in changed if SIGNER.read(other) is not None] == []


@pytest.mark.parametrize("token", ["", "A", "=", "é", "A" * 97, "A" * 98, "A" * 99, "+" * 98, " " * 98])
def test_what_is_no_token_is_not_read(token: str) -> None:
    assert SIGNER.read(token) is None


def test_another_key_reads_nothing() -> None:
    assert Signer(b"x" * 32).read(SIGNER.sign(CLAIM)) is None


def test_public_path_is_a_whole_token_of_one_length() -> None:
    path = PATH_PREFIX + SIGNER.sign(CLAIM)

    assert PUBLIC_PATH.fullmatch(path)
    for other in (
        path + "A",
        path[:-1],
        path + "/",
        path + "\n",
        path[:-3] + "/..",
        "/x" + path,
        PATH_PREFIX,
    ):
        assert PUBLIC_PATH.fullmatch(other) is None


def test_key_is_made_once_and_is_the_owners(tmp_path: Path) -> None:
    file = tmp_path / "media.key"

    made = load_key(file)

    assert len(made) == 32
    assert load_key(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["media.key"]


def test_damaged_key_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "media.key"
    file.write_bytes(b"short")

    with pytest.raises(OSError, match="does not hold a key"):
        load_key(file)
