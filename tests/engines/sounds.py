"""Sound files for tests: good ones that were recorded from a synthetic voice, and bad ones made on the spot."""

import io
import struct
import wave
import zipfile
import zlib
from pathlib import Path

from tests.engines.running_worker import ROOT

FOLDER = ROOT / "tests/data/audio"
SPOKEN = "turn on the camera in the cellar"
FORMATS = ("wav", "mp3", "ogg", "webm", "m4a", "flac")
TWO_SENTENCES = ("what is the capital of austria", "set a timer for four days")
_SILENT_FRAME_S = 1024 / 8000


def camera(form: str) -> Path:
    """SPOKEN, in one of FORMATS."""
    return FOLDER / f"camera.{form}"


def wav(samples: bytes, rate_hz: int = 16000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate_hz, 0, "NONE", ""))
        sound.writeframes(samples)
    return file.getvalue()


def repeated(path: Path, seconds: float) -> bytes:
    """The sound of a WAV file of ours, again and again, with pauses."""
    sound = path.read_bytes()
    place = sound.index(b"data") + 8
    once = sound[place:] + b"\xff" * 16000  # silence in mu-law
    times = round(seconds * 16000 / len(once))
    return _with_sizes(sound[:place] + once * times, len(once) * times)


def bad_files() -> dict[str, tuple[bytes, str]]:
    """File name to content and to words of the refusal."""
    unknown = "not a sound file of a known format"
    mp3 = camera("mp3").read_bytes()
    return {
        "empty.wav": (b"", "is empty"),
        "text.mp3": (b"This is no music. " * 500, unknown),
        "stub.mp3": (mp3[:40], unknown),
        "noise.bin": (zlib.compress(bytes(range(256)) * 99), unknown),
        "zero_hertz.wav": (_with_rate(wav(bytes(32000)), 0), unknown),
        "header_only.wav": (wav(b""), "damaged"),
        "blink.wav": (wav(bytes(320)), "too short"),
        "bomb.wav": (_zip_bomb(), unknown),
        "playlist.m3u8": (_playlist(), unknown),
        "list.wav": (f"ffconcat version 1.0\nfile {camera('wav')}\n".encode(), unknown),
        "session.sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n", unknown),
        "subtitles.srt": (b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", unknown),
        "film_without_sound.mp4": ((FOLDER / "film_without_sound.mp4").read_bytes(), "has no sound"),
        "picture.png": (_png(), unknown),
    }


def odd_but_good_files() -> dict[str, bytes]:
    """What players would play, too."""
    sound = camera("wav").read_bytes()
    return {
        "breaks_off.mp3": camera("mp3").read_bytes()[:-2000],
        "claims_four_gigabytes.wav": _with_sizes(sound, 0xFFFFFFFF),
        "fifty_thousand_chunks.wav": sound[:12]
        + struct.pack("<4sI2s", b"junk", 2, b"xx") * 50_000
        + sound[12:],
        "wrong_name.mp3": sound,
    }


def silence(seconds: float) -> bytes:
    """Raw AAC; hours in a few megabytes."""
    return bytes.fromhex("fff16c40017ffc01182007") * round(seconds / _SILENT_FRAME_S)


def _with_rate(sound: bytes, rate_hz: int) -> bytes:
    place = sound.index(b"fmt ") + 12
    return sound[:place] + struct.pack("<II", rate_hz, 0) + sound[place + 8 :]


def _with_sizes(sound: bytes, size: int) -> bytes:
    place = sound.index(b"data") + 4
    raw = struct.pack("<I", size)
    return sound[:4] + raw + sound[8:place] + raw + sound[place + 4 :]


def _zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sound.wav", bytes(20_000_000))
    return file.getvalue()


def _playlist() -> bytes:
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:9", "#EXTINF:9,", f"file://{camera('mp3')}", "#EXT-X-ENDLIST")
    return "\n".join(lines).encode()


def _png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9 * 8))) + chunk(b"IEND", b"")
