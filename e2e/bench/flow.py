"""A flow of stars: created in a bounded number, watched to their end, timed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from e2e.bench import catalogue
from e2e.bench.api import STARS, Api, ApiFailed, cancel
from e2e.bench.site import BenchError

Document = dict[str, Any]
_FINISHED = frozenset({"Succeeded", "Failed", "Cancelled", "Rejected"})
_STALL_SECONDS = 180.0
_CREATORS = 16
_GONE = 410


@dataclass
class Flow:
    """Stars of one benchmark. Times are of `time.monotonic`, by the star's name.

    `resident`: how many StarProcessings may exist at a time, finished ones included. `per_second`: how fast they are
    created at most; 0: as fast as the API server takes them. `enough`: how many have to finish; 0: all.
    """

    api: Api
    namespace: str
    pipeline: str
    stars: int
    resident: int
    per_second: float = 0.0
    enough: int = 0
    spec: Document = field(default_factory=dict[str, Any])
    on_change: Callable[["Flow"], None] = lambda _flow: None
    created: dict[str, float] = field(default_factory=dict[str, float])
    finished: dict[str, float] = field(default_factory=dict[str, float])
    states: dict[str, int] = field(default_factory=dict[str, int])
    gone: set[str] = field(default_factory=set[str])
    events: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _last: float = 0.0

    @property
    def path(self) -> str:
        return STARS.format(namespace=self.namespace)

    async def run(self) -> None:
        """Until enough stars have finished. Raises BenchError where one did not succeed, or where nothing goes on."""
        listed, version = await self.api.list(self.path)
        if listed:
            raise BenchError(f"namespace {self.namespace} has {len(listed)} stars already")
        self._last = time.monotonic()
        watching = asyncio.create_task(self._watch(version))
        creating = asyncio.create_task(self._create())
        try:
            while len(self.finished) < (self.enough or self.stars):
                if watching.done() or (creating.done() and creating.exception()):
                    (watching if watching.done() else creating).result()
                await self._wait()
        finally:
            await cancel(watching, creating)
        if set(self.states) != {"Succeeded"}:
            raise BenchError(f"not every star succeeded: {self.states}")

    async def _wait(self) -> None:
        """Until something has changed."""
        self._moved.clear()
        patience = self._last + _STALL_SECONDS - time.monotonic()
        try:
            async with asyncio.timeout(patience):
                await self._moved.wait()
        except TimeoutError:
            raise BenchError(
                f"nothing happened for {_STALL_SECONDS:.0f} s: {len(self.created)} stars created, "
                f"{len(self.finished)} finished, {len(self.gone)} gone"
            ) from None

    def _mark(self) -> None:
        self._last = time.monotonic()
        self._moved.set()
        self.on_change(self)

    async def _create(self) -> None:
        names = iter(range(self.stars))
        began = time.monotonic()

        async def creator() -> None:
            for number in names:
                while len(self.created) - len(self.gone) >= self.resident:
                    self._room.clear()
                    await self._room.wait()
                if self.per_second:
                    await asyncio.sleep(max(0.0, began + number / self.per_second - time.monotonic()))
                name = f"star-{number:06d}"
                self.created[name] = time.monotonic()
                await self.api.request("POST", self.path, catalogue.star(name, self.pipeline, **self.spec))
                self._mark()

        async with asyncio.TaskGroup() as group:
            for _ in range(_CREATORS):
                group.create_task(creator())

    _room: asyncio.Event = field(default_factory=asyncio.Event)

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for kind, item in self.api.watch(self.path, version):
                    self._see(kind, item)
            except ApiFailed as error:
                if error.status != _GONE:
                    raise
            items, version = await self.api.list(self.path)
            present = {item["metadata"]["name"] for item in items}
            for item in items:
                self._see("MODIFIED", item)
            for name in [one for one in self.created if one in self.finished and one not in present]:
                self._leave(name)

    def _see(self, kind: str, item: Document) -> None:
        self.events += 1
        self._last = time.monotonic()
        name = item["metadata"]["name"]
        state = item.get("status", {}).get("state", "")
        if state in _FINISHED and name not in self.finished:
            self.finished[name] = time.monotonic()
            self.states[state] = self.states.get(state, 0) + 1
            self._mark()
        if kind == "DELETED":
            if name not in self.finished:
                raise BenchError(f"star {name} was deleted before it had finished")
            self._leave(name)

    def _leave(self, name: str) -> None:
        self.gone.add(name)
        self._room.set()
        self._mark()
