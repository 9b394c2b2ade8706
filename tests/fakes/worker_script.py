"""A worker program without an engine: repeats the last message word by word and misbehaves on command.

Run as `python worker_script.py SCRIPT --socket PATH --lifeline FD`; SCRIPT is a `Script` in JSON. Some
words of a request are orders instead of tokens:

- `!die`: exit with status 9; `!hang`: no further token; `!release`: end the requests that hang;
- `!refuse`, `!late`: refuse the request, the latter after acceptance;
- `!garbage`: send what is no frame; `!mute`: no frame ever again; `!stall`: report no progress;
- `!fork`: start a child that outlives its parent and holds the socket; the token is its pid;
- `!cancels`, `!salt`: the token is the number of Cancel frames so far, or the request's cache salt.
"""

import argparse
import os
import select
import socket
import sys
import time
from typing import Literal

import msgspec

from engines.contract.chat import ChatRequest, Delta
from engines.contract.codec import encode
from engines.contract.engine import EngineStats
from engines.contract.errors import ErrorCode
from engines.contract.frames import (
    PROTOCOL_VERSION,
    Accepted,
    Cancel,
    Done,
    Failed,
    FromWorker,
    Init,
    Items,
    LoadFailed,
    Progress,
    Ready,
    Shutdown,
    Start,
    Stats,
    ToWorker,
)
from engines.contract.types import Usage

STATS_EVERY_S = 0.05
_decoder = msgspec.msgpack.Decoder(ToWorker)


class Script(msgspec.Struct, frozen=True):
    """How the worker comes up. `die_at` `start` is before it listens; `lingering` fails without an exit.

    `at_request`: it refuses every request for want of room, or dies, before it has accepted it.
    """

    load_delay_s: float = 0.0
    die_at: Literal["start", "loading"] | None = None
    load_failure: Literal["permanent", "passing", "lingering"] | None = None
    never_listen: bool = False
    mute_after_ready: bool = False
    ignore_shutdown: bool = False
    at_request: Literal["refuse", "die"] | None = None


class Worker:
    def __init__(self, script: Script, path: str, lifeline: int) -> None:
        self.script = script
        self.lifeline = lifeline
        self.buffer = b""
        self.hanging: list[int] = []
        self.num_cancels = 0
        self.is_mute = False
        self.idle_s = 0.0
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.connection, _ = listener.accept()

    def send(self, frame: FromWorker) -> None:
        if not self.is_mute:
            self.connection.sendall(encode(frame))

    def run(self) -> None:
        while True:
            readable, _, _ = select.select([self.connection.fileno(), self.lifeline], [], [], STATS_EVERY_S)
            if self.lifeline in readable:
                os.write(1, b"lifeline closed\n")
                os._exit(0)
            if self.connection.fileno() in readable:
                self.receive()
            self.send(Stats(len(self.hanging), self.idle_s, EngineStats()))

    def receive(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            time.sleep(0.3)  # long enough for the lifeline to be read where both close at once
            if select.select([self.lifeline], [], [], 0)[0]:
                os.write(1, b"lifeline closed\n")
            os._exit(0)
        self.buffer += received
        while len(self.buffer) >= 4:
            end = 4 + int.from_bytes(self.buffer[:4], "little")
            if len(self.buffer) < end:
                return
            frame = _decoder.decode(self.buffer[4:end])
            self.buffer = self.buffer[end:]
            self.handle(frame)

    def handle(self, frame: ToWorker) -> None:
        match frame:
            case Init():
                self.load()
            case Start():
                self.answer(frame)
            case Cancel():
                self.num_cancels += 1
                if frame.id in self.hanging:
                    self.hanging.remove(frame.id)
                    self.send(Failed(frame.id, ErrorCode.BACKEND_ERROR, "cancelled"))
            case Shutdown() if not self.script.ignore_shutdown:
                os._exit(0)

    def load(self) -> None:
        self.send(Progress("loading", "pretending"))
        time.sleep(self.script.load_delay_s)
        if self.script.die_at == "loading":
            os._exit(9)
        if self.script.load_failure is not None:
            self.send(LoadFailed("told to fail", self.script.load_failure == "permanent"))
            if self.script.load_failure == "lingering":
                time.sleep(60)
            os._exit(3)
        self.send(Ready(PROTOCOL_VERSION, self.script.load_delay_s))
        self.is_mute = self.script.mute_after_ready

    def answer(self, start: Start) -> None:
        assert isinstance(start.request, ChatRequest)
        if self.script.at_request == "die":
            os._exit(9)
        if self.script.at_request == "refuse":
            self.send(Failed(start.id, ErrorCode.BACKEND_RATE_LIMITED, "told to be full"))
            return
        words = (start.request.messages[-1].content or "").split()
        if "!refuse" in words:
            self.send(Failed(start.id, ErrorCode.VALIDATION_ERROR, "told to refuse", "messages"))
            return
        self.send(Accepted(start.id))
        for word in words:
            token = self.token(start, word)
            if token is None:
                return
            self.send(Items([(start.id, Delta(0, token))]))
        self.send(Items([(start.id, Delta(0, finish_reason="stop"))]))
        self.send(Done(start.id, Usage(1, len(words))))

    def token(self, start: Start, word: str) -> str | None:  # noqa: C901 one case an order
        """The token that `word` stands for; None if the request goes no further."""
        assert isinstance(start.request, ChatRequest)
        match word:
            case "!die":
                os._exit(9)
            case "!hang":
                self.hanging.append(start.id)
                return None
            case "!late":
                self.send(Failed(start.id, ErrorCode.BACKEND_RATE_LIMITED, "told to fail", None, 3))
                return None
            case "!release":
                for request_id in self.hanging:
                    self.send(Done(request_id, Usage(1, 1)))
                self.hanging.clear()
            case "!garbage":
                self.connection.sendall(b"\x03\x00\x00\x00abc")
            case "!mute":
                self.is_mute = True
            case "!stall":
                self.idle_s = 1000.0
            case "!fork":
                return str(fork_child())
            case "!cancels":
                return str(self.num_cancels)
            case "!salt":
                return str(start.request.cache_salt)
        return word


def fork_child() -> int:
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("script")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--lifeline", required=True, type=int)
    arguments = parser.parse_args()
    script = msgspec.json.decode(arguments.script, type=Script)
    if script.die_at == "start":
        sys.exit(9)
    if script.never_listen:
        time.sleep(60)
    Worker(script, arguments.socket, arguments.lifeline).run()


if __name__ == "__main__":
    main()
