"""A loaded model with its threads, its line and its batches: tokens in, rows out. Knows no request."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from engines.contract.engine import EngineStats
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from engines.runtime.batcher import Batcher, Compute
from engines.runtime.blocking import ComputeThread
from engines.runtime.guard import Guard
from engines.st_parts.loading import text_limit
from engines.st_parts.network import Network
from engines.st_parts.options import ModelOptions
from engines.st_parts.pieces import Budget, Line, Piece, Ticket, Tokens, cut
from engines.st_parts.reader import Reader
from engines.torch_parts import devices

_CPU_CALL_TOKENS = 32  # a call of a small model costs as much as so many tokens
_GPU_CALL_TOKENS = 2048
_Rows = TypeVar("_Rows")
Rows = Callable[[Network], Compute[Piece, _Rows]]


class Serving(Generic[_Rows]):
    """`rows` makes the function that computes a batch: it gives something for each of its pieces."""

    def __init__(
        self,
        network: Network,
        thread: ComputeThread,
        rows: Rows[_Rows],
        *,
        device: str,
        limit: int,
        budget: Budget,
    ) -> None:
        self.reader = Reader(ComputeThread("tokenizer"), network.model.tokenizer.backend_tokenizer, limit)
        self._thread = thread
        self._device = device
        self._budget = budget
        self._network = network
        self._line = Line(budget)
        self._guard = Guard(partial(devices.release, device))
        self._batcher: Batcher[Piece, _Rows] = Batcher(
            thread, choose=self._line.choose, compute=self._guard.around(rows(network))
        )
        self._tickets: set[Ticket] = set()

    async def compute(
        self, texts: Sequence[Tokens], priority: Priority, dimensions: int | None = None
    ) -> list[tuple[Piece, _Rows]]:
        """The texts of one request in pieces, with what was computed for each. Cancelled, it begins no more."""
        ticket = self._line.enter()
        pieces = list(cut(texts, ticket, self._budget.of_pieces(), dimensions))
        self._tickets.add(ticket)
        try:
            return list(zip(pieces, await self._batcher.run_all(pieces, priority), strict=True))
        finally:
            self._tickets.discard(ticket)

    @property
    def model(self) -> Any:
        """The library's; None while it is dropped."""
        return self._network.model

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return devices.sleep_levels(self._device)

    async def sleep(self, level: int) -> None:
        await self._thread.run(self._network.sleep, level)

    async def wake(self) -> None:
        await self._thread.run(self._network.wake)
        self.reader.use(self._network.model.tokenizer.backend_tokenizer)

    def check_health(self) -> None:
        """Raises EngineError(BACKEND_ERROR) after a failure that the device does not recover from."""
        self._guard.check()

    def stats(self) -> EngineStats:
        """In requests: one of which no piece has begun waits."""
        num_begun = sum(ticket.has_begun for ticket in self._tickets)
        return EngineStats(
            running=num_begun,
            waiting=len(self._tickets) - num_begun,
            steps=self._batcher.steps,
            device_bytes=devices.device_bytes(self._device),
        )

    def close(self) -> None:
        self.reader.close()
        self._thread.close()


class Kind(NamedTuple, Generic[_Rows]):
    """What tells embedding and reranking apart: how to open the model, and what to compute with it."""

    open_model: Callable[[BackendSpec, ModelOptions, str], Any]
    rows: Rows[_Rows]

    async def start(self, spec: BackendSpec, options: ModelOptions) -> Serving[_Rows]:
        """Load the model on the thread that will compute with it. Raises EngineError."""
        device = devices.choose_device(spec.device)
        devices.limit_threads(options.omp_num_threads, spec.device)
        call_tokens = _CPU_CALL_TOKENS if device == "cpu" else _GPU_CALL_TOKENS
        thread = ComputeThread("compute")
        reopen = partial(self.open_model, spec, options, device)
        model = await thread.run(reopen)
        return Serving(
            Network(model, device, reopen),
            thread,
            self.rows,
            device=device,
            limit=text_limit(model, spec, options),
            budget=Budget(options.batch_tokens(device), call_tokens),
        )
