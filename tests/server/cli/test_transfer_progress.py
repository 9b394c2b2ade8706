"""How work on many bytes is shown."""

from io import StringIO

from rich.console import Console

from server.cli.transfer_progress import LineProgress, show_bytes


def test_lines_tell_share_bytes_rate_and_time_left() -> None:
    written, now = StringIO(), [0.0]
    progress = LineProgress(Console(file=written, width=200), "acme/tiny", lambda: now[0])

    progress.begin(2_000_000_000)
    progress.file("model.safetensors", 2_000_000_000)
    progress.advance(100_000_000)
    now[0] = 10.0
    progress.advance(400_000_000)

    assert (
        written.getvalue() == "acme/tiny  25%  500.0 MB of 2.00 GB  50.0 MB/s  0:30 left  model.safetensors\n"
    )


def test_bars_are_shown_on_a_terminal() -> None:
    written = StringIO()

    with show_bytes(Console(file=written, width=200, force_terminal=True), "acme/tiny") as progress:
        progress.begin(1000)
        progress.file("model.safetensors", 1000)
        progress.advance(1000)
        progress.say("trying again")

    for shown in ("acme/tiny", "model.safetensors", "1.0/1.0 kB", "trying again"):
        assert shown in written.getvalue()
