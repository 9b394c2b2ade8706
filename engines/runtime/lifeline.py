"""Makes sure that no process of a worker outlives the server; knows nothing of engines.

The server holds the write end of a pipe whose read end the worker inherits. A watcher process, forked before
anything heavy is imported, waits on that pipe and on one that the worker holds, and kills the whole process group
on end of file: the kernel closes a pipe also when its holder died by SIGKILL.
"""

import contextlib
import ctypes
import os
import select
import signal
import time

_PR_SET_PDEATHSIG = 1
_GRACE_S = 0.5  # after the worker has ended: lets multiprocessing's resource tracker remove shared memory


def arm(lifeline: int | None) -> None:
    """Start the watcher. `lifeline` is the inherited read end, or None when nobody holds the other end.

    Afterwards this process leads its own process group and is killed when its parent dies.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    _die_with_parent()
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(write_end)
        _watch(read_end, lifeline)
    os.close(read_end)
    if lifeline is not None:
        os.close(lifeline)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch(worker: int, lifeline: int | None) -> None:
    """Runs in the watcher and never returns."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    poll = select.poll()
    for fd in (worker, lifeline):
        if fd is not None:
            poll.register(fd, select.POLLIN)
    ready = [fd for fd, _ in poll.poll()]
    if lifeline not in ready:
        time.sleep(_GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
