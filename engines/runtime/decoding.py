"""`python -m engines.runtime.decoding FD`: forks one child per media file, so that no worker ever parses one itself.

The process at descriptor FD's other end (`media.MediaDecoder`) sends jobs with their descriptors. Importing PyAV takes
a quarter of a second and is done here once; a fork of this process takes a few milliseconds. A child has bounds on
memory, processor time and file size, may open nothing, and is killed as soon as the asker closes its end of the job.
"""

import array
import contextlib
import ctypes
import os
import resource
import selectors
import signal
import socket
import sys
from typing import Literal

import msgspec

from engines.runtime import decode_audio, decode_image
from engines.runtime.decode_audio import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from engines.runtime.decode_image import BYTES_PER_PIXEL

_NUM_FDS = 3
_JOB_BYTES = 4096
_PR_SET_PDEATHSIG = 1


class Crash(msgspec.Struct, frozen=True):
    """Sent for a child that could not report; `verdict` is one of every kind of report."""

    verdict: Literal["broken", "too_slow"]


class AudioJob(msgspec.Struct, frozen=True, tag="audio"):
    """Sent with three descriptors: the file to read, the file to write, and a socket for the report."""

    min_audio_s: float
    max_audio_s: float
    cpu_s: int
    memory_bytes: int

    @property
    def longest_bytes(self) -> int:
        return int((self.max_audio_s + 60) * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE

    def decode(self, source: int, target: int) -> msgspec.Struct:
        return decode_audio.decode(source, target, min_audio_s=self.min_audio_s, max_audio_s=self.max_audio_s)


class ImageJob(msgspec.Struct, frozen=True, tag="image"):
    """As `AudioJob`, for a picture."""

    max_side: int
    max_pixels: int
    cpu_s: int
    memory_bytes: int

    @property
    def longest_bytes(self) -> int:
        return self.max_pixels * BYTES_PER_PIXEL

    def decode(self, source: int, target: int) -> msgspec.Struct:
        return decode_image.decode(source, target, max_side=self.max_side, max_pixels=self.max_pixels)


Job = AudioJob | ImageJob


class _Child(msgspec.Struct, frozen=True):
    pid: int
    pidfd: int
    reply: socket.socket


class Decoding:
    """The loop of the parent: takes jobs, forks, reaps, kills."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._children: dict[int, _Child] = {}

    def run(self) -> None:
        """Returns when the asker is gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._take():
                        return self._kill_all()
                elif (child := self._children.get(key.data)) is not None:
                    self._reap(child) if key.fd == child.pidfd else self._kill(child)

    def _take(self) -> bool:
        raw, fds, _, _ = socket.recv_fds(self._control, _JOB_BYTES, _NUM_FDS)
        if not raw:
            return False
        source, target, reply_fd = fds
        reply = socket.socket(fileno=reply_fd)
        pid = os.fork()
        if pid == 0:
            _serve(msgspec.json.decode(raw, type=Job), source, target, reply)
        os.close(source)
        os.close(target)
        child = _Child(pid, os.pidfd_open(pid), reply)
        self._children[pid] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, pid)
        self._selector.register(reply, selectors.EVENT_READ, pid)  # readable: its other end was closed
        return True

    def _kill(self, child: _Child) -> None:
        self._selector.unregister(child.reply)
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _reap(self, child: _Child) -> None:
        """A child that ended otherwise than by its report is reported on by us."""
        _, status = os.waitpid(child.pid, 0)
        if status != 0:
            was_slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
            _report(child.reply, Crash("too_slow" if was_slow else "broken"))
        self._selector.unregister(child.pidfd)
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.reply)
        os.close(child.pidfd)
        child.reply.close()
        del self._children[child.pid]

    def _kill_all(self) -> None:
        for child in self._children.values():
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)


def _serve(job: Job, source: int, target: int, reply: socket.socket) -> None:
    """Runs in the child and never returns; any other exit status than 0 means that there is no report."""
    status = 1
    try:
        _confine(job)
        _report(reply, job.decode(source, target))
        status = 0
    finally:
        os._exit(status)


def _confine(job: Job) -> None:
    """In this order: what comes last forbids opening anything."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, job.memory_bytes),
        (resource.RLIMIT_FSIZE, job.longest_bytes),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (job.cpu_s, job.cpu_s + 1))  # first SIGXCPU, which tells why


def _report(reply: socket.socket, report: msgspec.Struct) -> None:
    with contextlib.suppress(OSError):  # the asker has lost interest
        reply.sendall(msgspec.json.encode(report))


def send_job(control: socket.socket, job: Job, fds: tuple[int, int, int]) -> None:
    """For the asker. Raises OSError if nobody listens any more; never blocks on a non-blocking socket."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    control.sendmsg([msgspec.json.encode(job)], rights)


def main() -> None:
    decode_audio.prepare()
    decode_image.prepare()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # ends when its asker does
    Decoding(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
