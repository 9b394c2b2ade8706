"""Subtitle files that players take."""

from engines.contract.transcribe import Segment
from server.wire.subtitles import srt, vtt

SEGMENTS = (
    Segment(0, 0.0, 1.4649, " Hello & <b>welcome</b>"),
    Segment(1, 2.0, 2.0, " now\n\n"),
    Segment(2, 3.0, 4.0, "  "),
    Segment(3, 3725.9996, 3726.5, " one\n\nline --> more"),
)


def test_srt_numbers_its_cues_and_has_commas() -> None:
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,465\nHello & <b>welcome</b>\n\n"
        "2\n00:00:02,000 --> 00:00:02,001\nnow\n\n"
        "3\n01:02:06,000 --> 01:02:06,500\none line --> more\n"
    )


def test_vtt_has_a_heading_and_escapes_markup() -> None:
    assert vtt(SEGMENTS) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.465\nHello &amp; &lt;b&gt;welcome&lt;/b&gt;\n\n"
        "00:00:02.000 --> 00:00:02.001\nnow\n\n"
        "01:02:06.000 --> 01:02:06.500\none line --&gt; more\n"
    )


def test_silence_has_no_cues() -> None:
    assert srt(()) == ""
    assert vtt(()) == "WEBVTT\n\n"
