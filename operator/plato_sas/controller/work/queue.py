"""The work queue: no key is worked on twice at the same time, and no mark is lost meanwhile."""

import asyncio
import time
from collections import deque

from plato_sas.controller import metrics
from plato_sas.controller.kube.resources import PROCESSING, Kind

_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 60.0


class WorkQueue:
    """Names of resources of one kind to reconcile. A name added while it is worked on comes once more afterwards."""

    def __init__(self, kind: Kind = PROCESSING) -> None:
        self.kind = kind
        self._depth = metrics.QUEUE_DEPTH.labels(kind.name)
        self._latency = metrics.QUEUE_LATENCY.labels(kind.name)
        self._order: deque[str] = deque()
        self._dirty: dict[str, float] = {}  # since when
        self._processing: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._available = asyncio.Event()

    def add(self, key: str) -> None:
        """Mark a key dirty."""
        if key in self._dirty:
            return
        self._dirty[key] = time.monotonic()
        if key not in self._processing:
            self._put(key)

    def add_after(self, key: str, delay: float) -> None:
        """Mark a key dirty after a pause; of several such requests only the earliest counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def retry(self, key: str) -> float:
        """Mark a key dirty after a failure; returns the pause in seconds, which doubles each time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(failures, 16))
        self.add_after(key, pause)
        return pause

    def succeeded(self, key: str) -> None:
        """Forget earlier failures of a key."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key; the caller owns it until `done`."""
        while not self._order:
            self._available.clear()
            await self._available.wait()
        key = self._order.popleft()
        self._depth.set(len(self._order))
        self._latency.observe(time.monotonic() - self._dirty.pop(key))
        self._processing.add(key)
        return key

    def done(self, key: str) -> None:
        """Return a key to the queue."""
        self._processing.discard(key)
        if key in self._dirty:
            self._put(key)

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _put(self, key: str) -> None:
        self._order.append(key)
        self._depth.set(len(self._order))
        self._available.set()
