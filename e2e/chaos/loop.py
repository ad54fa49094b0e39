"""An event loop in a thread of its own, for what goes on beside the suite: the proxies and the recorder."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

T = TypeVar("T")

_SECONDS = 30


class LoopThread:
    """A context manager; whatever still runs at its end is cancelled."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end; raises what it raises, or TimeoutError."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop's thread, which alone touches the loop's objects."""

        async def called() -> T:
            return function()

        return self.run(called())

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), _SECONDS / 2)
