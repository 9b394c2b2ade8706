"""Decodes uploaded media without parsing it in this process; knows neither engines nor what the samples are for.

`engines.runtime.decoding` does the work in children that are killed when they take too much, too long, or are no longer
wanted. Whatever a file holds, this process reads from it nothing but plain samples.
"""

import asyncio
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.decode_audio import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Report, Verdict
from engines.runtime.decoding import AudioJob, send_job

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

    async def decode_audio(self, path: str, limits: DecodeLimits, field: str = "file") -> Sound:
        """The sound in the file at `path`. Cancelling this kills the decoding.

        Raises EngineError: VALIDATION_ERROR about `field` if the file cannot be used, BACKEND_ERROR if decoding could
        not be done at all.
        """
        async with self._turns:
            source, target = await asyncio.to_thread(_open, path)
            try:
                report = await self._ask(source, target, limits)
                _check(report, limits, field)
                samples = mmap.mmap(target, report.num_samples * BYTES_PER_SAMPLE, prot=mmap.PROT_READ)
            finally:
                os.close(source)
                os.close(target)
        return Sound(samples, report.num_samples)

    async def _ask(self, source: int, target: int, limits: DecodeLimits) -> Report:
        reply, theirs = socket.socketpair()
        reply.setblocking(False)
        job = AudioJob(MIN_AUDIO_S, limits.max_audio_s, max(1, round(limits.timeout_s)), limits.memory_bytes)
        with reply:  # closing it is what kills the child
            with theirs:
                await self._send(job, (source, target, theirs.fileno()))
            try:
                async with asyncio.timeout(limits.timeout_s):
                    raw = await asyncio.get_running_loop().sock_recv(reply, _REPORT_BYTES)
            except TimeoutError:
                return Report("too_slow")
        return msgspec.json.decode(raw, type=Report) if raw else Report("broken")

    async def _send(self, job: AudioJob, fds: tuple[int, int, int]) -> None:
        """A process that has died is started again, once."""
        for _ in range(2):
            if self._control is not None and self._process is not None and self._process.poll() is None:
                try:
                    return await self._send_now(self._control, job, fds)
                except (BrokenPipeError, ConnectionError):
                    pass
            self.start()
        raise EngineError(ErrorCode.BACKEND_ERROR, "the decoder of sound files does not start")

    async def _send_now(self, control: socket.socket, job: AudioJob, fds: tuple[int, int, int]) -> None:
        async with asyncio.timeout(_START_S):
            while True:
                try:
                    return send_job(control, job, fds)
                except BlockingIOError:  # so many jobs are on their way that the socket is full
                    await asyncio.sleep(0.01)


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
