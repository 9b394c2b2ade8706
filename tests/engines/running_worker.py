"""A real worker process at the other end of its socket, driven frame by frame."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engines.contract.chat import ChatRequest, Delta, Message, Sampling
from engines.contract.codec import FrameReader, encode, gateway_reader
from engines.contract.frames import (
    PROTOCOL_VERSION,
    Accepted,
    Asleep,
    Attach,
    Awake,
    Cancel,
    Done,
    Failed,
    FromWorker,
    Init,
    Items,
    LoadFailed,
    Ready,
    ResidencyFailed,
    Shutdown,
    Start,
    Stats,
    ToWorker,
)
from engines.contract.requests import Item
from engines.contract.requests import Request as AnyRequest
from engines.contract.spec import BackendSpec
from engines.contract.types import FinishReason, Priority, Usage

ROOT = Path(__file__).resolve().parents[2]
EXIT_TIMEOUT_S = 40.0
Ending = Done | Failed | None
Event = Accepted | Item | Done | Failed


class Answer:
    """What came for one request, in order. `end` is None when the connection was lost first."""

    def __init__(self, events: list[Event], end: Ending) -> None:
        self.events = events
        self.items = [event for event in events if not isinstance(event, Accepted | Done | Failed)]
        self.deltas = [event for event in events if isinstance(event, Delta)]
        self.end = end

    @property
    def is_accepted(self) -> bool:
        return any(isinstance(event, Accepted) for event in self.events)

    @property
    def usage(self) -> Usage:
        assert isinstance(self.end, Done), self.end
        return self.end.usage

    @property
    def failure(self) -> Failed:
        assert isinstance(self.end, Failed), self.end
        return self.end

    def text(self, index: int = 0) -> str:
        return "".join(delta.content for delta in self.deltas if delta.index == index)

    def finish_reason(self, index: int = 0) -> FinishReason | None:
        reasons = [delta.finish_reason for delta in self.deltas if delta.index == index]
        assert [reason for reason in reasons if reason] == reasons[-1:]  # once, and with the last delta
        return reasons[-1]

    def calls(self, index: int = 0) -> list[tuple[str, str]]:
        """Name and arguments of each tool call."""
        found: dict[int, tuple[str, str]] = {}
        for delta in self.deltas:
            for piece in delta.tool_calls if delta.index == index else ():
                name, arguments = found.get(piece.index, (piece.name or "", ""))
                found[piece.index] = (name, arguments + piece.arguments)
        return [found[number] for number in sorted(found)]

    def summary(self, num_choices: int = 1) -> list[object]:
        """Everything that must not depend on streaming."""
        choices = range(num_choices)
        return [self.usage, *((self.text(i), self.calls(i), self.finish_reason(i)) for i in choices)]


class Peer:
    """One connection to a worker."""

    def __init__(self, reader: FrameReader[FromWorker], writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._queues: dict[int, asyncio.Queue[Event | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._residency: asyncio.Queue[Asleep | Awake | ResidencyFailed] = asyncio.Queue()
        self.others: list[FromWorker] = []
        self.num_frames = self.num_items = 0
        self.is_lost = asyncio.Event()
        self.has_stats = asyncio.Event()

    def send(self, frame: ToWorker) -> None:
        self._writer.write(encode(frame))

    def send_raw(self, raw: bytes) -> None:
        self._writer.write(raw)

    def close(self) -> None:
        self._writer.close()

    async def aclose(self) -> None:
        """Hang up and wait until the reading has ended."""
        self._writer.close()
        if self._reading is not None:
            await self._reading
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def wait_ready(self, timeout_s: float = 180.0) -> Ready | LoadFailed | None:
        """Read until loading has ended; afterwards frames are read in the background."""
        async with asyncio.timeout(timeout_s):
            while (frame := await self._reader.read()) is not None:
                self.others.append(frame)
                if isinstance(frame, Ready | LoadFailed):
                    self._reading = asyncio.create_task(self._read(), name="peer")
                    return frame
        return None

    async def _read(self) -> None:
        while (frame := await self._reader.read()) is not None:
            self.num_frames += 1
            if isinstance(frame, Items):
                self.num_items += 1
                for id, delta in frame.items:
                    self._queues[id].put_nowait(delta)
            elif isinstance(frame, Accepted | Done | Failed):
                self._queues[frame.id].put_nowait(frame)
            elif isinstance(frame, Asleep | Awake | ResidencyFailed):
                self._residency.put_nowait(frame)
            else:
                self.others.append(frame)
                if isinstance(frame, Stats):
                    self.has_stats.set()
        for queue in self._queues.values():
            queue.put_nowait(None)
        self.is_lost.set()

    async def next_stats(self) -> Stats:
        self.has_stats.clear()
        await self.has_stats.wait()
        return next(frame for frame in reversed(self.others) if isinstance(frame, Stats))

    async def next_residency(self, timeout_s: float = 120.0) -> Asleep | Awake | ResidencyFailed:
        """The answer to the oldest Sleep or Wake that has none yet."""
        async with asyncio.timeout(timeout_s):
            return await self._residency.get()

    def has_residency(self) -> bool:
        return not self._residency.empty()

    def start(self, request: AnyRequest, priority: Priority = Priority.DEFAULT) -> "Request":
        id = next(self._ids)
        self._queues[id] = asyncio.Queue()
        self.send(Start(id, request, priority))
        return Request(self, id, self._queues[id])

    async def ask(self, request: AnyRequest, priority: Priority = Priority.DEFAULT) -> Answer:
        return await self.start(request, priority).answer()


class Request:
    """A request on its way."""

    def __init__(self, peer: Peer, id: int, queue: "asyncio.Queue[Event | None]") -> None:
        self._peer = peer
        self._queue = queue
        self.id = id

    async def next(self) -> Event | None:
        return await self._queue.get()

    def cancel(self) -> None:
        self._peer.send(Cancel(self.id))

    async def answer(self, timeout_s: float = 120.0) -> Answer:
        events: list[Event] = []
        async with asyncio.timeout(timeout_s):
            while (event := await self.next()) is not None:
                events.append(event)
                if isinstance(event, Done | Failed):
                    return Answer(events, event)
        return Answer(events, None)

    def has_more(self) -> bool:
        return not self._queue.empty()


class RunningWorker:
    """The process, its lifeline and its socket."""

    def __init__(
        self,
        folder: Path,
        python: str = sys.executable,
        cache: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.socket = folder / "worker.sock"
        self.log = folder / "worker.log"
        self._peers: list[Peer] = []
        read_end, write_end = os.pipe()
        self._lifeline: int | None = write_end
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HEARTH_ENGINE_CACHE": str(cache or folder / "cache"),
        }
        command = [python, "-m", "engines.runtime", "--socket", str(self.socket), "--lifeline", str(read_end)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                pass_fds=[read_end],
                start_new_session=True,
            )
        os.close(read_end)

    async def connect(self) -> Peer:
        """A new connection, as soon as the worker listens."""
        async with asyncio.timeout(60):
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(self.socket)
                except (FileNotFoundError, ConnectionRefusedError):
                    assert self.process.poll() is None, self.log.read_text()
                    await asyncio.sleep(0.02)
                else:
                    self._peers.append(Peer(gateway_reader(reader), writer))
                    return self._peers[-1]

    async def supervise(self, spec: BackendSpec) -> Peer:
        """The supervisor's connection, which has sent its spec."""
        peer = await self.connect()
        peer.send(Init(PROTOCOL_VERSION, spec))
        return peer

    async def attach(self) -> Peer:
        peer = await self.connect()
        peer.send(Attach(PROTOCOL_VERSION))
        return peer

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self.process.wait, EXIT_TIMEOUT_S)

    async def aclose(self) -> None:
        """Let nothing behind, whatever the test did."""
        self.cut_lifeline()
        self.process.kill()
        self.process.wait()
        for peer in self._peers:
            await peer.aclose()

    def cut_lifeline(self) -> None:
        """What the kernel does when the server is killed."""
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._lifeline = None


@asynccontextmanager
async def running(
    folder: Path, spec: BackendSpec, python: str = sys.executable, cache: Path | None = None
) -> AsyncIterator[tuple[RunningWorker, Peer]]:
    """A loaded worker, shut down afterwards."""
    worker = RunningWorker(folder, python, cache)
    try:
        peer = await worker.supervise(spec)
        ready = await peer.wait_ready()
        assert isinstance(ready, Ready), (ready, worker.log.read_text()[-4000:])
        yield worker, peer
        if worker.process.poll() is None:
            peer.send(Shutdown())
            await worker.exit_code()
    finally:
        await worker.aclose()


def chat(text: str, *, stream: bool = False, **sampling: object) -> ChatRequest:
    """A question with greedy sampling unless told otherwise."""
    options: dict[str, object] = {"temperature": 0.0, "max_tokens": 48} | sampling
    return ChatRequest((Message("user", text),), Sampling(**options), stream=stream)  # type: ignore[arg-type]
