"""Decodes uploaded media without parsing it in this process; knows neither engines nor what the samples are for.

`engines.runtime.decoding` does the work in children that are killed when they take too much, too long, or are no longer
wanted. Whatever a file holds, this process reads from it nothing but plain samples.
"""

import asyncio
import contextlib
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.decode_audio import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Report, Verdict
from engines.runtime.decode_image import BYTES_PER_PIXEL, ImageReport, ImageVerdict
from engines.runtime.decoding import AudioJob, Crash, ImageJob, Job, send_job

MIN_AUDIO_S = 0.1
_REPORT_BYTES = 4096
_START_S = 30.0

_REFUSALS: dict[Verdict, str] = {
    "empty": "is empty",
    "not_audio": "is not a sound file of a known format",
    "no_audio_stream": "has no sound in it",
    "no_sample_rate": "has no valid sample rate",
    "too_short": f"is too short: at least {MIN_AUDIO_S:g} s of sound are needed",
    "broken": "cannot be decoded: it is damaged or of an unsupported kind",
    "too_slow": "takes too long to decode",
}
_IMAGE_REFUSALS: dict[ImageVerdict, str] = {
    "empty": "is empty",
    "not_image": "is not a PNG, JPEG or WebP image",
    "too_large": "is too large: at most {side} pixels on a side and {megapixels:g} megapixels are taken",
    "broken": "cannot be decoded: it is damaged",
    "too_slow": "takes too long to decode",
}


class ImageLimits(msgspec.Struct, frozen=True):
    """Bounds on one picture (rule R8), and on the seconds and bytes of address space that decoding it may take."""

    max_side: int = 8192
    max_pixels: int = 40_000_000
    timeout_s: float = 10.0
    memory_bytes: int = 2 * 1024**3


class Pixels(msgspec.Struct, frozen=True):
    """`content` is `(height, width, 3) uint8`: red, green, blue, row by row from the top."""

    width: int
    height: int
    content: bytes


class DecodeLimits(msgspec.Struct, frozen=True):
    """Bounds on one file: seconds of sound, seconds of decoding (clock and processor), bytes of address space."""

    max_audio_s: float
    timeout_s: float
    memory_bytes: int = 2 * 1024**3


class Sound(msgspec.Struct, frozen=True):
    """`samples` are 16 kHz, mono, little-endian 16 bit, in a file without a name that is freed with this object."""

    samples: mmap.mmap
    num_samples: int

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE_HZ


class MediaDecoder:
    """Owns the decoding process. At most `max_at_once` files are decoded at a time; more wait."""

    def __init__(self, max_at_once: int, python: str = sys.executable) -> None:
        self._python = python
        self._turns = asyncio.Semaphore(max_at_once)
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the decoding process, whose children do the work."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, or a new one if it has died. Blocks for a few milliseconds."""
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [self._python, "-m", "engines.runtime.decoding", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        self._control = ours

    def close(self) -> None:
        """End the process and whatever it decodes."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    async def decode_audio(self, file: str | bytes, limits: DecodeLimits, field: str = "file") -> Sound:
        """The sound in `file`, a path or the content itself. Cancelling this kills the decoding.

        Raises EngineError: VALIDATION_ERROR about `field` if the file cannot be used, BACKEND_ERROR if decoding could
        not be done at all.
        """
        async with self._turns:
            source, target = await asyncio.to_thread(_source_and_target, file)
            with _closing(source, target):
                cpu_s = max(1, round(limits.timeout_s))
                job = AudioJob(MIN_AUDIO_S, limits.max_audio_s, cpu_s, limits.memory_bytes)
                raw = await self._ask(job, source, target, limits.timeout_s)
                report = msgspec.json.decode(raw, type=Report) if raw else Report("broken")
                _check(report, limits, field)
                samples = mmap.mmap(target, report.num_samples * BYTES_PER_SAMPLE, prot=mmap.PROT_READ)
        return Sound(samples, report.num_samples)

    async def decode_image(self, content: bytes, limits: ImageLimits, field: str) -> Pixels:
        """The picture in `content`, a PNG, JPEG or WebP file. Otherwise as `decode_audio`."""
        async with self._turns:
            source, target = await asyncio.to_thread(_hold, content)
            with _closing(source, target):
                cpu_s = max(1, round(limits.timeout_s))
                job = ImageJob(limits.max_side, limits.max_pixels, cpu_s, limits.memory_bytes)
                raw = await self._ask(job, source, target, limits.timeout_s)
                report = msgspec.json.decode(raw, type=ImageReport) if raw else ImageReport("broken")
                _check_image(report, limits, field)
                size_bytes = report.width * report.height * BYTES_PER_PIXEL
                pixels = await asyncio.to_thread(os.pread, target, size_bytes, 0)
        return Pixels(report.width, report.height, pixels)

    async def _ask(self, job: Job, source: int, target: int, timeout_s: float) -> bytes:
        """What the child reports; nothing if it died without a word, or never came to be."""
        reply, theirs = socket.socketpair()
        reply.setblocking(False)
        with reply:  # closing it is what kills the child
            with theirs:
                await self._send(job, (source, target, theirs.fileno()))
            try:
                async with asyncio.timeout(timeout_s):
                    return await asyncio.get_running_loop().sock_recv(reply, _REPORT_BYTES)
            except TimeoutError:
                return msgspec.json.encode(Crash("too_slow"))

    async def _send(self, job: Job, fds: tuple[int, int, int]) -> None:
        """A process that has died is started again, once."""
        for _ in range(2):
            if self._control is not None and self._process is not None and self._process.poll() is None:
                try:
                    return await self._send_now(self._control, job, fds)
                except (BrokenPipeError, ConnectionError):
                    pass
            self.start()
        raise EngineError(ErrorCode.BACKEND_ERROR, "the decoder of media files does not start")

    async def _send_now(self, control: socket.socket, job: Job, fds: tuple[int, int, int]) -> None:
        async with asyncio.timeout(_START_S):
            while True:
                try:
                    return send_job(control, job, fds)
                except BlockingIOError:  # so many jobs are on their way that the socket is full
                    await asyncio.sleep(0.01)


@contextlib.contextmanager
def _closing(*descriptors: int) -> Iterator[None]:
    try:
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _source_and_target(file: str | bytes) -> tuple[int, int]:
    return _hold(file) if isinstance(file, bytes) else _open(file)


def _hold(content: bytes) -> tuple[int, int]:
    """`content` and room for what is in it, as files in memory."""
    source = os.memfd_create("source")
    with os.fdopen(os.dup(source), "wb") as file:
        file.write(content)
    os.lseek(source, 0, os.SEEK_SET)
    return source, os.memfd_create("target")


def _open(path: str) -> tuple[int, int]:
    """The file to read, and one without a name beside it to write to."""
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise EngineError(ErrorCode.BACKEND_ERROR, "the uploaded file is gone") from error
    try:
        with tempfile.TemporaryFile(dir=Path(path).parent) as file:
            return source, os.dup(file.fileno())
    except OSError as error:
        os.close(source)
        raise EngineError(ErrorCode.BACKEND_ERROR, "there is no room to decode the file") from error


def _check(report: Report, limits: DecodeLimits, field: str) -> None:
    """Raises EngineError unless there are samples."""
    if report.verdict == "too_long":
        message = f"is too long: at most {limits.max_audio_s:g} s of sound are taken"
        raise EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
    if report.verdict != "decoded":
        raise EngineError(ErrorCode.VALIDATION_ERROR, _REFUSALS[report.verdict], field=field)


def _check_image(report: ImageReport, limits: ImageLimits, field: str) -> None:
    if report.verdict != "decoded":
        megapixels = limits.max_pixels / 1e6
        message = _IMAGE_REFUSALS[report.verdict].format(side=limits.max_side, megapixels=megapixels)
        raise EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
