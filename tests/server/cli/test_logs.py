"""The end of logs, and what is added to them, over rotation of either kind."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from server.cli.log_files import FollowedFile, last_lines, log_files
from server.cli.logs import added, readable
from tests.server.cli.conftest import Hearth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data" / "logs"
    found.mkdir(parents=True)
    return found


Follow = Callable[[Path, int], FollowedFile]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Makes followed files, and closes them at the end."""
    with ExitStack() as made:
        yield lambda path, position: made.enter_context(closing(FollowedFile(path, position)))


def append(file: Path, text: str) -> None:
    with file.open("a") as content:
        content.write(text)


def test_end_of_every_log_with_its_name(hearth: Hearth, folder: Path) -> None:
    (folder / "be_a.log").write_text("one\ntwo\nthree\n")
    (folder / "server.log").write_text(
        '{"time": "T", "level": "info", "event": "worker.ended", "backend": "be_a"}\n'
    )

    shown = hearth("logs", "-n", "2").stdout

    assert shown == "server | T info worker.ended backend=be_a\nbe_a   | two\nbe_a   | three\n"


def test_one_log_alone_has_no_name_before_its_lines(hearth: Hearth, folder: Path) -> None:
    (folder / "be_a.log").write_text("one\ntwo\n")

    assert hearth("logs", "be_a", "-n", "1").stdout == "two\n"


def test_lines_are_left_as_they_are_with_json(hearth: Hearth, folder: Path) -> None:
    (folder / "server.log").write_text('{"event": "a.b"}\n')

    assert hearth("logs", "--json").stdout == '{"event": "a.b"}\n'


def test_unknown_backend_is_refused_with_those_there_are(hearth: Hearth, folder: Path) -> None:
    (folder / "be_a.log").touch()

    result = hearth("logs", "other")

    assert (result.exit_code, result.stderr) == (1, "hearth: no log of other; there are: be_a\n")


def test_a_near_miss_is_told_what_was_meant(hearth: Hearth, folder: Path) -> None:
    (folder / "be_a.log").touch()

    assert hearth("logs", "be_aa").stderr == "hearth: no log of be_aa; did you mean be_a?\n"


def test_a_model_goes_by_its_public_name(hearth: Hearth, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("frontends: [acme/chat]\n")
    (folder / "be_a.log").write_text("hello\n")

    assert hearth("logs", "acme/chat", models_dir=str(tmp_path)).stdout == "hello\n"


@pytest.mark.parametrize("arguments", [["logs"], ["logs", "server"]])
def test_log_that_a_service_manager_keeps_is_pointed_to(hearth: Hearth, arguments: list[str]) -> None:
    result = hearth(*arguments)

    assert result.exit_code == 1
    assert "journalctl -u hearth" in result.stderr


@pytest.mark.parametrize("count", [0, 1, 3, 5000, 10_000])
def test_last_lines_of_a_long_file(folder: Path, count: int) -> None:
    lines = [f"line {number} {'x' * 40}" for number in range(6000)]
    file = folder / "be_a.log"
    file.write_text("\n".join(lines) + "\nunfinished")

    found, position = last_lines(file, count)

    assert found == lines[len(lines) - min(count, 6000) :]
    assert position == file.stat().st_size - len("unfinished")


def test_added_lines_come_once_they_are_whole(folder: Path, follow: Follow) -> None:
    file = folder / "be_a.log"
    file.write_text("old\nbeg")
    followed = follow(file, last_lines(file, 0)[1])

    seen = [list(followed.new_lines())]
    append(file, "un\nnext\n")
    seen.append(list(followed.new_lines()))
    seen.append(list(followed.new_lines()))

    assert seen == [[], ["begun", "next"], []]


def test_file_that_was_cut_is_read_from_its_beginning(folder: Path, follow: Follow) -> None:
    file = folder / "be_a.log"
    file.write_text("a long line\n")
    followed = follow(file, 0)
    list(followed.new_lines())

    os.truncate(file, 0)
    append(file, "new\n")

    assert list(followed.new_lines()) == ["new"]


def test_file_that_was_moved_away_is_read_to_its_end_and_then_its_successor(
    folder: Path, follow: Follow
) -> None:
    file = folder / "be_a.log"
    file.write_text("first\n")
    followed = follow(file, 0)
    list(followed.new_lines())

    append(file, "last\n")
    file.rename(folder / "be_a.log.1")
    seen = [list(followed.new_lines())]
    file.write_text("new\n")
    seen.append(list(followed.new_lines()))

    assert seen == [["last"], ["new"]]


def test_log_of_a_backend_that_is_loaded_later_is_followed_too(folder: Path) -> None:
    followed: dict[str, FollowedFile] = {}
    list(added(followed, folder.parent, takes_new=True))

    (folder / "be_new.log").write_text("hello\n")

    assert list(added(followed, folder.parent, takes_new=True)) == [("be_new", "hello")]
    followed["be_new"].close()


def test_server_comes_first(folder: Path) -> None:
    for name in ("be_a", "server", "zz"):
        (folder / f"{name}.log").touch()

    assert list(log_files(folder.parent)) == ["server", "be_a", "zz"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no JSON", "no JSON"),
        ("weights:  0%\rweights: 100%", "weights: 100%"),
        ('{"cut', '{"cut'),
        ('{"event": "a.b", "n": 1, "why": "two words"}', 'a.b n=1 why="two words"'),
    ],
)
def test_lines_of_json_are_made_readable(text: str, expected: str) -> None:
    assert readable(text) == expected
