"""A process that has imported the server and forks one on demand, so that a restart costs no import.

    python -m proof.nursery

Each line on stdin is an order in JSON, `{"environment": {...}, "log": "..."}`; each line on stdout is the pid of a
process that from there on is `hearth serve`. All of them end with it.
"""

import ctypes
import json
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def main() -> None:
    import server.__main__
    import server.cli.run_server

    if threading.active_count() > 1:
        sys.exit("importing the server has started a thread: it cannot be forked")
    libc = ctypes.CDLL(None)
    for line in sys.stdin:
        _reap()
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            _become(order["environment"], order["log"])
            server.__main__.main()
            os._exit(0)
        print(pid, flush=True)


def _become(environment: dict[str, str], log: str) -> None:
    os.setsid()
    os.environ.update(environment)
    nothing, out = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
    )
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["hearth", "serve"]


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
