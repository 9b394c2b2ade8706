"""`python -m engines.runtime --socket PATH [--lifeline FD]`: the worker process; imports nothing heavy."""

import argparse
import asyncio
import logging
import os
import sys

from engines.runtime import environment, lifeline, logs


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="engines.runtime")
    parser.add_argument("--socket", required=True, help="path of the Unix socket to listen on")
    parser.add_argument(
        "--lifeline", type=int, help="inherited read end of a pipe that the server holds open"
    )
    parser.add_argument(
        "--close-timeout-s", type=float, default=10.0, help="how long the engine may take to close"
    )
    arguments = parser.parse_args()
    lifeline.arm(arguments.lifeline)
    os.umask(0o077)
    environment.prepare()
    logs.configure()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(_run(arguments.socket, arguments.close_timeout_s))
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)  # a library's threads or atexit hooks must not keep a stopped worker alive


async def _run(socket: str, close_timeout_s: float) -> int:
    from engines.runtime.loop import Worker

    return await Worker(close_timeout_s).run(socket)


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.Loop


if __name__ == "__main__":
    sys.exit(main())
