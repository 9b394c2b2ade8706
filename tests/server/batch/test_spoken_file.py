"""Names of files that lines are answered with."""

import pytest

from server.batch.spoken_file import safe_name


@pytest.mark.parametrize(
    ("custom_id", "name"),
    [
        ("request-1", "request-1.mp3"),
        ("a.b_c", "a.b_c.mp3"),
        ("../../etc/passwd", "etc_passwd.mp3"),
        ('a/b\\c\r\n"d', "a_b_c_d.mp3"),
        ("\u6f22\u5b57", "line.mp3"),
        ("...", "line.mp3"),
        ("x" * 512, "x" * 100 + ".mp3"),
    ],
)
def test_name_shows_the_line_and_nothing_dangerous(custom_id: str, name: str) -> None:
    assert safe_name(custom_id, "mp3") == name
