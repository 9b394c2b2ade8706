"""Runs a blocking library on one thread of its own, so that the event loop never waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class ComputeThread:
    """One thread: a model object is used by one call at a time, in the order of the calls."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(
        self,
        function: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Result:
        """The result of `function`. Cancelling the wait does not stop what has begun; not begun, it never begins."""
        return await asyncio.wrap_future(self._executor.submit(function, *arguments, **keywords))

    def close(self) -> None:
        """Start nothing more. Does not wait: a thread inside a library cannot be ended, the process's exit ends it."""
        self._executor.shutdown(wait=False, cancel_futures=True)
